"""The page: knobs, traces and numbers of one session, and what happens when a knob is moved."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Mapping
from html import escape
from typing import Any
from urllib.parse import urlencode

import panel as pn

from stpspec.errors import SpecError, StpspecError
from stpspec.specs.experiment import Experiment
from stpspec.tuner.controls import Controls
from stpspec.tuner.fitting import Fitting
from stpspec.tuner.knobs import Knob, addable, knobs_of
from stpspec.tuner.layout import CLAMPED, Layout
from stpspec.tuner.messages import (
    Answer,
    Ask,
    AskFacts,
    AskTraces,
    Facts,
    Point,
    Refused,
    Targets,
    Traces,
)
from stpspec.tuner.palette import palette
from stpspec.tuner.process import Engine
from stpspec.tuner.response_view import ResponseView
from stpspec.tuner.state import CLAMP, State, from_link
from stpspec.tuner.tables import metrics_html, targets_html
from stpspec.tuner.trace_view import TraceView
from stpspec.tuner.views import (
    RESPONSE,
    View,
    amplitude_targets,
    first_view,
    questions,
    views_of,
    with_protocol,
)

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
        self._theme, self._address, self._query = theme, address, dict(query or {})
        self._first_changes = changes
        self._on_change = on_change
        self._colors = palette(theme)
        self.controls = Controls(self._moved, self._taken_away)
        self.layout = Layout(self._colors, self.controls, theme)
        self._document = pn.state.curdoc
        self._engine = Engine(self._deliver)
        self._engine.warm()
        self.fitting = Fitting(self.layout, self._on_the_page, self._try_values, self._adopt)
        self._view: View
        self._protocol = ""
        self._is_of_trace = False  # the message that is shown
        self.traces = TraceView(self.layout, self._colors)
        self._response = ResponseView(self.layout)
        self._is_set = True  # no widget speaks before there is a state
        self.state: State | None = None
        self._connect()

    # -- opening ----------------------------------------------------------------------------

    def _connect(self) -> None:
        """Let the widgets do what they are for."""
        lay = self.layout
        labels = list(self._connections)
        lay.connection.options, lay.connection.visible = labels, len(labels) > 1
        lay.undo.on_click(lambda _: self._step("undo"))
        lay.redo.on_click(lambda _: self._step("redo"))
        lay.reset.on_click(lambda _: self._step("reset"))
        lay.keep.on_click(lambda _: self._keep())
        lay.fit.on_click(lambda _: self.fitting.begin(self._known().experiment))
        lay.stop.on_click(lambda _: self.fitting.stop())
        lay.save.callback = lambda: io.StringIO(self._known().yaml())
        lay.theme.js_on_click(code="""
            const url = new URL(window.location.href);
            const dark = url.searchParams.get("theme") === "dark";
            url.searchParams.set("theme", dark ? "default" : "dark");
            window.location.assign(url.href);
        """)  # fmt: skip
        for widget, act in (
            (lay.connection, self._choose), (lay.tabs, self._turn_to),
            (lay.protocol, self._choose_protocol), (lay.axis, lambda _: self._response.show()),
            (lay.clamp, lambda on: self._change({CLAMP: bool(on)})),
            (lay.add, self._add), (lay.variables, self._record),
        ):  # fmt: skip
            widget.param.watch(
                lambda event, act=act: None if self._is_set else act(event.new), "value"
            )

    def begin(self) -> None:
        """Open the experiment, once the browser has the page: before, it could miss a change."""
        label = self._query.get("connection", "")
        self._open(label if label in self._connections else next(iter(self._connections)))

    def _choose(self, label: str) -> None:
        self._query.pop("state", None)
        self._first_changes = None
        self._open(label)

    def _open(self, label: str) -> None:
        """Ask what the mechanism of a connection has; the rest follows with the answer."""
        self.fitting.stop()
        self._is_set = True
        self.layout.connection.value = label
        self._label = label
        self.state = None
        self.layout.status.object = "<p>Loading the mechanism …</p>"
        data = self._connections[label].to_data()
        self._engine.submit([AskFacts(data, tuple(sys.path))])

    def _begin(self, facts: Facts) -> None:
        base = self._connections[self._label]
        text = self._query.pop("state", "")
        message = ""
        try:
            changes = from_link(text) if text else self._first_changes
            self.state = State(base, facts, changes)
        except StpspecError as error:
            self.state, message = State(base, facts), str(error)
        self.traces.forget()
        lay, self._is_set = self.layout, True
        lay.title.object = f"<h1>{escape(base.name)}</h1>"
        lay.save.filename = f"{base.name}.yaml"
        views = views_of(self.state.experiment)
        lay.tabs.options = [v.title for v in views]
        wanted = next((v for v in views if v.title == self._query.get("view")), first_view(views))
        lay.tabs.value = wanted.title
        is_synapse = base.model.stimulated_by == "event"
        lay.clamp.visible = is_synapse
        lay.record.visible = bool(facts.recordable)
        lay.variables.options = sorted(facts.recordable)
        lay.fitting.visible = bool(base.parameters) and base.objective is not None
        self._is_set = False
        self._turn_to(wanted.title)
        self._tell(message)

    def _known(self) -> State:
        assert self.state is not None, "nothing can be moved before the mechanism is loaded"
        return self.state

    # -- changes by hand --------------------------------------------------------------------

    def _moved(self, knob: Knob, value: float) -> str:
        """Change a field; return why that cannot be."""
        state, more = self._known(), {}
        part = knob.path.split(".")
        if part[0] == "protocols" and part[1] not in state.experiment.protocols:
            more[f"protocols.{part[1]}"] = {"kind": self._view.kind}
        more[knob.path] = int(value) if knob.is_whole else value
        try:
            state.change_all(more, knob.path)
        except SpecError as error:
            return "; ".join(str(p).removeprefix(f"{p.path}: ") for p in error.problems)
        self._refresh()
        return ""

    def _change(self, more: Mapping[str, Any]) -> None:
        try:
            self._known().change_all(more)
        except SpecError as error:
            self._tell(str(error))
        self._show_all()

    def _add(self, label: str) -> None:
        knobs = addable(self._known().experiment, self._known().facts)
        for knob in knobs:
            if label == knob.summary:
                self._change({knob.path: knob.value})

    def _taken_away(self, knob: Knob) -> None:
        self._known().withdraw(knob.path)
        self._show_all()

    def _record(self, names: list[str]) -> None:
        self._change({"recording.variables": list(names)})

    def _step(self, what: str) -> None:
        getattr(self._known(), what)()
        self._show_all()

    def _try_values(self, values: Mapping[str, float]) -> None:
        """Show values that a fit tries."""
        state = self._known()
        for name, value in values.items():
            row = self.controls.rows.get(f"parameters.{name}.start")
            if row is not None:
                row.show_value(value)
        if not self._view.is_response:
            tried = state.tried({f"parameters.{n}.start": v for n, v in values.items()})
            self._engine.submit(
                questions(tried, self._view, self._protocol, self.traces.pixels)[:1]
            )

    def _adopt(self, values: Mapping[str, float]) -> None:
        """Take over what a fit has found."""
        self._change({f"parameters.{n}.start": v for n, v in values.items()})

    # -- tabs -------------------------------------------------------------------------------

    def _turn_to(self, title: str) -> None:
        views = views_of(self._known().experiment)
        self._view = next((v for v in views if v.title == title), first_view(views))
        names = list(self._view.protocols)
        wanted = self._query.get("protocol")
        self._protocol = wanted if wanted in names else self._view.name
        self._query["view"] = title
        self._is_set = True
        lay = self.layout
        lay.protocol.options, lay.protocol.visible = names or [self._protocol], len(names) > 1
        lay.protocol.value = self._protocol
        lay.axis.visible = lay.progress.visible = title == RESPONSE
        self._is_set = False
        self.traces.leave()
        if self._view.is_response:
            lay.metrics.object = lay.status.object = ""
            self._response.show()
        self._show_all()

    def _choose_protocol(self, name: str) -> None:
        self._protocol = self._query["protocol"] = name
        self._show_all()

    # -- showing ----------------------------------------------------------------------------

    def _show_all(self) -> None:
        """Show the state in all widgets, and simulate it."""
        state, lay = self._known(), self.layout
        shown = with_protocol(state.experiment, self._protocol, self._view.kind)
        self._is_set = True
        knobs = knobs_of(shown, state.facts, self._protocol, state.base.model.fixed)
        self.controls.show(
            [k for k in knobs if not (self._view.is_response and k.label == "frequency")]
        )
        lay.clamp.value = [CLAMPED] if shown.recording.kind == "voltage_clamp" else []
        lay.variables.value = list(shown.recording.variables)
        lay.add.options = ["", *(k.summary for k in addable(shown, state.facts))]
        lay.add.value = ""
        self._is_set = False
        self._tell("")
        self._refresh()

    def _refresh(self) -> None:
        """Simulate the state, and show what can be done with it."""
        state, lay = self._known(), self.layout
        if lay.undo.disabled == state.can_undo:
            lay.undo.disabled = not state.can_undo
            lay.reset.disabled = not state.can_undo
        if lay.redo.disabled == state.can_redo:
            lay.redo.disabled = not state.can_redo
        if self._view.is_response:
            self._response.begin()
        try:
            self._engine.submit(
                questions(state.experiment, self._view, self._protocol, self.traces.pixels)
            )
        except SpecError as error:  # a protocol that is looked at, and cannot be
            self._tell(str(error))
        if self._on_change is not None:
            self._on_change(state)

    def _questions(self, experiment: Experiment) -> list[Ask]:
        return questions(experiment, self._view, self._protocol, self.traces.pixels)

    def _tell(self, text: str, *, of_trace: bool = False) -> None:
        """Show a message; a good trace takes that of a bad one away, and no other."""
        message = self.layout.message
        if text or (message.visible and (self._is_of_trace or not of_trace)):
            message.param.update(object=escape(text), visible=bool(text))
            self._is_of_trace = of_trace

    def _keep(self) -> None:
        changed = [
            f"{path.removesuffix('.start').rpartition('.')[2]}={value:.4g}"
            for path, value in self._known().changes.items()
            if isinstance(value, float)
        ]
        self.traces.keep(", ".join(changed[-3:]) or "as opened")

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
                self._tell(f"{type(error).__name__}: {error}")

        if self._document is None:
            told()
        else:
            self._document.add_next_tick_callback(told)

    def _take(self, question: Ask, answer: Answer) -> None:
        if isinstance(answer, Refused):
            self._refused(question, answer)
        elif isinstance(answer, Facts):
            self._begin(answer)
        elif isinstance(answer, Traces):
            self._show_traces(answer)
        elif isinstance(answer, Targets):
            html = targets_html(answer, self._known().aside)
            self.layout.targets.object = html
            self._show_link()
        elif isinstance(answer, Point) and self._view.is_response and self._response.add(answer):
            self._show_link()

    def _show_traces(self, answer: Traces) -> None:
        if self._view.is_response or answer.protocol != self._protocol:
            return  # of a tab that was left
        self.traces.show(answer, amplitude_targets(self._known().experiment, self._protocol))
        failed = f"the simulation failed: {answer.failure}" if answer.failure else ""
        self._tell(failed, of_trace=True)
        self.layout.save.disabled = False
        self._on_the_page(lambda: self._show_metrics(answer))  # once the trace is on its way

    def _show_metrics(self, answer: Traces) -> None:
        self.layout.metrics.object = metrics_html(answer.metrics)
        self.layout.status.object = f"<p>simulated in {1e3 * answer.seconds:.0f} ms</p>"
        if self._known().experiment.objective is None:
            self.layout.targets.object = targets_html(
                Targets((), float("nan")), self._known().aside
            )
            self._show_link()

    def _refused(self, question: Ask, answer: Refused) -> None:
        beside = [self.controls.complain(path, text) for path, text in answer.problems]
        if not beside or not all(beside):
            self._tell(answer.text, of_trace=True)
        if isinstance(question, AskFacts):
            self.layout.status.object = ""
        if isinstance(question, AskTraces) and not answer.ended:
            self.layout.save.disabled = True  # nobody could run it
        if answer.ended:
            self._engine.submit([])

    def _show_link(self) -> None:
        """Write the link to what is shown; the address bar follows."""
        query = {n: v for n, v in self._query.items() if v}
        query["connection"] = self._label if len(self._connections) > 1 else ""
        query["state"] = self._known().link()
        text = urlencode({n: v for n, v in query.items() if v})
        address = f"{self._address}?{text}" if text else self._address
        if self.layout.link.value != address:
            self.layout.link.value = address

    def view(self) -> pn.Template:
        """Return the page, to be served."""
        first = next(iter(self._connections.values()))
        return self.layout.template(self._colors, self._theme, f"{first.name} · stpspec")

    def close(self) -> None:
        """End the processes of the session."""
        self.fitting.close()
        self._engine.close()
