"""Controls of the page: one row a knob, with a slider, a number box and the error of the field."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import ClassVar

import panel as pn

from stpspec.tuner.knobs import Knob
from stpspec.units import UnitError
from stpspec.view.style import UNITS

OnValue = Callable[[Knob, float], str]
"""Takes a new value; returns why it is refused, empty if it is not."""


class _PromptSlider(pn.widgets.FloatSlider):
    """A slider that tells of a move at once.

    Panel waits for 50 ms, in case there are more, and tells before each that the page is busy.
    """

    _priority_changes: ClassVar[list[str]] = ["value", "value_throttled"]
    _busy__ignore: ClassVar[list[str]] = ["value", "value_throttled"]


class KnobRow:
    """One knob: a slider, a number box that takes a unit, and beside them what is wrong.

    Parameters
    ----------
    knob : Knob
    on_value : callable
    on_leave : callable
        Takes the knob whose row is taken away.
    """

    def __init__(self, knob: Knob, on_value: OnValue, on_leave: Callable[[Knob], None]):
        self.knob = knob
        self._on_value = on_value
        self._is_set = False
        self.slider = _PromptSlider(
            label=_title(knob), start=0.0, end=1.0, step=1 / max(knob.steps, 1), show_value=False,
            value=knob.position(), tooltips=False, sizing_mode="stretch_width", height=32,
            margin=(0, 6), stylesheets=[_TRACK],
        )  # fmt: skip
        self.box = pn.widgets.TextInput(
            value=knob.text, width=82, height=28, margin=(10, 0, 0, 0),
            placeholder="auto" if knob.value is None else "",
        )  # fmt: skip
        unit = UNITS.get(knob.unit, knob.unit)
        self.unit = pn.pane.HTML(escape(unit), width=26, margin=(17, 0, 0, 4))
        self.error = pn.pane.HTML("", visible=False, sizing_mode="stretch_width", margin=(0, 6),
                                  css_classes=["error"], stylesheets=[ERROR])  # fmt: skip
        items = [self.slider, self.box, self.unit]
        if knob.can_leave:
            leave = pn.widgets.Button(
                label="✕", width=24, height=28, margin=(10, 0, 0, 0), color="light",
                description=f"Take {knob.label} away",
            )  # fmt: skip
            leave.on_click(lambda _: on_leave(self.knob))
            items.append(leave)
        else:
            items.append(pn.Spacer(width=24))
        self.view = pn.Column(pn.Row(*items, sizing_mode="stretch_width"), self.error,
                              sizing_mode="stretch_width")  # fmt: skip
        self.slider.param.watch(lambda event: self._slid(event.new), "value")
        self.box.param.watch(lambda event: self._written(event.new), "value")

    def _slid(self, position: float) -> None:
        if self._is_set:
            return
        value = self.knob.value_at(position)
        self._offer(value, moved=self.box)

    def _written(self, text: str) -> None:
        if self._is_set:
            return
        try:
            value = self.knob.read(text)
        except UnitError as error:
            self.complain(str(error))
            return
        assert value is not None
        self._offer(value, moved=self.slider)

    def _offer(self, value: float, moved: pn.widgets.Widget) -> None:
        wrong = self._on_value(self.knob, value)  # first, as the simulation takes longest
        self._set(value, [moved])
        self.complain(wrong)

    def show(self, knob: Knob) -> None:
        """Show the value of the knob as it is now."""
        self.knob = knob
        self.complain("")
        self._is_set = True
        try:
            if knob.value is not None:
                self._set(knob.value, [self.slider, self.box])
            elif self.box.value:
                self.box.value = ""
        finally:
            self._is_set = False

    def show_value(self, value: float) -> None:
        """Show a value that is being tried."""
        self._set(value, [self.slider, self.box])

    def _set(self, value: float, widgets: Sequence[pn.widgets.Widget]) -> None:
        was, self._is_set = self._is_set, True
        try:
            if self.slider in widgets:
                self.slider.value = self.knob.position(value)
            if self.box in widgets:
                self.box.value = f"{value:.10g}"
        finally:
            self._is_set = was

    def complain(self, text: str) -> None:
        """Show what is wrong with the field; nothing if the text is empty."""
        if text or self.error.visible:
            self.error.param.update(object=f"⚠ {escape(text)}" if text else "", visible=bool(text))

    def enable(self, *, enabled: bool) -> None:
        """Let the knob be moved, or not."""
        self.slider.disabled = self.box.disabled = not enabled


_TRACK = (
    ".noUi-target { background: var(--tuner-grid); border-color: var(--tuner-faint); }"
    " .noUi-connect { background: var(--tuner-now) !important; }"
)
ERROR = ":host { color: var(--tuner-bad); font-size: 12px; line-height: 1.3; }"


def _title(knob: Knob) -> str:
    return f"{knob.label} ({knob.bounds})" if knob.bounds else knob.label


_HEADS = {
    "parameters": "Free parameters", "mechanism": "Mechanism", "protocol": "Protocol",
    "connection": "Connection", "recording": "Recording",
}  # fmt: skip


class Controls:
    """The rows of all knobs, in groups.

    Parameters
    ----------
    on_value, on_leave : callable
        As of :class:`KnobRow`.
    """

    def __init__(self, on_value: OnValue, on_leave: Callable[[Knob], None]):
        self._on_value, self._on_leave = on_value, on_leave
        self.rows: dict[str, KnobRow] = {}
        self._columns = {
            group: pn.Column(sizing_mode="stretch_width", margin=0) for group in _HEADS
        }

    def column(self, group: str) -> pn.Column:
        """Return the rows of a group under its head."""
        return self._columns[group]

    def show(self, knobs: Sequence[Knob]) -> None:
        """Show these knobs; a row stays where the knob is the same but for its value."""
        rows = {}
        for knob in knobs:
            row = self.rows.get(knob.path)
            if row is not None and _alike(row.knob, knob):
                row.show(knob)
            else:
                row = KnobRow(knob, self._on_value, self._on_leave)
            rows[knob.path] = row
        self.rows = rows
        for group, column in self._columns.items():
            views = [r.view for r in rows.values() if r.knob.group == group]
            head = pn.pane.HTML(
                f"<h2>{_HEADS[group]}</h2>", stylesheets=[_HEAD], margin=(6, 6, 0, 6)
            )
            if list(column.objects[1:]) != views:
                column.objects = [head, *views] if views else []

    def complain(self, path: str, text: str) -> bool:
        """Show a problem beside the field of a path; return whether there is one."""
        for row in self.rows.values():
            mine = row.knob.path
            if path and (
                mine == path or mine.startswith(f"{path}.") or path.startswith(f"{mine}.")
            ):
                row.complain(text)
                return True
        return False

    def show_values(self, values: Mapping[str, float]) -> None:
        """Show values that are being tried, by the paths of their knobs."""
        for path, value in values.items():
            if path in self.rows:
                self.rows[path].show_value(value)

    def enable(self, *, enabled: bool) -> None:
        """Let the knobs be moved, or not."""
        for row in self.rows.values():
            row.enable(enabled=enabled)


_HEAD = (
    "h2 { font-size: 12px; letter-spacing: .04em; text-transform: uppercase; margin: 0;"
    " color: var(--tuner-faint); }"
)


def _alike(one: Knob, other: Knob) -> bool:
    """Tell whether two knobs differ in their value at most."""
    ends = (one.low, one.high, one.scale, one.grid, one.unit, one.bounds, one.can_leave)
    return ends == (other.low, other.high, other.scale, other.grid, other.unit, other.bounds,
                    other.can_leave)  # fmt: skip
