"""Points of the unit cube at which a fit may begin."""

from __future__ import annotations

import numpy as np

from stpspec.fitters.problem import Problem


def given(problem: Problem) -> np.ndarray:
    """Return the point of each parameter's own start, the middle where it has none."""
    return np.array([
        0.5 if p.start is None else p.to_unit(float(p.start)) for p in problem.parameters.values()
    ])  # fmt: skip


def sobol(problem: Problem, n: int) -> np.ndarray:
    """Return n points that fill the unit cube evenly, shape (n, parameter); seeded."""
    from scipy.stats import qmc

    sampler = qmc.Sobol(problem.n, scramble=True, rng=np.random.default_rng(problem.seed))
    return sampler.random_base2(max(int(np.ceil(np.log2(n))), 0))[:n]
