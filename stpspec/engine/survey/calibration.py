"""Calibration of a synapse: the answer to one event and to two, on a clamped patch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stpspec.engine.mechanisms.mod_file import ModFile
from stpspec.engine.survey.patch import DT, ClampedPatch
from stpspec.engine.survey.record import Calibration
from stpspec.errors import SimulationError

INTERVAL = 50.0  # ms between two events
_HOLDING = (-70.0, -40.0)  # mV
_LONGEST = 5000.0  # ms that a response may take
_SAME = 0.005  # relative difference of two responses that count as equal


@dataclass(frozen=True)
class Response:
    """What one simulation of two events on one NetCon shows.

    Attributes
    ----------
    amplitude : float
        nA, of the first response; outward positive.
    ratio : float
        Second over first.
    rise, decay : float
        ms; nan where the trace does not show it.
    """

    amplitude: float
    ratio: float
    rise: float
    decay: float


def better_holding(patch: ClampedPatch) -> float:
    """Return the holding potential, mV, that drives the larger current."""
    return max(_HOLDING, key=lambda v: abs(_peak(patch.current([(0, 0)], holding=v)[1])))


def response(patch: ClampedPatch, holding: float = _HOLDING[0]) -> Response:
    """Measure the response to one event, and to the second of two.

    Raises
    ------
    SimulationError
        If NEURON fails, or nothing answers.
    """
    duration = _duration(patch, holding)
    time, one = patch.current([(0, 0)], holding=holding, duration=duration + INTERVAL)
    _, two = patch.current([(0, 0), (INTERVAL, 0)], holding=holding, duration=duration)
    amplitude, rise, decay = _kinetics(time, one)
    if amplitude == 0:
        raise SimulationError("no event changes the current")
    n = min(one.size, two.size)
    second = _peak(two[:n] - one[:n])
    return Response(amplitude, second / amplitude, rise, decay)


def calibrate(patch: ClampedPatch, source: ModFile) -> Calibration:
    """Calibrate a synapse at its default values.

    Parameters
    ----------
    patch : ClampedPatch
    source : ModFile
        What its file says.

    Raises
    ------
    SimulationError
        If NEURON fails in fixed steps.
    """
    peaks = [_peak(patch.current([(0, 0)], holding=v)[1]) for v in _HOLDING]
    if not any(peaks):
        return Calibration(False, notes=("an event of weight 1 changes no current",))
    slope = (peaks[1] - peaks[0]) / (_HOLDING[1] - _HOLDING[0])
    reversal = _HOLDING[0] - peaks[0] / slope if slope else None
    holding = better_holding(patch)
    duration = _duration(patch, holding)
    time, one = patch.current([(0, 0)], holding=holding, duration=duration + INTERVAL)
    amplitude, rise, decay = _kinetics(time, one)
    notes = []
    if decay is None or math.isnan(decay):
        notes.append(f"the current has not decayed {duration:g} ms after the event")
    twice = _peak(patch.current([(0, 0)], holding=holding, weight=2.0, duration=duration)[1])
    exponent = math.log2(twice / amplitude) if amplitude and twice / amplitude > 0 else None
    state, ratio, said = _state(patch, source, one, duration, holding)
    return Calibration(
        answers=True,
        peak_conductance=abs(slope) if slope else None,
        reversal=reversal,
        weight_exponent=exponent,
        rise=rise,
        decay=None if math.isnan(decay) else decay,
        paired_pulse=ratio,
        state=state,
        variable_step=_variable_step(patch, source, duration, holding),
        notes=(*notes, *said),
    )


def _duration(patch: ClampedPatch, holding: float) -> float:
    """Return how long a response takes until less than a thousandth of it is left, ms."""
    duration = 100.0
    while duration < _LONGEST:
        _, current = patch.current([(0, 0)], holding=holding, duration=duration)
        if abs(current[-1]) <= 1e-3 * abs(_peak(current)):
            return duration
        duration *= 3
    return _LONGEST


def _peak(current: np.ndarray) -> float:
    """Return the extreme value of a current; 0 where it is rounding."""
    value = float(current[np.abs(current).argmax()])
    return value if abs(value) > 1e-12 else 0.0


def _kinetics(time: np.ndarray, current: np.ndarray) -> tuple[float, float, float]:
    peak = _peak(current)
    if peak == 0:
        return 0.0, math.nan, math.nan
    at = int(np.abs(current).argmax())
    after = np.flatnonzero(np.abs(current[at:]) < abs(peak) / math.e)
    decay = float(time[at + after[0]] - time[at]) if after.size else math.nan
    return peak, max(float(time[at]), DT), decay


def _state(
    patch: ClampedPatch, source: ModFile, one: np.ndarray, duration: float, holding: float
) -> tuple[str, float | None, list[str]]:
    """Return where plasticity is kept, the ratio of two pulses, and remarks."""
    first = _peak(one)
    if first == 0:
        return "unknown", None, []

    def second(which: int) -> float:
        events = [(0.0, 0), (INTERVAL, which)]
        _, two = patch.current(events, holding=holding, duration=duration)
        n = min(two.size, one.size)
        return _peak(two[:n] - one[:n]) / first

    same, other = second(0), second(1)
    if abs(same - 1) < _SAME and abs(other - 1) < _SAME:
        kept = source.stream_states
        said = [f"no plasticity at the default values; {', '.join(kept)} of the NetCon "
                f"may keep some"] if kept else []  # fmt: skip
        return ("NetCon" if kept else "none"), same, said
    if abs(other - 1) < _SAME:
        return "NetCon", same, []
    if abs(other - same) < _SAME * max(1.0, abs(same)):
        return "instance", same, []
    return "unknown", same, [
        f"a second NetCon gives {other:.3g} times the first response, the same one {same:.3g}"
    ]  # fmt: skip


def _variable_step(patch: ClampedPatch, source: ModFile, duration: float, holding: float) -> str:
    """Return whether the variable step gives what fixed steps give."""
    if source.reads_time:
        return "no: its equations read the time or the size of a step"
    events = [(0.0, 0), (INTERVAL, 0)]
    try:
        varied, current = patch.current(events, holding=holding, duration=duration, variable=True)
        time, fixed = patch.current(events, holding=holding, duration=duration)
    except SimulationError as error:
        return f"no: {error}"
    # In fixed steps a current lags by one. A jump is nowhere at the same sample.
    moved = np.interp(time - DT, varied, current)
    away = np.all([np.abs(time - t - 0.25) > 0.3 for t, _ in events], axis=0)
    off = np.abs(moved - fixed)[away].max() / max(np.abs(fixed).max(), 1e-300)
    return "yes" if off < 0.05 else f"no: it differs from fixed steps by {off:.0%} of the peak"
