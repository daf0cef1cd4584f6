"""Starts of a fit: as the spec says, by the closed form, and all over the bounds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from stpspec.errors import FitError
from stpspec.fitters.closed_form import closed_form_starts
from stpspec.fitters.evaluation import AtNoise, Evaluation
from stpspec.fitters.initial_points import given, sobol
from stpspec.fitters.problem import Problem
from stpspec.metrics.miss import FAR

log = logging.getLogger("stpspec.fitters")

_RESCUES = 16  # points tried when every start fails
_FURTHER = 16  # points all over the bounds from which to search again
_IN_VAIN = 6  # searches in a row that come no closer, after which no other is begun
_CLOSER = 1e-3  # of the loss: less is the same optimum


@dataclass(frozen=True)
class Starts:
    """The points at which a search begins.

    Attributes
    ----------
    points : ndarray, shape (start, parameter)
    remark : str
        What was replaced, and why; empty if nothing was.
    is_thorough : bool
        Whether it is known that nothing within the bounds does better than the best of them.
    """

    points: np.ndarray
    remark: str = ""
    is_thorough: bool = False


def starts(problem: Problem) -> Starts:
    """Return the starting points that the spec asks for."""
    spec = problem.fitter
    if spec.start == "middle":
        return Starts(np.full((1, problem.n), 0.5))
    if spec.start == "random":
        return Starts(np.random.default_rng(problem.seed).random((spec.n_starts, problem.n)))
    if spec.start == "sobol":
        return Starts(sobol(problem, spec.n_starts))
    is_given = any(p.start is not None for p in problem.parameters.values())
    if spec.start == "result":
        return Starts(_at_result(problem, is_given)[None])
    remark = ""
    if spec.start == "closed_form" or (spec.start == "auto" and not is_given):
        best = closed_form_starts(problem, spec.n_starts)
        if not best.why_not:
            return Starts(best.points, is_thorough=best.is_thorough)
        if spec.start == "closed_form":
            n = f" and n_starts={spec.n_starts}" if spec.n_starts > 1 else ""
            remark = f"; start=closed_form{n} has no effect: {best.why_not}"
    return Starts(given(problem)[None], remark)


def _at_result(problem: Problem, is_given: bool) -> np.ndarray:
    """Return the best point of the study, or that of the saved result which is fitted anew."""
    records = problem.study.records() if problem.study is not None else []
    losses = {k: r["loss"] for k, r in enumerate(records) if r["loss"] is not None}
    if losses:
        return problem.point_at(records[min(losses, key=lambda k: losses[k])]["values"])
    if not is_given:
        raise FitError(
            "fitter.start: result needs a result to begin at: the folder of a saved one "
            "(stpspec fit FOLDER), or a study that has trials"
        )
    return given(problem)


def usable_starts(problem: Problem, look: Callable[[np.ndarray], Evaluation]) -> Starts:
    """Evaluate all starts as one batch; return those that can be used, the best first.

    Where every start fails, as at the edge of what the mechanism can do, the best of some points
    that fill the space takes their place: a local search cannot leave a plateau of failures.

    Parameters
    ----------
    problem : Problem
    look : callable
        Evaluates a single start the way the search will, with the steps around it.

    Raises
    ------
    FitError
        If nothing can be evaluated anywhere.
    """
    asked = starts(problem)
    points, remark = asked.points, asked.remark
    evaluations = problem.evaluate(points) if len(points) > 1 else [_looked(look, points[0])]
    good = [k for k, e in enumerate(evaluations) if not e.failed]
    failed = len(evaluations) - len(good)
    if good:
        order = sorted(good, key=lambda k: evaluations[k].loss)
        remark += f"; {failed} of {len(points)} starts failed" if failed else ""
        return Starts(points[order], remark, asked.is_thorough)
    why = f"{remark}; every start asked for failed ({evaluations[0].reason})"
    rescues = problem.evaluate(sobol(problem, _RESCUES))
    best = min((e for e in rescues if not e.failed), key=lambda e: e.loss, default=None)
    best = best or problem.best  # which raises, with the reasons
    return Starts(best.point[None], f"{why}, so the search began elsewhere")


T = TypeVar("T")  # what a local search returns


def _looked(look: Callable[[np.ndarray], Evaluation], start: np.ndarray) -> Evaluation:
    try:
        return look(start)
    except AtNoise as reached:  # the search itself will say so
        return reached.evaluation


@dataclass(frozen=True)
class Searches(Generic[T]):
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

    results: list[T]
    remark: str
    is_thorough: bool = False


def from_every_start(
    problem: Problem,
    local: Callable[[np.ndarray], T],
    look: Callable[[np.ndarray], Evaluation],
) -> Searches[T]:
    """Run a local search from each start, the most promising first.

    Where the spec leaves the start to us and a target is missed by more than :data:`FAR`, further
    starts all over the bounds are tried, until one comes closer or none has for long.
    """
    usable = usable_starts(problem, look)
    remark = usable.remark
    results = []
    for index, point in enumerate(usable.points):
        problem.start_index = index
        results.append(local(point))
    if problem.fitter.start not in ("auto", "closed_form") or not misses_a_target(problem):
        return Searches(results, remark, usable.is_thorough)
    ended = len(results)
    is_thorough = usable.is_thorough or _search_further(problem, local, results)
    n = len(results) - ended
    if n:
        remark += f"; a target was missed by more than {FAR:g} sd, so {n} further starts were tried"
    return Searches(results, remark, is_thorough)


def misses_a_target(problem: Problem) -> bool:
    """Tell whether the best point so far misses a target by more than :data:`FAR`."""
    good = [e for e in problem.history if not e.failed]
    return not good or problem.judge.is_far_from(problem.best.metrics)


def _search_further(problem: Problem, local: Callable[[np.ndarray], T], results: list[T]) -> bool:
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
