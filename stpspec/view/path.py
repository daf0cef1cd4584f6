"""Figure of the path of a fit: loss and parameters along its evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from stpspec.view.style import BLUE, GRAY, GREEN, ORANGE, PALE, legend, new_axes, wrap

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from stpspec.specs.parameters import Parameter


def plot_path(
    history: xr.Dataset,
    parameters: Mapping[str, Parameter],
    *,
    axes: Sequence[Axes] | np.ndarray | None = None,
) -> np.ndarray:
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
    size = (7.2, 0.9 + 1.4 * n)
    panels: np.ndarray = new_axes(n, size) if axes is None else np.asarray(axes).ravel()
    if len(panels) != n:
        raise ValueError(f"{n} axes are needed, one for the loss (got {len(panels)})")
    x, loss = history["evaluation"].values, history["loss"].values.astype(float)
    good = (history["reason"].values.astype(str) == "") & np.isfinite(loss)
    _draw_path(panels[0], x, loss, loss, good)
    panels[0].plot(x[~good], np.full((~good).sum(), 0.05), "x", color=ORANGE, ms=4,
                 transform=panels[0].get_xaxis_transform(), label="Failed")  # fmt: skip
    panels[0].set_ylabel("Loss")
    if (loss[good] > 0).any() and (loss[good] >= 0).all():
        _log_scale(panels[0])
    for ax, (name, parameter) in zip(panels[1:], parameters.items(), strict=True):
        values = history[f"parameter_{name}"]
        _draw_path(ax, x, values.values, loss, good)
        ax.plot(x[~good], values.values[~good], "x", color=ORANGE, ms=4)
        for bound in (float(parameter.min), float(parameter.max)):
            ax.axhline(bound, color=GRAY, lw=0.8, ls="--", label="Bounds")
        if parameter.scale == "log":
            _log_scale(ax)
        ax.set_ylabel(wrap(name, 16, values.attrs.get("units", "")))
    for ax in panels:
        for k in np.flatnonzero(np.diff(history["start"].values)) + 1:
            ax.axvline(x[k] - 0.5, color=PALE, lw=0.8, zorder=0, label="New start")
    panels[-1].set_xlabel("Evaluation")
    legend(panels[0], *panels[:2])
    return panels


def _draw_path(ax: Axes, x: np.ndarray, y: np.ndarray, loss: np.ndarray, good: np.ndarray) -> None:
    ax.plot(x[good], y[good], ".", color=BLUE, ms=4, alpha=0.6, mew=0, label="Evaluation")
    running = np.minimum.accumulate(loss[good])
    best = np.searchsorted(-running, -running)  # where each smallest loss was seen first
    ax.plot(x[good], y[good][best], color=GREEN, drawstyle="steps-post", label="Best so far")
    ax.set_xlim(0, x.size + 1)
    ax.margins(y=0.14)


def _log_scale(ax: Axes) -> None:
    """Make y logarithmic, with a few labels that keep apart even within a decade."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    ax.set_yscale("log", nonpositive="clip")
    low, high = ax.get_ylim()
    if high / low < 300:
        ax.yaxis.set_major_locator(MaxNLocator(4) if high / low < 20 else LogLocator(subs=(1, 3)))
        ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
