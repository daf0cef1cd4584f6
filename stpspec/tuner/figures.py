"""Figures of the page: an empty one in its colors, the frequency response, the loss of a fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bokeh.models import BasicTickFormatter, ColumnDataSource, DataRange1d, Range1d
from bokeh.plotting import figure

from stpspec.tuner.palette import Palette

_FIRST = 20  # points; more than a frequency response has, or a fit tells before its loss is shown
# The axis of a frequency response stands while its points come. Ticks below 20 Hz would collide on
# a linear one.
_SPANS = {"log": (0.85, 235.0), "linear": (-4.0, 206.0)}  # Hz
_TICKS = {"log": [1, 2, 5, 10, 20, 50, 100, 200], "linear": [1, 20, 50, 100, 150, 200]}


def new_figure(colors: Palette, height: int, **settings: Any) -> figure:
    """Return an empty figure in the colors of the page."""
    f = figure(
        height=height, sizing_mode="stretch_width", tools="xpan,xwheel_zoom,box_zoom,reset,save",
        y_range=DataRange1d(range_padding=0.12),  # room for the numbers of the pulses
        active_scroll=None, output_backend="canvas", **settings,
    )  # fmt: skip
    f.toolbar.autohide, f.toolbar.logo = True, None
    f.background_fill_color = f.border_fill_color = colors.paper
    f.outline_line_color = None
    f.min_border_right = 16
    for axis in f.axis:
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_color = axis.major_label_text_color = colors.ink
        axis.axis_line_color = axis.major_tick_line_color = colors.faint
        axis.minor_tick_line_color = None
    if isinstance(f.yaxis[0].formatter, BasicTickFormatter):
        f.yaxis[0].formatter.power_limit_low = -6  # 0.0003, as long as that is short
    f.grid.grid_line_color = colors.grid
    return f


class ResponseFigure:
    """Paired pulse ratio, induction and recovery against frequency, on either axis.

    Parameters
    ----------
    colors : Palette
    """

    NAMES = ("paired_pulse_ratio", "induction", "recovery")
    _MARKERS = ("circle", "square", "triangle")

    def __init__(self, colors: Palette):
        self._source = ColumnDataSource(self._empty(), name="frequency response")
        self.linear = self._figure(colors, "linear")
        self.log = self._figure(colors, "log")

    def _empty(self) -> dict[str, Any]:
        return {"frequency": [], **{name: [] for name in self.NAMES}}

    def _figure(self, colors: Palette, axis: str) -> figure:
        f = new_figure(
            colors,
            420,
            x_axis_type=axis,
            x_range=Range1d(start=_SPANS[axis][0], end=_SPANS[axis][1]),
        )
        f.xaxis.axis_label, f.yaxis.axis_label = "Frequency (Hz)", "Value"
        f.xaxis.ticker = _TICKS[axis]
        for level, dash in ((1, "dashed"), (0, "solid")):
            f.hspan(y=level, color=colors.faint, line_dash=dash, line_width=1)
        for name, color, marker in zip(
            self.NAMES, (colors.now, colors.mark, colors.level), self._MARKERS, strict=True
        ):
            label = name.replace("_", " ")
            f.line("frequency", name, source=self._source, color=color, legend_label=label,
                   line_width=1.6)  # fmt: skip
            f.scatter("frequency", name, source=self._source, color=color, marker=marker, size=7,
                      legend_label=label)  # fmt: skip
        f.legend.background_fill_color = colors.paper
        f.legend.label_text_color = colors.ink
        f.legend.border_line_color = None
        f.legend.orientation = "horizontal"
        f.add_layout(f.legend[0], "above")  # where it hides no point
        return f

    def clear(self) -> None:
        """Begin anew."""
        self._source.data = self._empty()

    def add(self, frequency: float, value: Callable[[str], float]) -> None:
        """Draw one more frequency; ``value`` gives that of a metric."""
        _append(self._source, {"frequency": frequency, **{n: value(n) for n in self.NAMES}})


class LossFigure:
    """The lowest loss of a fit against its evaluations."""

    def __init__(self, colors: Palette):
        self._source = ColumnDataSource({"n": [], "loss": []}, name="loss")
        self.figure = new_figure(colors, 140, y_axis_type="log")
        self.figure.xaxis.axis_label, self.figure.yaxis.axis_label = "Evaluations", "Lowest loss"
        self.figure.line("n", "loss", source=self._source, color=colors.now, line_width=1.6)
        self.figure.scatter("n", "loss", source=self._source, color=colors.now, size=4)

    def clear(self) -> None:
        """Begin anew."""
        self._source.data = {"n": [], "loss": []}

    def add(self, n: int, loss: float) -> None:
        """Draw one more point; a loss of 0 has no place on a log axis."""
        _append(self._source, {"n": n, "loss": max(loss, 1e-16)})


def _append(source: ColumnDataSource, point: Mapping[str, float]) -> None:
    """Draw one more point.

    The first are sent with all before them: one that is streamed while its figure is put on the
    page arrives twice, in the figure and by itself.
    """
    if len(source.data[next(iter(point))]) < _FIRST:
        source.data = {name: [*source.data[name], value] for name, value in point.items()}
    else:
        source.stream({name: [value] for name, value in point.items()})
