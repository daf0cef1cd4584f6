"""Advance NEURON: fixed step, time limit, NaN, and every global put back afterwards."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator

import numpy as np

from stpspec.engine import nrn
from stpspec.engine.bind import Bound
from stpspec.engine.rig import Rig
from stpspec.errors import SimulationError
from stpspec.spec.numerics import Numerics

_CHUNK = 500.0  # ms of model time between two looks at the clock (and at Ctrl-C)
_BEFORE = 100.0  # ms kept before the stimulus


@contextlib.contextmanager
def globals_restored(bound: Bound) -> Iterator[None]:
    """Put back every NEURON global that a simulation of the experiment may change."""
    h = nrn.hoc()
    cvode = nrn.cvode()
    shared = [f"{n}_{bound.mechanism.name}" for n in bound.mechanism.global_parameters]
    names = ["celsius", "dt", "steps_per_ms", "secondorder", "v_init", "tstop", *shared]
    before = {name: getattr(h, name) for name in names}
    active = cvode.active()
    try:
        yield
    finally:
        cvode.active(active)
        for name, value in before.items():
            setattr(h, name, value)


def sample_grid(numerics: Numerics, stop: float) -> tuple[int, int]:
    """Return the first and one past the last sample (multiples of dt) that are kept."""
    first = math.ceil(max(numerics.settle - _BEFORE, 0.0) / numerics.dt - 1e-9)
    last = math.ceil((numerics.settle + stop) / numerics.dt - 1e-9)
    return first, last + 1


def advance(rig: Rig, numerics: Numerics, stop: float) -> None:
    """Run all replicas of a rig from rest to ``stop`` ms after the onset of the stimulus.

    Raises
    ------
    SimulationError
        If NEURON fails, or the wall-clock limit is passed.
    """
    h = nrn.hoc()
    nrn.cvode().active(0)
    h.secondorder = 0
    h.dt, h.steps_per_ms = numerics.dt, 1.0 / numerics.dt
    h.celsius = numerics.temperature
    context = nrn.context()
    end = (sample_grid(numerics, stop)[1] + 1) * numerics.dt  # one more step for what lags
    started = time.monotonic()
    with nrn.border(SimulationError, "NEURON stopped"):
        h.finitialize(numerics.v_init)
        reached = 0.0
        while reached < end:
            reached = min(reached + _CHUNK, end)
            context.psolve(reached)
            if time.monotonic() - started > numerics.time_limit:
                raise SimulationError(
                    f"the simulation passed its time limit of {numerics.time_limit:g} s at "
                    f"t = {reached:g} of {end:g} ms"
                )


def read(
    rig: Rig, numerics: Numerics, stop: float
) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
    """Return times (ms) and, a replica, the recorded signals."""
    first, last = sample_grid(numerics, stop)
    times = np.arange(first, last) * numerics.dt
    replicas = [{n: p.read(first, last) for n, p in probes.items()} for probes in rig.probes]
    for probes in replicas:
        for name, values in probes.items():
            if values.size != times.size:
                raise SimulationError(
                    f"NEURON recorded {values.size} samples of {name} where {times.size} were due"
                )
    return times, replicas


def not_finite(times: np.ndarray, signals: dict[str, np.ndarray]) -> str:
    """Return why the signals of one replica cannot be used; empty if they can."""
    for name, values in signals.items():
        bad = ~np.isfinite(values)
        if bad.any():
            return f"{name} is {values[bad.argmax()]} from t = {times[bad.argmax()]:g} ms on"
    return ""
