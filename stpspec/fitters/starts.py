"""Starts of a fit: where the spec says, where the closed form fits best, and all over the bounds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stpspec.fitters.closed_form import closed_form_starts
from stpspec.fitters.evaluation import AtNoise, Evaluation
from stpspec.fitters.initial_points import given, sobol
from stpspec.fitters.problem import Problem

log = logging.getLogger("stpspec.fitters")

FAR = 3.0  # sd: a fit that misses a target by more has not done what it was asked
_RESCUES = 16  # points tried when every start fails
_FURTHER = 16  # points all over the bounds from which to search again
_IN_VAIN = 6  # searches in a row that come no closer, after which no other is begun
_CLOSER = 1e-3  # of the loss: less is the same optimum


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


def _looked(look: Callable[[np.ndarray], Evaluation], start: np.ndarray) -> Evaluation:
    try:
        return look(start)
    except AtNoise as reached:  # the search itself will say so
        return reached.evaluation


@dataclass(frozen=True)
class Searches:
    """The local searches of a fit.

    Attributes
    ----------
    results : list
        What scipy returned, one a start.
    remark : str
        What was done beyond the starts that were asked for, and why; empty if nothing was.
    is_thorough : bool
        As in :class:`stpspec.fitters.outcome.Outcome`.
    """

    results: list[Any]
    remark: str
    is_thorough: bool = False


def from_every_start(
    problem: Problem,
    local: Callable[[np.ndarray], Any],
    look: Callable[[np.ndarray], Evaluation],
) -> Searches:
    """Run a local search from each start, the most promising first.

    Where the spec leaves the start to us and a target is missed by more than :data:`FAR`, further
    starts all over the bounds are tried, until one comes closer or none has for long.
    """
    points, remark = usable_starts(problem, look)
    results = []
    for index, point in enumerate(points):
        problem.start_index = index
        results.append(local(point))
    if problem.fitter.start not in ("auto", "closed_form") or not misses_a_target(problem):
        return Searches(results, remark)
    ended = len(results)
    is_thorough = _search_further(problem, local, results)
    n = len(results) - ended
    if n:
        remark += f"; a target was missed by more than {FAR:g} sd, so {n} further starts were tried"
    return Searches(results, remark, is_thorough)


def misses_a_target(problem: Problem) -> bool:
    """Tell whether the best point so far misses a target by more than :data:`FAR`."""
    good = [e for e in problem.history if not e.failed]
    return not good or problem.judge.largest_miss_in_sd(problem.best.metrics) > FAR


def _search_further(
    problem: Problem, local: Callable[[np.ndarray], Any], results: list[Any]
) -> bool:
    """Search from points that fill the bounds, the best first; tell whether that was thorough.

    What the budget ends is not thorough: then the search is over, with the best point so far.
    """
    points = sobol(problem, _FURTHER)
    losses = problem.losses(points)
    in_vain, lowest = 0, problem.best.loss
    for point in points[np.argsort(losses, kind="stable")]:
        problem.start_index += 1
        results.append(local(point))
        if not misses_a_target(problem):
            return False
        closer = problem.best.loss < (1 - _CLOSER) * lowest
        in_vain, lowest = (0 if closer else in_vain + 1), min(lowest, problem.best.loss)
        if in_vain == _IN_VAIN:
            return True
    return True
