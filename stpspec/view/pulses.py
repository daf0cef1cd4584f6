"""Pulses of a trace: events, amplitudes and baselines as they are measured, and their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from stpspec.errors import MetricError
from stpspec.metrics.response import Response
from stpspec.view.data import keep
from stpspec.view.style import GREEN, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_EVERY = 40  # pulses up to which each is numbered; of more, the first, the last and every tenth
_MEASURED = 100  # pulses up to which amplitudes and baselines are drawn
_BEHIND = 4.0  # times as far from the arrival as the peak, that a baseline is drawn
_CHARACTER, _SPACE = 5.4, 1.0  # points


@dataclass(frozen=True)
class Pulses:
    """The pulses of a trace, in ms after the onset and in the unit of the signal.

    Attributes
    ----------
    peaks, levels : ndarray, shape (pulse,)
        When each response is at its peak, and the signal there.
    sign : int
        The direction of the responses.
    baselines : ndarray, shape (pulse, 2, point), or None
        Times and levels from each arrival on, the first at the peak; None where they cannot be
        measured.
    """

    peaks: np.ndarray
    levels: np.ndarray
    sign: int
    baselines: np.ndarray | None = None


def measured(response: Response, arrivals: np.ndarray) -> Pulses | None:
    """Return the pulses as metrics measure them; None where they cannot be measured."""
    onset = response.stimulus["onset"]
    if arrivals.size > _MEASURED:
        return None
    try:
        found = [response.peak(k) for k in range(arrivals.size)]
        times = _baseline_times(arrivals, np.array([when for when, _ in found]) - onset)
        bases = np.array(
            [[response.baseline_at(k, onset + t) for t in row] for k, row in enumerate(times)]
        )
    except MetricError:
        return None
    sign = response.sign or 1
    heights = np.array([height for _, height in found])
    return Pulses(times[:, 0], bases[:, 0] + sign * heights, sign, np.stack([times, bases], 1))


def _baseline_times(arrivals: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """Return the peak, and times from the arrival to well behind it, shape (pulse, point)."""
    latest = np.append(arrivals[1:], arrivals[-1] + np.inf)
    lengths = np.minimum(0.8 * (latest - arrivals), _BEHIND * (peaks - arrivals))
    return np.column_stack([peaks, arrivals[:, None] + lengths[:, None] * np.linspace(0, 1, 6)])


def seen(t: np.ndarray, y: np.ndarray, arrivals: np.ndarray) -> Pulses:
    """Return the pulses by the largest changes after each arrival, without baselines."""
    change = y[t >= arrivals[0] - 1e-6] - np.interp(arrivals[0], t, y)
    sign = -1 if change[np.abs(change).argmax()] < 0 else 1
    edges = np.searchsorted(t, [*(arrivals - 1e-6), np.inf])
    places = [i + int((sign * y[i : max(j, i + 1)]).argmax()) for i, j in pairwise(edges)]
    return Pulses(t[places], y[places], sign)


def mark_arrivals(ax: Axes, arrivals: np.ndarray, sign: int) -> None:
    """Mark each arrival at the resting side."""
    ax.plot(arrivals, np.full(arrivals.size, 0.5 - 0.47 * sign), "|", color=ORANGE, ms=6,
            transform=ax.get_xaxis_transform(), label="Event arrival")  # fmt: skip


def mark_amplitudes(ax: Axes, arrivals: np.ndarray, pulses: Pulses) -> None:
    """Draw the baseline of each response up to its peak, and its amplitude upon it."""
    if pulses.baselines is None:
        return
    gap = np.full(arrivals.size, np.nan)
    times, levels = pulses.baselines[:, 0], pulses.baselines[:, 1]
    ax.plot(np.column_stack([pulses.peaks, pulses.peaks, gap]).ravel(),
            np.column_stack([levels[:, 0], pulses.levels, gap]).ravel(),
            color=GREEN, lw=1.1, zorder=3, label="Amplitude")  # fmt: skip
    ax.plot(np.column_stack([times[:, 1:], gap]).ravel(),
            np.column_stack([levels[:, 1:], gap]).ravel(),
            color="black", lw=0.9, zorder=3, label="Its baseline")  # fmt: skip
    keep(ax, "baseline at the peak", pulses.peaks, levels[:, 0])
    keep(ax, "peak", pulses.peaks, pulses.levels)


def number_pulses(
    ax: Axes, t: np.ndarray, y: np.ndarray, pulses: Pulses, n_induction: int | None
) -> None:
    """Number the pulses: at their peaks, or in a row beyond them where they are too close."""
    n, sign = pulses.peaks.size, pulses.sign
    per_point = (t[-1] - t[0]) / (ax.bbox.width * 72 / ax.figure.dpi)  # ms
    half = per_point * np.array([_SPACE / 2 + _CHARACTER / 2 * len(str(k + 1)) for k in range(n)])
    style: dict[str, Any] = {
        "ha": "center", "va": "bottom" if sign > 0 else "top", "fontsize": 8, "color": "0.2"
    }  # fmt: skip
    chosen = range(n) if n <= _EVERY else _some(pulses.peaks, n_induction, half)
    if n <= _EVERY and not _keep_apart(pulses.peaks, half):
        _number_in_a_row(ax, pulses, _spread(pulses.peaks, half, t[0], t[-1]), style)
        return
    for k in chosen:
        near = np.abs(t - pulses.peaks[k]) <= half[k]  # clear of the flanks, too
        level = sign * max((sign * y[near]).max(initial=-np.inf), sign * pulses.levels[k])
        ax.annotate(str(k + 1), (pulses.peaks[k], level), (0, 2 * sign),
                    textcoords="offset points", **style)  # fmt: skip


def _number_in_a_row(
    ax: Axes, pulses: Pulses, places: np.ndarray, style: Mapping[str, Any]
) -> None:
    """Write the numbers beyond all peaks, each with a line to its own."""
    low, high = ax.get_ylim()
    sign = pulses.sign
    top = high if sign > 0 else low
    room = 0.14 * (high - low)
    ax.set_ylim((low, high + room) if sign > 0 else (low - room, high))
    for k, place in enumerate(places):
        ax.annotate(
            str(k + 1), (pulses.peaks[k], pulses.levels[k]), (place, top), textcoords="data",
            arrowprops={"arrowstyle": "-", "color": "0.6", "lw": 0.5, "shrinkA": 0, "shrinkB": 2,
                        "relpos": (0.5, 0.0 if sign > 0 else 1.0)}, **style,
        )  # fmt: skip


def _keep_apart(peaks: np.ndarray, half: np.ndarray) -> bool:
    return bool((np.diff(peaks) >= half[1:] + half[:-1]).all())


def _spread(peaks: np.ndarray, half: np.ndarray, first: float, last: float) -> np.ndarray:
    """Return places as near to the peaks as they keep apart, in the same order, within the axis."""
    # With the widths taken off they need only be in order: a regression that pools neighbors.
    widths = np.concatenate([[0.0], np.cumsum(half[1:] + half[:-1])])
    blocks: list[tuple[float, int]] = []
    for wanted in peaks - widths:
        mean, n = float(wanted), 1
        while blocks and blocks[-1][0] > mean:
            before, m = blocks.pop()
            mean, n = (before * m + mean * n) / (m + n), m + n
        blocks.append((mean, n))
    places = np.concatenate([np.full(n, mean) for mean, n in blocks])
    most = max(last - half[-1] - widths[-1], first + half[0])
    return np.clip(places, first + half[0], most) + widths


def _some(peaks: np.ndarray, n_induction: int | None, half: np.ndarray) -> list[int]:
    """Choose the pulses (0-based) whose numbers (half widths, ms) fit, the telling ones first."""
    n = peaks.size
    turn = [n_induction, n_induction - 1] if n_induction and n_induction < n else []
    chosen: list[int] = []
    for k in [0, *turn, n - 1, *range(9, n, 10)]:
        if all(abs(peaks[k] - peaks[c]) >= half[k] + half[c] for c in chosen):
            chosen.append(k)
    return chosen
