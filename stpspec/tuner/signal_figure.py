"""The figure of one signal: its trace, ghost and pins, and what is measured in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, LabelSet, Range1d

from stpspec.tuner.figures import new_figure
from stpspec.tuner.messages import Level, Pulses, RecordedData, Trace
from stpspec.tuner.palette import Palette
from stpspec.view.style import wrap

LOW = 150  # px; of a signal that is not measured
_AXIS = 22  # px; for the name of the time axis
_MOST_NUMBERS = 24  # of pulses; of more, only some are numbered
_MOST_WIDE = 60  # more pulses than this are marked by thin lines
_BASE = 11  # px; of the mark below a peak
_GAP = 3  # px; between a peak and its number
_EMPTY: dict[str, Any] = {"x": [], "y": []}
_NO_DATA: dict[str, Any] = {"x": [], "y": [], "low": [], "high": []}
_EMPTY_PULSES: dict[str, Any] = {
    "arrival": [], "peak": [], "base": [], "top": [], "number": [],
}  # fmt: skip


class SignalFigure:
    """The figure of one signal and the numbers in it."""

    def __init__(self, trace: Trace, colors: Palette, x: Range1d, height: int, *, is_last: bool):
        label = wrap(trace.label, 16 if height == LOW else 40, trace.unit)
        height += _AXIS * is_last
        self.figure = new_figure(colors, height, x_range=x, name=trace.signal)
        self.figure.yaxis.axis_label = label
        if is_last:
            self.figure.xaxis.axis_label = "Time after stimulus onset (ms)"
        self._now = ColumnDataSource(dict(_EMPTY), name=f"trace {trace.signal}")
        self._ghost = ColumnDataSource(dict(_EMPTY), name=f"ghost {trace.signal}")
        self._pulses = ColumnDataSource(dict(_EMPTY_PULSES), name=f"pulses {trace.signal}")
        self._levels = ColumnDataSource({"x0": [], "x1": [], "y": []})
        self._targets = ColumnDataSource(dict(_NO_DATA), name=f"targets {trace.signal}")
        self._recorded = ColumnDataSource(dict(_NO_DATA), name=f"recorded {trace.signal}")
        self._pins = [ColumnDataSource(dict(_EMPTY)) for _ in colors.pins]
        self._sign = 1
        self._before: Trace | None = None
        self._measured: Pulses | None = None
        self._asked: tuple[np.ndarray, np.ndarray] | None = None
        f = self.figure
        f.varea("x", "low", "high", source=self._recorded, color=colors.ink, fill_alpha=0.15)
        f.line("x", "y", source=self._recorded, color=colors.faint, line_width=0.8)
        f.line("x", "y", source=self._ghost, color=colors.faint, line_width=1.2, alpha=0.6)
        for source, color in zip(self._pins, colors.pins, strict=True):
            f.line("x", "y", source=source, color=color, line_width=1.4, line_dash="dashed")
        f.line("x", "y", source=self._now, color=colors.now, line_width=1.6)
        base = f.segment("arrival", "base", "peak", "base", source=self._pulses,
                         color=colors.level, line_width=2)  # fmt: skip
        self._bases = f.scatter("peak", "base", source=self._pulses, marker="dash", size=_BASE,
                                color=colors.level, line_width=2).glyph  # fmt: skip
        amplitude = f.segment("peak", "base", "peak", "top", source=self._pulses,
                              color=colors.mark, line_width=2)  # fmt: skip
        self._marks = (base.glyph, amplitude.glyph)
        f.segment("x0", "y", "x1", "y", source=self._levels, color=colors.mark, line_width=4)
        f.segment("x", "low", "x", "high", source=self._targets, color=colors.ink, line_width=1.5)
        f.scatter("x", "y", source=self._targets, marker="diamond", size=9, color=colors.ink,
                  fill_alpha=0.0)  # fmt: skip
        self._labels = LabelSet(
            x="peak", y="top", text="number", source=self._pulses, text_align="center",
            text_font_size="11px", text_color=colors.ink, y_offset=_GAP,
        )  # fmt: skip
        f.add_layout(self._labels)

    def show(
        self,
        trace: Trace,
        pulses: Pulses | None,
        *,
        ghost: bool,
        forget: bool,
    ) -> None:
        if forget:
            self._ghost.data, self._asked = dict(_EMPTY), None
        elif ghost and self._before is not None:
            self._ghost.data = {"x": self._before.t, "y": self._before.y}
        self._before = trace
        self._now.data = {"x": trace.t, "y": trace.y}
        if pulses is not None:
            self._show_pulses(pulses)
        elif len(self._pulses.data["peak"]):
            self._pulses.data = dict(_EMPTY_PULSES)
        self._measured = pulses
        self._place_targets()

    def _show_pulses(self, pulses: Pulses) -> None:
        there = np.flatnonzero(np.isfinite(pulses.amplitude))
        every = _every(pulses.amplitude.size)
        numbers = ["" if k and (k + 1) % every else str(k + 1) for k in there]
        is_wide = there.size <= _MOST_WIDE
        width, size = (2, _BASE) if is_wide else (0.5, 2)
        if self._bases.size != size:
            self._bases.size = size
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
            self._labels.update(text_baseline=side, y_offset=_GAP * sign)

    def show_targets(self, asked: tuple[np.ndarray, np.ndarray] | None) -> None:
        """Draw targets of the amplitudes, with their sd, where the trace has its peaks."""
        if asked is not self._asked:
            self._asked = asked
            self._place_targets()

    def _place_targets(self) -> None:
        pulses, asked = self._measured, self._asked
        if pulses is None or asked is None or asked[0].size != pulses.peak.size:
            if len(self._targets.data["x"]):
                self._targets.data = dict(_NO_DATA)
            return
        (target, sd), base, sign = asked, pulses.base, self._sign
        self._targets.data = {"x": pulses.peak, "y": base + sign * target,
                              "low": base + sign * (target - sd),
                              "high": base + sign * (target + sd)}  # fmt: skip

    def show_recorded(self, recorded: Sequence[RecordedData]) -> None:
        """Draw what was recorded behind the trace; several recordings follow each other."""
        if not recorded and not len(self._recorded.data["x"]):
            return
        columns = {"x": "t", "y": "y", "low": "low", "high": "high"}
        gap = [float("nan")]
        self._recorded.data = {
            name: np.concatenate([[], *(v for r in recorded for v in (getattr(r, column), gap))])
            for name, column in columns.items()
        }

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


def _every(n: int) -> int:
    """Return which pulses of many are numbered: each, or each tenth …"""
    return next(k for k in (1, 5, 10, 20, 50, 100, 1000, n) if n <= k * _MOST_NUMBERS or k >= n)
