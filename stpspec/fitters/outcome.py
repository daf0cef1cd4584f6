"""The end of a search: why it stopped, and the decorator that registers a fitter."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from stpspec.errors import StudyError
from stpspec.fitters import interrupts
from stpspec.fitters.evaluation import BudgetSpent
from stpspec.registry import FITTERS
from stpspec.specs.fitter import FitterSpec

if TYPE_CHECKING:
    from stpspec.fitters.problem import Problem
    from stpspec.metrics.miss import Miss

log = logging.getLogger("stpspec.fitters")


@dataclass(frozen=True)
class Outcome:
    """Why a fit stopped.

    Attributes
    ----------
    status : str
        ``converged``; ``missed`` (converged, and a target is missed by more than 3 sd);
        ``unreachable`` (so thoroughly that no parameters within the bounds reach the targets);
        ``budget``, ``finished`` (a sampler has no notion of convergence), ``stopped`` (the
        optimizer gave up) or ``interrupted``.
    message : str
        In the optimizer's own words.
    is_thorough : bool
        Whether the search has shown that no parameters within the bounds do better: it was
        repeated from starts all over the bounds, and none ended lower.
    error : StudyError, optional
        Why the search could not go on, although there is a best point so far.
    """

    status: str
    message: str
    is_thorough: bool = False
    error: StudyError | None = None


F = TypeVar("F", bound=FitterSpec)


def fitter(kind: str) -> Callable[[type[F]], type[F]]:
    """Register a fitter class under ``kind`` (decorator)."""
    return FITTERS.register(kind)


def search(problem: Problem) -> Outcome:
    """Let the problem's fitter minimize it.

    A spent budget, an interrupt, or a study that cannot be written any more ends it in good order.
    """
    try:
        return problem.fitter.minimize(problem)
    except BudgetSpent as spent:
        budget = problem.fitter.budget
        parts = [
            f"{budget.evaluations} evaluations" if budget.evaluations else "",
            f"{budget.seconds:g} s" if budget.seconds else "",
        ]
        of = " or ".join(p for p in parts if p)
        return Outcome(
            "budget", "; ".join(filter(None, (f"the budget is spent ({of})", str(spent))))
        )
    except KeyboardInterrupt as interrupt:
        if not problem.history:
            raise
        interrupts.note()
        log.warning("interrupted: the best point so far is kept")
        return Outcome("interrupted", f"interrupted by {interrupts.cause(interrupt)}")
    except StudyError as error:
        if not problem.history:
            raise
        log.warning("the study cannot go on: the best point so far is kept")
        return Outcome("interrupted", str(error), error=error)


def idle_settings(problem: Problem) -> list[str]:
    """Return the paths of what was set and has had no effect on the search of a problem.

    A field at the default of its class counts as not set: a conf group may have written it.
    """
    experiment, fitter = problem.bound.experiment, problem.fitter
    idle = [f"fitter.{n}" for n in fitter.idle_settings() if _is_set(fitter, n)]
    if experiment.seed and not (problem.has_drawn or problem.bound.stochastic):
        idle.append("seed")
    if experiment.workers > 1 and problem.largest_batch == 1:
        idle.append("workers")
    if fitter.start in ("middle", "random", "sobol") or "start" in fitter.idle_settings():
        idle += [f"parameters.{n}.start" for n, p in problem.parameters.items()
                 if p.start is not None]  # fmt: skip
    return idle


def _is_set(spec: FitterSpec, name: str) -> bool:
    default = type(spec).model_fields[name].get_default(call_default_factory=True)
    return getattr(spec, name) != default


def named_truly(outcome: Outcome, misses: Sequence[Miss], n_free: int) -> Outcome:
    """Return an outcome whose status says what the misses say.

    Parameters
    ----------
    outcome : Outcome
        Of the search.
    misses : sequence of Miss
        Of the terms that count, at the point that is reported.
    n_free : int
        Number of free parameters. With more targets than these, noise alone keeps them apart.
    """
    is_far = any(m.is_far for m in misses)
    is_off = not all(m.is_hit for m in misses) and n_free >= sum(m.n_data for m in misses)
    if outcome.status != "converged" or not (is_far or is_off):
        return outcome
    if outcome.is_thorough:
        return replace(outcome, status="unreachable")
    return replace(outcome, status="missed") if is_far else outcome
