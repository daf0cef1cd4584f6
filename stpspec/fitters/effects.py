"""Effects of the free parameters on the targets, before the search: what moves nothing, and why."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stpspec.fitters.initial_points import given

if TYPE_CHECKING:
    from stpspec.fitters.evaluation import Evaluation
    from stpspec.fitters.problem import Problem

log = logging.getLogger("stpspec.fitters")

_IN_SD, _RELATIVE = 0.01, 1e-3  # of a target: what changes it by less does not move it


def look_around(problem: Problem) -> None:
    """Find out from n + 1 points beside the history: a start, and each parameter at a bound."""
    _judge(problem, given(problem), list(range(problem.n)))


def look_at(problem: Problem, around: Sequence[Evaluation]) -> None:
    """Find out from a point and a small step of each parameter, the first that a search takes.

    A slope may be flat at one point alone. What looks so is moved to the farther bound as well.
    """
    here, *there = around
    misses = problem.judge.misses(here.metrics)
    least = _least(problem)
    moved = np.zeros((problem.n, misses.size), bool)
    for k, e in enumerate(there[: problem.n]):
        slope = (problem.judge.misses(e.metrics) - misses) / (e.point[k] - here.point[k])
        moved[k] = np.abs(slope) > least
    asked = np.flatnonzero(~moved.any(axis=1)).tolist()
    if not moved.any(axis=0).all():
        asked = list(range(problem.n))
    if asked:
        _judge(problem, here.point, asked)


def _judge(problem: Problem, point: np.ndarray, asked: list[int]) -> None:
    """Move each of the parameters to its farther bound and tell what does not change."""
    points = np.tile(point, (1 + len(asked), 1))
    for row, k in enumerate(asked, 1):
        points[row, k] = 0.0 if point[k] > 0.5 else 1.0
    judged = problem.judged_at(points)
    if judged is None:  # where something fails, nothing is known
        return
    here, *there = (misses for _, misses in judged)
    moved = np.array([np.abs(misses - here) > _least(problem) for misses in there])
    unseen = [problem.names[k] for row, k in enumerate(asked) if not moved[row].any()]
    if unseen:
        _tell(problem, f"no target depends on {', '.join(unseen)}")
    if len(asked) == problem.n and (still := _unmoved_terms(problem, moved)):
        _tell(problem, f"no free parameter moves {', '.join(still)}")


def _least(problem: Problem) -> np.ndarray:
    """Return the least change of each miss that counts, in the unit of the misses."""
    least = []
    for goal in problem.judge.goals.values():
        target = np.abs(goal.target[goal.is_datum])
        relative = _RELATIVE * target / goal.scale[goal.is_datum]
        least.append(np.where(target > 0, np.minimum(relative, _IN_SD), _IN_SD))
    return np.concatenate(least)


def _unmoved_terms(problem: Problem, moved: np.ndarray) -> list[str]:
    """Return the terms that count, of which no parameter moves any value."""
    names, first = [], 0
    for name, term in problem.judge.objective.terms.items():
        n = problem.judge.goals[name].n_data
        if term.weight > 0 and not moved[:, first : first + n].any():
            names.append(name)
        first += n
    return names


def _tell(problem: Problem, text: str) -> None:
    log.warning("%s", text)
    problem.remarks.append(text)
