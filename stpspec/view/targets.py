"""The figure of targets against what was achieved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stpspec.metrics.miss import Miss, misses_of
from stpspec.view.contract import target_unit, terms_of
from stpspec.view.data import keep
from stpspec.view.style import BLUE, GRAY, ORANGE, PALE, UNITS, new_axes, wrap
from stpspec.view.tables import values_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stpspec.specs.objective import Term
    from stpspec.view.contract import Achieved


def plot_targets(result: Achieved, *, ax: Axes | None = None) -> Axes:
    """Plot how far each term is from its target, and print the numbers beside it.

    Misses are in SD (blue; the bar is ±1 SD) or, for a term without one, in % of the target
    (orange; of a vector, of its RMS). Each value of a vector is a small mark.

    Parameters
    ----------
    result : FitResult
    ax : matplotlib Axes, optional
        A figure of its own by default.

    Returns
    -------
    Axes
    """
    terms = terms_of(result.experiment)
    misses = misses_of(result.experiment.objective, result.metrics)
    units = {n: target_unit(t, result.metric_units[n]) for n, t in terms.items()}
    texts = [_numbers(t, misses[n], units[n]) for n, t in terms.items()]
    labels = [wrap(n if t.weight > 0 else f"{n} (weight 0)", 32) for n, t in terms.items()]
    longest = max(map(len, texts)) + min(max(map(len, terms)), 32)
    size = (3.4 + 0.08 * longest, 1.6 + 0.45 * len(terms))
    main: Axes = new_axes(1, size)[0] if ax is None else ax
    kinds = sorted({t.sd is None for t in terms.values()})  # False: in SD, True: in %
    scales = {in_percent: main if in_percent == kinds[0] else main.twiny() for in_percent in kinds}
    for y, (name, term) in enumerate(terms.items()):
        _draw_misses(scales[term.sd is None], y, misses[name])
        _keep_numbers(main, name, misses[name], units[name])
        main.text(1.02, y, texts[y], transform=main.get_yaxis_transform(), va="center", fontsize=9)
    for in_percent, scale in scales.items():
        limit = max([1.5, *(1.15 * np.abs(line.get_xdata()).max() for line in scale.lines)])
        scale.set_xlim(-limit, limit)
        scale.locator_params(axis="x", nbins=7)
        scale.spines[["left", "right"]].set_visible(False)
        scale.set_xlabel(f"Achieved − target ({'%' if in_percent else 'SD'} of target)",
                         color=ORANGE if in_percent else BLUE)  # fmt: skip
    main.axvline(0, color=GRAY, lw=0.8, zorder=0)
    main.text(1.02, -0.6, "Target → achieved", transform=main.get_yaxis_transform(), va="bottom",
            fontsize=9, color=GRAY)  # fmt: skip
    main.set_yticks(range(len(terms)), labels, fontsize=9)
    main.tick_params(axis="y", length=0)
    main.set_ylim(len(terms) - 0.4, -0.6)
    return main


def _draw_misses(ax: Axes, y: int, miss: Miss) -> None:
    places = miss.percent if miss.sd is None else miss.scaled
    if places is None:
        return  # there is no % of a target of 0
    color, marker = (ORANGE, "s") if miss.sd is None else (BLUE, "o")
    size, alpha = (6, 1.0) if places.size == 1 else (4, 0.6)
    if miss.sd is not None:
        ax.plot([-1, 1], [y, y], color=PALE, lw=9, solid_capstyle="butt", zorder=0)
    if places.size == 1:
        ax.plot([0, places[0]], [y, y], color=color, lw=1.5)
    ax.plot(places, np.full(places.size, y), marker, color=color, ms=size, alpha=alpha, mew=0)


def _keep_numbers(ax: Axes, name: str, miss: Miss, unit: str) -> None:
    places, panel = np.arange(1, miss.target.size + 1), f"{name} ({unit})" if unit != "1" else name
    keep(ax, "target", places, miss.target, miss.sd, panel=panel)
    keep(ax, "achieved", places, miss.achieved, panel=panel)


def _numbers(term: Term, miss: Miss, unit: str) -> str:
    if isinstance(term.target, list):
        return f"{values_text(miss)}, {miss.text(unit)}".replace("-", "−")
    sd = "" if miss.sd is None else f" ± {miss.sd[0]:.3g}"
    unit = UNITS.get(unit, unit)
    return f"{term.target:.4g}{sd} → {miss.achieved[0]:.4g} {unit}".replace("-", "−")
