"""Edits: what a hand at the widgets changes in the state, and a fit at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stpspec.errors import SpecError
from stpspec.tuner.knobs import Knob, addable
from stpspec.tuner.state import State
from stpspec.tuner.tabs import Tabs


class Edits:
    """The edits of one page; each makes a step of the history, and is shown.

    Parameters
    ----------
    state : callable
        Returns the state that is shown.
    tabs : Tabs
    refresh : callable
        Simulates the state anew.
    show_all : callable
        Shows the state in all widgets with a message, and simulates it.
    """

    def __init__(
        self,
        state: Callable[[], State],
        tabs: Tabs,
        refresh: Callable[[], None],
        show_all: Callable[[str], None],
    ):
        self._state, self._tabs = state, tabs
        self._refresh, self._show_all = refresh, show_all

    def move(self, knob: Knob, value: float) -> str:
        """Give a knob a value; return why that cannot be, empty if it can."""
        state, more = self._state(), {}
        part = knob.path.split(".")
        if part[0] == "protocols" and part[1] not in state.experiment.protocols:
            more[f"protocols.{part[1]}"] = {"kind": self._tabs.view.kind}
        more[knob.path] = int(value) if knob.is_whole else value
        try:
            state.change_all(more, knob.path)
        except SpecError as error:
            return "; ".join(str(p).removeprefix(f"{p.path}: ") for p in error.problems)
        self._refresh()
        return ""

    def change(self, more: Mapping[str, Any]) -> None:
        """Change fields; what cannot be changed is told, and shown as it was."""
        message = ""
        try:
            self._state().change_all(more)
        except SpecError as error:
            message = str(error)
        self._show_all(message)

    def add(self, summary: str) -> None:
        """Add the parameter of the mechanism that a list shows by this line."""
        state = self._state()
        for knob in addable(state.experiment, state.facts):
            if summary == knob.summary:
                self.change({knob.path: knob.value})

    def withdraw(self, knob: Knob) -> None:
        """Take a parameter of the mechanism away again."""
        self._state().withdraw(knob.path)
        self._show_all("")

    def record(self, names: list[str]) -> None:
        """Record these variables of the mechanism."""
        self.change({"recording.variables": list(names)})

    def step(self, walk: Callable[[State], None]) -> None:
        """Undo, redo or reset."""
        walk(self._state())
        self._show_all("")

    def adopt(self, values: Mapping[str, float]) -> None:
        """Take over what a fit has found."""
        self.change({f"parameters.{n}.start": v for n, v in values.items()})
