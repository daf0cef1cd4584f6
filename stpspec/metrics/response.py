"""Responses to the events of one trace: baselines, peaks and crossings between the samples."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from stpspec.dataset import StimulusDescription
from stpspec.errors import MetricError
from stpspec.metrics.baseline import decay_rate, misses_by, stretch
from stpspec.metrics.evoked_trace import EvokedTrace
from stpspec.metrics.interpolate import maximum

_EPS = 1e-6  # ms; times are compared with this slack, far below any dt
_RESIDUE = 1e-9  # of the largest response; what is left below this is no residue
_HIDDEN = 0.01  # of the largest response; what is missed by less than this counts as no release
_CURVED = 0.01  # of an amplitude; a larger error of the continued residue is worth a note


class Response(EvokedTrace):
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
    mean : Response or None
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
        baseline: str = "extrapolated",
        decay: float | None = None,
        direction: str = "auto",
    ):
        super().__init__(time, signals, units, stimulus, signal=signal, direction=direction)
        self.baseline = baseline
        self.decay = decay
        self.find_siblings: Callable[[], Sequence[Response]] = tuple
        self.find_trials: Callable[[], Sequence[Response]] = tuple
        self._peaks: dict[int, tuple[float, float]] = {}

    @functools.cached_property
    def siblings(self) -> Sequence[Response]:
        """Responses of the same candidate to the other protocols (and in the other trials)."""
        return self.find_siblings()

    @functools.cached_property
    def trials(self) -> Sequence[Response]:
        """Responses in each of the trials whose mean this is.

        Raises
        ------
        MetricError
            If there are fewer than two.
        """
        found = self.find_trials()
        if len(found) < 2:
            raise MetricError("at least two trials are needed (trials: 100)")
        return found

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
