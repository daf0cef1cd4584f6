"""The figure of a sweep: metrics against the swept field."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from stpspec.errors import StpspecError, UnknownNameError
from stpspec.view.style import BLUE, DASHES, GRAY, UNITS, legend, new_axes, shades, wrap

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

Scale = Literal["auto", "log", "linear"]
_REFERENCES = {"paired_pulse_ratio": 1.0, "steady_state": 1.0, "induction": 0.0, "recovery": 0.0,
               "initial": 0.0, "recovery_single": 0.0}  # fmt: skip

_MARKERS = (".", "s", "^", "x", "D")
_SHOWN = 7  # metrics below one another that can be read
_WIDTH = 80  # characters that fit below an axis
_NAMED = 6  # more values than this are not all named in a legend


def plot_sweep(
    swept: xr.Dataset,
    metrics: Sequence[str] | None = None,
    *,
    scale: Scale = "auto",
    axes: Sequence[Axes] | np.ndarray | None = None,
) -> np.ndarray:
    """Plot metrics against the first swept field; of others, each combination is a line.

    The one with the most values is told apart by color, the rest by dashes and markers.

    Parameters
    ----------
    swept : xarray.Dataset
        As :func:`stpspec.sweep` returns it.
    metrics : sequence of str, optional
        Names of variables; by default those of :func:`default_metrics`.
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
    names = list(metrics) if metrics else default_metrics(swept)
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
        if metric in _REFERENCES:
            ax.axhline(_REFERENCES[metric], color=GRAY, lw=0.8, ls="--", zorder=0)
        _draw_lines(ax, x if numeric else np.arange(x.size), variable)
        ax.set_ylabel(wrap(name, 22, str(variable.attrs.get("units", "")).replace("1", "")))
    _horizontal(panels[-1], x, numeric, scale)
    label = str(swept[first].attrs.get("long_name", first))
    panels[-1].set_xlabel(wrap(label, 80, str(swept[first].attrs.get("units", ""))))
    if swept[names[0]].ndim > 1:
        legend(panels[0])
    return panels


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
    if shown and not any(_changes(swept[n]) for n in shown):
        shown += [n for n in names if metric[n] == "amplitude" and _changes(swept[n])][:1]
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
    if not numeric:
        long = sum(len(str(label)) + 2 for label in x) > _WIDTH
        ax.set_xticks(np.arange(x.size), x, **({"rotation": 30, "ha": "right"} if long else {}))
        return
    wide = (x > 0).all() and x.max() >= 10 * x.min()
    if scale == "log" or (scale == "auto" and wide):
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
