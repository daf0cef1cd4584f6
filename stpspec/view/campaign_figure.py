"""The figure of a campaign: every connection's targets beside what was achieved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stpspec.view.style import BLUE, DPI, GRAY, cut, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stpspec.view.contract import Connection

_ROW, _PANEL, _MANY = 0.30, 2.3, 40  # inches; connections from which on the rows are narrower


def plot_campaign(connections: Sequence[Connection]) -> np.ndarray:
    """Plot one panel a metric: target ± sd (gray) and achieved (blue) of each connection.

    A connection without data for a metric has no bars there; of a vector, the RMS miss in sd is
    drawn. Connections without a result have their status in gray in the place of bars.

    Parameters
    ----------
    connections : sequence of ConnectionState
        See :class:`stpspec.campaigns.summary.Campaign`.

    Returns
    -------
    ndarray of Axes, shape (panel,)
    """
    panels = list(dict.fromkeys(
        (n, m["unit"]) for c in connections for n, m in c.summary.get("metrics", {}).items()
    )) or [("no result yet", "1")]  # fmt: skip
    axes = _axes(len(panels), connections)
    for ax, (name, unit) in zip(axes, panels, strict=True):
        _draw(ax, connections, name, unit)
    for y, c in enumerate(connections):
        if not c.summary:
            axes[0].text(0.02, y, c.status, transform=axes[0].get_yaxis_transform(), va="center",
                         fontsize=_font(connections), color=GRAY)  # fmt: skip
    return axes


def _font(connections: Sequence[Connection]) -> float:
    return 9 if len(connections) <= _MANY else 7


def _axes(n: int, connections: Sequence[Connection]) -> np.ndarray:
    """Return the panels side by side, in rows of at most six; the names stand at each row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from stpspec.view.pictures import Panels, ShownAxes, ShownFigure

    across = min(n, 6)
    down = -(-n // across)
    labels = [cut(c.label, 40) for c in connections]
    height = max(_ROW * (1 if len(labels) <= _MANY else 0.55) * len(labels), 0.9)
    names = 0.085 * max(map(len, labels), default=1)
    size = (max(names + _PANEL * across, 5.0), down * (height + 0.8) + 0.5)
    figure = ShownFigure(figsize=size, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(down, across, squeeze=False, subplot_kw={"axes_class": ShownAxes})
    for ax in grid.ravel()[n:]:
        ax.remove()
    for index, ax in enumerate(grid.ravel()[:n]):
        first = index % across == 0
        ax.set_yticks(range(len(labels)), [x.replace("$", r"\$") for x in labels] if first else [],
                      fontsize=_font(connections))  # fmt: skip
        ax.set_ylim(len(labels) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.tick_params(axis="x", labelsize=8, labeltop=len(labels) > _MANY)
        ax.locator_params(axis="x", nbins=4)
        ax.spines[["top", "right", "left"]].set_visible(False)
        for y in range(len(labels)):
            if y % 2:
                ax.axhspan(y - 0.5, y + 0.5, color="0.965", zorder=0, lw=0)
    _legend(figure)
    return grid.ravel()[:n].view(Panels)


def _legend(figure: Figure) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color="0.72", label="Target ± SD"), Patch(color=BLUE, label="Achieved")]
    figure.legend(handles=handles, loc="outside upper right", ncols=2, frameon=False, fontsize=9)


def _draw(ax: Axes, connections: Sequence[Connection], name: str, unit: str) -> None:
    rows = {
        y: c
        for y, c in enumerate(connections)
        if c.summary.get("metrics", {}).get(name, {}).get("unit") == unit
    }
    if any(isinstance(c.summary.get("metrics", {})[name]["target"], list) for c in rows.values()):
        misses = np.abs([c.misses[name] for c in rows.values()])
        ax.barh(list(rows), np.nan_to_num(misses), height=0.5, color=BLUE)
        ax.set_title(wrap(f"{name}: RMS miss", 24, "SD"), fontsize=9)
        return
    misses = [c.miss_of(name) for c in rows.values()]
    ys = np.array(list(rows), float)
    targets = np.array([m.target[0] for m in misses])
    achieved = np.array([m.achieved[0] for m in misses])
    ax.barh(ys - 0.2, targets, height=0.36, color="0.72")
    ax.barh(ys + 0.2, achieved, height=0.36, color=BLUE)
    for y, miss in zip(ys, misses, strict=True):
        if miss.sd is not None:
            ends = [miss.target[0] - miss.sd[0], miss.target[0] + miss.sd[0]]
            ax.plot(ends, [y - 0.2] * 2, color="0.25", lw=1)
    if targets.size and min(targets.min(), achieved.min()) < 0:
        ax.axvline(0, color=GRAY, lw=0.8)
    ax.set_title(wrap(name, 24, unit), fontsize=9)
