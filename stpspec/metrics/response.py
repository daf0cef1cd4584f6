"""One trace and its events: sign, baselines, peaks and crossings between the samples."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from stpspec.dataset import StimulusDescription, arrival_times
from stpspec.errors import MetricError
from stpspec.metrics.baseline import decay_rate, misses_by, stretch
from stpspec.metrics.interpolate import maximum
from stpspec.metrics.notes import Notes, clamped_poorly, unsettled
from stpspec.metrics.spikes import first_spike

_EPS = 1e-6  # ms; times are compared with this slack, far below any dt
_RESIDUE = 1e-9  # of the largest response; what is left below this is no residue
_NOISE = 4.0  # sd before the first event; what one sample may be off
_FLAT = 20.0  # ms before the first event over which the trace must be flat
_HIDDEN = 0.01  # of the largest response; what is missed by less than this counts as no release
_UNDRIVEN = 0.01  # pA; at the reversal potential less than this is the error of the clamp
_COSTLY = 0.01  # of an amplitude; what a clamp costs beyond it is worth a note
_CURVED = 0.01  # of an amplitude; a larger error of the continued residue is worth a note


class Response:
    """The response of one candidate (one trial, or the mean of its trials) to one protocol.

    Parameters
    ----------
    time : ndarray, shape (n,)
        ms, rising.
    signals : mapping of str to ndarray, shape (n,)
    units : mapping of str to str
    stimulus : StimulusDescription
    signal, baseline, decay, direction
        See :class:`stpspec.metrics.registration.ResponseOptions`.

    Attributes
    ----------
    steps : list of str
        The arithmetic behind the last metric, in words and numbers.
    """

    def __init__(
        self,
        time: np.ndarray,
        signals: Mapping[str, np.ndarray],
        units: Mapping[str, str],
        stimulus: StimulusDescription,
        *,
        signal: str | None = None,
        baseline: str = "extrapolated",
        decay: float | None = None,
        direction: str = "auto",
    ):
        self.time = time
        self.signals = signals
        self.units = units
        self.stimulus = stimulus
        self.signal_name = signal or stimulus["default_signal"]
        self.baseline = baseline
        self.decay = decay
        self.direction = direction
        self.find_siblings: Callable[[], Sequence[Response]] = tuple
        self.steps: list[str] = []
        self._notes = Notes()
        self._peaks: dict[int, tuple[float, float]] = {}

    @functools.cached_property
    def siblings(self) -> Sequence[Response]:
        """Responses of the same candidate to the other protocols (and in the other trials)."""
        return self.find_siblings()

    # -- what happened ----------------------------------------------------------------------

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
        return float(np.abs(self.corrected).max())

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

    # -- pulses -----------------------------------------------------------------------------

    def window(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return times and sign-corrected signal from arrival ``k`` (0-based) to the next one.

        The baseline of that pulse is subtracted.
        """
        arrivals = self.arrivals
        start = self._places[k]
        if start < self.time.size and self.time[start] - arrivals[k] > _EPS:
            start = self._before(k)  # the arrival lies between two samples
        last = k + 1 == arrivals.size
        stop = self.time.size if last else self._before(k + 1) + 1
        if stop - start < 3:
            raise MetricError(f"fewer than 3 samples between event {k + 1} and the next one")
        t = self.time[start:stop]
        return t, self.corrected[start:stop] - self._baseline(k, t)

    def _baseline(self, k: int, t: np.ndarray) -> np.ndarray | float:
        if self.baseline == "pre_train" or k == 0 or self.sign == 0:
            return 0.0
        clean = self._before(k)
        if self.baseline == "local":
            residue = float(self.corrected[clean])
            late = float(self.arrivals[k] - self.time[clean])
            if late > _EPS and clean > 0:  # a straight line through the last two clean samples
                slope = np.diff(self.corrected[clean - 1 : clean + 1]) / np.diff(
                    self.time[clean - 1 : clean + 1]
                )
                residue += late * float(slope[0])
            return residue
        return self._continued(k, t)

    def _continued(self, k: int, t: np.ndarray) -> np.ndarray | float:
        """Return what is left of the earlier responses at the times ``t`` after event ``k``."""
        clean = self._before(k)
        residue = float(self.corrected[clean])
        if abs(residue) <= _RESIDUE * self._largest:
            return residue
        rate = 1 / self.decay if self.decay else 0.0
        if not rate:
            rate, why = decay_rate(*self._stretch_before(k))
            if why:
                self.note_pulse(why, k)
        return residue * np.exp(-(t - self.time[clean]) * rate)

    def _stretch_before(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        arrival, previous = float(self.arrivals[k]), float(self.arrivals[k - 1])
        return stretch(self.time, self.corrected, self._before(k), arrival, previous)

    def _warn_of_curvature(self, k: int, when: float, height: float) -> None:
        """Note where the residue is no single exponential, as far as it changes the amplitude."""
        if self.baseline != "extrapolated" or self.decay or k == 0:
            return
        t, y = self._stretch_before(k)
        if abs(y[-1]) <= _CURVED * height:  # too little is left to matter
            return
        off = misses_by(t, y, when - float(self.arrivals[k]))
        if off > _CURVED * height:
            self.note_pulse(
                "the residue before {pulses} is no single exponential, and its continuation moves "
                "the amplitude by over 1 %: give the slow time constant as option decay, or use "
                "baseline: local or pre_train for data and model alike", k,
            )  # fmt: skip

    def baseline_at(self, k: int, when: float) -> float:
        """Return the baseline of event ``k`` (0-based) at a time (ms), in the unit of the signal.

        With the height of the peak upon it that is the peak itself.
        """
        at = np.array([when])
        above = float(np.broadcast_to(self._baseline(k, at), at.shape)[0])
        return self.rest + (self.sign or 1) * above

    def peak(self, k: int) -> tuple[float, float]:
        """Return time (ms) and height of the response to event ``k`` (0-based).

        The height is 0 when nothing was released.

        Raises
        ------
        MetricError
            If there is a response that does not rise above its baseline.
        """
        if k not in self._peaks:  # most metrics ask for that of the first event
            self._peaks[k] = self._find_peak(k)
        return self._peaks[k]

    def _find_peak(self, k: int) -> tuple[float, float]:
        t, y = self.window(k)
        if self.sign == 0:
            return float(t[0]), 0.0
        when, height, at_end = maximum(t, y)
        arrival = float(self.arrivals[k])
        self._require_samples(arrival - 1, 2 * when - arrival, k)
        if height <= 0:
            self._nothing_hidden(k, t, y)
            return when, 0.0
        if at_end:
            self.note_pulse("{amplitudes} truncated: the maximum is at the end of the window", k)
        self._warn_of_curvature(k, when, height)
        return when, height

    def _nothing_hidden(self, k: int, t: np.ndarray, y: np.ndarray) -> None:
        """Raise unless a window without any rise holds no response."""
        if self.baseline == "local" and k > 0:
            change = y + self._baseline(k, t) - self._continued(k, t)
            hidden = float(np.abs(change).max())
        else:
            hidden = float(-y.min())
        if hidden <= _HIDDEN * self._largest:
            return
        if self.direction != "auto":
            why = f"it does not go in the direction asked for (direction: {self.direction})"
        elif self.baseline == "local":
            why = "it is smaller than the decay of what came before (baseline: extrapolated "
            why += "measures it)"
        else:
            why = "it falls below it"
        raise MetricError(
            f"the response to event {k + 1} does not rise above its baseline "
            f"({self.baseline}): {why}"
        )

    @functools.cached_property
    def amplitudes(self) -> np.ndarray:
        """a1 … an, shape (pulse,), in the unit of the signal, positive along the response."""
        self._first_arrival()
        return np.array([self.peak(k)[1] for k in range(self.arrivals.size)])

    def first_peak(self) -> tuple[float, float]:
        """Return time (ms) and height of the first response; 0 when nothing was released."""
        self._first_arrival()
        return self.peak(0)

    def first_response(self) -> tuple[np.ndarray, np.ndarray, float, float]:
        """Return times, signal, peak time and peak of the first response.

        Raises
        ------
        MetricError
            If there is no response.
        """
        when, height = self.first_peak()
        if height <= 0:
            raise MetricError("there is no response to measure: nothing was released")
        t, y = self.window(0)
        self._require_samples(float(t[0]), float(t[-1]), 0)
        return t, y, when, height

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
