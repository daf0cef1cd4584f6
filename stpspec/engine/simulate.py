"""n candidates in, one DataTree out: batches of replicas, protocol by protocol."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from stpspec.dataset import protocol_dataset
from stpspec.engine import nrn
from stpspec.engine.bind import Bound, numbers
from stpspec.engine.rig import make_rig
from stpspec.engine.run import advance, globals_restored, not_finite, read
from stpspec.engine.stimuli import stimulus_of, timing
from stpspec.errors import Problem, SimulationError, SpecError
from stpspec.spec.protocol import Stimulus

log = logging.getLogger("stpspec.engine")

Candidate = Mapping[str, float]


def candidates_of(bound: Bound, values: Mapping[str, Any] | None) -> dict[str, np.ndarray]:
    """Return every parameter of interest as an array over the candidates.

    Free parameters that are not given take their start (the middle of their bounds without one).

    Parameters
    ----------
    bound : Bound
    values : mapping of str to float or str, or a sequence of these
        Numbers in the mechanism's unit, or strings with a unit; scalars are repeated.

    Raises
    ------
    SpecError
        If a name is no parameter of the mechanism, lengths differ, or a value is not finite, has
        another dimension, or lies outside the limits of the mechanism.
    """
    given, problems = {}, []
    for name, written in (values or {}).items():
        try:
            given[name] = _numbers(bound, name, written)
        except SpecError as error:
            problems += error.problems
    lengths = {a.size for a in given.values()}
    n = max(lengths, default=1)
    if lengths - {1, n}:
        problems.append(Problem("values", f"as many values as the longest list ({n}), or one"))
    if problems:
        raise SpecError(problems, "the candidates are not valid")
    for name, parameter in bound.experiment.parameters.items():
        if name not in given:
            start = parameter.from_unit(0.5) if parameter.start is None else parameter.start
            given[name] = np.array([start])
    return {name: np.broadcast_to(a, (n,)).copy() for name, a in given.items()}


def _numbers(bound: Bound, name: str, written: Any) -> np.ndarray:
    if isinstance(written, np.ndarray | np.generic):
        written = written.tolist()
    items = [written] if isinstance(written, str | int | float) else written
    if not isinstance(items, Sequence) or not items:
        raise SpecError(
            [Problem(name, "a finite number, a string with a unit, or a list of them", written)]
        )
    return np.array([numbers(bound, {name: item})[name] for item in items])


def simulate(
    bound: Bound,
    values: Mapping[str, Any] | None = None,
    protocols: Sequence[str] | None = None,
) -> Any:
    """Simulate candidates under protocols.

    Parameters
    ----------
    bound : Bound
    values : mapping of str to float or sequence of float, optional
    protocols : sequence of str, optional
        Names of protocols; all by default.

    Returns
    -------
    xarray.DataTree
        See :mod:`stpspec.dataset`. A candidate that fails has NaN traces and its reason in
        ``failure``.
    """
    import xarray as xr

    columns = candidates_of(bound, values)
    n = next(iter(columns.values())).size if columns else 1
    rows = [{name: float(a[i]) for name, a in columns.items()} for i in range(n)]
    names = list(bound.experiment.protocols if protocols is None else protocols)
    experiment = bound.experiment
    largest = {name: float(a.max()) for name, a in columns.items()}
    known = timing(experiment.model, experiment.parameters, bound.mechanism, largest)
    stimuli = {n: stimulus_of(experiment.model, experiment.protocols[n], known) for n in names}
    _warn(bound, stimuli)
    traces: dict[str, list[dict[str, np.ndarray] | None]] = {p: [None] * n for p in names}
    failures = [""] * n
    times: dict[str, np.ndarray] = {}
    with globals_restored(bound):
        for batch in _batches(bound, rows):
            for index, protocol, result in _run_batch(bound, batch, rows, stimuli):
                if isinstance(result, str):
                    failures[index] = failures[index] or f"{protocol}: {result}"
                else:
                    times[protocol], traces[protocol][index] = result
    children = {
        name: _dataset(bound, stimuli[name], times.get(name), traces[name]) for name in names
    }
    root = xr.Dataset(
        {
            **{
                name: ("candidate", a, {"units": bound.units[name], "long_name": name})
                for name, a in columns.items()
            },
            "failure": ("candidate", np.array(failures, dtype=object)),
        },
        {"candidate": np.arange(n)},
    )
    return xr.DataTree.from_dict({"/": root, **{f"/{k}": v for k, v in children.items()}})


def _batches(bound: Bound, rows: Sequence[Candidate]) -> Iterator[list[int]]:
    """Group candidates that may share a simulation: all those with the same GLOBAL values."""
    shared = sorted(bound.mechanism.global_parameters)
    groups: dict[tuple[float | None, ...], list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(tuple(row.get(name) for name in shared), []).append(index)
    size = bound.experiment.numerics.replicas
    for members in groups.values():
        for start in range(0, len(members), size):
            yield members[start : start + size]


def _run_batch(
    bound: Bound,
    batch: Sequence[int],
    rows: Sequence[Candidate],
    stimuli: Mapping[str, Stimulus],
) -> Iterator[tuple[int, str, Any]]:
    """Yield (candidate, protocol, (times, signals) or the reason of a failure)."""
    numerics = bound.experiment.numerics
    rig = make_rig(bound, len(batch))
    stopped: dict[str, Stimulus] = {}
    try:
        for replica, index in enumerate(batch):
            rig.set(replica, rows[index])
        for name, stimulus in stimuli.items():
            rig.stimulate(stimulus, numerics.settle)
            try:
                advance(rig, numerics, stimulus.stop)
            except SimulationError as error:
                if len(batch) == 1:
                    yield batch[0], name, str(error)
                else:
                    stopped[name] = stimulus
                continue
            times, replicas = read(rig, numerics, stimulus.stop)
            for index, signals in zip(batch, replicas, strict=True):
                reason = not_finite(times, signals)
                yield index, name, reason or (times, signals)
    finally:
        rig.tear_down()
    # One candidate stops all that share its simulation: find which, with the rig out of the way.
    for index in batch if stopped else ():
        yield from _run_batch(bound, [index], rows, stopped)


def _dataset(
    bound: Bound,
    stimulus: Stimulus,
    times: np.ndarray | None,
    traces: Sequence[dict[str, np.ndarray] | None],
) -> Any:
    experiment = bound.experiment
    onset = experiment.numerics.settle
    if times is None:
        times = np.array([0.0])
    names = next((list(t) for t in traces if t is not None), list(experiment.recording.signals))
    missing = np.full(times.size, np.nan)
    signals = {
        name: np.stack([t[name] if t is not None else missing for t in traces])[:, None, :]
        for name in names
    }
    units = {v: nrn.unit_of(bound.mechanism.name, v) for v in experiment.recording.variables}
    step = stimulus.step
    description = {
        "onset": onset,
        "delay": experiment.model.net_con.delay if stimulus.spikes else 0.0,
        "spikes": [onset + s for s in stimulus.spikes],
        "n_induction": stimulus.n_induction,
        "default_signal": experiment.recording.default_signal,
        "step": step
        and {
            "amplitude": step.amplitude,
            "start": onset,
            "stop": onset + step.duration,
            "cell": step.cell,
        },
    }
    return protocol_dataset(times, signals, units, description)


def _warn(bound: Bound, stimuli: Mapping[str, Stimulus]) -> None:
    experiment = bound.experiment
    model, recording = experiment.model, experiment.recording
    if model.stimulated_by != "event":
        return
    dt, delay = experiment.numerics.dt, model.net_con.delay
    for name, stimulus in stimuli.items():
        steps = (np.array(stimulus.spikes) + experiment.numerics.settle + delay) / dt
        off = np.abs(steps - np.round(steps)).max(initial=0.0)
        if off > 1e-6:
            log.warning(
                "%s: events do not fall on multiples of dt = %g ms; the response to each starts up "
                "to %.2g ms off (its size is not affected)", name, dt, off * dt,
            )  # fmt: skip
    reversal = model.fixed.get(model.reversal, bound.mechanism.defaults.get(model.reversal))
    if recording.kind == "voltage_clamp" and reversal is not None:
        distance = abs(recording.holding_potential - reversal)
        if distance < 5 and model.reversal not in experiment.parameters:
            log.warning(
                "the holding potential (%g mV) is within 5 mV of the reversal potential (%g mV): "
                "currents are small or reversed", recording.holding_potential, reversal,
            )  # fmt: skip
