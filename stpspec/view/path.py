"""Figure of the path of a fit: loss and parameters along its evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from stpspec.view.style import BLUE, GRAY, GREEN, ORANGE, PALE, legend, new_axes, wrap


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
    axes = new_axes(n, (7.2, 0.9 + 1.4 * n)) if axes is None else np.ravel(axes)
    if len(axes) != n:
        raise ValueError(f"{n} axes are needed, one for the loss (got {len(axes)})")
    x, loss = history["evaluation"].values, history["loss"].values.astype(float)
    good = (history["reason"].values.astype(str) == "") & np.isfinite(loss)
    _draw_path(axes[0], x, loss, loss, good)
    axes[0].plot(x[~good], np.full((~good).sum(), 0.05), "x", color=ORANGE, ms=4,
                 transform=axes[0].get_xaxis_transform(), label="Failed")  # fmt: skip
    axes[0].set_ylabel("Loss")
    if (loss[good] > 0).any() and (loss[good] >= 0).all():
        _log_scale(axes[0])
    for ax, (name, parameter) in zip(axes[1:], parameters.items(), strict=True):
        values = history[f"parameter_{name}"]
        _draw_path(ax, x, values.values, loss, good)
        ax.plot(x[~good], values.values[~good], "x", color=ORANGE, ms=4)
        for bound in (float(parameter.min), float(parameter.max)):
            ax.axhline(bound, color=GRAY, lw=0.8, ls="--", label="Bounds")
        if parameter.scale == "log":
            _log_scale(ax)
        ax.set_ylabel(wrap(name, 16, values.attrs.get("units", "")))
    for ax in axes:
        for k in np.flatnonzero(np.diff(history["start"].values)) + 1:
            ax.axvline(x[k] - 0.5, color=PALE, lw=0.8, zorder=0, label="New start")
    axes[-1].set_xlabel("Evaluation")
    legend(axes[0], *axes[:2])
    return axes


def _draw_path(ax: Any, x: Any, y: Any, loss: Any, good: Any) -> None:
    ax.plot(x[good], y[good], ".", color=BLUE, ms=4, alpha=0.6, mew=0, label="Evaluation")
    running = np.minimum.accumulate(loss[good])
    best = np.searchsorted(-running, -running)  # where each smallest loss was seen first
    ax.plot(x[good], y[good][best], color=GREEN, drawstyle="steps-post", label="Best so far")
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
