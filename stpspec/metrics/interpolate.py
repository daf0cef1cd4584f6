"""Peaks and crossings between samples, from the polynomial through the nearest ones.

A metric that moves in steps of dt stops a gradient fitter at its start; these do not.
"""

from __future__ import annotations

import numpy as np

from stpspec.errors import MetricError


def maximum(t: np.ndarray, y: np.ndarray) -> tuple[float, float, bool]:
    """Return time and height of the maximum, and whether it is the last sample.

    Parameters
    ----------
    t, y : ndarray, shape (n,)
        Samples; the spacing may vary.
    """
    k = int(y.argmax())
    if k <= 1 or k == y.size - 1:  # at 1 the polynomial would reach back over a sudden jump
        return float(t[k]), float(y[k]), k == y.size - 1
    x, c = _polynomial(t, y, k, 5)
    left, right = x(t[k - 1]), x(t[k + 1])
    d1, d2 = np.polyder(c), np.polyder(c, 2)
    z = 0.0
    for _ in range(8):
        curvature = np.polyval(d2, z)
        if curvature >= 0:  # not a maximum of the polynomial: stay with the sample
            return float(t[k]), float(y[k]), False
        z -= np.polyval(d1, z) / curvature
        if not left <= z <= right:
            return float(t[k]), float(y[k]), False
    return float(t[k] + z * (t[k + 1] - t[k])), float(np.polyval(c, z)), False


def crossing(t: np.ndarray, y: np.ndarray, level: float, *, rising: bool) -> float:
    """Return the time of the first crossing of ``level``, ms.

    Raises
    ------
    MetricError
        If the samples never cross it.
    """
    beyond = y >= level if rising else y <= level
    if not beyond.any():
        word = "rises above" if rising else "falls below"
        raise MetricError(f"the response never {word} {level:.4g} within its window")
    k = int(beyond.argmax())
    if k == 0:
        return float(t[0])
    x, c = _polynomial(t, y, k, 4)
    low, high = x(t[k - 1]), x(t[k])
    below = np.polyval(c, low) - level
    for _ in range(50):  # bisection: the bracket holds the crossing, the polynomial is smooth
        middle = 0.5 * (low + high)
        here = np.polyval(c, middle) - level
        if (here > 0) == (below > 0):
            low = middle
        else:
            high = middle
    return float(t[k] + low * _scale(t, k))


def _scale(t: np.ndarray, k: int) -> float:
    return float(t[k + 1] - t[k]) if k + 1 < t.size else float(t[k] - t[k - 1])


def _polynomial(t: np.ndarray, y: np.ndarray, k: int, n: int):
    """Return the map of time to x and the coefficients of the polynomial around sample ``k``."""
    n = min(n, t.size)
    start = min(max(k - n // 2, 0), t.size - n)
    step = _scale(t, k)
    x = (t[start : start + n] - t[k]) / step
    c = np.linalg.solve(np.vander(x), y[start : start + n])
    return (lambda time: (time - t[k]) / step), c
