"""Figures of a protocol: one a signal, below each other, on one time axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from bokeh.models import Range1d
from bokeh.plotting import figure

from stpspec.tuner.messages import Trace, Traces
from stpspec.tuner.palette import Palette
from stpspec.tuner.signal_figure import LOW, SignalFigure

_TALL, _EVEN = 320, 230  # px; of the signal that is measured, of one of two


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
        self._figures: dict[str, SignalFigure] = {}
        self._shared = Range1d(start=0.0, end=1.0)
        self._pins: tuple[Pin, ...] = ()
        self._protocol = ""

    @property
    def figures(self) -> list[figure]:
        """The figures from the top down."""
        return [f.figure for f in self._figures.values()]

    def show(self, answer: Traces, *, ghost: bool) -> bool:
        """Draw an answer; return whether there are other figures than before.

        Parameters
        ----------
        answer : Traces
        ghost : bool
            Whether what was shown before becomes the ghost.
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
                height = (_EVEN if len(measured) > 1 else _TALL) if t.signal in measured else LOW
                is_last = t is signals[-1]
                self._figures[t.signal] = SignalFigure(
                    t, self._colors, self._shared, height, is_last=is_last
                )
        self._protocol = answer.protocol
        self._fit_axis(signals[0])
        for trace in signals:
            drawn = self._figures[trace.signal]
            pulses = (
                answer.pulses if answer.pulses and answer.pulses.signal == trace.signal else None
            )
            drawn.show(trace, pulses, ghost=ghost and not moved, forget=moved)
            drawn.show_recorded([r for r in answer.recorded if r.signal == trace.signal])
            drawn.show_levels([v for v in answer.levels if v.signal == trace.signal])
        if others or moved:
            self.show_pins(self._pins)
        return others

    def show_targets(self, amplitudes: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
        """Draw the targets of the amplitudes of the protocol that is shown, and their sd."""
        for drawn in self._figures.values():
            drawn.show_targets(amplitudes.get(self._protocol))

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
