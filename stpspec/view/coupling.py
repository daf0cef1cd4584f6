"""The coupling of two cells as it is measured: voltages before and at the end of a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stpspec.errors import MetricError
from stpspec.formatting import number
from stpspec.metrics.coupling import coupling_coefficient, mean_voltage, window_length
from stpspec.metrics.response import Response
from stpspec.view.style import GRAY

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Coupling:
    """What a current step into one of two cells shows.

    Attributes
    ----------
    coefficient : float
    levels : dict of int to tuple of float
        Cell → mean voltage before the step and at its end, mV.
    window : float
        Over which the means are taken, ms.
    """

    coefficient: float
    levels: Mapping[int, tuple[float, float]]
    window: float

    @property
    def text(self) -> str:
        """The coefficient with its arithmetic."""
        moved = {cell: after - before for cell, (before, after) in self.levels.items()}
        first, second = sorted(moved, key=lambda cell: abs(moved[cell]), reverse=True)
        return (
            f"Coupling coefficient {self.coefficient:.3g} = ΔV{second} / ΔV{first} = "
            f"{number(moved[second], 3)} mV / {number(moved[first], 3)} mV"
        ).replace("-", "−")


def coupling_of(response: Response, window: float = 50.0) -> Coupling | None:
    """Return the coupling that a current step shows; None where it cannot be measured."""
    step = response.stimulus.get("step")
    if step is None:
        return None
    try:
        coefficient = float(coupling_coefficient(response, window=window))
        length = window_length(response, window)
        ends = [(step[name] - length, step[name]) for name in ("start", "stop")]
        levels = {c: tuple(mean_voltage(response, c, *end) for end in ends) for c in (1, 2)}
    except MetricError:
        return None
    return Coupling(coefficient, levels, length)  # pyright: ignore[reportArgumentType]


def mark_levels(
    ax: Axes, coupling: Coupling, cell: int, step: Mapping[str, Any], onset: float
) -> None:
    """Draw the means of one cell's voltage over the windows in which they are taken."""
    for name, level in zip(("start", "stop"), coupling.levels[cell], strict=True):
        end = step[name] - onset
        ax.plot([end - coupling.window, end], np.full(2, level), color=GRAY, lw=2.0, zorder=3,
                solid_capstyle="butt", label="Means that are compared")  # fmt: skip
