"""The view of traces: what is shown now, what was shown before, and what is kept to compare."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import panel as pn

from stpspec.tuner.layout import Layout
from stpspec.tuner.messages import Traces
from stpspec.tuner.palette import Palette
from stpspec.tuner.trace_figures import Pin, TraceFigures

_GESTURE = 1.0  # s; what is shown when moves begin is the ghost of all of them
_STEP = 400  # px; a figure is given as many samples as one that is up to so much wider


class TraceView:
    """The figures of a protocol, and the pins below them.

    Parameters
    ----------
    layout : Layout
    colors : Palette
    """

    def __init__(self, layout: Layout, colors: Palette):
        self._layout, self._colors = layout, colors
        self._traces = TraceFigures(colors)
        self._last: Traces | None = None
        self._pins: list[Pin] = []
        self._shown_at = float("-inf")

    def forget(self) -> None:
        """Begin anew, as with another experiment."""
        self._traces, self._last = TraceFigures(self._colors), None
        self._show_pins([])

    def leave(self) -> None:
        """Begin anew with the figures, as with another tab; pins stay."""
        self._last = None

    @property
    def pixels(self) -> int:
        """Width of the figures as the browser has laid them out, or a little more."""
        widths = [f.inner_width for f in self._traces.figures if f.inner_width]
        return _STEP * max(2, -(-int(widths[0]) // _STEP)) if widths else 2 * _STEP

    def show(self, answer: Traces) -> None:
        """Draw an answer; without a trace the last good one stays."""
        now = time.monotonic()
        is_new = now - self._shown_at > _GESTURE
        others = self._traces.show(answer, ghost=is_new)
        self._shown_at = now
        if others or (self._last is None and answer.traces):
            self._layout.figures.objects = [
                pn.pane.Bokeh(f, sizing_mode="stretch_width") for f in self._traces.figures
            ]
        if answer.traces:
            self._last = answer

    def show_targets(self, amplitudes: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
        """Draw the targets of the amplitudes of a protocol, and their sd."""
        self._traces.show_targets(amplitudes)

    def keep(self, label: str) -> None:
        """Pin what is shown, as far as there are colors left."""
        if self._last is not None and len(self._pins) < len(self._colors.pins):
            pin = Pin(label, self._last.protocol, self._last.traces)
            self._show_pins([*self._pins, pin])

    def _show_pins(self, pins: list[Pin]) -> None:
        self._pins = pins
        self._traces.show_pins(pins)
        self._layout.pins.objects = [self._button(i) for i in range(len(pins))]

    def _button(self, index: int) -> pn.widgets.Button:
        """Return what names a pin in its color, and takes it away."""
        pin, color = self._pins[index], self._colors.pins[index]
        button = pn.widgets.Button(
            label=f"┅ {pin.protocol}: {pin.label} ✕", height=28, margin=(2, 4),
            description="Take this trace away",
            stylesheets=[f".bk-btn {{ color: {color} !important; border-color: {color}; }}"],
        )  # fmt: skip
        rest = [p for k, p in enumerate(self._pins) if k != index]
        button.on_click(lambda _: self._show_pins(rest))
        return button
