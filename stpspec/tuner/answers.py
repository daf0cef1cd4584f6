"""Answers of the engine on the page: traces, metrics, targets, and what was refused."""

from __future__ import annotations

from stpspec.tuner.controls import Controls
from stpspec.tuner.layout import Layout
from stpspec.tuner.link import Link
from stpspec.tuner.messages import (
    Answer,
    Ask,
    AskFacts,
    AskTraces,
    Measured,
    Point,
    Refused,
    Targets,
    Traces,
)
from stpspec.tuner.response_view import ResponseView
from stpspec.tuner.state import State
from stpspec.tuner.tables import metrics_html, targets_html
from stpspec.tuner.tabs import Tabs
from stpspec.tuner.trace_view import TraceView


class Answers:
    """What shows the answers of the engine.

    Parameters
    ----------
    layout : Layout
    controls : Controls
    tabs : Tabs
    traces : TraceView
    response : ResponseView
    link : Link
    """

    def __init__(
        self,
        layout: Layout,
        controls: Controls,
        tabs: Tabs,
        traces: TraceView,
        response: ResponseView,
        link: Link,
    ):
        self._layout, self._controls, self._tabs = layout, controls, tabs
        self._traces, self._response = traces, response
        self._link = link

    def show(self, question: Ask, answer: Answer, state: State | None) -> None:
        """Show an answer beside the state that it is of."""
        if isinstance(answer, Refused):
            self._refused(question, answer)
        elif state is None:
            return  # of the connection that was left
        elif isinstance(answer, Traces):
            self._show_traces(answer)
        elif isinstance(answer, Measured):
            self._show_metrics(answer, state)
        elif isinstance(answer, Targets):
            self._show_targets(answer, state)
        elif isinstance(answer, Point) and self._response.add(question, answer):
            self._link.show(state.link())

    def _is_left(self, answer: Traces | Measured) -> bool:
        """Tell whether an answer is of a tab that was left."""
        return self._tabs.view.is_response or answer.protocol != self._tabs.protocol

    def _show_traces(self, answer: Traces) -> None:
        if self._is_left(answer):
            return
        self._traces.show(answer)
        failed = f"the simulation failed: {answer.failure}" if answer.failure else ""
        self._layout.message.tell(failed, of_trace=True)
        self._layout.save.disabled = False

    def _show_metrics(self, answer: Measured, state: State) -> None:
        if self._is_left(answer):
            return
        self._layout.metrics.object = metrics_html(answer.metrics)
        self._layout.status.object = f"<p>simulated in {1e3 * answer.seconds:.0f} ms</p>"
        if state.experiment.objective is None:
            self._show_targets(Targets((), float("nan")), state)

    def _show_targets(self, answer: Targets, state: State) -> None:
        if answer.amplitudes or not answer.reason:  # else the last good trace stays, with its marks
            self._traces.show_targets(answer.amplitudes)
        self._layout.targets.object = targets_html(answer, state.aside)
        self._link.show(state.link())

    def _refused(self, question: Ask, answer: Refused) -> None:
        beside = [self._controls.complain(path, text) for path, text in answer.problems]
        if not beside or not all(beside):
            self._layout.message.tell(answer.text, of_trace=True)
        if isinstance(question, AskFacts):
            self._layout.status.object = ""
        if isinstance(question, AskTraces) and not answer.ended:
            self._layout.save.disabled = True  # nobody could run it
