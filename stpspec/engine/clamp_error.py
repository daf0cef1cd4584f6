"""Error of a voltage clamp: how far the synapse is from the holding potential, and what that costs.

The series resistance of the electrode and the cable between soma and synapse let the voltage at the
synapse follow its current. How far it does is recorded in the run itself; what that costs of the
first amplitude is known from one event on the same cell with an ideal clamp at the synapse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stpspec.dataset import arrival_times
from stpspec.engine.binding.bound import Bound
from stpspec.specs.places import DELAY
from stpspec.specs.stimulus import Stimulus

LOCAL = "synapse_voltage"
_IDEAL = 0.01  # MΩ; with the electrode at the synapse nothing is left to judge
_WORTH = 0.3  # mV; a smaller departure costs less than 1 % of any driving force of 30 mV
_LONGEST = 100.0  # ms of the response to one event
_CURRENTS = ("synaptic_current", "clamp_current")

Row = Mapping[str, float]
Trace = tuple[np.ndarray, dict[str, np.ndarray]]
Simulate = Callable[[Bound, Sequence[Row], Mapping[str, Stimulus]], Sequence[Mapping[str, Trace]]]


@dataclass(frozen=True)
class ClampError:
    """The clamp error of one candidate under one protocol.

    Attributes
    ----------
    departure : float
        Largest distance of the voltage at the synapse from the holding potential from the first
        event on, mV.
    losses : dict of str to float
        Current → the part of its first amplitude that an ideal clamp would show beside it.
    """

    departure: float
    losses: dict[str, float]


def is_in_question(bound: Bound, rows: Sequence[Row]) -> bool:
    """Tell whether a clamp may be less than ideal: then the voltage at the synapse is recorded."""
    e = bound.experiment
    if e.model.stimulated_by != "event" or e.recording.kind != "voltage_clamp":
        return False
    place = (e.recording.electrode_section, e.recording.electrode_position)
    resistance = e.recording.series_resistance
    largest = max(row.get("recording.series_resistance", resistance) for row in rows)
    return bound.scheme.is_fixed and (
        place != (e.model.section, e.model.position) or largest > _IDEAL
    )


def with_local_voltage(bound: Bound) -> Bound:
    """Return the experiment with the voltage at the synapse recorded."""
    recording = bound.experiment.recording
    signals = [*recording.signals, *([LOCAL] if LOCAL not in recording.signals else [])]
    return _recorded(bound, signals=signals)


def clamp_errors(
    bound: Bound,
    rows: Sequence[Row],
    stimuli: Mapping[str, Stimulus],
    traces: Sequence[Mapping[str, Trace]],
    simulate: Simulate,
) -> list[dict[str, ClampError]]:
    """Return the error of each candidate under each protocol, where it may matter.

    Parameters
    ----------
    bound : Bound
    rows : sequence of mapping of str to float
        The candidates.
    stimuli : mapping of str to Stimulus
    traces : sequence of mapping of str to trace
        What each gave, the voltage at the synapse included.
    simulate : callable
        Simulates candidates of an experiment.
    """
    errors: list[dict[str, ClampError]] = [{} for _ in rows]
    for name, stimulus in stimuli.items() if rows else ():
        first = Stimulus(stimulus.spikes[:1], _stop_of_first(bound, stimulus))
        departures = {
            k: _departure(bound, row, stimulus, traces[k][name])
            for k, row in enumerate(rows) if name in traces[k]
        }  # fmt: skip
        far = [k for k, departure in departures.items() if departure > _WORTH]
        if not far:
            continue
        some = [{n: v for n, v in rows[k].items() if not n.startswith("recording.series")}
                for k in far]  # fmt: skip
        ideal = simulate(_ideal(bound), some, {name: first})
        for k, there in zip(far, ideal, strict=True):
            if name not in there:
                continue
            whole = _first_amplitude(bound, rows[k], first, there[name], "synaptic_current")
            seen = [s for s in _CURRENTS if s in traces[k][name][1]]
            amplitudes = {s: _first_amplitude(bound, rows[k], first, traces[k][name], s)
                          for s in seen}  # fmt: skip
            losses = {s: 1 - a / whole for s, a in amplitudes.items() if whole > 0}
            errors[k][name] = ClampError(departures[k], losses)
    return errors


def _ideal(bound: Bound) -> Bound:
    """Return the experiment with an ideal clamp at the synapse."""
    model = bound.experiment.model
    return _recorded(
        bound, electrode_section=model.section, electrode_position=model.position,
        series_resistance=0.001, signals=["synaptic_current"], variables=[],
    )  # fmt: skip


def _recorded(bound: Bound, **changes: object) -> Bound:
    e = bound.experiment
    recording = e.recording.model_copy(update=changes)
    return replace(bound, experiment=e.model_copy(update={"recording": recording}))


def _arrivals(bound: Bound, row: Row, stimulus: Stimulus) -> np.ndarray:
    e = bound.experiment
    delay = row.get(DELAY, e.model.net_con.delay)
    return arrival_times(stimulus.spikes, delay, e.numerics.settle)


def _stop_of_first(bound: Bound, stimulus: Stimulus) -> float:
    """Return when the response to the first event ends: at the second, or after some time."""
    ends = [*stimulus.spikes[1:2], stimulus.stop, stimulus.spikes[0] + _LONGEST]
    delay = stimulus.stop - stimulus.spikes[-1]
    return min(min(ends) + min(delay, _LONGEST), stimulus.stop)


def _departure(bound: Bound, row: Row, stimulus: Stimulus, trace: Trace) -> float:
    times, signals = trace
    holding = row.get("recording.holding_potential", bound.experiment.recording.holding_potential)
    after = times >= _arrivals(bound, row, stimulus)[0] - 1e-6
    return float(np.abs(signals[LOCAL][after] - holding).max(initial=0.0))


def _first_amplitude(
    bound: Bound, row: Row, stimulus: Stimulus, trace: Trace, signal: str
) -> float:
    """Return the largest change of a current from the first event to the second, pA."""
    times, signals = trace
    e = bound.experiment
    first = float(_arrivals(bound, row, stimulus)[0])
    rest = signals[signal][max(int(np.searchsorted(times, first - 1e-6)) - 1, 0)]
    end = e.numerics.settle + stimulus.stop
    inside = (times >= first - 1e-6) & (times <= end)
    return float(np.abs(signals[signal][inside] - rest).max(initial=0.0))
