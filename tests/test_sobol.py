"""Sobol' points: those of scipy, to the bit."""

import numpy as np
import pytest
from scipy.stats import qmc

from stpspec.fitters.sobol import MOST_DIMENSIONS, scrambled


@pytest.mark.parametrize("seed", [0, 1, 20240229])
@pytest.mark.parametrize("d", range(1, MOST_DIMENSIONS + 2))
def test_the_points_are_those_of_scipy_to_the_bit(d, seed):
    expected = qmc.Sobol(d, scramble=True, rng=np.random.default_rng(seed)).random_base2(11)
    for n in (1, 2, 5, 64, 2048):
        points = scrambled(d, n, np.random.default_rng(seed))
        assert points.shape == (n, d)
        assert (points == expected[:n]).all()
