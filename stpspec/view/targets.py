"""The figure of targets against what was achieved."""

from __future__ import annotations

from typing import Any

import numpy as np

from stpspec.view.style import BLUE, GRAY, ORANGE, PALE, UNITS, new_axes, wrap


def plot_targets(result: Any, *, ax: Any = None) -> Any:
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
    terms = result.experiment.objective.terms
    texts = [_numbers(t, result.metrics[n], result.metric_units[n]) for n, t in terms.items()]
    labels = [wrap(n if t.weight > 0 else f"{n} (weight 0)", 32) for n, t in terms.items()]
    longest = max(map(len, texts)) + min(max(map(len, terms)), 32)
    ax = new_axes(1, (3.4 + 0.08 * longest, 1.6 + 0.45 * len(terms)))[0] if ax is None else ax
    kinds = sorted({t.sd is None for t in terms.values()})  # False: in SD, True: in %
    scales = {in_percent: ax if in_percent == kinds[0] else ax.twiny() for in_percent in kinds}
    for y, (name, term) in enumerate(terms.items()):
        _draw_misses(scales[term.sd is None], y, term, result.metrics[name])
        ax.text(1.02, y, texts[y], transform=ax.get_yaxis_transform(), va="center", fontsize=9)
    for in_percent, scale in scales.items():
        limit = max([1.5, *(1.15 * np.abs(line.get_xdata()).max() for line in scale.lines)])
        scale.set_xlim(-limit, limit)
        scale.locator_params(axis="x", nbins=7)
        scale.spines[["left", "right"]].set_visible(False)
        scale.set_xlabel(f"Achieved − target ({'%' if in_percent else 'SD'} of target)",
                         color=ORANGE if in_percent else BLUE)  # fmt: skip
    ax.axvline(0, color=GRAY, lw=0.8, zorder=0)
    ax.text(1.02, -0.6, "Target → achieved", transform=ax.get_yaxis_transform(), va="bottom",
            fontsize=9, color=GRAY)  # fmt: skip
    ax.set_yticks(range(len(terms)), labels, fontsize=9)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(terms) - 0.4, -0.6)
    return ax


def _draw_misses(ax: Any, y: int, term: Any, value: Any) -> None:
    target = np.asarray(term.target, float)
    unit = np.asarray(term.sd or _rms(target) / 100, float)
    if not unit.all():
        return  # there is no % of a target of 0
    misses = np.atleast_1d((_achieved(term, value) - target) / unit)
    color, marker = (ORANGE, "s") if term.sd is None else (BLUE, "o")
    size, alpha = (6, 1.0) if misses.size == 1 else (4, 0.6)
    if term.sd is not None:
        ax.plot([-1, 1], [y, y], color=PALE, lw=9, solid_capstyle="butt", zorder=0)
    if misses.size == 1:
        ax.plot([0, misses[0]], [y, y], color=color, lw=1.5)
    ax.plot(misses, np.full(misses.size, y), marker, color=color, ms=size, alpha=alpha, mew=0)


def _numbers(term: Any, value: Any, unit: str) -> str:
    achieved, unit = _achieved(term, value), UNITS.get(unit, unit)
    if achieved.ndim:
        miss = _rms(achieved - np.array(term.target))
        return f"{achieved.size} values, RMS miss {miss:.3g} {unit}"
    sd = "" if term.sd is None else f" ± {term.sd:.3g}"
    return f"{term.target:.4g}{sd} → {achieved:.4g} {unit}".replace("-", "−")


def _achieved(term: Any, value: Any) -> Any:
    """Return what is compared with the target: like the fit, the mean over trials."""
    value = np.asarray(value, float)
    value = value.mean(axis=0) if value.ndim > np.ndim(term.target) else value
    return np.broadcast_to(value, np.shape(term.target))


def _rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
