"""One batch: candidates that share a NEURON simulation, protocol by protocol."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from stpspec.engine import nrn
from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.parts import parts_of
from stpspec.engine.binding.scheme import PLAIN_REFERENCE, Scheme
from stpspec.engine.clamp_error import (
    LOCAL,
    ClampError,
    clamp_errors,
    is_in_question,
    with_local_voltage,
)
from stpspec.engine.rigs.integrate import globals_restored, not_finite, own_samples, run
from stpspec.engine.rigs.reuse import give_back, rig_for, rigs_kept
from stpspec.engine.rigs.rig import Rig
from stpspec.engine.shortcuts import equivalence
from stpspec.engine.shortcuts.independence import (
    Traces,
    are_independent,
    kept_apart,
)
from stpspec.engine.shortcuts.ladder import choose, feasible, without_disturbance
from stpspec.engine.shortcuts.tolerances import set_scales
from stpspec.errors import Failure, SimulationError
from stpspec.resources import content_key
from stpspec.specs.stimulus import Stimulus

log = logging.getLogger("stpspec.engine")

_MOST_AT_ONCE = 1500  # compartments; what is more leaves the cache of a processor, and is slower

Candidate = Mapping[str, float]
Trace = tuple[np.ndarray, dict[str, np.ndarray]]  # times (ms) and signals, shape (n,)
Result = str | Trace  # or why there is none


class _OnTwoGrids(Exception):
    """Trials of one candidate were simulated in different steps."""


@dataclass(frozen=True)
class _Trial:
    """One simulation: which candidate of the batch, with which random numbers."""

    candidate: int
    number: int


@dataclass
class Run:
    """What one candidate gave.

    Attributes
    ----------
    traces : dict of str to (ndarray, dict of str to ndarray)
        Protocol → times (ms), shape (n,), and signals, shape (trial, n).
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

    def keep(self, protocol: str, trials: Sequence[Result]) -> None:
        """Keep the traces of all trials, or the reason of the first failure."""
        traces = [result for result in trials if not isinstance(result, str)]
        if len(traces) < len(trials):
            why = next(result for result in trials if isinstance(result, str))
            self.failure = self.failure or Failure("simulation", why, protocol)
            return
        times, first = traces[0]
        if len(traces) == 1:
            self.traces[protocol] = times, {name: y[None] for name, y in first.items()}
            return
        if not all(np.array_equal(t, times) for t, _ in traces):
            raise _OnTwoGrids
        self.traces[protocol] = times, {n: np.stack([s[n] for _, s in traces]) for n in first}


def batches(bound: Bound, rows: Sequence[Candidate]) -> list[list[int]]:
    """Group candidates that may share a simulation: all those with the same GLOBAL values.

    Data of the mechanism, such as a table made of a parameter, belong to all candidates of a
    simulation: where there are any, or none can be excluded, each is simulated by itself.

    A stochastic synapse is simulated in many trials, which fill a simulation by themselves.

    The groups depend on the candidates alone, so that a variable step, whose steps all members of
    a batch share, gives the same with any number of workers.
    """
    shared = sorted(bound.mechanism.global_parameters)
    groups: dict[tuple[float | None, ...], list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(tuple(row.get(name) for name in shared), []).append(index)
    size = 1 if bound.stochastic or bound.shares_data else _most_at_once(bound)
    return [
        members[start : start + size]
        for members in groups.values()
        for start in range(0, len(members), size)
    ]


def _most_at_once(bound: Bound) -> int:
    return min(bound.experiment.numerics.replicas, max(1, _MOST_AT_ONCE // bound.compartments))


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
        return [_mean_traces(run) for run in _run_part(how, some, under)]

    errors = clamp_errors(bound, rows, stimuli, [_mean_traces(run) for run in runs], simulate)
    is_asked = LOCAL in bound.experiment.recording.signals
    for one, error in zip(runs, errors, strict=True):
        one.clamps = error
        for _, signals in one.traces.values() if not is_asked else ():
            signals.pop(LOCAL, None)


def _mean_traces(run: Run) -> Traces:
    """Return the traces of the mean of all trials."""
    return {
        protocol: (times, {name: y.mean(axis=0) for name, y in signals.items()})
        for protocol, (times, signals) in run.traces.items()
    }


def _run_part(
    bound: Bound, rows: Sequence[Candidate], stimuli: Mapping[str, Stimulus]
) -> list[Run]:
    """Simulate the candidates of one batch under protocols that are recorded alike."""
    with nrn.exclusive():
        bound = kept_apart(feasible(bound))
        once = {name: replace(s, trials=1) for name, s in stimuli.items()}

        def simulate(how: Bound, some: Sequence[Candidate]) -> list[Traces]:
            return [
                {p: (t, {n: y[0] for n, y in signals.items()})
                 for p, (t, signals) in run.traces.items()}
                for run in _run_batch(how, some, once)
            ]  # fmt: skip

        if are_independent(bound, rows, once, simulate):
            return _run_batch(bound, rows, stimuli)
        apart = replace(bound, together=False)
        return [run for row in rows for run in _run_batch(apart, [row], stimuli)]


def _run_batch(
    bound: Bound, rows: Sequence[Candidate], stimuli: Mapping[str, Stimulus]
) -> list[Run]:
    try:
        return _run_trials(bound, rows, stimuli)
    except _OnTwoGrids:  # some of them had to leave the compartment without a cell
        return _run_trials(replace(bound, scheme=PLAIN_REFERENCE), rows, stimuli)


def _run_trials(
    bound: Bound, rows: Sequence[Candidate], stimuli: Mapping[str, Stimulus]
) -> list[Run]:
    found: dict[str, dict[_Trial, Result]] = {name: {} for name in stimuli}
    with globals_restored(bound), rigs_kept() if bound.stochastic else contextlib.nullcontext():
        if not bound.scheme.is_fixed:
            set_scales(bound)
        for part in _parts(bound, stimuli):
            n = next(iter(part.values())).trials
            for chunk in _chunks(bound, rows, part, n):
                for trial, protocol, result in _run(bound, chunk, rows, part, bound.scheme):
                    found[protocol][trial] = result
    runs = [Run() for _ in rows]
    for k, one in enumerate(runs):
        for protocol, results in found.items():
            one.keep(protocol, [results[_Trial(k, i)] for i in range(stimuli[protocol].trials)])
    return runs


def _parts(bound: Bound, stimuli: Mapping[str, Stimulus]) -> list[dict[str, Stimulus]]:
    """Return the protocols that one rig simulates in turn: those of as many trials.

    What a run leaves behind, the next one finds: then each has its own cell and synapse.
    """
    if bound.carries_over:
        return [{name: s} for name, s in stimuli.items()]
    counts = dict.fromkeys(s.trials for s in stimuli.values())
    return [{name: s for name, s in stimuli.items() if s.trials == n} for n in counts]


def _chunks(
    bound: Bound, rows: Sequence[Candidate], part: Mapping[str, Stimulus], n: int
) -> list[Sequence[_Trial]]:
    """Return the trials that share a simulation, in chunks of nearly the same size."""
    every = [_Trial(k, number) for k in range(len(rows)) for number in range(n)]
    if not bound.stochastic:
        return [every]
    alone = _are_apart(bound) or (n > 1 and not _may_share(bound, rows, part))
    number = len(every) if alone else math.ceil(len(every) / _most_at_once(bound))
    ends = [round(k * len(every) / number) for k in range(number + 1)]
    return [every[a:b] for a, b in itertools.pairwise(ends)]


def simulations(bound: Bound, n: int, stimuli: Mapping[str, Stimulus]) -> int:
    """Return in how many simulations n candidates are run, each of which has its time limit."""
    if not bound.stochastic:
        return 1
    size = 1 if _are_apart(bound) or bound.foreign else _most_at_once(bound)
    return sum(math.ceil(n * s.trials / size) for s in stimuli.values())


def _are_apart(bound: Bound) -> bool:
    return bound.draws_from_one or bound.shares_data


def _may_share(bound: Bound, rows: Sequence[Candidate], part: Mapping[str, Stimulus]) -> bool:
    """Tell whether trials together give to the bit what they give one by one; proven once."""
    if not bound.foreign:
        return True
    kinds = {n: bound.experiment.protocols[s.protocol or n].kind for n, s in part.items()}
    key = content_key(equivalence.key(bound, []), repr(kinds))
    return equivalence.remembered("trials together", key, lambda: _prove(bound, rows, part))


def _prove(bound: Bound, rows: Sequence[Candidate], part: Mapping[str, Stimulus]) -> bool:
    some = [_Trial(0, number) for number in range(3)]
    together = _results(bound, some, rows, part)
    # In the other order: what one leaves to the next shows as well.
    alone = [_results(bound, [trial], rows, part) for trial in reversed(some)]
    same = all(_is_same(one[key], together[key]) for one in alone for key in one)
    if not same:
        log.warning(
            "trials that are simulated together influence each other through something that "
            "instances of %s share: each is simulated by itself", " or ".join(bound.stochastic),
        )  # fmt: skip
    return same


def _results(
    bound: Bound, batch: Sequence[_Trial], rows: Sequence[Candidate], part: Mapping[str, Stimulus]
) -> dict[tuple[_Trial, str], Result]:
    return {(t, p): result for t, p, result in _run(bound, batch, rows, part, bound.scheme)}


def _is_same(one: Result, other: Result) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    (times, signals), (others, values) = one, other
    return np.array_equal(times, others) and all(
        np.array_equal(signals[n], values[n]) for n in signals
    )


def _run(
    bound: Bound,
    batch: Sequence[_Trial],
    rows: Sequence[Candidate],
    stimuli: Mapping[str, Stimulus],
    highest: Scheme,
) -> Iterator[tuple[_Trial, str, Result]]:
    """Yield (trial, protocol, (times, signals) or the reason of a failure)."""
    candidates = [rows[trial.candidate] for trial in batch]
    setup = choose(bound, candidates, highest)
    stopped: dict[str, Stimulus] = {}
    disturbed: dict[str, Stimulus] = {}
    broken, sound = False, False
    rig, why_not = _prepared(setup.bound, candidates)
    if rig is None:
        yield from _one_by_one(bound, batch, rows, stimuli, why_not)
        return
    try:
        rig.trials = [trial.number for trial in batch]
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
            for replica, (trial, signals) in enumerate(zip(batch, replicas, strict=True)):
                why = not_finite(times, signals)
                broken = broken or bool(why)
                yield trial, name, why or _of_replica(rig, replica, times, signals)
        sound = not broken and not disturbed and not bound.carries_over
    finally:
        give_back(rig, sound=sound)
    if disturbed:
        safer = without_disturbance(setup.bound.scheme)
        yield from _run(bound, batch, rows, disturbed, safer)
    # One candidate stops all that share its simulation: find which, with the rig out of the way.
    for trial in batch if stopped else ():
        yield from _run(bound, [trial], rows, stopped, bound.scheme)


def _of_replica(rig: Rig, replica: int, times: np.ndarray, signals: dict[str, np.ndarray]) -> Trace:
    """Return the trace of one replica, when its own events came."""
    keep, shift = own_samples(rig, replica, times), rig.shifts[replica]
    if keep is not None:
        times, signals = times[keep], {n: y[keep] for n, y in signals.items()}
    return (times + shift if shift else times), signals


def _one_by_one(
    bound: Bound,
    batch: Sequence[_Trial],
    rows: Sequence[Candidate],
    stimuli: Mapping[str, Stimulus],
    why_not: str,
) -> Iterator[tuple[_Trial, str, Result]]:
    """Simulate each of some trials by itself, of which one cannot be made."""
    if len(batch) > 1:
        for trial in batch:
            yield from _run(bound, [trial], rows, stimuli, bound.scheme)
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
