"""One batch: candidates that share a NEURON simulation, protocol by protocol."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from stpspec.engine import settled
from stpspec.engine.bind import Bound
from stpspec.engine.rig import Rig, make_rig
from stpspec.engine.run import (
    CannotVaryError,
    advance,
    choose_step,
    end_of,
    globals_restored,
    initialize,
    not_finite,
    read,
)
from stpspec.engine.scales import set_scales
from stpspec.errors import SimulationError
from stpspec.spec.protocol import Stimulus

log = logging.getLogger("stpspec.engine")

Candidate = Mapping[str, float]

# Mechanisms that have been found to run under the fixed step only; each is told once.
_fixed_only: set[str] = set()


@dataclass
class Run:
    """What one candidate gave.

    Attributes
    ----------
    traces : dict of str to (ndarray, dict of str to ndarray)
        Protocol → times (ms) and signals, shape (n,).
    failure : str
        The first protocol that failed, and why; empty if none did.
    """

    traces: dict[str, tuple[np.ndarray, dict[str, np.ndarray]]] = field(default_factory=dict)
    failure: str = ""

    def keep(self, protocol: str, result: str | tuple[np.ndarray, dict[str, np.ndarray]]) -> None:
        """Keep a trace, or the reason of a failure."""
        if isinstance(result, str):
            self.failure = self.failure or f"{protocol}: {result}"
        else:
            self.traces[protocol] = result


def batches(bound: Bound, rows: Sequence[Candidate]) -> list[list[int]]:
    """Group candidates that may share a simulation: all those with the same GLOBAL values.

    The groups depend on the candidates alone, so that a variable step, whose steps all members of
    a batch share, gives the same with any number of workers.
    """
    shared = sorted(bound.mechanism.global_parameters)
    groups: dict[tuple[float | None, ...], list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(tuple(row.get(name) for name in shared), []).append(index)
    size = bound.experiment.numerics.replicas
    return [
        members[start : start + size]
        for members in groups.values()
        for start in range(0, len(members), size)
    ]


def run_batch(
    bound: Bound, rows: Sequence[Candidate], stimuli: Mapping[str, Stimulus]
) -> list[Run]:
    """Simulate the candidates of one batch; the failures of one do not touch the others."""
    bound = _able(bound)
    runs = [Run() for _ in rows]
    with globals_restored(bound):
        try:
            if bound.experiment.numerics.integrator == "variable":
                set_scales(bound)
            for index, protocol, result in _run(bound, range(len(rows)), rows, stimuli):
                runs[index].keep(protocol, result)
        except CannotVaryError as error:
            _fixed_only.add(bound.mechanism.name)
            log.warning("%s; the fixed step is used instead", error)
            return run_batch(bound, rows, stimuli)
    return runs


def _able(bound: Bound) -> Bound:
    """Return the experiment with the fixed step if its mechanism can have no other."""
    numerics = bound.experiment.numerics
    if numerics.integrator != "variable" or bound.mechanism.name not in _fixed_only:
        return bound
    fixed = numerics.copy_with(integrator="fixed")
    return replace(bound, experiment=bound.experiment.model_copy(update={"numerics": fixed}))


def _run(
    bound: Bound, batch: Sequence[int], rows: Sequence[Candidate], stimuli: Mapping[str, Stimulus]
) -> Iterator[tuple[int, str, str | tuple[np.ndarray, dict[str, np.ndarray]]]]:
    """Yield (candidate, protocol, (times, signals) or the reason of a failure)."""
    numerics = bound.experiment.numerics
    state = settled.find(bound, [rows[i] for i in batch])
    rig = make_rig(bound, len(batch))
    stopped: dict[str, Stimulus] = {}
    try:
        for replica, index in enumerate(batch):
            rig.set(replica, rows[index])
        for name, stimulus in stimuli.items():
            try:
                _simulate(rig, bound, stimulus, state)
            except CannotVaryError:
                raise
            except SimulationError as error:
                if len(batch) == 1:
                    yield batch[0], name, str(error)
                else:
                    stopped[name] = stimulus
                continue
            times, replicas = read(rig, numerics, stimulus.stop, state)
            if cut := _cut_short(bound, stimulus, times):
                if len(batch) == 1:
                    yield batch[0], name, cut
                else:
                    stopped[name] = stimulus
                continue
            for index, signals in zip(batch, replicas, strict=True):
                yield index, name, not_finite(times, signals) or (times, signals)
    finally:
        rig.tear_down()
    # One candidate stops all that share its simulation: find which, with the rig out of the way.
    for index in batch if stopped else ():
        yield from _run(bound, [index], rows, stopped)


def _cut_short(bound: Bound, stimulus: Stimulus, times: np.ndarray) -> str:
    """Say where CVODE gave up, which raises nothing; empty if it came past the last event."""
    numerics = bound.experiment.numerics
    if numerics.integrator != "variable" or not stimulus.spikes:
        return ""
    last = numerics.settle + stimulus.spikes[-1] + bound.experiment.model.net_con.delay
    if times.size and times[-1] > last + 1e-3:
        return ""
    at = float(times[-1]) if times.size else 0.0
    return f"NEURON stopped: the variable step gave up at t = {at:g} ms"


def _simulate(rig: Rig, bound: Bound, stimulus: Stimulus, state: settled.Settled | None) -> None:
    numerics = bound.experiment.numerics
    rig.stimulate(stimulus, numerics.settle)
    choose_step(bound.experiment)
    initialize(numerics)
    if state is not None:
        state.restore(rig)
    advance(end_of(numerics, stimulus.stop), numerics.time_limit)
