"""The style of all figures: colors, axes that pyplot knows nothing of, legends, line breaks."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Literal

import numpy as np

# Okabe and Ito: told apart by all kinds of color vision.
BLUE, ORANGE, GREEN, GRAY, PALE = "#0072B2", "#D55E00", "#009E73", "0.45", "0.88"
LINES = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", ":", "-.")
UNITS = {"1": "", "uS": "µS", "Mohm": "MΩ", "MOhm": "MΩ"}
DPI = 150
# Vectors look the same everywhere, and are the same bytes each time; text of a PDF can be edited.
VECTORS: dict[Any, Any] = {"svg.fonttype": "path", "svg.hashsalt": "stpspec", "pdf.fonttype": 42}
# Of a legend, in characters of its labels: the width of a figure, and that of a handle.
_LINE, _HANDLE = 80, 7


def shades(n: int) -> list[Any]:
    """Return ``n`` colors: told apart if few, else in order from dark to light."""
    if n <= len(LINES):
        return list(LINES[:n])
    from matplotlib import colormaps

    return [colormaps["viridis"](0.9 * k / (n - 1)) for k in range(n)]


def new_axes(n: int, size: tuple[float, float], *, share: bool = True) -> Any:
    """Return ``n`` stacked Axes of a new figure that pyplot knows nothing of, shape (n,)."""
    return new_grid(n, 1, size, share=share)


def new_grid(n: int, across: int, size: tuple[float, float], *, share: bool = True) -> Any:
    """Return ``n`` Axes of a new figure, row by row, shape (n,); the last row may be shorter."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from stpspec.view.pictures import Panels, ShownAxes, ShownFigure

    figure = ShownFigure(figsize=size, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    kind = {"axes_class": ShownAxes}
    shape = (-(-n // across), across)
    axes = figure.subplots(*shape, sharex=share, squeeze=False, subplot_kw=kind).ravel()
    for ax in axes[:n]:
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[n:]:
        ax.remove()
    return axes[:n].view(Panels)


def thinned(t: np.ndarray, y: np.ndarray, most: int = 4000) -> np.ndarray:
    """Return which samples show a trace: all, or the extremes of each of many short stretches."""
    if t.size <= most:
        return np.arange(t.size)
    edges = np.linspace(0, t.size, most // 2 + 1).astype(int)
    parts = [(i, y[i:j]) for i, j in pairwise(edges)]
    ends = [i + part.argmin() for i, part in parts] + [i + part.argmax() for i, part in parts]
    return np.unique([0, *ends, t.size - 1])


def log_axis(ax: Any, which: Literal["x", "y"]) -> None:
    """Make an axis logarithmic, with a few labels that keep apart even within a decade."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    set_scale, axis = (ax.set_xscale, ax.xaxis) if which == "x" else (ax.set_yscale, ax.yaxis)
    set_scale("log", nonpositive="clip")
    low, high = sorted(axis.get_view_interval())
    if high / low < 300:
        axis.set_major_locator(MaxNLocator(4) if high / low < 20 else LogLocator(subs=(1, 3)))
        axis.set_major_formatter("{x:g}")
    elif low >= 1e-3 and high <= 1e5:
        axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def legend(ax: Any, *sources: Any) -> None:
    """Put a legend above ``ax``, each label once; beside it when there are too many for a line."""
    pairs = [zip(*s.get_legend_handles_labels(), strict=True) for s in sources or (ax,)]
    unique = {label: handle for pair in pairs for handle, label in pair}
    if sum(len(label) + _HANDLE for label in unique) > _LINE:
        ax.legend(unique.values(), unique.keys(), loc="upper left", bbox_to_anchor=(1.0, 1.0),
                  frameon=False, fontsize=8, borderaxespad=0.2, labelspacing=0.3)  # fmt: skip
    elif unique:
        ax.legend(unique.values(), unique.keys(), loc="lower right", bbox_to_anchor=(1.0, 1.0),
                  ncols=len(unique), frameon=False, fontsize=9, borderaxespad=0.2)  # fmt: skip


def figure_legend(axes: Any) -> None:
    """Put one legend for several panels above all of a figure, each label once."""
    pairs = [zip(*ax.get_legend_handles_labels(), strict=True) for ax in axes]
    unique = {label: handle for pair in pairs for handle, label in pair}
    axes[0].get_figure().legend(
        unique.values(), unique.keys(), loc="outside upper right", ncols=len(unique) or 1,
        frameon=False, fontsize=9,
    )  # fmt: skip


def cut(label: str, width: int) -> str:
    """Cut a long name in its middle: it may begin and end like others, as in pre→post."""
    half = width // 2
    return label if len(label) <= width else f"{label[: half - 1]}…{label[-half:]}"


def wrap(text: str, width: int, unit: str = "") -> str:
    """Break text and unit into lines, at underscores too; a dollar sign is no mathematics."""
    unit = UNITS.get(unit, unit)
    text = f"{text} ({unit})" if unit else text
    width = min(width, len(text) // -(-len(text) // width) + 6)  # lines of like length
    lines = [""]
    for piece in re.findall(rf"[^\s_]{{1,{width}}}[\s_]*|[\s_]+", text):
        if lines[-1] and len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines).replace("$", r"\$")
