"""Points of the unit cube at which a fit may begin."""

from __future__ import annotations

import numpy as np

from stpspec.fitters.problem import Problem
from stpspec.fitters.sobol import scrambled


def given(problem: Problem) -> np.ndarray:
    """Return the point of each parameter's own start, the middle where it has none."""
    return np.array([
        0.5 if p.start is None else p.to_unit(float(p.start)) for p in problem.parameters.values()
    ])  # fmt: skip


def sobol(problem: Problem, n: int) -> np.ndarray:
    """Return n points that fill the unit cube evenly, shape (n, parameter); seeded."""
    return scrambled(problem.n, n, np.random.default_rng(problem.seed))
