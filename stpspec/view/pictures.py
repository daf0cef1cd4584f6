"""Figures, Axes and arrays of Axes that a notebook shows as pictures."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A figure that is its own picture, whatever ``%matplotlib`` says."""

    def _repr_png_(self) -> bytes:
        drawn = io.BytesIO()
        self.savefig(drawn, format="png", dpi=96, bbox_inches="tight", pad_inches=0.12)
        return drawn.getvalue()


class ShownAxes(Axes):
    """Axes that a notebook shows as their figure; of several, once, by :class:`Panels`."""

    def _repr_png_(self) -> bytes | None:
        figure = self.get_figure()
        return figure._repr_png_() if isinstance(figure, ShownFigure) else None


class Panels(np.ndarray):
    """An array of Axes of one figure, shown as that."""

    def _repr_png_(self) -> bytes | None:
        first: Any = self.ravel()[0] if self.size else None
        return first._repr_png_() if isinstance(first, ShownAxes) else None
