"""The figure of a campaign: every connection's targets beside what was achieved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stpspec.errors import StpspecError
from stpspec.metrics.miss import Miss
from stpspec.metrics.noise import Noise
from stpspec.registry import METRICS
from stpspec.units import convert, split
from stpspec.view.data import keep
from stpspec.view.style import BLUE, DPI, GRAY, cut, wrap
from stpspec.view.words import REFERENCES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stpspec.view.contract import Asked, Connection

_ROW, _PANEL, _MANY = 0.30, 2.3, 40  # inches; connections from which on the rows are narrower
_NAME = 40  # characters of a connection
_APART = 0.17  # of a row, that target and achieved lie above and below its middle
_TARGET = "0.35"


def plot_campaign(connections: Sequence[Connection]) -> np.ndarray:
    """Plot one panel a metric: target ± sd (gray) and achieved (blue) of each connection.

    A connection without data for a metric has no points there; of a vector, the RMS miss in sd is
    drawn. Connections without a result have their status behind their name, and their targets.

    Parameters
    ----------
    connections : sequence of ConnectionState
        See :class:`stpspec.campaigns.summary.Campaign`.

    Returns
    -------
    ndarray of Axes, shape (panel,)
    """
    panels = _panels(connections)
    axes = _axes(max(len(panels), 1), connections)
    for ax, (name, unit) in zip(axes, panels, strict=False):
        _draw(ax, connections, name, unit)
    if not panels:
        axes[0].set_title("no result yet", fontsize=9)
    _legend(axes[0].get_figure())
    return axes


def _panels(connections: Sequence[Connection]) -> list[tuple[str, str]]:
    """Return (term, unit) of all that was achieved; of what was only asked, too."""
    achieved = [
        (n, m["unit"]) for c in connections for n, m in c.summary.get("metrics", {}).items()
    ]
    known = {n for n, _ in achieved}
    asked = [
        (n, _unit(a)) for c in connections if not c.summary for n, a in c.asked.items()
        if n not in known and a["metric"] in METRICS.names()
    ]  # fmt: skip
    return list(dict.fromkeys([*achieved, *asked]))


def _unit(asked: Asked) -> str:
    """Return the unit of a term without a result: of a signal it is known if it was written."""
    unit = METRICS.get(asked["metric"]).unit
    if "signal" not in unit:
        return unit
    target = asked["target"]
    written = split(target)[1] if isinstance(target, str) else ""
    return written or "1"


def _font(connections: Sequence[Connection]) -> float:
    return 9 if len(connections) <= _MANY else 7


def _label(connection: Connection) -> str:
    name = cut(connection.label, _NAME)
    return name if connection.summary else f"{name} ({connection.status})"


def _axes(n: int, connections: Sequence[Connection]) -> np.ndarray:
    """Return the panels side by side, in rows of at most six; the names stand at each row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from stpspec.view.pictures import Panels, ShownAxes, ShownFigure

    across = min(n, 6)
    down = -(-n // across)
    labels = [_label(c) for c in connections]
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
        for text, c in zip(ax.get_yticklabels(), connections if first else (), strict=False):
            text.set_color(GRAY if not c.summary else "black")
        ax.set_ylim(len(labels) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.tick_params(axis="x", labelsize=8, labeltop=len(labels) > _MANY)
        ax.locator_params(axis="x", nbins=4)
        ax.margins(x=0.08)
        ax.spines[["top", "right", "left"]].set_visible(False)
        for y in range(len(labels)):
            if y % 2:
                ax.axhspan(y - 0.5, y + 0.5, color="0.965", zorder=0, lw=0)
    return grid.ravel()[:n].view(Panels)


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=_TARGET, marker="D", mfc="white", ms=4.5, lw=1.2, label="Target ± SD"),
        Line2D([], [], color=BLUE, marker="o", ms=5, lw=0, label="Achieved"),
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=2, frameon=False, fontsize=9)


def _draw(ax: Axes, connections: Sequence[Connection], name: str, unit: str) -> None:
    rows = {
        y: c
        for y, c in enumerate(connections)
        if c.summary.get("metrics", {}).get(name, {}).get("unit") == unit
    }
    metrics = {c.asked[name]["metric"] for c in connections if name in c.asked}
    if any(isinstance(c.summary.get("metrics", {})[name]["target"], list) for c in rows.values()):
        _draw_misses(ax, rows, name)
        return
    waiting = {y: m for y, c in enumerate(connections) if not c.summary
               for m in [_target_alone(c, name, unit)] if m is not None}  # fmt: skip
    misses = {y: c.miss_of(name) for y, c in rows.items()}
    _draw_targets(ax, {**misses, **waiting})
    labels = {y: connections[y].label for y in {*misses, *waiting}}
    ax.plot([m.achieved[0] for m in misses.values()], [y + _APART for y in misses], "o",
            color=BLUE, ms=5, mew=0, zorder=3)  # fmt: skip
    panel = f"{name} ({unit})" if unit != "1" else name
    for y, m in sorted({**misses, **waiting}.items()):
        keep(ax, "target", labels[y], m.target, m.sd, panel=panel)
        if y in misses:
            keep(ax, "achieved", labels[y], m.achieved, panel=panel)
    for reference in {REFERENCES[m] for m in metrics if m in REFERENCES}:
        ax.axvline(reference, color=GRAY, lw=0.8, ls="--", zorder=0.5)
    ax.set_title(wrap(name, 24, unit), fontsize=9)


def _draw_targets(ax: Axes, misses: dict[int, Miss]) -> None:
    for has_sd in (True, False):
        some = {y - _APART: m for y, m in misses.items() if (m.sd is not None) == has_sd}
        if some:
            sds = [float(m.sd[0]) for m in some.values() if m.sd is not None] if has_sd else None
            ax.errorbar([m.target[0] for m in some.values()], list(some), xerr=sds, fmt="D",
                        color=_TARGET, mfc="white", ms=4.5, lw=1.2, zorder=2)  # fmt: skip


def _draw_misses(ax: Axes, rows: dict[int, Connection], name: str) -> None:
    """Draw the RMS misses of vectors; without an sd there is none that could be compared."""
    misses = {y: abs(c.misses[name]) for y, c in rows.items()}
    shown = {y: m for y, m in misses.items() if np.isfinite(m)}
    ax.plot(list(shown.values()), list(shown), "o", color=BLUE, ms=5, mew=0, zorder=3)
    for y in misses.keys() - shown.keys():
        ax.text(0.03, y, "no SD", transform=ax.get_yaxis_transform(), va="center", fontsize=7,
                color=GRAY)  # fmt: skip
    for y, miss in shown.items():
        keep(ax, "RMS miss", rows[y].label, miss, panel=f"{name}: RMS miss (SD)")
    ax.axvline(0, color=GRAY, lw=0.8, zorder=0.5)
    ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
    ax.set_title(wrap(f"{name}: RMS miss", 24, "SD"), fontsize=9)


def _target_alone(connection: Connection, name: str, unit: str) -> Miss | None:
    """Return the target of a connection without a result, in the unit of the panel."""
    asked = connection.asked.get(name)
    if asked is None or isinstance(asked["target"], list):
        return None
    try:
        target = np.array([convert(asked["target"], unit)])
        sd = asked["sd"]
        if isinstance(sd, list) or isinstance(asked["n"], list):
            return None
        sds = None if sd is None else Noise.of(convert(sd, unit), asked["n"], target).sd
    except StpspecError:
        return None  # in another unit than the panel
    return Miss(target, target, sds)
