"""The protocols: each kind says when events or current steps come, and when the run stops."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from stpspec.registry import PROTOCOLS
from stpspec.specs.base import Spec
from stpspec.specs.plausible import Range
from stpspec.specs.quantities import Hertz, Millisecond, Nanoampere
from stpspec.specs.recording import RecordingChanges
from stpspec.specs.stimulus import CurrentStep, Stimulus, Timing

# What is longer is a slip of the pen, and would not fit into memory.
LONGEST = 1e7  # ms
MOST_STEPS = 1e8
MOST_PULSES = 100_000
MOST_TRIALS = 100_000
MOST_TRIAL_STEPS = 1e9  # of all trials of a protocol together

# The default grid of a frequency response, Hz.
FREQUENCIES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 35, 50, 100, 200)


class Protocol(Spec):
    """Base of every protocol."""

    kind: str
    trials: int | None = Field(
        default=None, ge=1, le=MOST_TRIALS, description="in place of the trials of the experiment"
    )
    recording: RecordingChanges | None = Field(
        default=None,
        description="what differs from the recording of the experiment: another kind, some fields",
    )

    @model_serializer(mode="wrap")
    def _without_an_absent_recording(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data = write(self)
        if data.get("recording") is None:
            data.pop("recording", None)
        return data

    @abstractmethod
    def stimulus(self, timing: Timing) -> Stimulus:
        """Return spike times, current steps and the end of the run."""

    # What other values of its fields could provide: from a wrong field follows nothing more.
    at_most: ClassVar[frozenset[str]] = frozenset(
        {"event", "pair", "induction", "recovery", "recovery_4", "drive", "step"}
    )

    def runs(self) -> Mapping[str, Protocol]:
        """Return the runs that it stands for, by label; a protocol of one run has no label."""
        return {"": self}

    @abstractmethod
    def provides(self) -> frozenset[str]:
        """Return what a metric can find in a run.

        Some of ``event``, ``pair`` (two events), ``induction`` (six or more induction pulses),
        ``recovery`` (a pulse after the delay), ``recovery_4`` (four), ``drive``, ``step``.
        """


def runs_of(protocols: Mapping[str, Protocol]) -> dict[str, Protocol]:
    """Return every run of some protocols by name: that of the protocol, with the label of a train.

    The runs of ``trains`` that is called ``stp`` are ``stp.10Hz``, ``stp.20Hz`` and so on.
    """
    return {
        f"{name}.{label}" if label else name: run
        for name, protocol in protocols.items()
        for label, run in protocol.runs().items()
    }


def owner_of(run: str, protocols: Mapping[str, Protocol]) -> str | None:
    """Return the name of the protocol that a run is of; None if it is of none."""
    return next((n for n in protocols if run == n or run in names_of_runs(n, protocols)), None)


def names_of_runs(name: str, protocols: Mapping[str, Protocol]) -> list[str]:
    """Return the names of the runs of a protocol; of a run, its own."""
    if name not in protocols:
        return [name]
    return list(runs_of({name: protocols[name]}))


P = TypeVar("P", bound=Protocol)
T = TypeVar("T")


def protocol(kind: str) -> Callable[[type[P]], type[P]]:
    """Register a protocol class under ``kind`` (decorator)."""
    return PROTOCOLS.register(kind)


def features(protocol: Protocol, trials: int | None = None) -> frozenset[str]:
    """Return what a metric can find in a run, and ``trials`` where there are several.

    Parameters
    ----------
    protocol : Protocol
    trials : int, optional
        Those of the experiment.
    """
    n = trials if protocol.trials is None else protocol.trials
    return protocol.provides() | ({"trials"} if (n or 1) > 1 else set())


def tail(interval: float, timing: Timing) -> float:
    """Time to run after the last arrival so that it is measured like the others, ms."""
    return max(interval, 5 * (timing.decay or 0.0))


def _features(n: int, n_induction: int | None, n_recovery: int) -> frozenset[str]:
    stimuli = {"event"} if n else set()
    if n >= 2:
        stimuli.add("pair")
    if n_induction is not None and n_induction >= 6:
        stimuli.add("induction")
    if n_recovery >= 1:
        stimuli.add("recovery")
    if n_recovery >= 4 and (n_induction or 0) >= 4:
        stimuli.add("recovery_4")
    return frozenset(stimuli)


@protocol("single_event")
class SingleEvent(Protocol):
    """One presynaptic event on a resting synapse."""

    at_most: ClassVar[frozenset[str]] = frozenset({"event"})
    kind: Literal["single_event"] = "single_event"
    duration: Annotated[Millisecond, Range("ms", 5, 6e4)] = Field(
        default=100.0,
        gt=0,
        le=LONGEST,
        description="least time recorded after the event, ms; at least 5 decay time constants are",
    )

    def stimulus(self, timing: Timing) -> Stimulus:
        return Stimulus((0.0,), tail(self.duration, timing))

    def provides(self) -> frozenset[str]:
        return _features(1, None, 0)


@protocol("train")
class Train(Protocol):
    """Induction pulses, a recovery delay, recovery pulses.

    The delay runs from the last induction pulse to the first recovery pulse
    (Allen Synaptic Physiology, doi:10.1126/science.abj5861).
    """

    at_most: ClassVar[frozenset[str]] = Protocol.at_most - {"drive", "step"}
    kind: Literal["train"] = "train"
    frequency: Annotated[Hertz, Range("Hz", 0.05, 300, most=1000)] = Field(
        default=50.0, gt=0, description="Hz"
    )
    recovery_delay: Annotated[Millisecond, Range("ms", 5, 6e5)] = Field(
        default=250.0, gt=0, le=LONGEST, description="ms, from pulse 8 to pulse 9"
    )
    n_induction: int = Field(default=8, ge=1, le=1000)
    n_recovery: int = Field(default=4, ge=0, le=1000)

    def stimulus(self, timing: Timing) -> Stimulus:
        interval = 1000.0 / self.frequency
        induction = [k * interval for k in range(self.n_induction)]
        first = induction[-1] + self.recovery_delay
        recovery = [first + k * interval for k in range(self.n_recovery)]
        spikes = (*induction, *recovery)
        return Stimulus(spikes, spikes[-1] + tail(interval, timing), None, self.n_induction)

    def provides(self) -> frozenset[str]:
        return _features(self.n_induction + self.n_recovery, self.n_induction, self.n_recovery)


Frequency = Annotated[Hertz, Range("Hz", 0.05, 300, most=1000), Field(gt=0)]
Delay = Annotated[Millisecond, Range("ms", 5, 6e5), Field(gt=0, le=LONGEST)]
Pulses = Annotated[int, Field(ge=1, le=1000)]
RecoveryPulses = Annotated[int, Field(ge=0, le=1000)]


@protocol("trains")
class Trains(Protocol):
    """Several trains as one protocol, each a run of its own on a rested synapse.

    A delay or number of pulses is one for all trains, or a list with one for each. A vector metric
    has the values of all trains, in this order; a metric of one number names a train, by the name
    of the protocol and its frequency: ``stp.20Hz``, or ``stp.20Hz_250ms`` where frequencies repeat.
    """

    at_most: ClassVar[frozenset[str]] = Protocol.at_most - {"drive", "step"}
    kind: Literal["trains"] = "trains"
    frequencies: list[Frequency] = Field(min_length=1, max_length=100, description="Hz")
    recovery_delays: Delay | list[Delay] = Field(
        default=250.0, description="ms, from the last induction pulse to the first recovery pulse"
    )
    n_induction: Pulses | list[Pulses] = 8
    n_recovery: RecoveryPulses | list[RecoveryPulses] = 4

    @field_validator("recovery_delays", "n_induction", "n_recovery")
    @classmethod
    def _one_for_each(cls, value: T, info: ValidationInfo) -> T:
        n = len(info.data.get("frequencies", ()))
        if isinstance(value, list) and n and len(value) != n:
            raise ValueError(f"one for all trains, or one for each of {n} (got {len(value)})")
        return value

    @model_validator(mode="after")
    def _trains_differ(self) -> Self:
        trains = list(self._trains())
        for train in trains:
            if trains.count(train) > 1:
                raise ValueError(f"two trains are the same ({_label(train, 4)})")
        return self

    def _trains(self) -> Iterator[Train]:
        for k, frequency in enumerate(self.frequencies):
            delay, n_induction, n_recovery = (
                v[k] if isinstance(v, list) else v
                for v in (self.recovery_delays, self.n_induction, self.n_recovery)
            )
            yield Train(
                frequency=frequency, recovery_delay=delay,
                n_induction=int(n_induction), n_recovery=int(n_recovery),
                trials=self.trials,
            )  # fmt: skip

    def runs(self) -> dict[str, Train]:
        trains = list(self._trains())
        by_depth = ([_label(train, depth) for train in trains] for depth in range(1, 5))
        labels = next(names for names in by_depth if len(set(names)) == len(names))
        return dict(zip(labels, trains, strict=True))

    def stimulus(self, timing: Timing) -> Stimulus:
        """Return what the first train does."""
        return next(self._trains()).stimulus(timing)

    def provides(self) -> frozenset[str]:
        return frozenset.intersection(*(train.provides() for train in self._trains()))


def _label(train: Train, depth: int) -> str:
    """Return the name of a train among others: its frequency, and more where that repeats."""
    parts = (f"{train.frequency:g}Hz", f"{train.recovery_delay:g}ms", f"{train.n_induction}",
             f"{train.n_recovery}")  # fmt: skip
    return "_".join(parts[:depth]).replace("+", "")


@protocol("continuous")
class Continuous(Protocol):
    """Regular drive for a duration: ceil(frequency × duration) + 1 pulses."""

    at_most: ClassVar[frozenset[str]] = frozenset({"event", "pair", "drive"})
    kind: Literal["continuous"] = "continuous"
    frequency: Annotated[Hertz, Range("Hz", 0.05, 300, most=1000)] = Field(
        default=50.0, gt=0, description="Hz"
    )
    duration: Annotated[Millisecond, Range("ms", 5, 6e6)] | None = Field(
        default=None,
        gt=0,
        le=LONGEST,
        description="ms; by default the larger of 300 and 5·(D + F)",
    )

    @model_validator(mode="after")
    def _pulses_fit_into_memory(self) -> Self:
        if self.duration is not None:
            self._number(self.duration)
        return self

    def _number(self, duration: float) -> int:
        # The tiny slack keeps 50 Hz × 300 ms at 15 intervals in spite of rounding.
        n = duration * self.frequency / 1000.0 - 1e-9
        if n > MOST_PULSES:
            raise ValueError(
                f"at most {MOST_PULSES:,} pulses (got {self.frequency:g} Hz for "
                f"{duration:g} ms, {n:,.0f} pulses)"
            )
        return math.ceil(n) + 1

    def stimulus(self, timing: Timing) -> Stimulus:
        interval = 1000.0 / self.frequency
        duration = self.duration
        if duration is None:
            recovery = (timing.depression or 0.0) + (timing.facilitation or 0.0)
            duration = max(300.0, 5 * recovery)
        n = self._number(duration)
        spikes = tuple(k * interval for k in range(n))
        return Stimulus(spikes, spikes[-1] + tail(interval, timing), None, n)

    def provides(self) -> frozenset[str]:
        if self.duration is None:
            return frozenset({"event", "pair", "drive"})
        n = self._number(self.duration)
        return frozenset({"event", "pair"} | ({"drive"} if n >= 4 else set()))


@protocol("gap_step")
class GapStep(Protocol):
    """A current step into one of two coupled cells; the run goes on 100 ms past the step."""

    at_most: ClassVar[frozenset[str]] = frozenset({"step"})
    kind: Literal["gap_step"] = "gap_step"
    amplitude: Annotated[Nanoampere, Range("nA", -2, 2, -100, 100, smallest=1e-4)] = Field(
        default=-0.01, description="nA"
    )
    duration: Annotated[Millisecond, Range("ms", 5, 6e4)] = Field(
        default=500.0, gt=0, le=LONGEST, description="ms"
    )
    cell: Literal[1, 2] = Field(default=1, description="the cell that gets the current")

    @model_validator(mode="after")
    def _step_is_not_zero(self) -> Self:
        if self.amplitude == 0:
            raise ValueError("the amplitude of a current step must not be 0")
        return self

    def stimulus(self, timing: Timing) -> Stimulus:
        step = CurrentStep(self.amplitude, self.duration, self.cell)
        return Stimulus((), self.duration + 100.0, step)

    def provides(self) -> frozenset[str]:
        return frozenset({"step"})


@protocol("spike_times")
class SpikeTimes(Protocol):
    """Any presynaptic times: irregular trains, recorded protocols, 10 pulses + 1."""

    at_most: ClassVar[frozenset[str]] = Protocol.at_most - {"drive", "step"}
    kind: Literal["spike_times"] = "spike_times"
    times: list[Millisecond] = Field(min_length=1, description="ms after the stimulus onset")
    n_induction: int | None = Field(
        default=None, ge=1, description="pulses of the induction; the rest are recovery pulses"
    )
    tail: Annotated[Millisecond, Range("ms", 1, 6e5)] = Field(
        default=100.0, gt=0, le=LONGEST, description="least time after the last event, ms"
    )

    @model_validator(mode="after")
    def _times_rise(self) -> Self:
        if self.times[0] < 0 or any(
            b <= a for a, b in zip(self.times, self.times[1:], strict=False)
        ):
            raise ValueError("times must start at 0 or later and rise strictly")
        if self.n_induction is not None and self.n_induction > len(self.times):
            raise ValueError(
                f"n_induction must be at most the number of times "
                f"(got n_induction={self.n_induction}, {len(self.times)} times)"
            )
        return self

    def stimulus(self, timing: Timing) -> Stimulus:
        stop = self.times[-1] + tail(self.tail, timing)
        return Stimulus(tuple(self.times), stop, None, self.n_induction)

    def provides(self) -> frozenset[str]:
        n = len(self.times)
        return _features(
            n, self.n_induction, 0 if self.n_induction is None else n - self.n_induction
        )
