"""The figure of a sweep: metrics against the swept field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from stpspec.errors import UnknownNameError
from stpspec.view.style import BLUE, GRAY, LINES, legend, new_axes, wrap

_REFERENCES = {"paired_pulse_ratio": 1.0, "steady_state": 1.0, "induction": 0.0, "recovery": 0.0,
               "initial": 0.0, "recovery_single": 0.0}  # fmt: skip


def plot_sweep(
    swept: Any,
    metrics: Sequence[str] | None = None,
    *,
    scale: Literal["auto", "log", "linear"] = "auto",
    axes: Any = None,
) -> Any:
    """Plot metrics against the first swept field; a second one makes a line for each value.

    Parameters
    ----------
    swept : xarray.Dataset
        As :func:`stpspec.sweep` returns it.
    metrics : sequence of str, optional
        Names of variables; by default paired-pulse ratio, induction, recovery and coupling
        coefficient, whichever there are.
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
    """
    names = list(metrics) if metrics else default_metrics(swept)
    missing = [n for n in names if n not in swept]
    if missing or not names:
        known = ", ".join(str(v) for v in swept.data_vars if v != "reason")
        raise UnknownNameError(f"no metric {missing or ''} in this sweep (there are: {known})")
    axes = new_axes(len(names), (7.2, 1.0 + 1.9 * len(names))) if axes is None else np.ravel(axes)
    first = str(next(iter(swept[names[0]].dims)))
    x = swept[first].values
    numeric = x.dtype.kind in "if"
    for ax, name in zip(axes, names, strict=True):
        variable = swept[name]
        metric = str(variable.attrs.get("long_name", name)).split(" of ")[0]
        if metric in _REFERENCES:
            ax.axhline(_REFERENCES[metric], color=GRAY, lw=0.8, ls="--", zorder=0)
        _draw_lines(ax, x if numeric else np.arange(x.size), variable)
        ax.set_ylabel(wrap(name, 22, str(variable.attrs.get("units", "")).replace("1", "")))
    _horizontal(axes[-1], x, numeric, scale)
    axes[-1].set_xlabel(str(swept[first].attrs.get("long_name", first)))
    if swept[names[0]].ndim > 1:
        legend(axes[0])
    return axes


def default_metrics(swept: Any) -> list[str]:
    """Return the metrics that a reader of a sweep looks for first; all where none of them is."""
    wanted = ("paired_pulse_ratio", "induction", "recovery", "steady_state", "coupling_coefficient")
    names = [str(n) for n in swept.data_vars if n != "reason"]
    metric = {n: str(swept[n].attrs.get("long_name", n)).split(" of ")[0] for n in names}
    # The experiment's own terms come first in the Dataset, and with them their options.
    found = [next((n for n in names if metric[n] == w), None) for w in wanted]
    return [n for n in found if n] or names[:5]


def _draw_lines(ax: Any, x: Any, variable: Any) -> None:
    rest = variable.dims[1:]
    if not rest:
        ax.plot(x, variable.values, ".-", color=BLUE, ms=5)
        return
    flat = variable.stack(line=rest)
    for k in range(flat.sizes["line"]):
        point = flat.isel(line=k)
        label = ", ".join(f"{d} = {point[d].item():g}" if np.ndim(point[d].item()) == 0
                          and not isinstance(point[d].item(), str) else f"{d} = {point[d].item()}"
                          for d in rest)  # fmt: skip
        ax.plot(x, point.values, ".-", color=LINES[k % len(LINES)], ms=5, label=label)


def _horizontal(ax: Any, x: Any, numeric: bool, scale: str) -> None:
    if not numeric:
        ax.set_xticks(np.arange(x.size), x)
        return
    wide = (x > 0).all() and x.max() >= 10 * x.min()
    if scale == "log" or (scale == "auto" and wide):
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
