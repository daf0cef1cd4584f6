"""Run a fitter on a problem: starts, budget, and the outcome that says why it stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from stpspec.fitters.closed_form import closed_form_starts
from stpspec.fitters.evaluation import AtNoise, Evaluation
from stpspec.fitters.initial_points import given, sobol
from stpspec.fitters.problem import Problem

log = logging.getLogger("stpspec.fitters")

_RESCUES = 16  # points tried when every start fails


def starts(problem: Problem) -> np.ndarray:
    """Return the starting points that the spec asks for, shape (start, parameter)."""
    spec = problem.fitter
    if spec.start == "middle":
        return np.full((1, problem.n), 0.5)
    if spec.start == "random":
        return np.random.default_rng(problem.seed).random((spec.n_starts, problem.n))
    if spec.start == "sobol":
        return sobol(problem, spec.n_starts)
    is_given = any(p.start is not None for p in problem.parameters.values())
    if spec.start == "closed_form" or (spec.start == "auto" and not is_given):
        found = closed_form_starts(problem, spec.n_starts)
        if found is not None:
            return found
    return given(problem)[None]


def usable_starts(
    problem: Problem, look: Callable[[np.ndarray], Evaluation]
) -> tuple[np.ndarray, str]:
    """Evaluate all starts as one batch; return those that can be used, the best first.

    Where every start fails, as at the edge of what the mechanism can do, the best of some points
    that fill the space takes their place: a local search cannot leave a plateau of failures.

    Parameters
    ----------
    problem : Problem
    look : callable
        Evaluates a single start the way the search will, with the steps around it.

    Returns
    -------
    points : ndarray, shape (start, parameter)
    remark : str
        What was replaced, and why; empty if nothing was.

    Raises
    ------
    FitError
        If nothing can be evaluated anywhere.
    """
    asked = starts(problem)
    evaluations = problem.evaluate(asked) if len(asked) > 1 else [_looked(look, asked[0])]
    good = [k for k, e in enumerate(evaluations) if not e.failed]
    failed = len(evaluations) - len(good)
    if good:
        order = sorted(good, key=lambda k: evaluations[k].loss)
        return asked[order], f"; {failed} of {len(asked)} starts failed" if failed else ""
    why = f"; every start asked for failed ({evaluations[0].reason})"
    points = sobol(problem, _RESCUES)
    best = min(
        (e for e in problem.evaluate(points) if not e.failed), key=lambda e: e.loss, default=None
    )
    best = best or problem.best  # which raises, with the reasons
    return best.point[None], f"{why}, so the search began elsewhere"


T = TypeVar("T")  # what a local search returns


def _looked(look: Callable[[np.ndarray], Evaluation], start: np.ndarray) -> Evaluation:
    try:
        return look(start)
    except AtNoise as reached:  # the search itself will say so
        return reached.evaluation


def from_every_start(
    problem: Problem,
    local: Callable[[np.ndarray], T],
    look: Callable[[np.ndarray], Evaluation],
) -> tuple[list[T], str]:
    """Run a local search from each start, the most promising first.

    Returns
    -------
    results : list
    remark : str
        As in :func:`usable_starts`.
    """
    points, remark = usable_starts(problem, look)
    results = []
    for index, point in enumerate(points):
        problem.start_index = index
        results.append(local(point))
    return results, remark
