"""Integration over time: fixed or variable step, time limit, NaN, and globals put back."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np

from stpspec.engine import nrn
from stpspec.engine.binding.bound import Bound
from stpspec.engine.mechanisms.nmodl import read
from stpspec.engine.mechanisms.state_variables import state_variables
from stpspec.engine.rigs.rig import Probe, Rig
from stpspec.engine.rigs.time_grid import blocks
from stpspec.engine.settings import settings_restored
from stpspec.errors import SimulationError
from stpspec.specs.experiment import Experiment
from stpspec.specs.numerics import Numerics
from stpspec.specs.stimulus import BEFORE, Stimulus

# Model time between two looks at the clock (and at Ctrl-C): in ms, and in fixed steps.
_CHUNK, _CHUNK_STEPS = 500.0, 20_000
_SHORT = 1e-6  # ms; a run that ends earlier than this before its end did not come to it
_SAME = 1e-9  # ms; what is closer is the same time
_APART = 2e-6  # ms; what CVODE records just before an event is set this much earlier


class Earlier(Protocol):
    """A settled state, and what was recorded before it (see engine/shortcuts/steady_state)."""

    @property
    def times(self) -> np.ndarray: ...

    @property
    def signals(self) -> Mapping[str, np.ndarray]: ...

    def restore(self, rig: Rig) -> None: ...


class CannotVaryError(SimulationError):
    """A mechanism cannot run under the variable step."""


@contextlib.contextmanager
def globals_restored(bound: Bound) -> Iterator[None]:
    """Put back every NEURON global that a simulation of the experiment may change."""
    h, cvode = nrn.hoc(), nrn.cvode()
    name = bound.mechanism.name
    shared = [f"{n}_{name}" for n in bound.mechanism.global_parameters]
    source = bound.sources.get(name)
    # A table of one instance is not that of another; nor is it made anew where DEPEND lacks what
    # it is made of.
    tables = [f"usetable_{name}"] if source is not None and read(source).tabulated else []
    with settings_restored((*shared, *tables)):
        scales = {s: cvode.atolscale(s) for s in (f"{name}.{n}" for n, _ in state_variables(name))}
        for table in tables:
            setattr(h, table, 0)
        try:
            yield
        finally:
            for state, scale in scales.items():
                cvode.atolscale(state, scale)


def sample_grid(numerics: Numerics, stop: float) -> tuple[int, int]:
    """Return the first and one past the last sample (multiples of dt) that are kept."""
    first = math.ceil(max(numerics.settle - BEFORE, 0.0) / numerics.dt - 1e-9)
    last = math.ceil((numerics.settle + stop) / numerics.dt - 1e-9)
    return first, last + 1


def choose_step(bound: Bound) -> None:
    """Set the integrator and its global settings.

    Raises
    ------
    CannotVaryError
        If a mechanism that is in use cannot run under the variable step.
    """
    h, cvode, numerics = nrn.hoc(), nrn.cvode(), bound.experiment.numerics
    h.celsius = numerics.temperature
    h.secondorder = 0
    if bound.scheme.steps != "variable":
        cvode.active(0)
        h.dt, h.steps_per_ms = numerics.dt, 1.0 / numerics.dt
        return
    try:
        with nrn.border(CannotVaryError, "the variable step"):
            cvode.active(1)
    except CannotVaryError:
        cvode.active(0)
        raise
    cvode.rtol(0)
    cvode.atol(tolerance_of(bound.experiment))


def tolerance_of(experiment: Experiment) -> float:
    """Return the tolerance of the variable step; by default what the recorded signals need."""
    if experiment.numerics.tolerance is not None:
        return experiment.numerics.tolerance
    if experiment.model.stimulated_by == "step":
        return 1e-6  # the deflection of the other cell may be a hundredth of a millivolt
    if experiment.recording.kind != "voltage_clamp":
        return 1e-4
    if "clamp_current" not in experiment.recording.signals:
        return 3e-3
    model, recording = experiment.model, experiment.recording
    electrode = (recording.electrode_section, recording.electrode_position)
    # From elsewhere the current comes through the cable: of its voltage the error matters less.
    return 1e-5 if electrode == (model.section, model.position) else 2e-5


def end_of(bound: Bound, stop: float) -> float:
    """Return the time up to which NEURON has to run, ms."""
    numerics = bound.experiment.numerics
    if not bound.scheme.is_fixed:
        return numerics.settle + stop
    return (sample_grid(numerics, stop)[1] + 1) * numerics.dt  # one more step for what lags


def advance(until: float, limit: float) -> None:
    """Run all cells to a time.

    Parameters
    ----------
    until : float
        ms.
    limit : float
        Wall-clock limit, s.

    Raises
    ------
    SimulationError
        If NEURON fails, the variable step gives up, or the limit is passed.
    """
    started, context, h = time.monotonic(), nrn.context(), nrn.hoc()
    varies = nrn.cvode().active()
    quiet = nrn.muted() if varies else contextlib.nullcontext()
    with nrn.border(SimulationError, "NEURON stopped"), quiet:
        chunk = _CHUNK if varies else min(_CHUNK, _CHUNK_STEPS * h.dt)
        reached = float(h.t)
        while reached < until:
            reached = min(reached + chunk, until)
            context.psolve(reached)
            if varies and h.t < reached - _SHORT:  # CVODE gives up without raising anything
                raise SimulationError(
                    f"NEURON stopped: the variable step gave up at t = {h.t:g} ms"
                )
            _within_limit(started, limit, reached, until)


def initialize(numerics: Numerics) -> None:
    """Begin at rest: t = 0, the starting voltage everywhere.

    Raises
    ------
    SimulationError
        If NEURON fails.
    """
    with nrn.border(SimulationError, "NEURON stopped"):
        nrn.hoc().finitialize(numerics.v_init)


def begin(rig: Rig, stimulus: Stimulus, earlier: Earlier | None = None) -> None:
    """Arm a stimulus and begin at rest, or in the settled state ``earlier``.

    Raises
    ------
    CannotVaryError
        If a mechanism that is in use cannot run under the variable step.
    SimulationError
        If NEURON fails.
    """
    numerics = rig.bound.experiment.numerics
    rig.stimulate(stimulus, numerics.settle)
    choose_step(rig.bound)
    rig.seed()
    initialize(numerics)
    rig.deliver()
    if earlier is not None:
        earlier.restore(rig)


def run(
    rig: Rig, stimulus: Stimulus, earlier: Earlier | None = None
) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
    """Simulate a stimulus from rest, or from the settled state ``earlier``.

    Returns
    -------
    times : ndarray, shape (n,)
        ms.
    replicas : list of dict of str to ndarray, shape (n,)
        The recorded signals of each replica.

    Raises
    ------
    CannotVaryError
        If a mechanism that is in use cannot run under the variable step.
    SimulationError
        If NEURON fails, or the time limit is passed.
    """
    numerics = rig.bound.experiment.numerics
    begin(rig, stimulus, earlier)
    if rig.bound.scheme.steps == "growing":
        _advance_in_blocks(rig, numerics, numerics.settle + stimulus.stop)
    else:
        advance(end_of(rig.bound, stimulus.stop), numerics.time_limit)
    return _read(rig, numerics, stimulus.stop, earlier)


def _advance_in_blocks(rig: Rig, numerics: Numerics, until: float) -> None:
    t, dt = nrn.clock()
    psolve, started = nrn.context().psolve, time.monotonic()
    with nrn.border(SimulationError, "NEURON stopped"):
        arrivals = sorted({a for of_one in rig.arrivals for a in of_one})
        for end, steps in blocks(arrivals, until, numerics.dt):
            dt[0] = (end - t[0]) / steps  # exactly to the end: an event arrives there
            psolve(end)
            _within_limit(started, numerics.time_limit, end, until)
        psolve(until + dt[0])  # one more step for what lags


def _within_limit(started: float, limit: float, reached: float, until: float) -> None:
    if time.monotonic() - started > limit:
        raise SimulationError(
            f"the simulation passed its time limit of {limit:g} s at t = {reached:g} of "
            f"{until:g} ms"
        )


def _read(
    rig: Rig, numerics: Numerics, stop: float, earlier: Earlier | None = None
) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
    """Return times (ms) and, a replica, the recorded signals.

    Parameters
    ----------
    rig : Rig
    numerics : Numerics
    stop : float
        ms after the onset of the stimulus.
    earlier : Earlier, optional
    """
    if rig.bound.scheme.steps == "growing":
        return _read_blocks(rig, numerics)
    if not rig.bound.scheme.is_fixed:
        return _read_steps(rig, numerics, earlier)
    first, last = sample_grid(numerics, stop)
    times = np.arange(first, last) * numerics.dt

    def kept(name: str, probe: Probe) -> np.ndarray:
        shift = probe.lag
        return _recorded(name, probe, earlier)[first + shift : last + shift] * probe.factor

    replicas = [{n: kept(n, p) for n, p in probes.items()} for probes in rig.probes]
    for probes in replicas:
        for name, values in probes.items():
            if values.size != times.size:
                raise SimulationError(
                    f"NEURON recorded {values.size} samples of {name} where {times.size} were due"
                )
    return times, replicas


def _read_steps(
    rig: Rig, numerics: Numerics, earlier: Earlier | None
) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
    times = rig.times()
    if earlier is not None:
        times = np.concatenate([earlier.times, times[1:]])
    # At an event NEURON records twice: what is, and what the event makes of it; and once more
    # where it had stopped there to look at the clock, which is left out.
    again = np.diff(times, prepend=-np.inf, append=np.inf) <= 1e-9
    keep = np.flatnonzero(~(again[:-1] & again[1:]))
    times = np.where(again[1:], times - _APART, times)
    keep = keep[keep >= _first_kept(times, numerics)]

    replicas = [
        {n: _recorded(n, p, earlier)[keep] * p.factor for n, p in probes.items()}
        for probes in rig.probes
    ]
    return times[keep], replicas


def own_samples(rig: Rig, replica: int, times: np.ndarray) -> np.ndarray | None:
    """Return which samples of a variable step are of one replica; None if all are.

    At the events of the others it has been recorded, too: twice, and once a little early.
    """
    if rig.bound.scheme.steps != "variable" or len({tuple(a) for a in rig.arrivals}) < 2:
        return None
    own = set(rig.arrivals[replica])
    others = {a for of_one in rig.arrivals for a in of_one} - own

    def near(arrivals: set[float]) -> np.ndarray:
        among = np.array(sorted(arrivals))
        at = np.clip(np.searchsorted(among, times), 1, among.size - 1) if among.size > 1 else None
        gap = np.abs(times - among[0]) if at is None else np.minimum(
            np.abs(times - among[at - 1]), np.abs(times - among[at]))  # fmt: skip
        return gap <= _APART + _SAME

    return ~near(others) | near(own)


def _read_blocks(rig: Rig, numerics: Numerics) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
    times = rig.times()
    n = times.size - 1  # the last step was for what lags
    first = _first_kept(times, numerics)
    replicas = [
        {name: p.values()[first + p.lag : n + p.lag] * p.factor for name, p in probes.items()}
        for probes in rig.probes
    ]
    return times[first:n].copy(), replicas  # not a view of what the next run writes


def _first_kept(times: np.ndarray, numerics: Numerics) -> int:
    """Return the index of the first sample that is kept of steps that are not all alike."""
    # At rest one step may be longer than all that is kept: the sample before it is kept, too.
    return max(int(np.searchsorted(times, numerics.settle - BEFORE + 1e-6)) - 1, 0)


def _recorded(name: str, probe: Probe, earlier: Earlier | None) -> np.ndarray:
    """Return all that was recorded, also before the settled state: its last sample is the first."""
    values = probe.values()
    return values if earlier is None else np.concatenate([earlier.signals[name], values[1:]])


def not_finite(times: np.ndarray, signals: dict[str, np.ndarray]) -> str:
    """Return why the signals of one replica cannot be used; empty if they can."""
    for name, values in signals.items():
        bad = ~np.isfinite(values)
        if bad.any():
            return f"{name} is {values[bad.argmax()]} from t = {times[bad.argmax()]:g} ms on"
    return ""
