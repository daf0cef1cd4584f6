"""Samples of a trace at chosen times, as a recording has them: filtered, averaged, leveled."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from stpspec.errors import MetricError
from stpspec.metrics.interpolate import resample
from stpspec.metrics.registration import Options, SignalOptions, metric
from stpspec.metrics.response import Response
from stpspec.specs.plausible import Range
from stpspec.specs.quantities import Hertz, Millisecond
from stpspec.specs.stimulus import Stimulus

_MOST = 1e6  # samples of all windows of a trace
_POLES = 4  # of the low-pass filter of a patch-clamp amplifier
_PER_CYCLE = 20  # steps of the filter, at its corner frequency
_STEPS = 0.005, 0.05  # ms; its shortest and longest step

Windows = Annotated[list[tuple[Millisecond, Millisecond]], Field(min_length=1)]
Times = Annotated[list[Millisecond], Field(min_length=1, max_length=int(_MOST))]
Level = bool | Literal["mean"]


def _count(windows: Windows, interval: float, first: float, last: float) -> list[int]:
    """Return how many samples each window has, before any array is made of them."""
    if interval <= 0 or any(stop <= start for start, stop in windows):
        raise ValueError("each window must end after its start, and the interval be above 0")
    if min(a for a, _ in windows) < first - 1e-6 or max(b for _, b in windows) > last + 1e-6:
        raise ValueError(
            f"the windows reach beyond what is recorded, {first:g} to {last:g} ms after the "
            f"stimulus onset"
        )
    counts = [(b + 1e-9 * interval + 1e-9 - a) / interval for a, b in windows]
    if sum(counts) > _MOST:
        raise ValueError(f"the windows hold more than {_MOST:g} samples; the interval is too short")
    return [math.ceil(n) for n in counts]


def sample_times(options: Options, first: float = -math.inf, last: float = math.inf) -> np.ndarray:
    """Return the times at which the metric samples a trace, ms after the stimulus onset.

    Parameters
    ----------
    options : mapping
        All options of the metric.
    first, last : float
        Between which is recorded, ms after the stimulus onset.

    Raises
    ------
    ValueError
        If there are none, a window is empty, or some are beyond what is recorded.
    """
    if options["times"] is not None:
        times, half = np.asarray(options["times"], float), (options["bin_width"] or 0.0) / 2
        if times.min() - half < first - 1e-6 or times.max() + half > last + 1e-6:
            raise ValueError(
                f"the times reach beyond what is recorded, {first:g} to {last:g} ms after the "
                f"stimulus onset"
            )
        return times
    if options["windows"] is None:
        raise ValueError("the metric needs windows, or times, at which the trace is sampled")
    windows, interval = options["windows"], options["interval"]
    counts = _count(windows, interval, first, last)
    parts = [a + interval * np.arange(n) for (a, _), n in zip(windows, counts, strict=True)]
    return np.concatenate(parts)


def _samples(options: Options, stimulus: Stimulus) -> int:
    if options["times"] is None and options["windows"] is not None:
        counted = options["windows"], options["interval"]
        return sum(_count(*counted, -stimulus.before, stimulus.stop))
    return sample_times(options, -stimulus.before, stimulus.stop).size


@metric("trace", "signal", vector=True, options=SignalOptions, size=_samples, is_sampled=True)
def trace(
    response: Response,
    *,
    windows: Windows | None = None,
    interval: Millisecond = 0.1,
    times: Times | None = None,
    bin_width: Annotated[float, Field(ge=0)] | None = None,
    lowpass: Annotated[Hertz, Range("Hz", 100, 5e4, least=1, most=1e6)] | None = None,
    subtract_baseline: Level = True,
) -> np.ndarray:
    """The trace in windows (ms after the stimulus onset), sampled every ``interval`` ms.

    With the sign of the recorded signal; the resting baseline is subtracted unless told not to.
    ``subtract_baseline: mean`` subtracts the mean of the samples instead: then the level of the
    trace does not count. ``times`` (ms after the onset) stand in place of windows, each sample may
    be the mean over ``bin_width`` ms, and ``lowpass`` is the corner frequency (−3 dB) of the
    4-pole Bessel filter through which the data were recorded.
    """
    onset, time = response.stimulus["onset"], response.time
    options = {"windows": windows, "interval": interval, "times": times, "bin_width": bin_width}
    try:
        at = sample_times(options, float(time[0] - onset), float(time[-1] - onset)) + onset
    except ValueError as error:
        raise MetricError(str(error)) from None
    signal, breaks = response.trace(response.signal_name), response.arrivals
    if lowpass is not None:
        time, signal, breaks = *filtered(time, signal, lowpass, breaks), np.array([])
    values = _averaged(time, signal, at, breaks, bin_width or 0.0)
    if subtract_baseline == "mean":
        return values - values.mean()
    return values - response.rest if subtract_baseline else values


def _averaged(
    time: np.ndarray, signal: np.ndarray, at: np.ndarray, breaks: np.ndarray, width: float
) -> np.ndarray:
    """Return the means over bins around some times, by Gauss's quadrature."""
    if not width:
        return resample(time, signal, at, breaks)
    places, weights = np.polynomial.legendre.leggauss(5)
    points = (at[:, None] + width / 2 * places).ravel()
    return resample(time, signal, points, breaks).reshape(at.size, -1) @ (weights / 2)


def filtered(
    time: np.ndarray, signal: np.ndarray, corner: float, breaks: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return a signal behind a 4-pole Bessel filter, which was at rest at its first value.

    Parameters
    ----------
    time, signal : ndarray, shape (n,)
        ms; the spacing may vary.
    corner : float
        Frequency at which it lets through 1/√2, Hz.
    breaks : ndarray, optional
        Times at which the signal turns or jumps, ms.

    Returns
    -------
    time, signal : ndarray, shape (m,)
        In equal steps.
    """
    from scipy.signal import bessel, sosfilt, sosfilt_zi

    step = min(max(1000 / (corner * _PER_CYCLE), _STEPS[0]), _STEPS[1])
    grid = np.arange(time[0], time[-1] + step / 2, step)
    even = resample(time, signal, np.minimum(grid, time[-1]), breaks)
    nyquist = 500 / step
    if corner >= 0.9 * nyquist:  # nothing of the signal is up there
        return grid, even
    sections = bessel(_POLES, corner, fs=1000 / step, output="sos", norm="mag")
    start = sosfilt_zi(sections) * even[0]
    return grid, sosfilt(sections, even, zi=start)[0]
