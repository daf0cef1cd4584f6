"""One figure of one trial: the traces of every protocol, and its targets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stpspec.view.contract import terms_of
from stpspec.view.style import DPI, wrap
from stpspec.view.targets import plot_targets
from stpspec.view.traces import NAME, plot_traces

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stpspec.view.contract import Achieved
    from stpspec.view.pictures import ShownFigure

# Inches. To the sides is room for the longest labels, and what they leave empty is cut off: to
# measure all texts beforehand, as a layout of matplotlib does, takes as long as to draw them.
_LEFT, _WIDTH, _RIGHT = 3.2, 5.4, 4.6
_TOP, _GAP, _TRACE, _TERM, _LINE, _EDGE = 0.7, 0.85, 1.5, 0.35, 0.17, 0.12
_COMPRESSION = 1  # of 9: a study is not to wait for the last tenth of a file's size


def write_trial(tree: xr.DataTree, shown: Achieved, title: str, path: Path) -> None:
    """Write the figure of one trial as PNG; see :func:`plot_trial`."""
    from matplotlib.image import imsave

    canvas: Any = plot_trial(tree, shown, title).canvas
    canvas.draw()
    pixels = _without_margins(np.asarray(canvas.buffer_rgba()))
    imsave(path, pixels[..., :3], dpi=DPI, pil_kwargs={"compress_level": _COMPRESSION})


def plot_trial(tree: xr.DataTree, shown: Achieved, title: str) -> ShownFigure:
    """Plot the traces of all protocols above the targets against what was achieved.

    Parameters
    ----------
    tree : xarray.DataTree
        One candidate.
    shown : object
        With ``experiment``, ``metrics`` and ``metric_units``, as a FitResult has them; targets
        are left out where not every one of them was measured.
    title : str
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from stpspec.view.pictures import ShownFigure

    names, terms = list(tree.children), terms_of(shown.experiment)
    if not all(n in shown.metrics and np.isfinite(shown.metrics[n]).all() for n in terms):
        terms = {}
    two_scales = len({term.sd is None for term in terms.values()}) == 2  # one is above
    heights = [_TRACE] * len(names) + [_TERM * (len(terms) + 1)] * bool(terms)
    above = [_LINE * wrap(name, NAME).count("\n") for name in names]
    above += [_GAP / 2 * two_scales] * bool(terms)
    tops = [_TOP + k * (_TRACE + _GAP) + sum(above[: k + 1]) for k in range(len(heights))]
    size = (_LEFT + _WIDTH + _RIGHT, tops[-1] + heights[-1] + _GAP)
    figure = ShownFigure(figsize=size, dpi=DPI)
    FigureCanvasAgg(figure)
    axes = [_axes(figure, *place) for place in zip(tops, heights, strict=True)]
    for name, ax in zip(names, axes, strict=False):
        plot_traces(tree, name, ax=ax)
        ax.locator_params(axis="y", nbins=4)  # ticks are half of what a figure costs
    if terms:
        plot_targets(shown, ax=axes[-1])
    figure.text(_LEFT / size[0], 1 - 0.2 / size[1], title, fontsize=11, va="top")
    return figure


def _axes(figure: Figure, top: float, height: float) -> Axes:
    wide, high = figure.get_size_inches()
    ax = figure.add_axes(
        (_LEFT / wide, 1 - (top + height) / high, _WIDTH / wide, height / high)
    )  # fmt: skip
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _without_margins(pixels: np.ndarray) -> np.ndarray:
    """Cut off what is white around all that is drawn, but for a narrow edge."""
    inked = pixels.view(np.uint32)[..., 0] != 0xFFFFFFFF  # a number a pixel: four take 20 ms
    edge = round(_EDGE * DPI)
    rows, columns = (np.flatnonzero(inked.any(axis=axis)) for axis in (1, 0))
    return pixels[max(rows[0] - edge, 0) : rows[-1] + edge,
                  max(columns[0] - edge, 0) : columns[-1] + edge]  # fmt: skip
