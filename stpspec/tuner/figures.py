"""Figures of the page: traces with what is measured in them, one below the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.models import BasicTickFormatter, ColumnDataSource, DataRange1d, LabelSet, Range1d
from bokeh.plotting import figure

from stpspec.tuner.messages import Level, Pulses, Trace, Traces
from stpspec.tuner.palette import Palette
from stpspec.view.style import wrap

_TALL, _EVEN, _LOW = 320, 230, 150  # px; of the signal that is measured, of one of two, of others
_AXIS = 22  # px; for the name of the time axis
_MOST_NUMBERS = 24  # of pulses; of more, only some are numbered
_MOST_WIDE = 60  # more pulses than this are marked by thin lines
_EMPTY: dict[str, Any] = {"x": [], "y": []}
_EMPTY_PULSES: dict[str, Any] = {
    "arrival": [], "peak": [], "base": [], "top": [], "number": [],
}  # fmt: skip


@dataclass(frozen=True)
class Pin:
    """Traces that are kept to be compared: what they are of, and the traces by signal."""

    label: str
    protocol: str
    traces: tuple[Trace, ...]


class TraceFigures:
    """One figure a signal. Each is made once; a new trace replaces the numbers in it.

    Parameters
    ----------
    colors : Palette
    """

    def __init__(self, colors: Palette):
        self._colors = colors
        self._figures: dict[str, _SignalFigure] = {}
        self._shared = Range1d(start=0.0, end=1.0)
        self._pins: tuple[Pin, ...] = ()
        self._protocol = ""

    @property
    def figures(self) -> list[figure]:
        """The figures from the top down."""
        return [f.figure for f in self._figures.values()]

    def show(
        self, answer: Traces, *, ghost: bool, targets: Mapping[str, Sequence[float]] | None = None
    ) -> bool:
        """Draw an answer; return whether there are other figures than before.

        Parameters
        ----------
        answer : Traces
        ghost : bool
            Whether what was shown before becomes the ghost.
        targets : mapping of str to sequence of float, optional
            Targets of the amplitudes: ``target`` and ``sd``.
        """
        if not answer.traces:
            return False
        signals = _ordered(answer)
        others = list(self._figures) != [t.signal for t in signals]
        moved = answer.protocol != self._protocol
        if others:
            levels = {v.signal for v in answer.levels}
            measured = {answer.pulses.signal} if answer.pulses else levels or {signals[0].signal}
            self._figures = {}
            for t in signals:
                height = (_EVEN if len(measured) > 1 else _TALL) if t.signal in measured else _LOW
                is_last = t is signals[-1]
                self._figures[t.signal] = _SignalFigure(
                    t, self._colors, self._shared, height, is_last=is_last
                )
        self._protocol = answer.protocol
        self._fit_axis(signals[0])
        for trace in signals:
            drawn = self._figures[trace.signal]
            pulses = (
                answer.pulses if answer.pulses and answer.pulses.signal == trace.signal else None
            )
            drawn.show(trace, pulses, ghost=ghost and not moved, forget=moved, targets=targets)
            drawn.show_levels([v for v in answer.levels if v.signal == trace.signal])
        if others or moved:
            self.show_pins(self._pins)
        return others

    def show_pins(self, pins: Sequence[Pin]) -> None:
        """Draw the traces that are kept of the protocol that is shown."""
        self._pins = tuple(pins)
        for signal, drawn in self._figures.items():
            drawn.show_pins([
                (i, t) for i, pin in enumerate(self._pins) if pin.protocol == self._protocol
                for t in pin.traces if t.signal == signal
            ])  # fmt: skip

    def _fit_axis(self, trace: Trace) -> None:
        start, end = float(trace.t[0]), float(trace.t[-1])
        if (self._shared.reset_start, self._shared.reset_end) != (start, end):
            self._shared.update(start=start, end=end, reset_start=start, reset_end=end)


def _ordered(answer: Traces) -> list[Trace]:
    """Return the traces, the signal that is measured first."""
    first = answer.pulses.signal if answer.pulses else ""
    return sorted(answer.traces, key=lambda t: t.signal != first)


class _SignalFigure:
    """The figure of one signal and the numbers in it."""

    def __init__(self, trace: Trace, colors: Palette, x: Range1d, height: int, *, is_last: bool):
        label = wrap(trace.label, 16 if height == _LOW else 40, trace.unit)
        height += _AXIS * is_last
        self.figure = new_figure(colors, height, x_range=x, name=trace.signal)
        self.figure.yaxis.axis_label = label
        if is_last:
            self.figure.xaxis.axis_label = "Time after stimulus onset (ms)"
        self._now = ColumnDataSource(dict(_EMPTY), name=f"trace {trace.signal}")
        self._ghost = ColumnDataSource(dict(_EMPTY), name=f"ghost {trace.signal}")
        self._pulses = ColumnDataSource(dict(_EMPTY_PULSES), name=f"pulses {trace.signal}")
        self._levels = ColumnDataSource({"x0": [], "x1": [], "y": []})
        self._targets = ColumnDataSource({"x": [], "y": [], "low": [], "high": []})
        self._pins = [ColumnDataSource(dict(_EMPTY)) for _ in colors.pins]
        self._sign = 1
        self._before: Trace | None = None
        f = self.figure
        f.line("x", "y", source=self._ghost, color=colors.faint, line_width=1.2, alpha=0.6)
        for source, color in zip(self._pins, colors.pins, strict=True):
            f.line("x", "y", source=source, color=color, line_width=1.4, line_dash="dashed")
        f.line("x", "y", source=self._now, color=colors.now, line_width=1.6)
        base = f.segment("arrival", "base", "peak", "base", source=self._pulses,
                         color=colors.level, line_width=2)  # fmt: skip
        f.scatter("peak", "base", source=self._pulses, marker="dash", size=11, color=colors.level,
                  line_width=2)  # fmt: skip
        amplitude = f.segment("peak", "base", "peak", "top", source=self._pulses,
                              color=colors.mark, line_width=2)  # fmt: skip
        self._marks = (base.glyph, amplitude.glyph)
        f.segment("x0", "y", "x1", "y", source=self._levels, color=colors.mark, line_width=4)
        f.segment("x", "low", "x", "high", source=self._targets, color=colors.ink, line_width=1.5)
        f.scatter("x", "y", source=self._targets, marker="diamond", size=9, color=colors.ink,
                  fill_alpha=0.0)  # fmt: skip
        self._labels = LabelSet(
            x="peak", y="top", text="number", source=self._pulses, text_align="center",
            text_font_size="11px", text_color=colors.ink,
        )  # fmt: skip
        f.add_layout(self._labels)

    def show(
        self,
        trace: Trace,
        pulses: Pulses | None,
        *,
        ghost: bool,
        forget: bool,
        targets: Mapping[str, Sequence[float]] | None,
    ) -> None:
        if forget:
            self._ghost.data = dict(_EMPTY)
        elif ghost and self._before is not None:
            self._ghost.data = {"x": self._before.t, "y": self._before.y}
        self._before = trace
        self._now.data = {"x": trace.t, "y": trace.y}
        if pulses is not None:
            self._show_pulses(pulses)
        elif len(self._pulses.data["peak"]):
            self._pulses.data = dict(_EMPTY_PULSES)
        self._show_targets(pulses, targets)

    def _show_pulses(self, pulses: Pulses) -> None:
        there = np.flatnonzero(np.isfinite(pulses.amplitude))
        every = _every(pulses.amplitude.size)
        numbers = ["" if k and (k + 1) % every else str(k + 1) for k in there]
        width = 2 if there.size <= _MOST_WIDE else 0.5
        for glyph in self._marks:
            if glyph.line_width != width:
                glyph.line_width = width
        self._pulses.data = {
            "arrival": pulses.arrival[there], "peak": pulses.peak[there],
            "base": pulses.base[there], "top": pulses.top[there], "number": numbers,
        }  # fmt: skip
        sign = -1 if there.size and (pulses.top - pulses.base)[there].sum() < 0 else 1
        self._sign = sign
        side = "top" if sign < 0 else "bottom"
        if self._labels.text_baseline != side:
            self._labels.update(text_baseline=side, y_offset=3 * sign)

    def _show_targets(
        self, pulses: Pulses | None, targets: Mapping[str, Sequence[float]] | None
    ) -> None:
        """Draw targets of the amplitudes where the trace has its peaks."""
        if pulses is None or not targets or len(targets["target"]) != pulses.peak.size:
            if len(self._targets.data["x"]):
                self._targets.data = {"x": [], "y": [], "low": [], "high": []}
            return
        target, sd = np.asarray(targets["target"]), np.asarray(targets["sd"])
        base, sign = pulses.base, self._sign
        self._targets.data = {"x": pulses.peak, "y": base + sign * target,
                              "low": base + sign * (target - sd),
                              "high": base + sign * (target + sd)}  # fmt: skip

    def show_levels(self, levels: Sequence[Level]) -> None:
        data: dict[str, Any] = {
            "x0": [v.start for v in levels], "x1": [v.stop for v in levels],
            "y": [v.value for v in levels],
        }  # fmt: skip
        if data != self._levels.data:
            self._levels.data = data

    def show_pins(self, pins: Sequence[tuple[int, Trace]]) -> None:
        shown = {i % len(self._pins): t for i, t in pins}
        for i, source in enumerate(self._pins):
            trace = shown.get(i)
            if trace is not None or len(source.data["x"]):
                source.data = dict(_EMPTY) if trace is None else {"x": trace.t, "y": trace.y}


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


def _every(n: int) -> int:
    """Return which pulses of many are numbered: each, or each tenth …"""
    return next(k for k in (1, 5, 10, 20, 50, 100, 1000, n) if n <= k * _MOST_NUMBERS or k >= n)


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
        f = new_figure(colors, 420, x_axis_type=axis)
        f.xaxis.axis_label, f.yaxis.axis_label = "Frequency (Hz)", "Value"
        f.xaxis.ticker = [1, 2, 5, 10, 20, 50, 100, 200]
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
        row = {name: [value(name)] for name in self.NAMES}
        self._source.stream({"frequency": [frequency], **row})


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
        self._source.stream({"n": [n], "loss": [max(loss, 1e-16)]})
