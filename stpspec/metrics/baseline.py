"""Baseline under a response: the residue of earlier ones, how it decays, and how surely."""

from __future__ import annotations

import math

import numpy as np

_STRETCH = 1.0  # ms before an event to which its residue is fitted


def stretch(
    time: np.ndarray, signal: np.ndarray, last: int, arrival: float, previous: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return times (ms before the event) and signal of the stretch that ends at sample ``last``.

    Parameters
    ----------
    time, signal : ndarray, shape (n,)
    last : int
        Last sample that holds nothing of the event.
    arrival, previous : float
        Arrival of the event and of the one before it, ms.
    """
    first = int(np.searchsorted(time, arrival - _STRETCH - 1e-6))
    # At a coarse or variable step the last millisecond may hold fewer than four samples.
    first = max(min(first, last - 3), int(np.searchsorted(time, previous + 1e-6)))
    return time[first : last + 1] - arrival, signal[first : last + 1]


def decay_rate(t: np.ndarray, y: np.ndarray) -> tuple[float, str]:
    """Return the rate (1/ms) of an exponential through a stretch, and why it has none.

    Returns
    -------
    rate : float
        0 where there is a reason.
    reason : str
        A note with ``{pulses}`` for the events it holds for; empty if there is a rate.
    """
    if y.size < 3:
        return 0.0, ("too few samples before {pulses} to tell how the residue decays: taken as "
                     "constant (a smaller dt, or the option decay, helps)")  # fmt: skip
    relative = y / y[-1]
    if (relative <= 0).any():
        return 0.0, "the residue before {pulses} changes its sign: taken as constant"
    rate = -_slope(t, np.log(relative))
    if rate <= 0:
        return 0.0, "the residue before {pulses} does not decay: taken as constant"
    return rate, ""


def misses_by(t: np.ndarray, y: np.ndarray, ahead: float) -> float:
    """Return by how much a single exponential misses the residue some time after the event.

    The second order of the logarithm, taken from the stretch, tells; 0 where it cannot be seen.

    Parameters
    ----------
    t, y : ndarray, shape (n,)
        As :func:`stretch` returns them.
    ahead : float
        ms after the event.
    """
    if y.size < 6 or (y / y[-1] <= 0).any():
        return 0.0
    logs = np.log(y / y[-1])
    half = y.size // 2
    early, late = _slope(t[:half], logs[:half]), _slope(t[half:], logs[half:])
    apart = float(t[half:].mean() - t[:half].mean())
    bend = 0.5 * (late - early) / apart
    now = late + 2 * bend * float(t[-1] - t[half:].mean())  # slope at the event
    # The curve may not turn upward: at the latest where its slope is 0 it stays.
    turn = min(ahead, -now / (2 * bend)) if bend > 0 else ahead
    curved = now * turn + bend * turn**2
    return float(abs(y[-1] * (math.exp(curved) - math.exp(_slope(t, logs) * ahead))))


def _slope(t: np.ndarray, y: np.ndarray) -> float:
    """Return the slope of the straight line through some points, by least squares."""
    centered = t - t.mean()
    return float(centered @ y / (centered @ centered))
