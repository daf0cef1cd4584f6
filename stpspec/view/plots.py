"""Figures of traces, of the path of a fit, and of targets against what was achieved.

matplotlib is imported when a figure is drawn, and without pyplot: no window, no global state.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from stpspec.dataset import stimulus_of
from stpspec.errors import UnknownNameError

# Okabe and Ito: told apart by all kinds of color vision.
_BLUE, _ORANGE, _GREEN, _GRAY, _PALE = "#0072B2", "#D55E00", "#009E73", "0.45", "0.88"
_UNITS = {"1": "", "uS": "µS", "Mohm": "MΩ", "MOhm": "MΩ"}
_DPI = 150
_MANY = 20  # more pulses than this are numbered by tens


def plot_traces(
    tree: Any, protocol: str, *, ax: Any = None, signal: str | None = None, candidate: int = 0
) -> Any:
    """Plot the response to one protocol, the mean of its trials, with arrivals and pulse numbers.

    Parameters
    ----------
    tree : xarray.DataTree
        See :mod:`stpspec.dataset`.
    protocol : str
    ax : matplotlib Axes, optional
        A figure of its own by default.
    signal : str, optional
        The default signal of the recording; for a current step, the voltages of both cells.
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
    names = [signal or stimulus["default_signal"]]
    if stimulus.get("step") and signal is None:
        names = ["somatic_voltage_1", "somatic_voltage_2"]
    shared = ax is not None and len(names) == 2
    axes = _new_axes(len(names), (7.2, 2.4 + 1.2 * len(names))) if ax is None else [ax] * len(names)
    for a, name, color in zip(axes, names, (_BLUE, _ORANGE if shared else _BLUE), strict=False):
        _draw_signal(a, node, stimulus, name, color, relative=shared)
    for a in dict.fromkeys(axes):
        _mark_step(a, stimulus)
    axes[-1].set_xlabel("Time after stimulus onset (ms)")
    trials = node.sizes["trial"]
    title = protocol if trials == 1 else f"{protocol} (mean of {trials} trials)"
    axes[0].set_title(_wrap(title, 30), loc="left", fontsize=10)
    _legend(axes[0])
    if not np.isfinite(axes[0].lines[0].get_ydata()).all():
        reason = _wrap(f"No trace: {tree['failure'].values[candidate] or 'not finite'}", 60)
        axes[0].text(0.5, 0.5, reason, transform=axes[0].transAxes, ha="center", va="center")
    return axes if ax is None and len(names) == 2 else axes[0]


def _draw_signal(
    ax: Any, node: Any, stimulus: Mapping[str, Any], name: str, color: str, *, relative: bool
) -> None:
    signals = {str(n): v for n, v in node.data_vars.items() if "time" in v.dims}
    mean = _child(signals, name, "signal").mean("trial", skipna=False)
    t = node["time"].values - stimulus["onset"]
    before = 100.0 if stimulus.get("step") else max(5.0, 0.05 * t[-1])
    shown = t >= min(-before, t[-1]) - 1e-6
    t, y = t[shown], mean.values[shown]
    y = y - np.interp(0.0, t, y) if relative else y
    unit, long_name = node[name].attrs.get("units", ""), node[name].attrs.get("long_name", name)
    long_name = long_name[:1].upper() + long_name[1:]
    ax.plot(t, y, color=color, lw=1.0, label=f"Cell {name[-1]}" if relative else None)
    ax.margins(y=0.14)
    ax.set_xlim(t[0], max(t[-1], t[0] + 1.0))
    ax.set_ylabel(_wrap("Change of voltage" if relative else long_name, 26, unit))
    ax.ticklabel_format(axis="y", useOffset=False)
    if stimulus["spikes"] and np.isfinite(y).all():
        _mark_pulses(ax, t, y, stimulus)


def _mark_step(ax: Any, stimulus: Mapping[str, Any]) -> None:
    if step := stimulus.get("step"):
        span = np.array([step["start"], step["stop"]]) - stimulus["onset"]
        label = f"{step['amplitude'] * 1e3:.4g} pA into cell {step['cell']}".replace("-", "−")
        ax.axvspan(span[0], span[1], color=_PALE, lw=0, zorder=0, label=label)


def _mark_pulses(ax: Any, t: Any, y: Any, stimulus: Mapping[str, Any]) -> None:
    """Mark each arrival at the resting side, and number the peaks at the other."""
    arrivals = np.array(stimulus["spikes"]) + stimulus["delay"] - stimulus["onset"]
    arrivals = arrivals[arrivals < t[-1]]  # a long delay may carry some past the end
    if not arrivals.size:
        return
    change = y[t >= arrivals[0] - 1e-6] - np.interp(arrivals[0], t, y)
    sign = -1 if change[np.abs(change).argmax()] < 0 else 1
    ax.plot(arrivals, np.full(arrivals.size, 0.5 - 0.47 * sign), "|", color=_ORANGE, ms=6,
            transform=ax.get_xaxis_transform(), label="Event arrival")  # fmt: skip
    edges = np.searchsorted(t, [*(arrivals - 1e-6), np.inf])
    peaks = np.array([t[i + (sign * y[i : max(j, i + 1)]).argmax()] for i, j in pairwise(edges)])
    per_point = (t[-1] - t[0]) / (ax.bbox.width * 72 / ax.get_figure().dpi)  # ms
    half = per_point * np.array([0.5 + 2.7 * len(str(k + 1)) for k in range(peaks.size)])
    for k in _numbered(peaks, stimulus.get("n_induction"), half):
        near = np.abs(t - peaks[k]) <= half[k]  # clear of the flanks, too
        at = (peaks[k], sign * (sign * y[near]).max())
        ax.annotate(str(k + 1), at, (0, 2 * sign), textcoords="offset points", ha="center",
                    va="bottom" if sign > 0 else "top", fontsize=8, color="0.2")  # fmt: skip


def _numbered(peaks: Any, n_induction: int | None, half: Any) -> list[int]:
    """Choose the pulses (0-based) whose numbers, of half widths ``half``, fit; telling ones first."""
    n = peaks.size
    turn = [n_induction, n_induction - 1] if n_induction and n_induction < n else []
    chosen: list[int] = []
    for k in [0, *turn, n - 1, *(range(n) if n <= _MANY else range(9, n, 10))]:
        if all(abs(peaks[k] - peaks[c]) >= half[k] + half[c] for c in chosen):
            chosen.append(k)
    return chosen


def plot_path(history: Any, parameters: Mapping[str, Any], *, axes: Any = None) -> Any:
    """Plot loss and parameters along the evaluations of a fit, with the best so far.

    Parameters
    ----------
    history : xarray.Dataset
        As in ``FitResult``.
    parameters : mapping of str to Parameter
        With bounds as numbers, in the units of the history.
    axes : sequence of matplotlib Axes, optional
        One for the loss and one a parameter; a figure of its own by default.

    Returns
    -------
    ndarray of Axes, shape (1 + parameter,)

    Raises
    ------
    ValueError
        If the number of ``axes`` is another.
    """
    n = 1 + len(parameters)
    axes = _new_axes(n, (7.2, 0.9 + 1.4 * n)) if axes is None else np.ravel(axes)
    if len(axes) != n:
        raise ValueError(f"{n} axes are needed, one for the loss (got {len(axes)})")
    x, loss = history["evaluation"].values, history["loss"].values.astype(float)
    good = (history["reason"].values.astype(str) == "") & np.isfinite(loss)
    _draw_path(axes[0], x, loss, loss, good)
    axes[0].plot(x[~good], np.full((~good).sum(), 0.05), "x", color=_ORANGE, ms=4,
                 transform=axes[0].get_xaxis_transform(), label="Failed")  # fmt: skip
    axes[0].set_ylabel("Loss")
    if (loss[good] > 0).any() and (loss[good] >= 0).all():
        _log_scale(axes[0])
    for ax, (name, parameter) in zip(axes[1:], parameters.items(), strict=True):
        values = history[f"parameter_{name}"]
        _draw_path(ax, x, values.values, loss, good)
        ax.plot(x[~good], values.values[~good], "x", color=_ORANGE, ms=4)
        for bound in (float(parameter.min), float(parameter.max)):
            ax.axhline(bound, color=_GRAY, lw=0.8, ls="--", label="Bounds")
        if parameter.scale == "log":
            _log_scale(ax)
        ax.set_ylabel(_wrap(name, 16, values.attrs.get("units", "")))
    for ax in axes:
        for k in np.flatnonzero(np.diff(history["start"].values)) + 1:
            ax.axvline(x[k] - 0.5, color=_PALE, lw=0.8, zorder=0, label="New start")
    axes[-1].set_xlabel("Evaluation")
    _legend(axes[0], *axes[:2])
    return axes


def _draw_path(ax: Any, x: Any, y: Any, loss: Any, good: Any) -> None:
    ax.plot(x[good], y[good], ".", color=_BLUE, ms=4, alpha=0.6, mew=0, label="Evaluation")
    running = np.minimum.accumulate(loss[good])
    best = np.searchsorted(-running, -running)  # where each smallest loss was seen first
    ax.plot(x[good], y[good][best], color=_GREEN, drawstyle="steps-post", label="Best so far")
    ax.set_xlim(0, x.size + 1)
    ax.margins(y=0.14)


def _log_scale(ax: Any) -> None:
    """Make y logarithmic, with a few labels that keep apart even within a decade."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    ax.set_yscale("log", nonpositive="clip")
    low, high = ax.get_ylim()
    if high / low < 300:
        ax.yaxis.set_major_locator(MaxNLocator(4) if high / low < 20 else LogLocator(subs=(1, 3)))
        ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())


def plot_targets(result: Any, *, ax: Any = None) -> Any:
    """Plot how far each term is from its target, and print the numbers beside it.

    Misses are in SD (blue; the bar is ±1 SD) or, for a term without one, in % of the target
    (orange; of a vector, of its RMS). Each value of a vector is a small mark.

    Parameters
    ----------
    result : FitResult
    ax : matplotlib Axes, optional
        A figure of its own by default.

    Returns
    -------
    Axes
    """
    terms = result.experiment.objective.terms
    texts = [_numbers(t, result.metrics[n], result.metric_units[n]) for n, t in terms.items()]
    labels = [_wrap(n if t.weight > 0 else f"{n} (weight 0)", 32) for n, t in terms.items()]
    longest = max(map(len, texts)) + min(max(map(len, terms)), 32)
    ax = _new_axes(1, (3.4 + 0.08 * longest, 1.6 + 0.45 * len(terms)))[0] if ax is None else ax
    kinds = sorted({t.sd is None for t in terms.values()})  # False: in SD, True: in %
    scales = {in_percent: ax if in_percent == kinds[0] else ax.twiny() for in_percent in kinds}
    for y, (name, term) in enumerate(terms.items()):
        _draw_misses(scales[term.sd is None], y, term, result.metrics[name])
        ax.text(1.02, y, texts[y], transform=ax.get_yaxis_transform(), va="center", fontsize=9)
    for in_percent, scale in scales.items():
        limit = max([1.5, *(1.15 * np.abs(line.get_xdata()).max() for line in scale.lines)])
        scale.set_xlim(-limit, limit)
        scale.locator_params(axis="x", nbins=7)
        scale.spines[["left", "right"]].set_visible(False)
        scale.set_xlabel(f"Achieved − target ({'%' if in_percent else 'SD'} of target)",
                         color=_ORANGE if in_percent else _BLUE)  # fmt: skip
    ax.axvline(0, color=_GRAY, lw=0.8, zorder=0)
    ax.text(1.02, -0.6, "Target → achieved", transform=ax.get_yaxis_transform(), va="bottom",
            fontsize=9, color=_GRAY)  # fmt: skip
    ax.set_yticks(range(len(terms)), labels, fontsize=9)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(terms) - 0.4, -0.6)
    return ax


def _draw_misses(ax: Any, y: int, term: Any, value: Any) -> None:
    target = np.asarray(term.target, float)
    unit = np.asarray(term.sd or _rms(target) / 100, float)
    if not unit.all():
        return  # there is no % of a target of 0
    misses = np.atleast_1d((_achieved(term, value) - target) / unit)
    color, marker = (_ORANGE, "s") if term.sd is None else (_BLUE, "o")
    size, alpha = (6, 1.0) if misses.size == 1 else (4, 0.6)
    if term.sd is not None:
        ax.plot([-1, 1], [y, y], color=_PALE, lw=9, solid_capstyle="butt", zorder=0)
    if misses.size == 1:
        ax.plot([0, misses[0]], [y, y], color=color, lw=1.5)
    ax.plot(misses, np.full(misses.size, y), marker, color=color, ms=size, alpha=alpha, mew=0)


def _numbers(term: Any, value: Any, unit: str) -> str:
    achieved, unit = _achieved(term, value), _UNITS.get(unit, unit)
    if achieved.ndim:
        miss = _rms(achieved - np.array(term.target))
        return f"{achieved.size} values, RMS miss {miss:.3g} {unit}"
    sd = "" if term.sd is None else f" ± {term.sd:.3g}"
    return f"{term.target:.4g}{sd} → {achieved:.4g} {unit}".replace("-", "−")


def _achieved(term: Any, value: Any) -> Any:
    """Return what is compared with the target: like the fit, the mean over trials."""
    value = np.asarray(value, float)
    value = value.mean(axis=0) if value.ndim > np.ndim(term.target) else value
    return np.broadcast_to(value, np.shape(term.target))


def _rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def write_figures(result: Any, folder: Path) -> list[Path]:
    """Write the figures of a fit as PNG into an existing folder.

    Parameters
    ----------
    result : FitResult
    folder : Path

    Returns
    -------
    list of Path
        ``traces_PROTOCOL.png`` for each protocol, ``path.png`` and ``targets.png``.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    names = {p: "traces_" + re.sub(r"[^\w.-]", "_", p) for p in result.traces.children}
    drawn = {name: plot_traces(result.traces, p) for p, name in names.items()}
    drawn["path"] = plot_path(result.history, result.experiment.parameters)
    drawn["targets"] = plot_targets(result)
    for name, axes in drawn.items():
        np.ravel(axes)[0].get_figure().savefig(folder / f"{name}.png", dpi=_DPI)
    return [folder / f"{name}.png" for name in drawn]


def _new_axes(n: int, size: tuple[float, float]) -> Any:
    """Return ``n`` stacked Axes of a new figure that pyplot knows nothing of, shape (n,)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(n, 1, sharex=True, squeeze=False)[:, 0]
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return axes


def _legend(ax: Any, *sources: Any) -> None:
    """Put a legend above ``ax``, each label once."""
    pairs = [zip(*s.get_legend_handles_labels(), strict=True) for s in sources or (ax,)]
    unique = {label: handle for pair in pairs for handle, label in pair}
    if unique:
        ax.legend(unique.values(), unique.keys(), loc="lower right", bbox_to_anchor=(1.0, 1.0),
                  ncols=len(unique), frameon=False, fontsize=9, borderaxespad=0.2)  # fmt: skip


def _wrap(text: str, width: int, unit: str = "") -> str:
    """Break text and unit into lines, at underscores too; a dollar sign is no mathematics."""
    unit = _UNITS.get(unit, unit)
    text = f"{text} ({unit})" if unit else text
    width = min(width, len(text) // -(-len(text) // width) + 6)  # lines of like length
    lines = [""]
    for piece in re.findall(rf"[^\s_]{{1,{width}}}[\s_]*|[\s_]+", text):
        if lines[-1] and len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines).replace("$", r"\$")


def _child(children: Mapping[str, Any], name: str, kind: str) -> Any:
    if name not in children:
        raise UnknownNameError(f"no {kind} {name!r} here (there are: {', '.join(children)})")
    return children[name]
