"""The view of a frequency response: its figure on either axis, and how far it has come."""

from __future__ import annotations

from collections.abc import Sequence

import panel as pn

from stpspec.specs.protocol import FREQUENCIES
from stpspec.tuner.layout import Layout
from stpspec.tuner.messages import Ask, Point, value_of


class ResponseView:
    """The figure of a frequency response, drawn point by point.

    Parameters
    ----------
    layout : Layout
    """

    def __init__(self, layout: Layout):
        self._layout = layout
        self._done = 0
        self._asked: Sequence[Ask] = ()

    def show(self) -> None:
        """Put the figure on the page, on the axis that is chosen."""
        response, is_log = self._layout.response, self._layout.axis.value == "log"
        drawn = response.log if is_log else response.linear
        self._layout.figures.objects = [pn.pane.Bokeh(drawn, sizing_mode="stretch_width")]

    def begin(self, questions: Sequence[Ask]) -> None:
        """Begin anew, with no point; what is not asked here is of another state."""
        self._asked = questions
        self._done = self._layout.progress.value = 0
        self._layout.response.clear()

    def add(self, question: Ask, answer: Point) -> bool:
        """Draw one more point; return whether it is the last."""
        if not any(asked is question for asked in self._asked):
            return False  # it was being simulated while a knob was moved
        self._done += 1
        self._layout.response.add(answer.frequency, lambda name: value_of(answer.metrics, name))
        self._layout.progress.value = 100 * self._done // len(FREQUENCIES)
        return self._done == len(FREQUENCIES)
