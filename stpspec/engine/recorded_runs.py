"""Runs of candidates: what they recorded, described as the metrics read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stpspec.dataset import SIGNALS, ClampDescription, StimulusDescription
from stpspec.engine.batch import Run
from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.parts import parts_of
from stpspec.metrics.measure import Measurement, Recorded, measure_one
from stpspec.metrics.requests import Request
from stpspec.specs.places import DELAY, is_place
from stpspec.specs.stimulus import Stimulus


def recorded_of(bound: Bound, run: Run, stimuli: Mapping[str, Stimulus]) -> dict[str, Recorded]:
    """Return what one run gave, by protocol."""
    descriptions = {n: describe(bound, n, s, run.values) for n, s in stimuli.items()}
    return _recorded(run, signal_units(bound), descriptions)


def _recorded(
    run: Run, units: Mapping[str, str], descriptions: Mapping[str, StimulusDescription]
) -> dict[str, Recorded]:
    recorded = {}
    for name, (t, signals) in run.traces.items():
        arrays = {n: y[None] for n, y in signals.items()}
        clamp = clamp_of(run, name)
        clamps = None if clamp is None else [clamp]
        recorded[name] = Recorded(t, arrays, units, descriptions[name], clamps=clamps)
    return recorded


def clamp_of(run: Run, protocol: str) -> ClampDescription | None:
    """Return what the clamp of a run costs; None where it is ideal, or was not judged."""
    error = run.clamps.get(protocol)
    return None if error is None else {"departure": error.departure, "losses": error.losses}


def measured_runs(
    bound: Bound,
    runs: Sequence[Run],
    stimuli: Mapping[str, Stimulus],
    requests: Sequence[Request],
) -> list[dict[str, Measurement]]:
    """Measure the runs of one batch."""
    descriptions = {name: describe(bound, name, s, {}) for name, s in stimuli.items()}
    units = signal_units(bound)
    measured = []
    for run in runs:
        if any(map(is_place, run.values)):
            descriptions = {n: describe(bound, n, s, run.values) for n, s in stimuli.items()}
        measured.append(measure_one(_recorded(run, units, descriptions), requests, run.failure))
    return measured


def signal_units(bound: Bound) -> dict[str, str]:
    """Return the unit of every signal that is recorded."""
    own = {v: bound.mechanism.variable_units[v]
           for r in bound.recordings.values() for v in r.variables}  # fmt: skip
    return {name: unit for name, (unit, _, _) in SIGNALS.items()} | own


def describe(
    bound: Bound, protocol: str, stimulus: Stimulus, values: Mapping[str, float]
) -> StimulusDescription:
    """Return the description of a stimulus that goes with what is recorded.

    Parameters
    ----------
    bound : Bound
    protocol : str
    stimulus : Stimulus
    values : mapping of str to float
        Of the candidate.
    """
    experiment = bound.experiment
    onset, step = experiment.numerics.settle, stimulus.step
    delay = values.get(DELAY, experiment.model.net_con.delay) if stimulus.spikes else 0.0
    description: StimulusDescription = {
        "onset": onset,
        "delay": delay,
        "spikes": [onset + s for s in stimulus.spikes],
        "n_induction": stimulus.n_induction,
        "default_signal": bound.recordings[stimulus.protocol or protocol].default_signal,
        "undriven": _undriven(bound, stimulus.protocol or protocol, values),
        "step": None if step is None else {
            "amplitude": step.amplitude, "start": onset, "stop": onset + step.duration,
            "cell": step.cell,
        },
    }  # fmt: skip
    if stimulus.protocol:
        description["protocol"] = stimulus.protocol
    return description


def holding_of(bound: Bound, protocol: str, values: Mapping[str, float]) -> float | None:
    """Return the holding potential of a candidate, mV; None where it is not known."""
    recording = bound.recordings[bound.experiment.owner(protocol)]
    if recording.kind != "voltage_clamp":
        return None
    inside = parts_of(bound, [protocol], values)[0].names
    free = {"recording.holding_potential"} & set(inside.values())
    given = [v for n, v in values.items() if inside.get(n) in free]
    return given[0] if given else None if free else recording.holding_potential


def driving_force(bound: Bound, protocol: str, values: Mapping[str, float]) -> float | None:
    """Return holding minus reversal potential, mV, where both are known."""
    model, holding = bound.experiment.model, holding_of(bound, protocol, values)
    if holding is None or model.reversal in bound.experiment.parameters:
        return None
    reversal = model.fixed.get(model.reversal, bound.mechanism.defaults.get(model.reversal))
    return None if reversal is None else holding - reversal


def _undriven(bound: Bound, protocol: str, values: Mapping[str, float]) -> float | None:
    if bound.experiment.model.stimulated_by != "event":
        return None
    force = driving_force(bound, protocol, values)
    at_reversal = force is not None and abs(force) < 1e-3
    return holding_of(bound, protocol, values) if at_reversal else None
