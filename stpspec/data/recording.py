"""A recorded signal: its sweeps, when the stimuli came, and the noise before the first."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np

from stpspec.data.headers import dimension_of
from stpspec.errors import DataError
from stpspec.units import convert

# Dimension → unit in which a signal of it is held here.
UNITS = {"voltage": "mV", "current": "pA"}
_LEAST = 20  # samples before the first stimulus, from which the noise is taken
_SAME = 0.51  # of a sampling interval: times this close are the same


def in_held_unit(values: np.ndarray, unit: str, *, invert: bool) -> tuple[np.ndarray, str]:
    """Return a signal in the unit in which it is held here, and that unit.

    Parameters
    ----------
    values : ndarray
    unit : str
        Of voltage or current.
    invert : bool
        Whether the recording has the opposite sign.
    """
    held = UNITS[str(dimension_of(unit))]
    return (-1.0 if invert else 1.0) * (values * convert(f"1 {unit}", held)), held


@dataclass(frozen=True, eq=False)
class Recording:
    """Sweeps of one signal.

    Attributes
    ----------
    time : ndarray, shape (n,)
        ms, rising; equally spaced or not.
    sweeps : ndarray, shape (sweep, n)
        In ``unit``; NaN where a sample is missing.
    unit : {"mV", "pA"}
    stimuli : ndarray, shape (pulse,)
        Times of the presynaptic spikes, ms; empty where they are not known.
    name : str
        Of the file.
    """

    time: np.ndarray
    sweeps: np.ndarray
    unit: str
    stimuli: np.ndarray
    name: str

    @property
    def dimension(self) -> str:
        """``"voltage"`` or ``"current"``."""
        return next(d for d, u in UNITS.items() if u == self.unit)

    @property
    def interval(self) -> float:
        """The usual time between two samples, ms."""
        return float(np.median(np.diff(self.time)))

    @property
    def counts(self) -> np.ndarray:
        """In how many sweeps each sample is there, shape (n,)."""
        return np.isfinite(self.sweeps).sum(axis=0)

    @property
    def mean(self) -> np.ndarray:
        """Mean over the sweeps, shape (n,); NaN where a sample is missing in all."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of a mean of nothing
            return np.nanmean(self.sweeps, axis=0)

    @property
    def gaps(self) -> list[tuple[float, float]]:
        """From when to when samples are missing in all sweeps, ms."""
        there = np.flatnonzero(self.counts > 0)
        t = self.time[there]
        wide = np.flatnonzero((np.diff(there) > 1) | (np.diff(t) > 2.5 * self.interval))
        return [(float(t[k]), float(t[k + 1])) for k in wide]

    def chosen(self, numbers: list[int] | None) -> Recording:
        """Return the recording with some of its sweeps (counted from 1).

        Raises
        ------
        DataError
            If there is no such sweep.
        """
        if numbers is None:
            return self
        n = self.sweeps.shape[0]
        if too_high := [k for k in numbers if k > n]:
            raise DataError(
                f"{self.name} has {n} sweep{'s' * (n != 1)}, and no sweep {too_high[0]}"
            )
        return replace(self, sweeps=self.sweeps[[k - 1 for k in numbers]])

    def between(self, start: float, stop: float) -> Recording:
        """Return what lies between two times, ms."""
        inside = (self.time >= start - 1e-9) & (self.time <= stop + 1e-9)
        return replace(self, time=self.time[inside], sweeps=self.sweeps[:, inside])

    def binned(self, width: float) -> Recording:
        """Return averages over bins of the same number of samples, about ``width`` ms long.

        That is the low-pass filter which leaves white noise white, and which needs no sample
        beyond a gap. A bin in which any sample is missing is missing.
        """
        m = round(width / self.interval)
        if m < 2:
            return self
        n = self.time.size // m * m
        time = self.time[:n].reshape(-1, m)
        whole = time[:, -1] - time[:, 0] < (m - 0.5) * self.interval  # no gap within
        sweeps = self.sweeps[:, :n].reshape(len(self.sweeps), -1, m).mean(axis=2)
        return replace(self, time=time.mean(axis=1)[whole], sweeps=sweeps[:, whole])

    def noise(self, before: float) -> tuple[float, float] | None:
        """Return the sd of the mean of the sweeps before a time (ms), and its degrees of freedom.

        Noise with a correlation ρ from sample to sample tells as much of its sd as
        N·(1 − ρ²) / (1 + ρ²) independent samples (Bayley & Hammersley 1946, doi:10.2307/2983560).
        None where too little was recorded before that time, or nothing that changes.
        """
        samples = self.mean[self.time < before - 1e-9]
        samples = samples[np.isfinite(samples)]
        if samples.size < _LEAST or np.ptp(samples) == 0:
            return None
        off = samples - samples.mean()
        rho = min(abs(float(off[1:] @ off[:-1] / (off @ off))), 1 - 1e-6)
        degrees = (samples.size - 1) * (1 - rho**2) / (1 + rho**2)
        return float(samples.std(ddof=1)), max(degrees, 1.0)


def aligned(times: list[np.ndarray], values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Put sweeps of perhaps unlike lengths on one time axis, missing where one has no sample.

    Parameters
    ----------
    times, values : list of ndarray, shape (n,)
        One a sweep; times rise.

    Returns
    -------
    time : ndarray, shape (n,)
    sweeps : ndarray, shape (sweep, n)
    """
    longest = max(times, key=len)
    near = 1e-9 + 1e-6 * _step(longest)
    if all(t.size == longest.size and np.abs(t - longest).max() <= near for t in times):
        return longest, np.stack(values)
    everything = np.sort(np.concatenate(times))
    step = _step(longest)
    time = everything[np.concatenate([[True], np.diff(everything) > _SAME * step])]
    sweeps = np.full((len(times), time.size), np.nan)
    for row, t, v in zip(sweeps, times, values, strict=True):
        places = np.clip(np.searchsorted(time, t), 1, time.size - 1)
        places -= t - time[places - 1] < time[places] - t
        row[places] = v
    return time, sweeps


def _step(time: np.ndarray) -> float:
    return float(np.median(np.diff(time))) if time.size > 1 else 1.0


def rising_edges(time: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Return when a trigger signal rises above the middle between its levels, in units of time.

    A command that goes down from its level, such as an inverted trigger, falls in the same way.
    """
    there = np.isfinite(signal)
    time, signal = time[there], signal[there]
    low, high = float(signal.min()), float(signal.max())
    if low == high:
        return np.array([])
    is_up = signal > (low + high) / 2
    is_on = is_up if is_up.mean() <= 0.5 else ~is_up
    edges = np.flatnonzero(is_on[1:] & ~is_on[:-1]) + 1
    return time[np.concatenate([[0], edges])] if is_on[0] else time[edges]
