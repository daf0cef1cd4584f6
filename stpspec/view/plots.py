"""Figures of traces, of the path of a fit, and of targets against what was achieved.

matplotlib is imported when a figure is drawn, and without pyplot: no window, no global state.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stpspec.dataset import stimulus_of
from stpspec.errors import UnknownNameError, nearest

# Okabe and Ito: told apart by all kinds of color vision.
_BLUE, _ORANGE, _GREEN, _GRAY, _PALE = "#0072B2", "#D55E00", "#009E73", "0.45", "0.88"
_UNITS = {"1": "", "uS": "µS", "Mohm": "MΩ", "MOhm": "MΩ", "megohm": "MΩ"}
_DPI = 150
_MANY = 20  # more pulses than this are numbered by tens


def plot_traces(
    tree: Any,
    protocol: str,
    *,
    ax: Any = None,
    signal: str | None = None,
    candidate: int = 0,
) -> Any:
    """Plot the response to one protocol, the mean of its trials, with arrivals and pulse numbers.

    Parameters
    ----------
    tree : xarray.DataTree
        Of a simulation; see :mod:`stpspec.dataset`.
    protocol : str
    ax : matplotlib Axes, optional
        A figure of its own by default.
    signal : str, optional
        The recording's default signal; for a current step, the voltages of both cells.
    candidate : int
        Index along ``candidate``.

    Returns
    -------
    Axes, or ndarray of Axes, shape (2,)
        Two for a current step: cell 1 and cell 2 in mV. With ``ax``, the changes of both
        voltages from the start of the step share it.

    Raises
    ------
    UnknownNameError
        If there is no such protocol or signal in the tree.
    IndexError
        If there is no such candidate.
    """
    _known(protocol, list(tree.children), "protocol")
    dataset = tree[protocol].to_dataset().isel(candidate=candidate)
    stimulus = stimulus_of(dataset)
    step = stimulus.get("step")
    if step and signal is None and ax is not None:
        axes = _plot_both(dataset, stimulus, ax)
    elif step and signal is None:
        axes = _new_axes(2, (7.2, 4.8))
        for cell, a in enumerate(axes, 1):
            _plot_signal(dataset, stimulus, f"somatic_voltage_{cell}", a)
        axes[0].set_xlabel("")
    else:
        axes = _new_axes(1, (7.2, 3.6))[0] if ax is None else ax
        _plot_signal(dataset, stimulus, signal or stimulus["default_signal"], axes)
    top = np.ravel(axes)[0]
    trials = dataset.sizes.get("trial", 1)
    title = protocol + (f" (mean of {trials} trials)" if trials > 1 else "")
    top.set_title(_wrap(title, 40), loc="left", fontsize=10)
    _legend(top)
    failure = str(tree["failure"].values[candidate]) if "failure" in tree else ""
    if not np.isfinite(top.lines[0].get_ydata()).all():
        reason = _wrap(failure or "values that are not finite", 60)
        top.text(0.5, 0.5, f"No trace: {reason}", transform=top.transAxes, ha="center", va="center")
    return axes


def _plot_signal(dataset: Any, stimulus: Mapping[str, Any], signal: str, ax: Any) -> None:
    """Draw one signal with what happened: pulses, or the span of the step."""
    t, y = _trace(dataset, stimulus, signal)
    ax.plot(t, y, color=_BLUE, lw=1.0)
    ax.margins(y=0.14)
    ax.set_xlim(t[0], max(t[-1], t[0] + 1.0))
    ax.set_xlabel("Time after stimulus onset (ms)")
    attrs = dataset[signal].attrs
    ax.set_ylabel(_label(str(attrs.get("long_name", signal)), attrs.get("units", "")))
    ax.ticklabel_format(axis="y", useOffset=False)
    if stimulus.get("step"):
        _mark_step(ax, stimulus)
    elif stimulus["spikes"] and np.isfinite(y).all():
        arrivals = np.array(stimulus["spikes"]) + stimulus["delay"] - stimulus["onset"]
        _mark_pulses(ax, t, y, arrivals, stimulus.get("n_induction"))


def _plot_both(dataset: Any, stimulus: Mapping[str, Any], ax: Any) -> Any:
    """Draw the changes of both voltages from the start of the step into one Axes."""
    start = stimulus["step"]["start"] - stimulus["onset"]
    for cell, color in ((1, _BLUE), (2, _ORANGE)):
        t, y = _trace(dataset, stimulus, f"somatic_voltage_{cell}")
        ax.plot(t, y - np.interp(start, t, y), color=color, lw=1.0, label=f"Cell {cell}")
        ax.set_xlim(t[0], max(t[-1], t[0] + 1.0))
    ax.set_xlabel("Time after stimulus onset (ms)")
    ax.set_ylabel(_label("change of somatic voltage", "mV"))
    _mark_step(ax, stimulus)
    return ax


def _trace(dataset: Any, stimulus: Mapping[str, Any], signal: str) -> tuple[Any, Any]:
    """Return times (ms after the onset) and the mean over trials, from a little before it on."""
    _known(signal, [str(n) for n, v in dataset.data_vars.items() if "time" in v.dims], "signal")
    t = dataset["time"].values - stimulus["onset"]
    before = 100.0 if stimulus.get("step") else max(5.0, 0.05 * t[-1])
    shown = t >= min(-before, t[-1]) - 1e-6
    return t[shown], dataset[signal].mean("trial", skipna=False).values[shown]


def _mark_step(ax: Any, stimulus: Mapping[str, Any]) -> None:
    step, onset = stimulus["step"], stimulus["onset"]
    label = f"{step['amplitude'] * 1e3:.4g} pA into cell {step['cell']}".replace("-", "−")
    ax.axvspan(step["start"] - onset, step["stop"] - onset, color=_PALE, lw=0, zorder=0, label=label)


def _mark_pulses(ax: Any, t: Any, y: Any, arrivals: Any, n_induction: int | None) -> None:
    """Mark each arrival at the resting side, and number the peaks at the other."""
    after = y[t >= arrivals[0] - 1e-6] - np.interp(arrivals[0], t, y)
    up = after.size == 0 or after[np.abs(after).argmax()] >= 0
    edge = np.full(arrivals.size, 0.03 if up else 0.97)
    ax.plot(arrivals, edge, "|", color=_ORANGE, ms=6, mew=1.0,
            transform=ax.get_xaxis_transform(), label="Event arrival")  # fmt: skip
    figure = ax.get_figure()
    per_point = (t[-1] - t[0]) / (ax.bbox.width * 72 / figure.dpi)  # ms in a point
    extreme, place = (np.argmax, np.max) if up else (np.argmin, np.min)
    ends = [*arrivals[1:], t[-1] + 1.0]
    windows = [np.flatnonzero((t >= a - 1e-6) & (t < b)) for a, b in zip(arrivals, ends, strict=True)]
    peaks = [t[w[extreme(y[w])]] if w.size else a for w, a in zip(windows, arrivals, strict=True)]
    half = (0.5 + 2.6 * len(str(len(peaks)))) * per_point  # of a number, in ms
    for k in _numbered(np.array(peaks), n_induction, 2.4 * half):
        near = np.abs(t - peaks[k]) <= half  # stay clear of the flanks, too
        at = (peaks[k], place(y[near]) if near.any() else np.interp(peaks[k], t, y))
        ax.annotate(str(k + 1), at, (0, 2 if up else -2), textcoords="offset points",
                    ha="center", va="bottom" if up else "top", fontsize=8, color="0.2")  # fmt: skip


def _numbered(peaks: Any, n_induction: int | None, width: float) -> list[int]:
    """Choose the pulses (0-based) to number, no two nearer than ``width``; the telling ones first."""
    n = peaks.size
    border = [n_induction - 1, n_induction] if n_induction and n_induction < n else []
    rest = range(n) if n <= _MANY else range(9, n, 10 * max(1, n // 200))
    chosen: list[int] = []
    for k in [0, *reversed(border), n - 1, *rest]:
        if all(abs(peaks[k] - peaks[c]) >= width for c in chosen):
            chosen.append(k)
    return chosen


def plot_path(history: Any, parameters: Mapping[str, Any], *, axes: Any = None) -> Any:
    """Plot loss and parameters along the evaluations of a fit, with the best so far.

    Parameters
    ----------
    history : xarray.Dataset
        ``FitResult.history``: over ``evaluation``, ``loss``, ``reason``, ``parameter_NAME`` and,
        if the fit had several, ``start``.
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
        raise ValueError(f"{n} axes are needed: the loss and {n - 1} parameters (got {len(axes)})")
    x, loss = history["evaluation"].values, history["loss"].values.astype(float)
    failed = (history["reason"].values.astype(str) != "") | ~np.isfinite(loss)
    best = _best_so_far(np.where(failed, np.inf, loss))
    seen = best >= 0
    _draw_path(axes[0], x, loss, failed, np.where(seen, loss[best], np.nan))
    axes[0].plot(x[failed], np.full(failed.sum(), 0.05), "x", color=_ORANGE, ms=4, mew=0.9,
                 transform=axes[0].get_xaxis_transform(), label="Failed")  # fmt: skip
    axes[0].set_ylabel("Loss")
    if (loss[~failed] > 0).any() and not (loss[~failed] < 0).any():
        axes[0].set_yscale("log", nonpositive="clip")
    for ax, (name, parameter) in zip(axes[1:], parameters.items(), strict=True):
        values = history[f"parameter_{name}"]
        v = values.values.astype(float)
        _draw_path(ax, x, v, failed, np.where(seen, v[best], np.nan))
        ax.plot(x[failed], v[failed], "x", color=_ORANGE, ms=4, mew=0.9)
        for bound in (float(parameter.min), float(parameter.max)):
            ax.axhline(bound, color=_GRAY, lw=0.8, ls="--", label="Bounds")
        ax.set_yscale(parameter.scale)
        ax.set_ylabel(_label(name, values.attrs.get("units", ""), sentence=False))
    changes = np.flatnonzero(np.diff(history["start"].values)) + 1 if "start" in history else []
    for ax in axes:
        for k in changes:
            ax.axvline(x[k] - 0.5, color=_PALE, lw=0.8, zorder=0, label="New start")
        ax.set_xlim(0.5 - 0.01 * x.size, x.size + 0.5 + 0.01 * x.size)
    axes[-1].set_xlabel("Evaluation")
    _legend(axes[0], *axes[:2])
    axes[0].get_figure().align_ylabels(list(axes))
    return axes


def _best_so_far(loss: Any) -> Any:
    """Return the index of the smallest loss up to each evaluation; −1 before the first finite."""
    improved = np.isfinite(loss) & (loss < np.r_[np.inf, np.minimum.accumulate(loss)[:-1]])
    return np.maximum.accumulate(np.where(improved, np.arange(loss.size), -1))


def _draw_path(ax: Any, x: Any, y: Any, failed: Any, best: Any) -> None:
    ax.plot(x[~failed], y[~failed], ".", color=_BLUE, ms=3, alpha=0.6, mew=0, label="Evaluation")
    ax.plot(x, best, color=_GREEN, lw=1.4, drawstyle="steps-post", label="Best so far")
    ax.margins(y=0.14)


def plot_targets(result: Any, *, ax: Any = None) -> Any:
    """Plot how far each term is from its target, and print the numbers beside it.

    Misses are in SD of the target (circles, lower axis; the bar is ±1 SD), or, for a term without
    one, in % of the target (squares, upper axis). Each value of a vector is a small mark.

    Parameters
    ----------
    result : FitResult
        ``experiment.objective``, ``metrics`` and ``metric_units`` are read.
    ax : matplotlib Axes, optional
        A figure of its own by default.

    Returns
    -------
    Axes
    """
    terms = result.experiment.objective.terms
    units = result.metric_units
    texts = [_numbers(t, result.metrics[n], units.get(n, "")) for n, t in terms.items()]
    labels = [_wrap(n if t.weight > 0 else f"{n} (weight 0)", 32) for n, t in terms.items()]
    widest = max(len(line) for label in labels for line in label.split("\n"))
    if ax is None:
        size = (3.4 + 0.08 * (widest + max(map(len, texts))), 1.4 + 0.42 * len(terms))
        ax = _new_axes(1, size)[0]
    kinds = sorted({t.sd is None for t in terms.values()})  # False: in SD, True: in percent
    scales = {kind: ax if kind == kinds[0] else ax.twiny() for kind in kinds}
    limits = dict.fromkeys(kinds, 1.5)
    for y, (name, term) in enumerate(terms.items()):
        misses, kind = _misses(term, result.metrics[name]), term.sd is None
        limits[kind] = max(limits[kind], 1.15 * np.abs(misses[np.isfinite(misses)]).max(initial=0))
        _draw_row(scales[kind], y, misses, in_sd=not kind)
        ax.text(1.02, y, texts[y], transform=ax.get_yaxis_transform(), va="center", fontsize=9)
    for kind, scale in scales.items():
        scale.set_xlim(-limits[kind], limits[kind])
        scale.set_xlabel(f"Achieved − target ({'% of target' if kind else 'SD of target'})",
                         color="black" if len(kinds) == 1 else _ORANGE if kind else _BLUE)  # fmt: skip
    ax.axvline(0, color=_GRAY, lw=0.8, zorder=0)
    ax.set_yticks(range(len(terms)), labels, fontsize=9)
    ax.set_ylim(len(terms) - 0.4, -0.6)
    ax.text(1.02, -0.7, "Target → achieved", transform=ax.get_yaxis_transform(), fontsize=9,
            va="bottom", color=_GRAY)  # fmt: skip
    return ax


def _draw_row(ax: Any, y: int, misses: Any, *, in_sd: bool) -> None:
    color = _BLUE if in_sd else _ORANGE
    if in_sd:
        ax.plot([-1, 1], [y, y], color=_PALE, lw=9, solid_capstyle="butt", zorder=0)
    if misses.size == 1:
        ax.plot([0, misses[0]], [y, y], color=color, lw=1.5)
    ax.plot(misses, np.full(misses.size, y), "o" if in_sd else "s", color=color, mew=0,
            ms=6 if misses.size == 1 else 4, alpha=1.0 if misses.size == 1 else 0.6)  # fmt: skip


def _achieved(term: Any, value: Any) -> Any:
    """Return what is compared with the target, shape (target,): the mean over trials."""
    value = np.atleast_1d(np.asarray(value, float))
    if value.ndim > 1:
        return value.mean(axis=0)
    return value if isinstance(term.target, list) else value.mean(keepdims=True)


def _misses(term: Any, value: Any) -> Any:
    """Return achieved − target in SD, or in % of the target (of a vector: of its RMS)."""
    target = np.atleast_1d(np.asarray(term.target, float))
    scale = _rms(target) / 100 if term.sd is None else np.asarray(term.sd, float)
    with np.errstate(divide="ignore", invalid="ignore"):  # no % of a target of 0
        return (_achieved(term, value) - target) / np.where(scale == 0, np.nan, scale)


def _numbers(term: Any, value: Any, unit: str) -> str:
    achieved, unit = _achieved(term, value), _UNITS.get(unit, unit)
    if isinstance(term.target, list):
        miss = f"{_rms(achieved - np.array(term.target)):.3g} {unit}".strip()
        return f"{len(term.target)} values, RMS miss {miss}"
    sd = "" if term.sd is None else f" ± {term.sd:.3g}"
    return f"{term.target:.4g}{sd} → {achieved[0]:.4g} {unit}".strip().replace("-", "−")


def _rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def write_figures(result: Any, folder: Path) -> list[Path]:
    """Write the figures of a fit as PNG.

    Parameters
    ----------
    result : FitResult
    folder : Path
        Made if it is missing.

    Returns
    -------
    list of Path
        ``traces_PROTOCOL.png`` for each protocol, ``path.png`` and ``targets.png``.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    traces = result.traces
    drawn = {"traces_" + re.sub(r"[^\w.-]", "_", p): plot_traces(traces, p) for p in traces.children}
    drawn["path"] = plot_path(result.history, result.experiment.parameters)
    drawn["targets"] = plot_targets(result)
    for name, axes in drawn.items():
        np.ravel(axes)[0].get_figure().savefig(folder / f"{name}.png", dpi=_DPI)
    return [folder / f"{name}.png" for name in drawn]


# -- what all of them need --------------------------------------------------------------------


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


def _label(name: str, unit: str, *, sentence: bool = True) -> str:
    unit = _UNITS.get(unit, unit)
    name = name[:1].upper() + name[1:] if sentence else name
    return _wrap(f"{name} ({unit})" if unit else name, 20)


def _wrap(text: str, width: int) -> str:
    """Break text into lines, at underscores too; a dollar sign is no mathematics."""
    lines = textwrap.wrap(text.replace("_", "_\u200b "), width)
    return "\n".join(lines).replace("_\u200b ", "_").replace("\u200b", "").replace("$", r"\$")


def _known(name: str, names: list[str], kind: str) -> None:
    if name not in names:
        near = nearest(name, names)
        hint = f"; did you mean {near!r}?" if near else ""
        raise UnknownNameError(f"no {kind} {name!r} here (there are: {', '.join(names)}){hint}")
