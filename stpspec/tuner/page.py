"""The page: one session, and what happens in it when a knob is moved."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

import panel as pn

from stpspec.errors import SpecError, StpspecError
from stpspec.specs.experiment import Experiment
from stpspec.tuner.answers import Answers
from stpspec.tuner.changes import CLAMP, from_link
from stpspec.tuner.controls import Controls
from stpspec.tuner.edits import Edits
from stpspec.tuner.fitting import Fitting
from stpspec.tuner.knobs import addable, knobs_of
from stpspec.tuner.layout import CLAMPED, Layout
from stpspec.tuner.link import Link
from stpspec.tuner.messages import Answer, Ask, AskFacts, AskTargets, Facts
from stpspec.tuner.palette import palette
from stpspec.tuner.process import Engine
from stpspec.tuner.response_view import ResponseView
from stpspec.tuner.state import State
from stpspec.tuner.tabs import Tabs
from stpspec.tuner.trace_view import TraceView

log = logging.getLogger("stpspec.tuner")


class Page:
    """One session: its state, its engine and its widgets.

    Parameters
    ----------
    connections : mapping of str to Experiment
        What can be chosen, by name.
    theme : {"default", "dark"}
    address : str
        Of the page, without its query.
    query : mapping of str to str
        ``state``, ``view``, ``connection`` of a link, and what else the address has.
    changes : mapping, optional
        What is changed from the beginning.
    on_change : callable, optional
        Called with the state after each change.
    """

    def __init__(
        self,
        connections: Mapping[str, Experiment],
        theme: str = "default",
        address: str = "",
        query: Mapping[str, str] | None = None,
        changes: Mapping[str, Any] | None = None,
        on_change: Callable[[State], None] | None = None,
    ):
        self._connections = connections
        self._theme = theme
        self._first_changes = changes
        self._on_change = on_change
        self._colors = palette(theme)
        self._document = pn.state.curdoc
        self.controls = Controls(
            lambda knob, value: self._edits.move(knob, value),
            lambda knob: self._edits.withdraw(knob),
        )
        self.layout = Layout(self._colors, self.controls, theme)
        self._link = Link(self.layout.link, address, query or {})
        self._tabs = Tabs(self.layout, self._link)
        self.traces = TraceView(self.layout, self._colors)
        self._response = ResponseView(self.layout)
        self._answers = Answers(
            self.layout, self.controls, self._tabs, self.traces, self._response, self._link
        )
        self._edits = Edits(self._known, self._tabs, self._refresh, self._show_all)
        self._engine = Engine(self._deliver)
        self._engine.warm()
        self.fitting = Fitting(self.layout, self._on_the_page, self._try_values, self._edits.adopt)
        self._is_set = True  # no widget speaks before there is a state
        self.state: State | None = None
        self._connect()

    # -- opening ----------------------------------------------------------------------------

    def _connect(self) -> None:
        """Let the widgets do what they are for."""
        lay = self.layout
        labels, edits = list(self._connections), self._edits
        lay.connection.options, lay.connection.visible = labels, len(labels) > 1
        lay.undo.on_click(lambda _: edits.step(State.undo))
        lay.redo.on_click(lambda _: edits.step(State.redo))
        lay.reset.on_click(lambda _: edits.step(State.reset))
        lay.keep.on_click(lambda _: self.traces.keep(self._known().label))
        lay.fit.on_click(lambda _: self.fitting.begin(self._known().experiment))
        lay.stop.on_click(lambda _: self.fitting.stop())
        lay.save.callback = lambda: io.StringIO(self._known().yaml())
        for widget, act in (
            (lay.connection, self._choose), (lay.tabs, self._turn_to),
            (lay.protocol, self._choose_protocol), (lay.axis, lambda _: self._response.show()),
            (lay.clamp, lambda on: edits.change({CLAMP: bool(on)})),
            (lay.add, edits.add), (lay.variables, edits.record),
        ):  # fmt: skip
            widget.param.watch(
                lambda event, act=act: None if self._is_set else act(event.new), "value"
            )

    def begin(self) -> None:
        """Open the experiment, once the browser has the page: before, it could miss a change."""
        label = self._link.query.get("connection", "")
        self._open(label if label in self._connections else next(iter(self._connections)))

    def _choose(self, label: str) -> None:
        self._link.take_state()
        self._first_changes = None
        self._open(label)

    def _open(self, label: str) -> None:
        """Ask what the mechanism of a connection has; the rest follows with the answer."""
        self.fitting.stop()
        self._is_set = True
        self.layout.connection.value = label
        if len(self._connections) > 1:
            self._link.query["connection"] = label
        self.state = None
        self.layout.status.object = "<p>Loading the mechanism …</p>"
        data = self._connections[label].to_data()
        self._engine.submit([AskFacts(data, tuple(sys.path))])

    def _begin(self, facts: Facts) -> None:
        base = self._connections[self.layout.connection.value]
        text = self._link.take_state()
        message = ""
        try:
            changes = from_link(text) if text else self._first_changes
            self.state = State(base, facts, changes)
        except StpspecError as error:
            self.state, message = State(base, facts), str(error)
        self.traces.forget()
        lay, self._is_set = self.layout, True
        lay.open(base, sorted(facts.recordable))
        title = self._tabs.offer(self.state.experiment)
        self._is_set = False
        self._turn_to(title, message)

    def _known(self) -> State:
        assert self.state is not None, "nothing can be moved before the mechanism is loaded"
        return self.state

    # -- tabs -------------------------------------------------------------------------------

    def _turn_to(self, title: str, message: str = "") -> None:
        self._is_set = True
        self._tabs.turn_to(self._known().experiment, title)
        self._is_set = False
        self.traces.leave()
        if self._tabs.view.is_response:
            self.layout.metrics.object = self.layout.status.object = ""
            self._response.show()
        self._show_all(message)

    def _choose_protocol(self, name: str) -> None:
        self._tabs.choose(name)
        self._show_all()

    # -- showing ----------------------------------------------------------------------------

    def _show_all(self, message: str = "") -> None:
        """Show the state in all widgets, and simulate it."""
        state, lay = self._known(), self.layout
        shown, is_response = self._tabs.shown(state.experiment), self._tabs.view.is_response
        self._is_set = True
        knobs = knobs_of(shown, state.facts, self._tabs.protocol, state.base.model.fixed)
        self.controls.show([k for k in knobs if not (is_response and k.label == "frequency")])
        lay.clamp.value = [CLAMPED] if shown.recording.kind == "voltage_clamp" else []
        lay.variables.value = list(shown.recording.variables)
        lay.add.options = ["", *(k.summary for k in addable(shown, state.facts))]
        lay.add.value = ""
        self._is_set = False
        lay.message.tell(message)
        self._refresh()

    def _refresh(self) -> None:
        """Simulate the state, and show what can be done with it."""
        state, lay = self._known(), self.layout
        lay.show_history(state.can_undo, state.can_redo)
        try:
            self._ask(self._tabs.questions(state.experiment, self.traces.pixels))
        except SpecError as error:  # a protocol that is looked at, and cannot be
            lay.message.tell(str(error))
        if self._on_change is not None:
            self._on_change(state)

    def _ask(self, questions: list[Ask]) -> None:
        if self._tabs.view.is_response:
            self._response.begin(questions)
        self._engine.submit(questions)

    def _try_values(self, values: Mapping[str, float]) -> None:
        """Show values that a fit tries."""
        self.controls.show_values({f"parameters.{n}.start": v for n, v in values.items()})
        if not self._tabs.view.is_response:
            tried = self._known().tried({f"parameters.{n}.start": v for n, v in values.items()})
            asked = self._tabs.questions(tried, self.traces.pixels)
            self._engine.submit([q for q in asked if not isinstance(q, AskTargets)])

    # -- answers ----------------------------------------------------------------------------

    def _deliver(self, question: Ask, answer: Answer) -> None:
        """Hand an answer of the engine's over to the thread of the page."""
        self._on_the_page(lambda: self._take(question, answer))

    def _on_the_page(self, act: Callable[[], None]) -> None:
        def told() -> None:
            try:
                act()
            except Exception as error:  # else it would be lost in the loop of the server
                log.exception("the tuner's page")
                self.layout.message.tell(f"{type(error).__name__}: {error}")

        if self._document is None:
            told()
        else:
            self._document.add_next_tick_callback(told)

    def _take(self, question: Ask, answer: Answer) -> None:
        if isinstance(answer, Facts):
            self._begin(answer)
        else:
            self._answers.show(question, answer, self.state)

    def view(self) -> pn.Template:
        """Return the page, to be served."""
        first = next(iter(self._connections.values()))
        return self.layout.template(self._colors, self._theme, f"{first.name} · stpspec")

    def close(self) -> None:
        """End the processes of the session."""
        self.fitting.close()
        self._engine.close()
