"""The figure of a sweep: metrics against the swept field."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from stpspec.errors import StpspecError, UnknownNameError
from stpspec.formatting import number, unit_text
from stpspec.view.data import keep
from stpspec.view.style import (
    BLUE,
    DASHES,
    GRAY,
    PALE,
    UNITS,
    legend,
    log_axis,
    new_axes,
    shades,
    wrap,
)
from stpspec.view.words import REFERENCES, field_words, metric_words

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

Scale = Literal["auto", "log", "linear"]
_MARKERS = (".", "s", "^", "x", "D")
_SHOWN = 7  # metrics below one another that can be read
_WIDTH = 80  # characters that fit below an axis
_FEW_VALUES = 4  # of a linear axis, that are its ticks
_NAMED = 6  # more values than this are not all named in a legend


def plot_sweep(
    swept: xr.Dataset,
    metrics: Sequence[str] | None = None,
    *,
    scale: Scale = "auto",
    axes: Sequence[Axes] | np.ndarray | None = None,
) -> np.ndarray:
    """Plot metrics against the first swept field; of others, each combination is a line.

    The one with the most values is told apart by color, the rest by dashes and markers. Targets
    are marked: at the experiment's own value of the field where that is known, else as a line.

    Parameters
    ----------
    swept : xarray.Dataset
        As :func:`stpspec.sweep` returns it.
    metrics : sequence of str, optional
        Names of variables; by default those of :func:`default_metrics` that change. What is the
        same everywhere is said above the panels.
    scale : {"auto", "log", "linear"}
        Of the horizontal axis; ``auto`` is log for values that span more than a factor of 10.
    axes : sequence of matplotlib Axes, optional
        One for each metric.

    Returns
    -------
    ndarray of Axes, shape (metric,)

    Raises
    ------
    UnknownNameError
        If a metric is not in the sweep.
    StpspecError
        If there are more or fewer axes than metrics.
    """
    names, still = (list(metrics), []) if metrics else _changing(swept)
    missing = [n for n in names if n not in swept]
    if missing or not names:
        names_there = ", ".join(str(v) for v in swept.data_vars if v != "reason")
        raise UnknownNameError(
            f"no metric {missing or ''} in this sweep (there are: {names_there})"
        )
    size = (7.2, 1.0 + 1.9 * len(names))
    panels: np.ndarray = new_axes(len(names), size) if axes is None else np.asarray(axes).ravel()
    if len(panels) != len(names):
        raise StpspecError(
            f"{len(names)} axes are needed, one for each metric: {', '.join(names)} "
            f"(got {len(panels)}); name the metrics to plot, or give more axes"
        )
    first = str(next(iter(swept[names[0]].dims)))
    x = swept[first].values
    numeric = x.dtype.kind in "if"
    for ax, name in zip(panels, names, strict=True):
        variable = swept[name]
        metric = _metric(variable)
        if metric in REFERENCES:
            ax.axhline(REFERENCES[metric], color=GRAY, lw=0.8, ls="--", zorder=0)
        ax.set_ylabel(wrap(_words(swept, name), 22, str(variable.attrs.get("units", "1"))))
        _draw_lines(ax, x if numeric else np.arange(x.size), variable)
        _mark_target(ax, swept, variable, first)
        if not np.isfinite(variable.values).any():
            ax.text(0.5, 0.5, wrap(f"No value: {_reason(swept)}", 70), ha="center", va="center",
                    transform=ax.transAxes, fontsize=9, color=GRAY,
                    bbox={"fc": "white", "ec": "none"})  # fmt: skip
            ax.set_yticks([])
    _horizontal(panels[-1], x, numeric, scale)
    panels[-1].set_xlabel(wrap(_field(swept, first), 80, str(swept[first].attrs.get("units", ""))))
    if (note := _note(swept, names, still)) and axes is None:
        panels[0].get_figure().suptitle(wrap(note, 96), x=0.01, ha="left", fontsize=8, color=GRAY)
    legend(panels[0], *panels)
    return panels


def _changing(swept: xr.Dataset) -> tuple[list[str], list[str]]:
    """Return the metrics that are shown by default, and those that are the same everywhere."""
    names = default_metrics(swept)
    changing = [n for n in names if _changes(swept[n])]
    if not changing:
        return names, []
    terms = [str(n) for n, v in swept.data_vars.items() if n != "reason" and _is_term(v)]
    still = [n for n in dict.fromkeys([*names, *terms]) if not _changes(swept[n])]
    return changing, [n for n in still if np.isfinite(swept[n].values).any()]


def _note(swept: xr.Dataset, names: Sequence[str], still: Sequence[str]) -> str:
    """Say what is the same at all combinations, in a panel or without one."""
    flat = [n for n in names if np.isfinite(swept[n].values).any() and not _changes(swept[n])]
    said = "; ".join(_said(swept, n) for n in [*flat, *still])
    return f"The same everywhere: {said}" if said else ""


def _said(swept: xr.Dataset, name: str) -> str:
    values = swept[name].values
    unit = unit_text(str(swept[name].attrs.get("units", "1")))
    words = _words(swept, name)
    words = words if words == name else words[:1].lower() + words[1:]
    value = number(float(values[np.isfinite(values)].mean()), 3)
    return f"{words} {value} {unit}".rstrip().replace("-", "−")


def _reason(swept: xr.Dataset) -> str:
    reasons = [str(r) for r in np.ravel(swept["reason"].values) if r] if "reason" in swept else []
    return reasons[0] if reasons else "it is not finite"


def _words(swept: xr.Dataset, name: str) -> str:
    """Return a metric in words, of its protocol where there are several; a term keeps its name."""
    variable = swept[name]
    metric = _metric(variable)
    if _is_term(variable) and name != metric:
        return name
    protocols = {v.attrs.get("protocol") for v in swept.data_vars.values()} - {None}
    of = f" of {variable.attrs.get('protocol')}" if len(protocols) > 1 else ""
    return metric_words(metric) + of


def _field(swept: xr.Dataset, dim: str) -> str:
    """Return a swept field in words: of which protocol it is where two have the same last part."""
    path = str(swept[dim].attrs.get("long_name", dim))
    return field_words(path, whole=dim == path)


def _mark_target(ax: Axes, swept: xr.Dataset, variable: xr.DataArray, first: str) -> None:
    """Mark the target of a term ± sd: where the experiment has it, or as a line."""
    target, sd = variable.attrs.get("target"), variable.attrs.get("target_sd")
    if target is None:
        return
    kind = "Target ± SD" if sd is not None else "Target"
    own = swept[first].attrs.get("own")
    path = str(swept[first].attrs.get("long_name", ""))
    if own is not None and path.startswith(f"protocols.{variable.attrs.get('protocol')}."):
        if not swept[first].values.min() <= own <= swept[first].values.max():
            return  # it holds where nothing was simulated
        ax.errorbar([own], [target], sd, fmt="D", color="black", mfc="white", ms=5, capsize=2,
                    lw=1.0, zorder=4, label=kind)  # fmt: skip
        keep(ax, "target", own, target, sd)
        return
    ax.axhline(target, color="black", lw=0.9, ls=":", zorder=1, label=kind)
    if sd is not None:
        ax.axhspan(target - sd, target + sd, color=PALE, lw=0, zorder=0)
    keep(ax, "target", "everywhere", target, sd)


def default_metrics(swept: xr.Dataset) -> list[str]:
    """Return the metrics that a reader of a sweep looks for first; all where none of them is.

    These are the ratios of plasticity, the experiment's own terms where they change, and the
    amplitude where nothing else does.
    """
    wanted = ("paired_pulse_ratio", "induction", "recovery", "steady_state", "coupling_coefficient")
    names = [str(n) for n in swept.data_vars if n != "reason"]
    metric = {n: _metric(swept[n]) for n in names}
    # The experiment's own terms come first in the Dataset, and with them their options.
    first = [next((n for n in names if metric[n] == w), None) for w in wanted]
    shown = [n for n in first if n]
    shown += [n for n in names if _is_term(swept[n]) and n not in shown and _changes(swept[n])]
    if shown and not any(_changes(swept[n]) for n in shown):  # of several trains, those that do
        changing = [n for n in names if _changes(swept[n]) and n not in shown]
        ratios = [n for n in changing if metric[n] in (*wanted, "recovery_single")]
        shown += ratios or [n for n in changing if metric[n] == "amplitude"][:1]
    return shown[:_SHOWN] or names[:5]


def _metric(variable: xr.DataArray) -> str:
    """Return the metric that a variable holds."""
    name = variable.attrs.get("metric")
    if name is None:  # saved by a version that wrote it only into the long name
        name = str(variable.attrs.get("long_name", variable.name)).split(" of ")[0]
    return str(name)


def _is_term(variable: xr.DataArray) -> bool:
    """Tell whether a variable is a term of the experiment: other metrics are protocol.metric."""
    protocol = variable.attrs.get("protocol")
    if protocol is None:  # as above
        return "." not in str(variable.name)
    return variable.name != f"{protocol}.{_metric(variable)}"


def _changes(variable: xr.DataArray) -> bool:
    values = variable.values[np.isfinite(variable.values)]
    return values.size > 0 and bool(np.ptp(values) > 1e-3 * np.abs(values).max())


def _draw_lines(ax: Axes, x: np.ndarray, variable: xr.DataArray) -> None:
    rest = variable.dims[1:]
    if not rest:
        ax.plot(x, variable.values, ".-", color=BLUE, ms=5)
        keep(ax, "model", variable[variable.dims[0]].values, variable.values)
        return
    # The field with the most values has the colors; what else is swept, the dashes and markers.
    by_color = max(rest, key=lambda d: variable.sizes[d])
    others = [d for d in rest if d != by_color]
    marked = variable.stack(mark=others) if others else variable.expand_dims(mark=1)
    colors, marks = shades(variable.sizes[by_color]), marked.sizes["mark"]
    labels = {k: _label(variable, by_color, variable[by_color][k].item())
              for k in _picked(len(colors))}  # fmt: skip
    for k, m in itertools.product(range(len(colors)), range(marks)):
        line = marked.isel({by_color: k, "mark": m})
        label = labels.get(k) if not others else None
        ls, marker = _mark(m)
        point = [(by_color, variable[by_color][k].item())]
        point += [(d, line[d].item()) for d in others]
        said = ", ".join(_label(variable, d, value) for d, value in point)
        keep(ax, said, variable[variable.dims[0]].values, line.values)
        ax.plot(x, line.values, color=colors[k], ms=5, ls=ls, marker=marker, label=label)
    if others:
        for k, label in labels.items():
            ax.plot([], [], color=colors[k], label=label)
        for m in _picked(marks):
            point = marked.isel(mark=m)
            label = ", ".join(_label(variable, d, point[d].item()) for d in others)
            ls, marker = _mark(m)
            ax.plot([], [], color=GRAY, ms=5, ls=ls, marker=marker, label=label)


def _mark(number: int) -> tuple[str, str]:
    """Return dashes and marker, another combination for each number."""
    return DASHES[number % len(DASHES)], _MARKERS[number // len(DASHES) % len(_MARKERS)]


def _picked(n: int) -> list[int]:
    """Return which of ``n`` are named: all, or some between which the others are read."""
    if n <= _NAMED:
        return list(range(n))
    return [round(k * (n - 1) / (_NAMED - 1)) for k in range(_NAMED)]


def _label(variable: xr.DataArray, dim: Hashable, value: object) -> str:
    unit = str(variable[dim].attrs.get("units", ""))
    shown = value if isinstance(value, str) else f"{value:.4g}"
    return f"{dim} = {shown} {UNITS.get(unit, unit)}".rstrip()


def _horizontal(ax: Axes, x: np.ndarray, numeric: bool, scale: str) -> None:
    if x.size > 1 and numeric and not np.isfinite(ax.dataLim.x0):
        ax.set_xlim(x.min(), x.max())
    if not numeric:
        long = sum(len(str(label)) + 2 for label in x) > _WIDTH
        ax.set_xticks(np.arange(x.size), x, **({"rotation": 30, "ha": "right"} if long else {}))
        return
    wide = (x > 0).all() and x.max() >= 10 * x.min()
    if scale == "log" or (scale == "auto" and wide):
        log_axis(ax, "x")
    elif x.size <= _FEW_VALUES:
        ax.set_xticks(x, [f"{value:g}" for value in x])
