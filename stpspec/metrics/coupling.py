"""Electrical coupling between two cells, from a current step into one of them."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from stpspec.errors import MetricError
from stpspec.metrics.notes import unsettled
from stpspec.metrics.registration import metric
from stpspec.metrics.response import Response
from stpspec.specs.plausible import Range
from stpspec.specs.quantities import Megaohm, Millisecond

Window = Annotated[Millisecond, Range("ms", 1, 5000), Field(gt=0)]
Resistance = Annotated[Megaohm, Range("MΩ", 1, 1e5)]
_STEADY = 0.005  # of a deflection; what moves further within the window has not settled


def _mean(t: np.ndarray, v: np.ndarray, start: float, stop: float) -> float:
    """Return the mean over time between two times: the samples may be unevenly spaced."""
    at = np.concatenate([[start], t[(t > start) & (t < stop)], [stop]])
    return float(np.trapezoid(np.interp(at, t, v), at) / (stop - start))


def _drift(t: np.ndarray, v: np.ndarray) -> float:
    """Return how far the straight line through a stretch of voltage moves, mV."""
    return abs(float(np.polyfit(t - t[0], v, 1)[0] * (t[-1] - t[0]))) if t.size > 1 else 0.0


def window_length(response: Response, window: float = 50.0) -> float:
    """Return how long the means over voltages are, ms: before a current step, and at its end.

    Never more than there is: of the step, and of the record before it.

    Raises
    ------
    MetricError
        If there is no current step.
    """
    step = response.stimulus.get("step")
    if step is None:
        raise MetricError("this protocol has no current step")
    return min(window, step["stop"] - step["start"], step["start"] - float(response.time[0]))


def mean_voltage(response: Response, cell: int, start: float, stop: float) -> float:
    """Return the mean voltage of a cell between two times (ms), mV."""
    return _mean(response.time, response.trace(f"somatic_voltage_{cell}"), start, stop)


def _deflections(response: Response, window: float) -> tuple[float, float, float]:
    """Return current (nA) and the deflections (mV) of the stepped and of the other cell.

    Raises
    ------
    MetricError
        If a cell spiked anywhere in the record, or the deflections are opposite: the mechanism has
        its sign inverted.
    """
    step = response.stimulus.get("step")
    if step is None:
        raise MetricError("this protocol has no current step")
    t = response.time
    length = window_length(response, window)
    if length < window:
        response.note(f"the window is {length:g} ms, not {window:g} ms: no more was recorded")
    begin, end = (step[name] - length for name in ("start", "stop"))
    late = (t >= end - 1e-6) & (t <= step["stop"] + 1e-6)
    dv = []
    for cell in (1, 2):
        name = f"somatic_voltage_{cell}"
        response.no_spikes(name, f"cell {cell}", "passive coupling", "a smaller step")
        v = response.trace(name)
        rest, moved = _mean(t, v, begin, step["start"]), _mean(t, v, end, step["stop"])
        dv.append(moved - rest)
        size = abs(dv[-1]) or np.inf  # a cell that is not moved at all has nothing to settle
        early = abs(float(np.diff(np.interp([begin, step["start"]], t, v))[0]))
        still = _drift(t[late], v[late])
        if early > 0.01 * size:
            response.note(unsettled(early / size, length))
        if still > _STEADY * size:
            response.note(
                f"cell {cell} has not settled by the end of the step: over the last {length:g} ms "
                f"its voltage still moves by {100 * still / size:.2g} %; a longer step is needed"
            )
        response.step(
            f"ΔV{cell} = {moved:.6g} − {rest:.6g} = {dv[-1]:.6g} mV "
            f"(means over the last {length:g} ms of the step and {length:g} ms before it)"
        )
    own, other = dv[step["cell"] - 1], dv[2 - step["cell"]]
    if own != 0 and other / own < -1e-9:
        raise MetricError(
            f"the coupling coefficient is negative ({other / own:.4g}): the sign of the gap "
            f"mechanism's current is inverted"
        )
    return step["amplitude"], own, other


@metric("coupling_coefficient", "1", needs=("step",), reads_signal=False, is_magnitude=True)
def coupling_coefficient(response: Response, *, window: Window = 50.0) -> float:
    """ΔV of the other cell over ΔV of the stepped cell, at steady state."""
    _, own, other = _deflections(response, window)
    if own == 0:
        raise MetricError("the current step does not move the stepped cell")
    value = other / own
    response.step(f"coupling_coefficient = {other:.6g} / {own:.6g} = {value:.6g}")
    return value


@metric("input_resistance", "MOhm", needs=("step",), reads_signal=False, is_magnitude=True)
def input_resistance(response: Response, *, window: Window = 50.0) -> float:
    """ΔV / I of the stepped cell, while it is coupled."""
    current, own, _ = _deflections(response, window)
    return own / current


@metric("transfer_resistance", "MOhm", needs=("step",), reads_signal=False, is_magnitude=True)
def transfer_resistance(response: Response, *, window: Window = 50.0) -> float:
    """ΔV of the other cell / I."""
    current, _, other = _deflections(response, window)
    return other / current


@metric(
    "junctional_conductance", "nS", needs=("step",), reads_signal=False, is_magnitude=True,
    siblings=lambda options: options.get("isolated_resistance") is None,
)  # fmt: skip
def junctional_conductance(
    response: Response, *, window: Window = 50.0, isolated_resistance: Resistance | None = None
) -> float:
    """Junctional conductance from input and transfer resistances.

    Exact for isopotential cells: R12 / (Rin1·Rin2 − R12²) with the coupled input resistances,
    for which the experiment also needs a ``gap_step`` into the other cell. With
    ``isolated_resistance``, that of the other cell when it is uncoupled:
    (1/R)·CC/(1 − CC).
    """
    current, own, other = _deflections(response, window)
    if isolated_resistance is not None:
        cc = other / own
        return 1e3 / isolated_resistance * cc / (1 - cc)
    r1, r12 = own / current, other / current
    mine = response.stimulus["step"]
    for sibling in response.siblings:
        step = sibling.stimulus.get("step")
        if step is not None and mine is not None and step["cell"] != mine["cell"]:
            reverse, other_own, _ = _deflections(sibling, window)
            r2 = other_own / reverse
            determinant = r1 * r2 - r12**2
            if not determinant > 0 or not np.isfinite(determinant):
                raise MetricError("the resistances do not belong to two passive coupled cells")
            return 1e3 * r12 / determinant
    raise MetricError(
        "junctional_conductance needs a gap_step into the other cell as a further protocol, "
        "or the option isolated_resistance"
    )
