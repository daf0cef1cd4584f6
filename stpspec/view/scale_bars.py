"""Scale bars: a length of time and of the signal in the place of axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHARE = 0.22  # of an axis, that a bar is at most long
_ROOM = 1.28  # of the height, so that the bars stand below the traces


def draw_scale_bars(ax: Axes, time: str | None, signal: str) -> None:
    """Replace the axes by bars of round lengths, below the trace at its right end.

    Parameters
    ----------
    ax : matplotlib Axes
    time : str, optional
        Unit of the horizontal bar; without one there is none.
    signal : str
        Unit of the vertical bar.
    """
    left, right = ax.get_xlim()
    low, high = ax.get_ylim()
    low = high - _ROOM * (high - low)
    ax.set_ylim(low, high)
    across, up = _round(_SHARE * (right - left)), _round(_SHARE * (high - low) / _ROOM)
    x, y = right - 0.02 * (right - left), low + 0.08 * (high - low)
    ax.plot([x, x], [y, y + up], color="black", lw=1.6, solid_capstyle="butt", gid="scale bar")
    ax.annotate(f"{up:g} {signal}".rstrip(), (x, y + up / 2), (4, 0), textcoords="offset points",
                ha="left", va="center", fontsize=8, annotation_clip=False)  # fmt: skip
    if time is not None:
        ax.plot([x - across, x], [y, y], color="black", lw=1.6, solid_capstyle="butt",
                gid="scale bar")  # fmt: skip
        ax.annotate(f"{across:g} {time}", (x - across / 2, y), (0, -3), textcoords="offset points",
                    ha="center", va="top", fontsize=8, annotation_clip=False)  # fmt: skip
    ax.spines[:].set_visible(False)
    ax.tick_params(bottom=False, left=False, labelbottom=False, labelleft=False)
    ax.set_xlabel("")


def _round(length: float) -> float:
    """Return the largest of 1, 2, 5, 10 … that is not longer."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(max(m for m in (1, 2, 5) if m * power <= length * (1 + 1e-9)) * power)
