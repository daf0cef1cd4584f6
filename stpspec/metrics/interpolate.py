"""Peaks and crossings between samples, from the polynomial through the nearest ones.

A metric that moves in steps of dt stops a gradient fitter at its start; these do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from stpspec.errors import MetricError

_ROUNDING = 1e-14  # of the distance between two samples
_JUMP = 4.0  # times as steep as the samples on either side
_SLACK = 1e-6  # ms; a sample this close before an event is taken at it


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
    if _jumps_to(t, y, k):  # the sample is the height; a polynomial across the jump overshoots
        return float(t[k]), float(y[k]), False
    place, c = _polynomial(t, y, k, 5)
    left, right = place(t[k - 1]), place(t[k + 1])
    d1 = _derivative(c)
    d2 = _derivative(d1)
    z = 0.0
    for _ in range(8):
        curvature = _value(d2, z)
        if curvature >= 0:  # not a maximum of the polynomial: stay with the sample
            return float(t[k]), float(y[k]), False
        z -= _value(d1, z) / curvature
        if not left <= z <= right:
            return float(t[k]), float(y[k]), False
    return float(t[k] + z * (t[k + 1] - t[k])), _value(c, z), False


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
    place, c = _polynomial(t, y, k, 4)
    c[-1] -= float(level)
    return float(t[k] + _zero(c, place(t[k - 1]), place(t[k])) * _scale(t, k))


def resample(
    t: np.ndarray, y: np.ndarray, at: np.ndarray, breaks: np.ndarray | None = None
) -> np.ndarray:
    """Return the signal at any times, from the cubic through the four nearest samples.

    A straight line between the samples of a variable step would be far off.

    Parameters
    ----------
    t, y : ndarray, shape (n,)
        Samples; the spacing may vary.
    at : ndarray, shape (m,)
    breaks : ndarray, optional
        Rising times at which the signal turns or jumps: no cubic reaches across one. Where there
        are fewer than four samples on its side, they are joined by straight lines.
    """
    if t.size < 4:
        return np.interp(at, t, y)
    first = np.clip(np.searchsorted(t, at) - 2, 0, t.size - 4)
    few = np.zeros(at.size, bool)
    if breaks is not None and breaks.size:
        edges = np.concatenate([[0], np.searchsorted(t, breaks - _SLACK), [t.size]])
        piece = np.searchsorted(breaks - _SLACK, at, side="right")
        low, high = edges[piece], edges[piece + 1]
        few = high - low < 4
        first = np.where(few, first, np.clip(first, low, high - 4))
    nodes = first[:, None] + np.arange(4)
    x, values = t[nodes], y[nodes]
    total = np.zeros(at.size)
    for j in range(4):  # Lagrange
        weight = np.ones(at.size)
        for m in range(4):
            if m != j:
                weight *= (at - x[:, m]) / (x[:, j] - x[:, m])
        total += weight * values[:, j]
    return np.where(few, np.interp(at, t, y), total)


def _jumps_to(t: np.ndarray, y: np.ndarray, k: int) -> bool:
    """Tell whether the signal jumps between the sample before ``k`` and this one, its maximum.

    As where a synapse releases by an event that it has sent to itself: near the maximum of
    what is smooth and resolved the slope becomes less from sample to sample.
    """
    steps, rises = np.diff(t[k - 2 : k + 2]).tolist(), np.diff(y[k - 2 : k + 2]).tolist()
    if min(steps) <= 0:
        return steps[1] <= 0
    before, into, after = (rise / step for rise, step in zip(rises, steps, strict=True))
    return into > _JUMP * (abs(before) + abs(after))


def _scale(t: np.ndarray, k: int) -> float:
    return float(t[k + 1] - t[k]) if k + 1 < t.size else float(t[k] - t[k - 1])


def _polynomial(
    t: np.ndarray, y: np.ndarray, k: int, n: int
) -> tuple[Callable[[float], float], list[float]]:
    """Return the map of time to x and the coefficients of the polynomial around sample ``k``."""
    n = min(n, t.size)
    start = min(max(k - n // 2, 0), t.size - n)
    origin, step = float(t[k]), _scale(t, k)
    x = ((t[start : start + n] - origin) / step).tolist()
    return (lambda time: (float(time) - origin) / step), _through(x, y[start : start + n].tolist())


def _through(x: Sequence[float], y: list[float]) -> list[float]:
    """Return the coefficients, highest power first, of the polynomial through some points.

    By Newton's divided differences: a general solver costs more than all of the metric for five.
    """
    n, d = len(x), list(y)
    for order in range(1, n):
        for i in range(n - 1, order - 1, -1):
            d[i] = (d[i] - d[i - 1]) / (x[i] - x[i - order])
    c = [d[-1]]
    for i in range(n - 2, -1, -1):  # c(x) · (x − xᵢ) + dᵢ
        c = [a - x[i] * b for a, b in zip([*c, 0.0], [0.0, *c], strict=True)]
        c[-1] += d[i]
    return c


def _value(c: Sequence[float], x: float) -> float:
    # Horner by hand: numpy's polyval costs more than all else for a single number.
    total = 0.0
    for coefficient in c:
        total = total * x + coefficient
    return total


def _zero(c: list[float], low: float, high: float) -> float:
    """Return where a polynomial is 0 between two places at which its signs differ.

    By Newton's method, and by bisection where that leaves the bracket.
    """
    slope, above = _derivative(c), _value(c, low) > 0
    x = 0.5 * (low + high)
    for _ in range(60):
        value, rate = _value(c, x), _value(slope, x)
        if (value > 0) == above:
            low = x
        else:
            high = x
        following = x - value / rate if rate else low
        if not low < following < high:
            following = 0.5 * (low + high)
        if abs(following - x) <= _ROUNDING:
            return following
        x = following
    return x


def _derivative(c: Sequence[float]) -> list[float]:
    n = len(c) - 1
    return [coefficient * (n - i) for i, coefficient in enumerate(c[:-1])]
