"""One figure of one trial: the traces of every protocol, and its targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stpspec.view.plots import plot_traces
from stpspec.view.style import DPI
from stpspec.view.targets import plot_targets

_COMPRESSION = 1  # of 9: a study is not to wait for the last tenth of a file's size


def write_portrait(tree: Any, shown: Any, title: str, path: Path) -> None:
    """Write the traces of all protocols above the targets against what was achieved, as PNG.

    Parameters
    ----------
    tree : xarray.DataTree
        One candidate.
    shown : object
        With ``experiment``, ``metrics`` and ``metric_units``, as a FitResult has them.
    title : str
    path : Path
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(tree.children)
    heights = [2.2] * len(names) + [1.2 + 0.35 * len(shown.experiment.objective.terms)]
    figure = Figure(figsize=(8.5, sum(heights)), dpi=DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    for name, ax in zip(names, axes, strict=False):
        plot_traces(tree, name, ax=ax)
    plot_targets(shown, ax=axes[-1])
    figure.suptitle(title, fontsize=11)
    canvas.print_png(path, pil_kwargs={"compress_level": _COMPRESSION})  # `savefig` draws twice
