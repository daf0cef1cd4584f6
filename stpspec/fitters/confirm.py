"""The end of a fit: its best point on the reference numerics, with a last step taken there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.numerics import under
from stpspec.engine.binding.scheme import PLAIN_REFERENCE
from stpspec.engine.workers.place import feasible, simulate
from stpspec.errors import FitError, MetricError
from stpspec.fitters.evaluation import FLOOR, Evaluation
from stpspec.fitters.numerics_notes import numerics_notes
from stpspec.fitters.problem import Problem
from stpspec.fitters.uncertainty import Uncertainty
from stpspec.metrics.judge import Judge
from stpspec.metrics.measure import Measurement, measure_candidates

if TYPE_CHECKING:
    import xarray as xr

_FURTHEST = 0.05  # of the bounds: a longer step is a search of its own, and is not taken here
_WORTH = 0.01  # of the loss, that a step must promise
_TRIED = 20  # points of the search, before a fit has nothing to show


@dataclass(frozen=True)
class Confirmed:
    """A point on the reference numerics, with all protocols.

    Attributes
    ----------
    values : dict of str to float
        Parameter values.
    loss : float
    residuals : ndarray
    measured : dict of str to Measurement
    traces : xarray.DataTree
    apart : dict of str to str
        Term → by how much the numerics are off, and what helps, where it matters.
    """

    values: dict[str, float]
    loss: float
    residuals: np.ndarray
    measured: dict[str, Measurement]
    traces: xr.DataTree
    apart: dict[str, str] = field(default_factory=dict)


def sound(bound: Bound, problem: Problem) -> tuple[Evaluation, Confirmed, str]:
    """Simulate the best points of the search on the reference numerics, until one has a loss.

    Returns
    -------
    best : Evaluation
    here : Confirmed
    told : str
        Which points are passed over, and why; empty if the best point is not.

    Raises
    ------
    FitError
        If every evaluation failed, or none of the best points has a loss there.
    """
    reference = under(bound, PLAIN_REFERENCE)
    problem.best  # noqa: B018 - raises if all failed
    good = sorted((e for e in problem.history if not e.failed), key=lambda e: e.loss)[:_TRIED]
    first = ""
    for number, evaluation in enumerate(good):
        try:
            here = _at(reference, problem.judge, evaluation.values)
        except MetricError as error:
            first = first or str(error)
            continue
        told = f"the best {number} points of the search" if number > 1 else "the best point"
        why = f"passed over {told}, which the reference numerics cannot measure ({first})"
        return evaluation, here, why if number else ""
    raise FitError(
        f"the best point cannot be simulated with the reference numerics, nor can the "
        f"{len(good) - 1} next: {first}; numerics.integrator: fixed searches with them"
    )


def confirm(
    bound: Bound, problem: Problem, best: Evaluation, here: Confirmed, found: Uncertainty
) -> Confirmed:
    """Compare search and reference numerics at the best point, and take a last step there.

    What the variable step leaves of the misses is the same at a point and at those around it, so
    that one Gauss-Newton step with the derivatives that the fitter has taken there removes it. A
    fitter that takes none (a sampler, a simplex) answers with a point it has seen.
    """
    reference = under(bound, PLAIN_REFERENCE)
    is_one = feasible(problem.bound).scheme.is_fixed
    notes = numerics_notes(reference, problem.judge, best, here.measured, is_one=is_one)
    here = replace(here, apart=notes)
    by_derivatives = any(e is best for e in problem.stencil) and not problem.exact
    point = _next(here, best, found) if by_derivatives else None
    if point is None:
        return here
    try:
        there = _at(reference, problem.judge, problem.values_at(point))
    except MetricError:
        return here
    return replace(there, apart=here.apart) if there.loss < here.loss else here


def _at(reference: Bound, judge: Judge, values: Mapping[str, float]) -> Confirmed:
    traces = simulate(reference, {n: [v] for n, v in values.items()})
    measured = measure_candidates(traces, judge.requests)[0]
    loss, residuals = judge(measured)
    return Confirmed(dict(values), loss, residuals, measured, traces)


def _next(here: Confirmed, best: Evaluation, found: Uncertainty) -> np.ndarray | None:
    """Return where Gauss and Newton would go; None where that is not worth a simulation."""
    jacobian = found.jacobian
    if jacobian is None or best.residuals is None:
        return None
    step = -np.linalg.pinv(jacobian, rcond=1e-6) @ here.residuals
    left = here.residuals + jacobian @ step
    gain = float(here.residuals @ here.residuals - left @ left)
    if gain < max(FLOOR * here.residuals.size, _WORTH * here.loss):
        return None
    point = best.point.copy()
    step = step[: len(found.free)]  # what follows are free scales
    point[found.free] += step
    far = np.abs(step).max() > _FURTHEST
    return None if far or not ((point >= 0) & (point <= 1)).all() else point
