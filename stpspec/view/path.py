"""Figure of the path of a fit: loss and parameters along its evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from stpspec.view.data import keep
from stpspec.view.style import (
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    PALE,
    figure_legend,
    legend,
    log_axis,
    new_axes,
    new_grid,
    wrap,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from stpspec.specs.parameters import Parameter
    from stpspec.view.contract import Fit

_ONE_COLUMN = 9  # panels below one another that can be read
_FEW = 60  # evaluations up to which each dot is a large one


def plot_path(
    history: xr.Dataset,
    parameters: Mapping[str, Parameter],
    *,
    result: Fit | None = None,
    axes: Sequence[Axes] | np.ndarray | None = None,
) -> np.ndarray:
    """Plot loss and parameters along the evaluations of a fit, with the best so far.

    Parameters
    ----------
    history : xarray.Dataset
        As in ``FitResult``.
    parameters : mapping of str to Parameter
        With bounds as numbers, in the units of the history.
    result : FitResult, optional
        Whose loss and values are marked at the end: a last step on the reference numerics is no
        evaluation of the search.
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
    across = 1 if n <= _ONE_COLUMN else 2
    size = (7.2 if across == 1 else 10.8, 0.9 + 1.4 * -(-n // across))
    if axes is not None:
        panels: np.ndarray = np.asarray(axes).ravel()
    else:
        panels = new_axes(n, size) if across == 1 else new_grid(n, across, size)
    if len(panels) != n:
        raise ValueError(f"{n} axes are needed, one for the loss (got {len(panels)})")
    x, loss = history["evaluation"].values, history["loss"].values.astype(float)
    good = (history["reason"].values.astype(str) == "") & np.isfinite(loss)
    _draw_loss(panels[0], x, loss, good)
    for ax, (name, parameter) in zip(panels[1:], parameters.items(), strict=True):
        _draw_parameter(ax, history, name, parameter, good)
    if result is not None:
        ends = [result.loss, *(result.parameters[name] for name in parameters)]
        for ax, end in zip(panels, ends, strict=True):
            ax.plot(x.size + 0.5, end, "D", color="black", ms=4.5, zorder=4, label="Result")
            keep(ax, "result", np.array([x.size]), np.array([end]))
    for ax in panels:
        for k in np.flatnonzero(np.diff(history["start"].values)) + 1:
            ax.axvline(x[k] - 0.5, color=PALE, lw=0.8, zorder=0, label="New start")
    for ax in panels[-across:]:
        ax.set_xlabel("Evaluation")
        ax.tick_params(labelbottom=True)
    if across == 1:
        legend(panels[0], *panels[:2])
    else:
        figure_legend(panels[:2])
    return panels


def _draw_loss(ax: Axes, x: np.ndarray, loss: np.ndarray, good: np.ndarray) -> None:
    ax.set_ylabel("Loss")
    _draw_path(ax, x, loss, loss, good)
    if not good.all():
        ax.plot(x[~good], np.full((~good).sum(), 0.05), "x", color=ORANGE, ms=4,
                     transform=ax.get_xaxis_transform(), label="Failed")  # fmt: skip
    if not good.any():
        ax.set_yticks([])
    if (loss[good] > 0).any() and (loss[good] >= 0).all():
        log_axis(ax, "y")


def _draw_parameter(
    ax: Axes, history: xr.Dataset, name: str, parameter: Parameter, good: np.ndarray
) -> None:
    x, values = history["evaluation"].values, history[f"parameter_{name}"]
    ax.set_ylabel(wrap(name, 16, values.attrs.get("units", "")))
    _draw_path(ax, x, values.values, history["loss"].values.astype(float), good)
    if not good.all():
        ax.plot(x[~good], values.values[~good], "x", color=ORANGE, ms=4)
        keep(ax, "failed", x[~good], values.values[~good])
    for bound in (float(parameter.min), float(parameter.max)):
        ax.axhline(bound, color=GRAY, lw=0.8, ls="--", label="Bounds")
    if parameter.scale == "log":
        log_axis(ax, "y")


def _draw_path(ax: Axes, x: np.ndarray, y: np.ndarray, loss: np.ndarray, good: np.ndarray) -> None:
    if good.any():
        running = np.minimum.accumulate(loss[good])
        best = np.searchsorted(-running, -running)  # where each smallest loss was seen first
        few = x.size <= _FEW
        # The dots lie on the line, which would hide those of a search that improves each time.
        ax.plot(x[good], y[good], "o", color=BLUE, ms=4.5 if few else 2, alpha=1.0 if few else 0.6,
                mec="white", mew=0.5 if few else 0.0, zorder=3, label="Evaluation")  # fmt: skip
        ax.plot(x[good], y[good][best], color=GREEN, drawstyle="steps-post", lw=1.3, zorder=2,
                label="Best so far")  # fmt: skip
        keep(ax, "evaluation", x[good], y[good])
        keep(ax, "best so far", x[good], y[good][best])
    ax.set_xlim(0, x.size + 1)
    ax.locator_params(axis="x", integer=True)
    ax.margins(y=0.14)
