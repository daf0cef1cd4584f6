"""One trace and the events that evoked it: rest, sign, and what forbids measuring it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Self

import numpy as np

from stpspec.dataset import StimulusDescription, arrival_times
from stpspec.errors import MetricError
from stpspec.metrics.notes import Notes, clamped_poorly, unsettled
from stpspec.metrics.spikes import first_spike

_EPS = 1e-6  # ms; times are compared with this slack, far below any dt
_NOISE = 4.0  # sd before the first event; what one sample may be off
_FLAT = 20.0  # ms before the first event over which the trace must be flat
_UNDRIVEN = 0.01  # pA; at the reversal potential less than this is the error of the clamp
_COSTLY = 0.01  # of an amplitude; what a clamp costs beyond it is worth a note


class EvokedTrace:
    """One signal of a candidate, and the presynaptic events that evoked what it shows.

    It belongs to one trial of a protocol, or is the mean of its trials.

    Parameters
    ----------
    time : ndarray, shape (n,)
        ms, rising.
    signals : mapping of str to ndarray, shape (n,)
    units : mapping of str to str
    stimulus : StimulusDescription
    signal, direction
        See :class:`stpspec.metrics.registration.ResponseOptions`.

    Attributes
    ----------
    steps : list of str
        The arithmetic behind the last metric, in words and numbers.
    mean : EvokedTrace or None
        Of one trial, the mean of all: it tells the direction, and how large a response is.
    """

    def __init__(
        self,
        time: np.ndarray,
        signals: Mapping[str, np.ndarray],
        units: Mapping[str, str],
        stimulus: StimulusDescription,
        *,
        signal: str | None = None,
        direction: str = "auto",
    ):
        self.time = time
        self.signals = signals
        self.units = units
        self.stimulus = stimulus
        self.signal_name = signal or stimulus["default_signal"]
        self.direction = direction
        self.mean: Self | None = None
        self.steps: list[str] = []
        self._notes = Notes()

    @functools.cached_property
    def spikes(self) -> np.ndarray:
        """Presynaptic spike times, ms."""
        return np.asarray(self.stimulus["spikes"], float)

    @functools.cached_property
    def arrivals(self) -> np.ndarray:
        """Arrival times of the events (spike + NetCon delay), ms."""
        return arrival_times(self.spikes, self.stimulus["delay"])

    @property
    def n_induction(self) -> int | None:
        """Number of induction pulses, where the protocol says."""
        return self.stimulus.get("n_induction")

    @property
    def unit(self) -> str:
        """Unit of the signal."""
        return self.units.get(self.signal_name, "")

    def trace(self, name: str) -> np.ndarray:
        """Return a recorded signal, shape (n,).

        Raises
        ------
        MetricError
            If it was not recorded, or holds NaN.
        """
        if name not in self.signals:
            raise MetricError(
                f"the signal {name!r} was not recorded (recorded: {', '.join(self.signals)})"
            )
        values = self.signals[name]
        if not np.isfinite(values).all():
            raise MetricError(f"the signal {name!r} holds values that are not finite")
        return values

    # -- sign and resting baseline ----------------------------------------------------------

    @functools.cached_property
    def rest(self) -> float:
        """Mean of the last millisecond before the first event, in the unit of the signal."""
        return float(self.trace(self.signal_name)[self._resting].mean())

    @functools.cached_property
    def _resting(self) -> np.ndarray:
        """Which samples are those of the last millisecond before the first event, shape (n,)."""
        first = self._first_arrival()
        # Without the sample at the arrival: an instantaneous conductance has jumped by then.
        inside = (self.time >= first - 1 - _EPS) & (self.time < first - _EPS)
        if not inside.any():  # the record begins with the event itself
            inside = np.abs(self.time - first) <= _EPS
        if not inside.any():
            raise MetricError("nothing was recorded before the first event")
        return inside

    def _require_samples(self, start: float, stop: float, k: int) -> None:
        """Raise a MetricError if samples of a recording are missing between two times, ms."""
        for first, last in self.stimulus.get("gaps", ()):
            if first < stop and last > start:
                onset = self.stimulus["onset"]
                raise MetricError(
                    f"samples are missing from {first - onset:.5g} to {last - onset:.5g} ms after "
                    f"the stimulus onset, in the response to event {k + 1}"
                )

    @functools.cached_property
    def sign(self) -> int:
        """+1 or −1: the direction of the response; 0 when there is no response at all."""
        deviation = self.trace(self.signal_name)[self._index(self._first_arrival()) :] - self.rest
        if deviation.size == 0:
            raise MetricError("nothing was recorded after the first event")
        extreme = deviation[np.abs(deviation).argmax()]
        potential = self.stimulus.get("undriven")
        if potential is not None and self.unit == "pA" and abs(extreme) < _UNDRIVEN:
            raise MetricError(
                f"there is no current to measure: the holding potential is the reversal potential "
                f"({potential:g} mV)"
            )
        if abs(extreme) <= 1e-9 * abs(self.rest):
            return 0
        if self.mean is not None and self.mean.sign:
            return self.mean.sign
        if self.direction != "auto":
            return 1 if self.direction == "positive" else -1
        return 1 if extreme > 0 else -1

    @functools.cached_property
    def corrected(self) -> np.ndarray:
        """Signal above rest, positive in the direction of the response, shape (n,).

        Raises
        ------
        MetricError
            If the signal is a voltage, and the cell spiked: that is no synaptic potential.
        """
        if self.signal_name == "somatic_voltage":
            self.no_spikes(self.signal_name, "the cell", "a synaptic potential", "a smaller weight")
        corrected = (self.sign or 1) * (self.trace(self.signal_name) - self.rest)
        first = self._index(self._first_arrival())
        before = self._index(self.time[first] - _FLAT) if first else 0
        drift, largest = abs(corrected[before]), float(np.abs(corrected[first:]).max())
        # What one sample of a recording has of noise is no drift.
        drift -= _NOISE * float(np.diff(corrected[before:first]).std()) if first > before + 1 else 0
        if self.sign and drift > 0.01 * largest > 0:
            is_recorded = "gaps" in self.stimulus
            self.note(unsettled(drift / largest, _FLAT, is_recorded=is_recorded))
        self._note_clamp()
        return corrected

    def _note_clamp(self) -> None:
        """Note what the clamp costs of a current, where it is not ideal."""
        clamp = self.stimulus.get("clamp")
        loss = clamp["losses"].get(self.signal_name, 0.0) if clamp else 0.0
        if clamp and abs(loss) >= _COSTLY:
            self.note(clamped_poorly(self.signal_name, clamp["departure"], loss))

    @functools.cached_property
    def _largest(self) -> float:
        own = float(np.abs(self.corrected).max())
        return own if self.mean is None else max(own, self.mean._largest)

    def no_spikes(self, name: str, who: str, what: str, cure: str) -> None:
        """Raise a MetricError if a voltage holds an action potential."""
        at = first_spike(self.time, self.trace(name))
        if at is not None:
            onset = self.stimulus.get("onset", 0.0)
            raise MetricError(
                f"{who} spiked {at - onset:.4g} ms after the stimulus onset, so {what} cannot be "
                f"measured ({cure}, or a more negative holding_current, prevents it)"
            )

    def _first_arrival(self) -> float:
        if not self.arrivals.size:
            raise MetricError("this protocol has no presynaptic event")
        return float(self.arrivals[0])

    @functools.cached_property
    def _places(self) -> list[int]:
        """Index of the first sample at or after each arrival."""
        return np.searchsorted(self.time, self.arrivals - _EPS).tolist()

    def _index(self, t: float) -> int:
        return int(np.searchsorted(self.time, t - _EPS))

    def _before(self, k: int) -> int:
        """Index of the last sample before the arrival of event ``k``.

        The response to it is not in it yet, not even an instantaneous one, nor one that NEURON
        delivers at the nearest step, up to half a step early.
        """
        return max(self._places[k] - 1, 0)

    @property
    def notes(self) -> list[str]:
        """What a reader of the values should know (truncated peaks, drift …)."""
        return self._notes.texts()

    def note(self, text: str) -> None:
        """Keep something that a reader of the values should know."""
        self._notes.add(text)

    def note_pulse(self, template: str, k: int) -> None:
        """Keep a note on event ``k`` (0-based), with ``{pulses}`` or ``{amplitudes}`` in it."""
        self._notes.add_pulse(template, k + 1)

    def step(self, text: str) -> None:
        """Keep one line of the arithmetic, for those who ask how a value was calculated."""
        self.steps.append(text)
