"""Run a fitter on a problem: starts, budget, and the outcome that says why it stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from stpspec.fitters.problem import BudgetSpent, Problem
from stpspec.registry import FITTERS
from stpspec.spec.fitter import FitterSpec

log = logging.getLogger("stpspec.fitters")


@dataclass(frozen=True)
class Outcome:
    """Why a fit stopped.

    Attributes
    ----------
    status : str
        ``converged``, ``budget``, ``finished`` (a sampler has no notion of convergence),
        ``stopped`` (the optimizer gave up) or ``interrupted``.
    message : str
        In the optimizer's own words.
    """

    status: str
    message: str


F = TypeVar("F", bound=FitterSpec)


def fitter(kind: str) -> Callable[[type[F]], type[F]]:
    """Register a fitter class under ``kind`` (decorator)."""
    return FITTERS.register(kind)


def run(problem: Problem) -> Outcome:
    """Let the problem's fitter minimize it; a spent budget or Ctrl-C ends it in good order."""
    try:
        return problem.fitter.minimize(problem)
    except BudgetSpent:
        budget = problem.fitter.budget
        parts = [
            f"{budget.evaluations} evaluations" if budget.evaluations else "",
            f"{budget.seconds:g} s" if budget.seconds else "",
        ]
        return Outcome("budget", f"the budget is spent ({' or '.join(p for p in parts if p)})")
    except KeyboardInterrupt:
        if not problem.history:
            raise
        log.warning("interrupted: the best point so far is kept")
        return Outcome("interrupted", "interrupted by the user")


def starts(problem: Problem) -> np.ndarray:
    """Return the starting points that the spec asks for, shape (start, parameter)."""
    spec = problem.fitter
    if spec.start == "middle":
        return np.full((1, problem.n), 0.5)
    if spec.start == "random":
        return np.random.default_rng(problem.seed).random((spec.n_starts, problem.n))
    if spec.start == "sobol":
        from scipy.stats import qmc

        sampler = qmc.Sobol(problem.n, scramble=True, rng=np.random.default_rng(problem.seed))
        power = max(int(np.ceil(np.log2(spec.n_starts))), 0)
        return sampler.random_base2(power)[: spec.n_starts]
    given = [
        0.5 if p.start is None else p.to_unit(float(p.start)) for p in problem.parameters.values()
    ]
    return np.array([given])


def from_every_start(problem: Problem, local: Callable[[np.ndarray], Any]) -> list[Any]:
    """Run a local search from each start, the most promising first.

    All starts are evaluated as one batch beforehand.
    """
    points = starts(problem)
    order = np.arange(len(points))
    if len(points) > 1:
        order = np.argsort(problem.losses(points), kind="stable")
    results = []
    for index in order:
        problem.start_index = int(index)
        results.append(local(points[index]))
    return results
