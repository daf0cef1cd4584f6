"""Layout of the page: its widgets and where they stand; what they do is told elsewhere."""

from __future__ import annotations

from html import escape
from pathlib import Path

import panel as pn

from stpspec.specs.experiment import Experiment
from stpspec.tuner.controls import Controls
from stpspec.tuner.figures import LossFigure, ResponseFigure
from stpspec.tuner.palette import Palette

_TABLE = """
table { border-collapse: collapse; width: 100%; font-size: 13px; color: var(--tuner-ink); }
th { text-align: left; font-weight: 600; padding: 3px 6px 1px 0; vertical-align: top; }
th { overflow-wrap: anywhere; }
td { text-align: right; padding: 3px 0 1px 6px; vertical-align: top; white-space: nowrap; }
td.arithmetic, td.reason { white-space: normal; overflow-wrap: anywhere; }
tr:first-child th:not(:first-child):not([scope]) { text-align: right; }
th small { display: block; font-weight: 400; color: var(--tuner-faint); }
p { margin: 4px 0; font-size: 13px; color: var(--tuner-ink); }
.arithmetic { text-align: left; font-size: 12px; color: var(--tuner-faint); padding: 0 0 4px 10px; }
.reason, .note { text-align: left; font-size: 12px; color: var(--tuner-faint); }
.hit { color: var(--tuner-level); } .near { color: var(--tuner-ink); }
.far { color: var(--tuner-bad); font-weight: 600; }
"""
CLAMPED = "Voltage clamp"
_HEAD = (
    "h2 { font-size: 12px; letter-spacing: .04em; text-transform: uppercase; margin: 0;"
    " color: var(--tuner-faint); } h1 { font-size: 16px; margin: 0; color: var(--tuner-ink); }"
)
# Bokeh's own arrow of a list is black on black in the dark; this one is as the text.
_LIST = """
select.bk-input { background-image: linear-gradient(45deg, transparent 50%, currentColor 50%),
  linear-gradient(135deg, currentColor 50%, transparent 50%); background-size: 6px 6px;
  background-position: right 14px center, right 8px center; background-repeat: no-repeat; }
"""
_BAR = """
progress, progress::-webkit-progress-bar { background: var(--tuner-grid) !important; }
progress::-webkit-progress-value { background: var(--tuner-now) !important; }
progress::-moz-progress-bar { background: var(--tuner-now) !important; }
"""
_MESSAGE = (
    ":host { color: var(--tuner-bad); border: 1px solid var(--tuner-bad); border-radius: 4px;"
    " padding: 4px 8px; font-size: 13px; white-space: pre-wrap; overflow-wrap: anywhere; }"
)
_OTHER_THEME = """
const url = new URL(window.location.href);
const dark = url.searchParams.get("theme") === "dark";
url.searchParams.set("theme", dark ? "default" : "dark");
window.location.assign(url.href);
"""
PAGE = Path(__file__).with_name("page.html")


def _head(text: str, level: int = 2) -> pn.pane.HTML:
    return pn.pane.HTML(f"<h{level}>{text}</h{level}>", stylesheets=[_HEAD], margin=(6, 6, 0, 6))


def _button(name: str, width: int, *, disabled: bool = False) -> pn.widgets.Button:
    return pn.widgets.Button(label=name, width=width, height=30, disabled=disabled, margin=(4, 3))


class Message:
    """The line that says what is wrong with no field of its own."""

    def __init__(self) -> None:
        self.pane = pn.pane.HTML("", visible=False, stylesheets=[_MESSAGE], margin=(2, 12),
                                 sizing_mode="stretch_width")  # fmt: skip
        self._is_of_trace = False

    def tell(self, text: str, *, of_trace: bool = False) -> None:
        """Show a message; a good trace takes that of a bad one away, and no other."""
        if text or (self.pane.visible and (self._is_of_trace or not of_trace)):
            self.pane.param.update(object=escape(text), visible=bool(text))
            self._is_of_trace = of_trace


class Layout:
    """The widgets of one page.

    Parameters
    ----------
    colors : Palette
    controls : Controls
    theme : {"default", "dark"}
    """

    def __init__(self, colors: Palette, controls: Controls, theme: str):
        self.title = pn.pane.HTML(
            "", stylesheets=[_HEAD], margin=(10, 8), sizing_mode="stretch_width"
        )
        self.connection = pn.widgets.Select(
            stylesheets=[_LIST], width=190, visible=False, margin=(4, 6)
        )
        self.undo = _button("Undo", 62, disabled=True)
        self.redo = _button("Redo", 62, disabled=True)
        self.reset = _button("Reset", 62, disabled=True)
        self.keep = _button("Keep trace", 90)
        self.theme = _button("Light" if theme == "dark" else "Dark", 62)
        self.theme.js_on_click(code=_OTHER_THEME)
        self.save = pn.widgets.FileDownload(
            label="Save as YAML", filename="experiment.yaml", width=124, height=30, margin=(4, 3),
            embed=False, auto=True, color="primary", disabled=True,
        )  # fmt: skip
        self.bar = pn.Row(
            self.title, self.connection, self.undo, self.redo, self.reset, self.keep, self.save,
            self.theme, sizing_mode="stretch_width", margin=(2, 6),
        )  # fmt: skip

        # A group of one: its label belongs to its box, for a click and for a screen reader.
        self.clamp = pn.widgets.CheckBoxGroup(options=[CLAMPED], margin=(8, 6))
        self.add = pn.widgets.Select(
            label="Add a parameter of the mechanism", options=[""], stylesheets=[_LIST],
            sizing_mode="stretch_width", margin=(4, 6),
        )  # fmt: skip
        self.variables = pn.widgets.CheckBoxGroup(options=[], inline=True, margin=(0, 6))
        self.record = pn.Column(
            _head("Record"), self.variables, sizing_mode="stretch_width", margin=0
        )
        self.knobs = pn.Column(
            controls.column("parameters"), controls.column("protocol"),
            controls.column("recording"), self.clamp, controls.column("mechanism"), self.add,
            controls.column("connection"), self.record, sizing_mode="stretch_width",
            margin=(0, 4, 20, 4),
        )  # fmt: skip

        self.tabs = pn.widgets.RadioButtonGroup(options=[""], color="primary", height=30,
                                                variant="outline", margin=(8, 6))  # fmt: skip
        self.protocol = pn.widgets.Select(
            stylesheets=[_LIST], width=170, visible=False, margin=(8, 6)
        )
        self.axis = pn.widgets.RadioButtonGroup(
            options=["log", "linear"], value="log", visible=False, color="primary",
            variant="outline", height=30, margin=(8, 6),
        )  # fmt: skip
        self.message = Message()
        self.status = pn.pane.HTML("Loading the mechanism …", stylesheets=[_TABLE], margin=(0, 12),
                                   sizing_mode="stretch_width")  # fmt: skip
        self.figures = pn.Column(sizing_mode="stretch_width", margin=0)
        self.progress = pn.indicators.Progress(value=0, max=100, visible=False, margin=(2, 12),
                                               sizing_mode="stretch_width", height=8,
                                               stylesheets=[_BAR])  # fmt: skip
        self.response = ResponseFigure(colors)
        self.pins = pn.FlexBox(margin=(0, 10))
        self.traces = pn.Column(
            pn.FlexBox(self.tabs, self.protocol, self.axis), self.message.pane, self.progress,
            self.figures, self.pins, self.status, sizing_mode="stretch_width", margin=(0, 0, 20, 0),
        )  # fmt: skip

        self.targets = pn.pane.HTML("", stylesheets=[_TABLE], sizing_mode="stretch_width",
                                    margin=(0, 6))  # fmt: skip
        self.fit = _button("Fit from here", 110)
        self.stop = _button("Stop", 62, disabled=True)
        self.loss = LossFigure(colors)
        self.course = pn.pane.HTML(
            "", stylesheets=[_TABLE], margin=(0, 6), sizing_mode="stretch_width"
        )
        self.loss_view = pn.Column(sizing_mode="stretch_width", margin=0)
        self.metrics = pn.pane.HTML("", stylesheets=[_TABLE], sizing_mode="stretch_width",
                                    margin=(0, 6))  # fmt: skip
        self.link = pn.widgets.TextInput(label="Link to this state", sizing_mode="stretch_width",
                                         margin=(4, 6))  # fmt: skip
        self.link.jscallback(value="""
            try { window.history.replaceState({}, "", cb_obj.value) } catch (error) {}
        """)  # fmt: skip
        self.fitting = pn.Column(pn.Row(self.fit, self.stop), self.course, self.loss_view,
                                 sizing_mode="stretch_width", margin=0, visible=False)  # fmt: skip
        self.numbers = pn.Column(
            _head("Targets"), self.targets, self.fitting, _head("Metrics"), self.metrics, self.link,
            sizing_mode="stretch_width", margin=(0, 4, 20, 4),
        )  # fmt: skip

    def open(self, experiment: Experiment, variables: list[str]) -> None:
        """Show what an experiment has, whose mechanism has these variables to record."""
        self.title.object = f"<h1>{escape(experiment.name)}</h1>"
        self.save.param.update(filename=f"{experiment.name}.yaml", disabled=False)
        self.clamp.visible = experiment.model.stimulated_by == "event"
        self.record.visible, self.variables.options = bool(variables), variables
        self.course.object, self.loss_view.objects = "", []
        self.fitting.visible = bool(experiment.parameters) and experiment.objective is not None

    def show_history(self, can_undo: bool, can_redo: bool) -> None:
        """Let the steps be walked that there are; a button that stays as it is costs no message."""
        for button, can in ((self.undo, can_undo), (self.reset, can_undo), (self.redo, can_redo)):
            if button.disabled == can:
                button.disabled = not can

    def show_loss(self) -> None:
        """Show the figure of the loss, once there is a fit."""
        if not self.loss_view.objects:
            self.loss_view.objects = [pn.pane.Bokeh(self.loss.figure, sizing_mode="stretch_width")]

    def template(self, colors: Palette, theme: str, title: str) -> pn.Template:
        """Return the page."""
        template = pn.Template(PAGE.read_text(encoding="utf-8"))
        template.add_variable("title", title)
        bad = "#ff9b6a" if theme == "dark" else "#b34700"
        names = ("paper", "ink", "faint", "grid", "level", "now")
        shown = {name: getattr(colors, name) for name in names} | {"bad": bad}
        template.add_variable("colors", shown)
        template.add_variable("scheme", "dark" if theme == "dark" else "light")
        for name in ("bar", "knobs", "traces", "numbers"):
            template.add_panel(name, getattr(self, name))
        return template
