"""Reference numerics: measurements in fixed steps, and the error that the step itself makes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.numerics import under
from stpspec.engine.binding.scheme import PLAIN_REFERENCE
from stpspec.engine.workers.place import evaluate
from stpspec.metrics.measure import Measurement
from stpspec.metrics.requests import Request, protocols_read

_FINEST = 1e-3  # ms; what a smaller step gains is seldom worth its time
_RATIOS = 0.25, 0.75  # of what two halvings gain: from second order to half an order
_DIGITS = (5.0, 2.0, 1.0)


def measured_on_reference(
    bound: Bound,
    values: Mapping[str, float],
    requests: Sequence[Request],
    *,
    dt: float | None = None,
) -> dict[str, Measurement]:
    """Simulate one candidate by itself on the reference numerics, and measure it.

    Parameters
    ----------
    bound : Bound
    values : mapping of str to float
    requests : sequence of Request
    dt : float, optional
        Another step than that of the experiment, ms.
    """
    reference = under(bound, PLAIN_REFERENCE)
    e = reference.experiment
    if dt is not None:
        numerics = e.numerics.copy_with(dt=dt)
        reference = replace(reference, experiment=e.model_copy(update={"numerics": numerics}))
    protocols = protocols_read(requests, e.protocols)
    columns = {n: [v] for n, v in values.items()}
    return evaluate(reference, columns, protocols, requests, quietly=True)[0]


@dataclass(frozen=True)
class StepErrors:
    """Errors that the fixed step makes of what is measured.

    Attributes
    ----------
    sizes : dict of str to ndarray
        Request → measured − exact, estimated, in the unit of the metric; without those that could
        not be measured.
    converging : frozenset of str
        Those that get smaller with each halving of the step. The others are no more than a sign
        that the step matters.
    """

    sizes: dict[str, np.ndarray]
    converging: frozenset[str]


def step_errors(
    bound: Bound,
    values: Mapping[str, float],
    requests: Sequence[Request],
    whole: Mapping[str, Measurement],
    allowed: Mapping[str, float | np.ndarray],
) -> StepErrors:
    """Return the errors that the step makes of what was measured on the reference.

    By Richardson's extrapolation: backward Euler is of first order, so that half of the error is
    gone with half of the step. Where that is more than is allowed, a quarter of the step shows how
    fast it vanishes in truth: faster, as long as the step is coarse for the kinetics.

    Parameters
    ----------
    bound : Bound
    values : mapping of str to float
        The candidate.
    requests : sequence of Request
    whole : mapping of str to Measurement
        What it gives on the reference.
    allowed : mapping of str to float or ndarray
        Error of each request that does not matter, in its unit.
    """
    dt = bound.experiment.numerics.dt
    half = measured_on_reference(bound, values, requests, dt=dt / 2)
    names = [r.name for r in requests if not (whole[r.name].reason or half[r.name].reason)]
    gained = {n: np.asarray(whole[n].value) - np.asarray(half[n].value) for n in names}
    errors, converging = {n: 2 * g for n, g in gained.items()}, set(names)
    if all(np.all(np.abs(errors[n]) <= allowed[n]) for n in names):
        return StepErrors(errors, frozenset(converging))
    quarter = measured_on_reference(bound, values, requests, dt=dt / 4)
    for name in names:
        if quarter[name].reason:
            converging.discard(name)
            continue
        then = np.asarray(half[name].value) - np.asarray(quarter[name].value)
        errors[name], converges = _extrapolated(gained[name], then)
        if not converges:
            converging.discard(name)
    return StepErrors(errors, frozenset(converging))


def _extrapolated(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the sum of the geometric series of what each halving gains, and whether it is one."""
    half = np.full_like(first, 0.5, dtype=float)
    ratio = np.divide(second, first, out=half, where=first != 0)
    regular = (ratio >= 0) & (ratio <= _RATIOS[1])
    ratio = np.where(regular, np.maximum(ratio, _RATIOS[0]), 0.5)
    return first / (1 - ratio), bool(regular.all())


def finer_step(dt: float, factor: float) -> float:
    """Return a step (ms) whose error is smaller by a factor, where one may be taken.

    Parameters
    ----------
    dt : float
        ms.
    factor : float
        Above 1.

    Returns
    -------
    float
        1, 2 or 5 times a power of ten, and no less than 1 µs; at most half of ``dt``.
    """
    wanted = dt / max(factor, 2.0)
    power = 10.0 ** math.floor(math.log10(wanted))
    clean = next(d for d in _DIGITS if d * power <= wanted * (1 + 1e-9)) * power
    return min(max(clean, _FINEST), dt / 2)
