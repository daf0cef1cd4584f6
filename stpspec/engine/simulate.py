"""n candidates in, one DataTree out: batches of replicas, protocol by protocol."""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from stpspec.dataset import protocol_dataset, with_clamps
from stpspec.engine import nrn
from stpspec.engine.batch import Candidate, Run, batches, run_batch
from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.numerics import pulses_read
from stpspec.engine.binding.stimuli import longest_delay, timing, with_delay
from stpspec.engine.candidates import Candidates, candidates_of
from stpspec.engine.recorded_runs import (
    clamp_of,
    describe,
    driving_force,
    holding_of,
    measured_runs,
    recorded_of,
    signal_units,
)
from stpspec.engine.rigs.reuse import rigs_kept
from stpspec.errors import SpecError, SpecProblem
from stpspec.metrics.measure import Measurement, Recorded
from stpspec.metrics.requests import Request
from stpspec.specs.places import DELAY
from stpspec.specs.protocol import names_of_runs, runs_of
from stpspec.specs.stimulus import Stimulus

if TYPE_CHECKING:
    import xarray as xr

log = logging.getLogger("stpspec.engine")

Trace = tuple[np.ndarray, dict[str, np.ndarray]]


def stimuli_of(
    bound: Bound, candidates: Candidates, protocols: Sequence[str], *, quietly: bool = False
) -> dict[str, Stimulus]:
    """Return what each protocol does to these candidates; warn of what it cannot do well."""
    experiment = bound.experiment
    largest = {name: float(a.max()) for name, a in candidates.columns.items()}
    known = timing(experiment.model, experiment.parameters, bound.mechanism, largest)
    delay = longest_delay(experiment.model, experiment.parameters, largest)
    stimuli = {}
    runs = runs_of(experiment.protocols)
    own = {n: names_of_runs(n, experiment.protocols) for n in experiment.protocols}
    owners = {run: name for name, names in own.items() for run in names}
    for name in (run for n in protocols for run in own.get(n, [n])):
        try:
            stimulus = runs[name].stimulus(known)
        except ValueError as error:  # the time constants of a candidate make it too long
            raise SpecError([SpecProblem(f"protocols.{name}", str(error))]) from error
        if bound.brief:
            asked = {name, owners[name]}
            stimulus = stimulus.leading(pulses_read(experiment.objective, asked, stimulus))
        stimulus = replace(with_delay(stimulus, delay), trials=bound.trials(owners[name]))
        if owners[name] != name:
            stimulus = replace(stimulus, protocol=owners[name])
        stimuli[name] = stimulus
    if not quietly:
        _warn(bound, stimuli, candidates)
    return stimuli


def simulate(
    bound: Bound,
    values: Mapping[str, object] | None = None,
    protocols: Sequence[str] | None = None,
) -> xr.DataTree:
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
    candidates = candidates_of(bound, values)
    rows, n = candidates.rows, len(candidates)
    names = list(bound.experiment.protocols if protocols is None else protocols)
    stimuli = stimuli_of(bound, candidates, names)
    runs: list[Run] = [Run()] * n
    with nrn.exclusive():
        for batch in batches(bound, rows):
            some = [rows[i] for i in batch]
            found = run_batch(bound, some, stimuli, judges_clamp=True)
            for index, run in zip(batch, found, strict=True):
                runs[index] = run
    return tree_of(bound, candidates, stimuli, runs)


def record(bound: Bound, protocols: Sequence[str]) -> tuple[dict[str, Recorded], str]:
    """Simulate the starts of the parameters as :func:`simulate` does, without building Datasets.

    Returns
    -------
    recorded : dict of str to Recorded
        By protocol.
    failure : str
        Why it failed; empty if it did not.
    """
    candidates = candidates_of(bound, None)
    stimuli = stimuli_of(bound, candidates, protocols)
    with nrn.exclusive():
        (run,) = run_batch(bound, candidates.rows, stimuli, judges_clamp=True)
    return recorded_of(bound, run, stimuli), run.reason


def tree_of(
    bound: Bound,
    candidates: Candidates,
    stimuli: Mapping[str, Stimulus],
    runs: Sequence[Run],
) -> xr.DataTree:
    """Return what candidates gave, as :func:`simulate` returns it."""
    import xarray as xr

    children = {
        p: with_clamps(
            _dataset(bound, p, stimulus, [r.traces.get(p) for r in runs], candidates),
            [clamp_of(r, p) for r in runs],
        )
        for p, stimulus in stimuli.items()
    }
    root = xr.Dataset(
        {
            **{
                name: ("candidate", a, {"units": bound.units[name], "long_name": name})
                for name, a in candidates.columns.items()
            },
            "failure": ("candidate", np.array([r.reason for r in runs], dtype=object)),
        },
        {"candidate": np.arange(len(candidates))},
    )
    return xr.DataTree.from_dict({"/": root, **{f"/{k}": v for k, v in children.items()}})


def evaluate(
    bound: Bound,
    values: Candidates | Mapping[str, object],
    protocols: Sequence[str],
    requests: Sequence[Request],
    *,
    quietly: bool = False,
) -> list[dict[str, Measurement]]:
    """Simulate candidates and measure each batch where it was simulated; no trace is kept.

    Parameters
    ----------
    bound : Bound
    values : Candidates, or mapping of str to sequence of float
    protocols : sequence of str
    requests : sequence of Request
    quietly : bool
        Without warnings of what the protocols cannot do well.

    Returns
    -------
    list of dict of str to Measurement
        One dict a candidate, keyed by the names of the requests.
    """
    candidates = candidates_of(bound, values)
    rows = candidates.rows
    stimuli = stimuli_of(bound, candidates, protocols, quietly=quietly)
    measured: list[dict[str, Measurement]] = [{}] * len(rows)
    with nrn.exclusive(), rigs_kept():
        for batch in batches(bound, rows):
            found = measured_batch(bound, [rows[i] for i in batch], stimuli, requests)
            for index, values_of_one in zip(batch, found, strict=True):
                measured[index] = values_of_one
    return measured


def measured_batch(
    bound: Bound,
    rows: Sequence[Candidate],
    stimuli: Mapping[str, Stimulus],
    requests: Sequence[Request],
) -> list[dict[str, Measurement]]:
    """Simulate one batch and measure it."""
    with _garbage_kept():
        return measured_runs(bound, run_batch(bound, rows, stimuli), stimuli, requests)


@contextlib.contextmanager
def _garbage_kept() -> Iterator[None]:
    """Let Python look for garbage between two batches only.

    A batch makes thousands of small objects and hardly any cycle; in a process that holds much,
    each look costs as much as some candidates.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _dataset(
    bound: Bound,
    protocol: str,
    stimulus: Stimulus,
    runs: Sequence[Trace | None],
    candidates: Candidates,
) -> xr.Dataset:
    recorded = [r for r in runs if r is not None]
    signals_asked = bound.experiment.recording_of(protocol).signals
    names = list(recorded[0][1]) if recorded else list(signals_asked)
    n = max((t.size for t, _ in recorded), default=1)
    times: np.ndarray
    alike = bound.scheme.is_fixed and all(np.array_equal(t, recorded[0][0]) for t, _ in recorded)
    if recorded and not alike:
        times = np.stack([padded(r[0] if r is not None else np.empty(0), n) for r in runs])
    else:
        times = recorded[0][0] if recorded else np.array([0.0])
    empty = np.empty((stimulus.trials, 0))
    signals = {
        name: np.stack([padded(r[1][name] if r is not None else empty, n) for r in runs])
        for name in names
    }
    first = candidates.rows[0] if len(candidates) else {}
    description = describe(bound, protocol, stimulus, first)
    delays = candidates.columns.get(DELAY) if stimulus.spikes else None
    return protocol_dataset(times, signals, signal_units(bound), description, delays)


def padded(values: np.ndarray, n: int) -> np.ndarray:
    """Return values over time with NaN behind them, shape (…, n)."""
    before = [(0, 0)] * (values.ndim - 1)
    return np.pad(values, [*before, (0, n - values.shape[-1])], constant_values=np.nan)


def _warn(bound: Bound, stimuli: Mapping[str, Stimulus], candidates: Candidates) -> None:
    experiment = bound.experiment
    if bound.hidden_currents and bound.currents:
        log.warning(
            "what is recorded as the current is %s alone: %s passes %s, too, which is no RANGE "
            "variable and cannot be recorded; the clamp carries both", ", ".join(bound.currents),
            bound.mechanism.name, ", ".join(bound.hidden_currents),
        )  # fmt: skip
    if experiment.model.stimulated_by != "event":
        return
    dt = experiment.numerics.dt
    by_steps = bound.scheme.is_fixed  # else events come when they come
    for name, stimulus in stimuli.items() if by_steps else ():
        steps = (np.asarray(stimulus.spikes) - stimulus.spikes[0]) / dt
        off = np.abs(steps - np.round(steps)).max(initial=0.0)
        if off > 1e-6:
            log.warning(
                "%s: events do not fall on multiples of dt = %g ms; the response to each starts up "
                "to %.2g ms off (its size is not affected)", name, dt, off * dt,
            )  # fmt: skip
    told = set[float]()
    for name in stimuli:
        first = candidates.rows[0] if len(candidates) else {}
        force = driving_force(bound, name, first)
        holding = holding_of(bound, name, first)
        if force is None or holding is None or abs(force) >= 5 or holding in told:
            continue
        told.add(holding)
        log.warning(
            "the holding potential (%g mV) is within 5 mV of the reversal potential (%g mV): "
            "currents are small or reversed", holding, holding - force,
        )  # fmt: skip
