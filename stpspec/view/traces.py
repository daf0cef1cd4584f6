"""Figures of traces.

matplotlib is imported when a figure is drawn, and without pyplot: no window, no global state.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from stpspec.dataset import arrival_times, signals_of, stimulus_of, times_of
from stpspec.errors import UnknownNameError
from stpspec.view.style import BLUE, ORANGE, PALE, legend, new_axes, wrap

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

_Child = TypeVar("_Child")
Stimulus = Mapping[str, Any]  # as stpspec.dataset.stimulus_of returns it
NAME = 30  # characters of a line of a protocol's name
_MANY = 20  # more pulses than this are numbered by tens


def plot_traces(
    tree: xr.DataTree,
    protocol: str,
    *,
    ax: Axes | None = None,
    signal: str | None = None,
    candidate: int = 0,
) -> Axes | np.ndarray:
    """Plot the response to one protocol, the mean of its trials, with arrivals and pulse numbers.

    Parameters
    ----------
    tree : xarray.DataTree
        See :mod:`stpspec.dataset`.
    protocol : str
    ax : matplotlib Axes, optional
        A figure of its own by default.
    signal : str, optional
        The default signal of the recording, or the first one if that was not recorded; for a
        current step, the voltages of both cells.
    candidate : int

    Returns
    -------
    Axes, or ndarray of Axes, shape (2,)
        Two (cell 1, cell 2) for a current step; an ``ax`` that is given gets both, as changes
        from the start of the step.

    Raises
    ------
    UnknownNameError
        If there is no such protocol or signal.
    IndexError
        If there is no such candidate.
    """
    node = _child(tree.children, protocol, "protocol").to_dataset().isel(candidate=candidate)
    stimulus = stimulus_of(node)
    names = [signal or _shown_signal(node, stimulus)]
    if stimulus.get("step") and signal is None:
        names = ["somatic_voltage_1", "somatic_voltage_2"]
    shared = ax is not None and len(names) == 2
    size = (7.2, 2.4 + 1.2 * len(names))
    axes: np.ndarray = new_axes(len(names), size) if ax is None else np.array([ax] * len(names))
    for a, name, color in zip(axes, names, (BLUE, ORANGE if shared else BLUE), strict=False):
        _draw_signal(a, node, stimulus, name, color, relative=shared)
    for a in dict.fromkeys(axes):
        _mark_step(a, stimulus)
    axes[-1].set_xlabel("Time after stimulus onset (ms)")
    trials = node.sizes["trial"]
    title = protocol if trials == 1 else f"{protocol} (mean of {trials} trials)"
    axes[0].set_title(wrap(title, NAME), loc="left", fontsize=10)
    legend(axes[0])
    if not np.isfinite(axes[0].lines[0].get_ydata()).all():
        reason = wrap(f"No trace: {tree.dataset['failure'].values[candidate] or 'not finite'}", 60)
        axes[0].text(0.5, 0.5, reason, transform=axes[0].transAxes, ha="center", va="center")
    return axes if ax is None and len(names) == 2 else axes[0]


def _shown_signal(node: xr.Dataset, stimulus: Stimulus) -> str:
    recorded = signals_of(node)
    usual = stimulus["default_signal"]
    return usual if usual in recorded or not recorded else recorded[0]


def _draw_signal(
    ax: Axes, node: xr.Dataset, stimulus: Stimulus, name: str, color: str, *, relative: bool
) -> None:
    signals = {n: node[n] for n in signals_of(node)}
    mean = _child(signals, name, "signal").mean("trial", skipna=False)
    t = times_of(node)
    n = int(np.isfinite(t).sum())  # after a variable step, shorter ones are padded
    t = t[:n] - stimulus["onset"]
    before = 100.0 if stimulus.get("step") else max(5.0, 0.05 * t[-1])
    shown = t >= min(-before, t[-1]) - 1e-6
    t, y = t[shown], mean.values[:n][shown]
    y = y - np.interp(0.0, t, y) if relative else y
    unit, long_name = node[name].attrs.get("units", ""), node[name].attrs.get("long_name", name)
    long_name = long_name[:1].upper() + long_name[1:]
    ax.plot(t, y, color=color, lw=1.0, label=f"Cell {name[-1]}" if relative else None)
    ax.margins(y=0.14)
    ax.set_xlim(t[0], max(t[-1], t[0] + 1.0))
    ax.set_ylabel(wrap("Change of voltage" if relative else long_name, 26, unit))
    ax.ticklabel_format(axis="y", useOffset=False)
    if stimulus["spikes"] and np.isfinite(y).all():
        _mark_pulses(ax, t, y, stimulus)


def _mark_step(ax: Axes, stimulus: Stimulus) -> None:
    if step := stimulus.get("step"):
        span = np.array([step["start"], step["stop"]]) - stimulus["onset"]
        label = f"{step['amplitude'] * 1e3:.4g} pA into cell {step['cell']}".replace("-", "−")
        ax.axvspan(span[0], span[1], color=PALE, lw=0, zorder=0, label=label)


def _mark_pulses(ax: Axes, t: np.ndarray, y: np.ndarray, stimulus: Stimulus) -> None:
    """Mark each arrival at the resting side, and number the peaks at the other."""
    arrivals = arrival_times(stimulus["spikes"], stimulus["delay"]) - stimulus["onset"]
    arrivals = arrivals[arrivals < t[-1]]  # a long delay may carry some past the end
    if not arrivals.size:
        return
    change = y[t >= arrivals[0] - 1e-6] - np.interp(arrivals[0], t, y)
    sign = -1 if change[np.abs(change).argmax()] < 0 else 1
    ax.plot(arrivals, np.full(arrivals.size, 0.5 - 0.47 * sign), "|", color=ORANGE, ms=6,
            transform=ax.get_xaxis_transform(), label="Event arrival")  # fmt: skip
    edges = np.searchsorted(t, [*(arrivals - 1e-6), np.inf])
    peaks = np.array([t[i + (sign * y[i : max(j, i + 1)]).argmax()] for i, j in pairwise(edges)])
    per_point = (t[-1] - t[0]) / (ax.bbox.width * 72 / ax.figure.dpi)  # ms
    half = per_point * np.array([0.5 + 2.7 * len(str(k + 1)) for k in range(peaks.size)])
    for k in _numbered(peaks, stimulus.get("n_induction"), half):
        near = np.abs(t - peaks[k]) <= half[k]  # clear of the flanks, too
        at = (peaks[k], sign * (sign * y[near]).max())
        ax.annotate(str(k + 1), at, (0, 2 * sign), textcoords="offset points", ha="center",
                    va="bottom" if sign > 0 else "top", fontsize=8, color="0.2")  # fmt: skip


def _numbered(peaks: np.ndarray, n_induction: int | None, half: np.ndarray) -> list[int]:
    """Choose the pulses (0-based) whose numbers (half widths, ms) fit, the telling ones first."""
    n = peaks.size
    turn = [n_induction, n_induction - 1] if n_induction and n_induction < n else []
    chosen: list[int] = []
    for k in [0, *turn, n - 1, *(range(n) if n <= _MANY else range(9, n, 10))]:
        if all(abs(peaks[k] - peaks[c]) >= half[k] + half[c] for c in chosen):
            chosen.append(k)
    return chosen


def _child(children: Mapping[str, _Child], name: str, kind: str) -> _Child:
    if name not in children:
        raise UnknownNameError(f"no {kind} {name!r} here (there are: {', '.join(children)})")
    return children[name]
