"""One batch: candidates that share a NEURON simulation, protocol by protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from stpspec.engine import nrn
from stpspec.engine.binding.bind import Bound
from stpspec.engine.binding.parts import parts_of
from stpspec.engine.binding.scheme import Scheme
from stpspec.engine.clamp_error import (
    LOCAL,
    ClampError,
    clamp_errors,
    is_in_question,
    with_local_voltage,
)
from stpspec.engine.rigs.integrate import globals_restored, not_finite, own_samples, run
from stpspec.engine.rigs.reuse import give_back, rig_for
from stpspec.engine.rigs.rig import Rig
from stpspec.engine.shortcuts.independence import (
    Traces,
    are_independent,
    kept_apart,
)
from stpspec.engine.shortcuts.ladder import choose, feasible, without_disturbance
from stpspec.engine.shortcuts.tolerances import set_scales
from stpspec.errors import Failure, SimulationError
from stpspec.specs.protocol import Stimulus

Candidate = Mapping[str, float]
Trace = tuple[np.ndarray, dict[str, np.ndarray]]  # times (ms) and signals, shape (n,)


@dataclass
class Run:
    """What one candidate gave.

    Attributes
    ----------
    traces : dict of str to (ndarray, dict of str to ndarray)
        Protocol → times (ms) and signals, shape (n,).
    failure : Failure or None
        Of the first protocol that failed.
    values : mapping of str to float
        Of the candidate.
    clamps : dict of str to ClampError
        Protocol → what the clamp costs, where it was found to be less than ideal.
    """

    traces: dict[str, tuple[np.ndarray, dict[str, np.ndarray]]] = field(default_factory=dict)
    failure: Failure | None = None
    values: Candidate = field(default_factory=dict)
    clamps: dict[str, ClampError] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Why it failed; empty if it did not."""
        return "" if self.failure is None else str(self.failure)

    def keep(self, protocol: str, result: str | tuple[np.ndarray, dict[str, np.ndarray]]) -> None:
        """Keep a trace, or the reason of a failure."""
        if isinstance(result, str):
            self.failure = self.failure or Failure("simulation", result, protocol)
        else:
            self.traces[protocol] = result


def batches(bound: Bound, rows: Sequence[Candidate]) -> list[list[int]]:
    """Group candidates that may share a simulation: all those with the same GLOBAL values.

    Data of the mechanism, such as a table made of a parameter, belong to all candidates of a
    simulation: where there are any, or none can be excluded, each is simulated by itself.

    Random numbers come from one generator, or from one stream each that is numbered in the order
    of making: what draws any is simulated by itself, so that seeding it makes it repeatable.

    The groups depend on the candidates alone, so that a variable step, whose steps all members of
    a batch share, gives the same with any number of workers.
    """
    shared = sorted(bound.mechanism.global_parameters)
    groups: dict[tuple[float | None, ...], list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(tuple(row.get(name) for name in shared), []).append(index)
    size = 1 if bound.by_chance or bound.shares_data else bound.experiment.numerics.replicas
    return [
        members[start : start + size]
        for members in groups.values()
        for start in range(0, len(members), size)
    ]


def run_batch(
    bound: Bound,
    rows: Sequence[Candidate],
    stimuli: Mapping[str, Stimulus],
    *,
    judges_clamp: bool = False,
) -> list[Run]:
    """Simulate the candidates of one batch; the failures of one do not touch the others.

    Parameters
    ----------
    bound : Bound
    rows : sequence of mapping of str to float
        The candidates.
    stimuli : mapping of str to Stimulus
    judges_clamp : bool
        Whether it is found out what a clamp that is not ideal costs, in fixed steps.
    """
    runs = [Run(values=row) for row in rows]
    for part in parts_of(bound, stimuli, rows[0]):
        some = {name: stimuli[name] for name in part.protocols}
        inside = part.rows(rows)
        is_judged = judges_clamp and is_in_question(part.bound, inside)
        recorded = with_local_voltage(part.bound) if is_judged else part.bound
        found = _run_part(recorded, inside, some)
        if is_judged:
            _judge_clamps(part.bound, inside, some, found)
        for whole, of_part in zip(runs, found, strict=True):
            whole.traces |= of_part.traces
            whole.clamps |= of_part.clamps
            whole.failure = whole.failure or of_part.failure
    return runs


def _judge_clamps(
    bound: Bound, rows: Sequence[Candidate], stimuli: Mapping[str, Stimulus], runs: Sequence[Run]
) -> None:
    def simulate(
        how: Bound, some: Sequence[Candidate], under: Mapping[str, Stimulus]
    ) -> list[Traces]:
        return [run.traces for run in _run_part(how, some, under)]

    errors = clamp_errors(bound, rows, stimuli, [run.traces for run in runs], simulate)
    is_asked = LOCAL in bound.experiment.recording.signals
    for one, error in zip(runs, errors, strict=True):
        one.clamps = error
        for _, signals in one.traces.values() if not is_asked else ():
            signals.pop(LOCAL, None)


def _run_part(
    bound: Bound, rows: Sequence[Candidate], stimuli: Mapping[str, Stimulus]
) -> list[Run]:
    """Simulate the candidates of one batch under protocols that are recorded alike."""
    with nrn.exclusive():
        bound = kept_apart(feasible(bound))

        def simulate(how: Bound, some: Sequence[Candidate]) -> list[Traces]:
            return [run.traces for run in _run_batch(how, some, stimuli)]

        if are_independent(bound, rows, stimuli, simulate):
            return _run_batch(bound, rows, stimuli)
        apart = replace(bound, together=False)
        return [run for row in rows for run in _run_batch(apart, [row], stimuli)]


def _run_batch(
    bound: Bound, rows: Sequence[Candidate], stimuli: Mapping[str, Stimulus]
) -> list[Run]:
    runs = [Run() for _ in rows]
    with globals_restored(bound):
        if not bound.scheme.is_fixed:
            set_scales(bound)
        # What a run leaves behind, the next one finds: then each has its own cell and synapse.
        apart = [{name: s} for name, s in stimuli.items()]
        for part in apart if bound.carries_over else [stimuli]:
            for index, protocol, result in _run(bound, range(len(rows)), rows, part, bound.scheme):
                runs[index].keep(protocol, result)
    return runs


def _run(
    bound: Bound,
    batch: Sequence[int],
    rows: Sequence[Candidate],
    stimuli: Mapping[str, Stimulus],
    highest: Scheme,
) -> Iterator[tuple[int, str, str | Trace]]:
    """Yield (candidate, protocol, (times, signals) or the reason of a failure)."""
    candidates = [rows[i] for i in batch]
    setup = choose(bound, candidates, highest)
    stopped: dict[str, Stimulus] = {}
    disturbed: dict[str, Stimulus] = {}
    broken, sound = False, False
    rig, why_not = _prepared(setup.bound, candidates)
    if rig is None:
        yield from _one_by_one(bound, batch, rows, stimuli, why_not)
        return
    try:
        for name, stimulus in stimuli.items():
            try:
                times, replicas = run(rig, stimulus, setup.settled)
            except SimulationError as error:
                if len(batch) == 1:
                    yield batch[0], name, str(error)
                else:
                    stopped[name] = stimulus
                broken = True
                continue
            if rig.disturbed(replicas):
                disturbed[name] = stimulus
                continue
            for replica, (index, signals) in enumerate(zip(batch, replicas, strict=True)):
                why = not_finite(times, signals)
                broken = broken or bool(why)
                yield index, name, why or _of_replica(rig, replica, times, signals)
        sound = not broken and not disturbed and not bound.carries_over
    finally:
        give_back(rig, sound=sound)
    if disturbed:
        safer = without_disturbance(setup.bound.scheme)
        yield from _run(bound, batch, rows, disturbed, safer)
    # One candidate stops all that share its simulation: find which, with the rig out of the way.
    for index in batch if stopped else ():
        yield from _run(bound, [index], rows, stopped, bound.scheme)


def _of_replica(rig: Rig, replica: int, times: np.ndarray, signals: dict[str, np.ndarray]) -> Trace:
    """Return the trace of one replica, when its own events came."""
    keep, shift = own_samples(rig, replica, times), rig.shifts[replica]
    if keep is not None:
        times, signals = times[keep], {n: y[keep] for n, y in signals.items()}
    return (times + shift if shift else times), signals


def _one_by_one(
    bound: Bound,
    batch: Sequence[int],
    rows: Sequence[Candidate],
    stimuli: Mapping[str, Stimulus],
    why_not: str,
) -> Iterator[tuple[int, str, str | Trace]]:
    """Simulate each of some candidates by itself, of which one cannot be made."""
    if len(batch) > 1:
        for index in batch:
            yield from _run(bound, [index], rows, stimuli, bound.scheme)
        return
    for name in stimuli:
        yield batch[0], name, why_not


def _prepared(bound: Bound, rows: Sequence[Candidate]) -> tuple[Rig | None, str]:
    """Return the rig of some candidates; None and why where a cell of one cannot be made."""
    rig = None
    try:
        rig = rig_for(bound, rows)
        for replica, row in enumerate(rows):
            rig.set(replica, row)
    except SimulationError as error:
        if rig is not None:
            give_back(rig, sound=False)
        return None, str(error)
    return rig, ""
