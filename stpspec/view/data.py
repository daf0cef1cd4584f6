"""The data behind a figure: what each series of each panel shows, as rows of a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEADER = ("panel", "series", "x", "y", "sd")


@dataclass(frozen=True)
class Series:
    """One series of a panel, as it is drawn."""

    ax: Any
    name: str
    x: np.ndarray
    y: np.ndarray
    sd: np.ndarray | None
    panel: str


_SERIES: WeakKeyDictionary[Any, list[Series]] = WeakKeyDictionary()


def keep(ax: Axes, name: str, x: object, y: object, sd: object = None, *, panel: str = "") -> None:
    """Keep the data of a series with the figure in which it is drawn.

    Parameters
    ----------
    ax : matplotlib Axes
    name : str
    x, y : array_like, shape (n,)
        Numbers, or labels of categories.
    sd : array_like, shape (n,), optional
        Of ``y``.
    panel : str
        By default the label of the vertical axis.
    """
    xs, ys = np.atleast_1d(np.asarray(x)), np.atleast_1d(np.asarray(y))
    sds = None if sd is None else np.broadcast_to(np.asarray(sd, float), ys.shape)
    _SERIES.setdefault(ax.figure, []).append(Series(ax, name, xs, ys, sds, panel))


def series_of(figure: Figure) -> list[Series]:
    """Return the series that a figure shows, in the order in which they were drawn."""
    return list(_SERIES.get(figure, ()))


def rows_of(figure: Figure) -> Iterator[tuple[object, ...]]:
    """Yield header and one row a point; of a broken line the breaks are left out."""
    yield HEADER
    for series in series_of(figure):
        panel = " ".join((series.panel or series.ax.get_ylabel()).split()).replace(r"\$", "$")
        sds = [""] * series.y.size if series.sd is None else series.sd.tolist()
        for x, y, sd in zip(series.x.tolist(), series.y.tolist(), sds, strict=True):
            if x == x and y == y:  # not NaN
                yield panel, series.name, _text(x), _text(y), _text(sd)


def csv_of(figure: Figure) -> str:
    """Return the data behind a figure as CSV: ``panel, series, x, y, sd``."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows_of(figure))
    return file.getvalue()


def _text(value: object) -> object:
    return f"{value:.10g}" if isinstance(value, float) else value
