"""The style of all figures: colors, axes that pyplot knows nothing of, legends, line breaks."""

from __future__ import annotations

import re
from typing import Any

# Okabe and Ito: told apart by all kinds of color vision.
BLUE, ORANGE, GREEN, GRAY, PALE = "#0072B2", "#D55E00", "#009E73", "0.45", "0.88"
LINES = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", ":", "-.")
UNITS = {"1": "", "uS": "µS", "Mohm": "MΩ", "MOhm": "MΩ"}
DPI = 150
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
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from stpspec.view.pictures import Panels, ShownAxes, ShownFigure

    figure = ShownFigure(figsize=size, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    kind = {"axes_class": ShownAxes}
    axes = figure.subplots(n, 1, sharex=share, squeeze=False, subplot_kw=kind)[:, 0].view(Panels)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return axes


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
