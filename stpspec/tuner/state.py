"""The state of a tuner: an experiment, changes made by hand, undo and redo, link and YAML."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stpspec.errors import SpecError, SpecProblem, StpspecError, nearest
from stpspec.registry import METRICS, RECORDINGS
from stpspec.results.folder import to_yaml
from stpspec.specs.base import Data
from stpspec.specs.diagnosis import examine
from stpspec.specs.experiment import Experiment
from stpspec.specs.places import field_of
from stpspec.tuner.messages import Facts

Changes = Mapping[str, Any]

CLAMP = "clamp"
_GESTURE = 1.0  # s; moves of one knob within it are undone together
_CLAMPS = {True: "voltage_clamp", False: "current_clamp"}

# What may be changed by hand, and so by a link: numbers and choices, never a file or a module.
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PARAMETER = r"[A-Za-z_][A-Za-z0-9_.\[\]]*"
_OF_RECORDING = r"recording\.(holding_potential|holding_current|series_resistance"
_CHANGEABLE = re.compile(
    rf"clamp|parameters\.{_PARAMETER}\.start|model\.fixed\.{_PARAMETER}"
    rf"|model\.net_con\.(weight|delay)|protocols\.[^.]+(\.{_NAME})?"
    rf"|protocols\.[^.]+\.{_OF_RECORDING})|{_OF_RECORDING}|variables)"
)


@dataclass(frozen=True)
class Applied:
    """An experiment with the changes in it.

    Attributes
    ----------
    experiment : Experiment
    aside : dict of str to str
        Term of the objective that cannot be asked with these changes → why.
    """

    experiment: Experiment
    aside: dict[str, str] = field(default_factory=dict)


def apply(base: Experiment, facts: Facts, changes: Changes) -> Applied:
    """Return an experiment with changes made by hand.

    Parameters
    ----------
    base : Experiment
    facts : Facts
        Of its mechanism.
    changes : mapping of str to object
        Path → value; ``clamp`` → whether there is a voltage clamp. A number of a parameter is in
        the unit of the mechanism.

    Raises
    ------
    SpecError
        With every problem, each with the path of its field.
    """
    problems = [
        SpecProblem(path, "this cannot be changed here", value)
        for path, value in changes.items()
        if not _CHANGEABLE.fullmatch(path)
    ]
    if problems:
        raise SpecError(problems)
    data = base.to_data()
    aside = _change_clamp(data, base, changes.get(CLAMP))
    for path, value in changes.items():
        if path != CLAMP:
            problems += _put(data, base, facts, path, value)
    _leave_out(data, aside)
    experiment, found, _ = examine(data)
    of_terms = {_term_of(p.path): p for p in found}
    if found and "" not in of_terms:  # all the rest is valid: they are asked again when they can be
        aside |= {term: p.rule for term, p in of_terms.items()}
        _leave_out(data, aside)
        experiment, found, _ = examine(data)
    if problems or experiment is None:
        raise SpecError([*problems, *found])
    return Applied(experiment, aside)


def _change_clamp(data: Data, base: Experiment, clamped: bool | None) -> dict[str, str]:
    """Switch the recording; return the terms that then would be compared in another unit."""
    kind = base.recording.kind
    if clamped is None or kind not in _CLAMPS.values() or kind == _CLAMPS[clamped]:
        return {}
    old = data["recording"]
    shared = ("electrode_section", "electrode_position", "variables")
    data["recording"] = {"kind": _CLAMPS[clamped], **{n: old[n] for n in shared}}
    if base.objective is None:
        return {}
    reason = f"its target is one of the {kind.replace('_', ' ')}"
    return {
        name: reason
        for name, term in base.objective.terms.items()
        if "signal" in METRICS.get(term.metric).unit_in("signal", term.options)
        and METRICS.get(term.metric).reads_signal
        and "signal" not in term.options
    }


def _put(data: Data, base: Experiment, facts: Facts, path: str, value: Any) -> list[SpecProblem]:
    """Put one change into the data; return why it cannot be."""
    part, *names = path.split(".")
    if part == "recording":
        if names[0] in RECORDINGS.get(data["recording"]["kind"]).model_fields:
            data["recording"][names[0]] = value
        return []
    if part == "parameters":
        name = ".".join(names[:-1])
        if name not in base.parameters:
            rule = "no free parameter of this name"
            return [SpecProblem(path, rule, name, nearest(name, base.parameters))]
        numbers = base.parameters[name].in_unit(facts.units[name]).model_dump(mode="json")
        data["parameters"][name] = {**numbers, "start": value}
        return []
    if part == "model" and names[0] == "fixed":
        names = ["fixed", ".".join(names[1:])]
    place = data
    for name in (part, *names[:-1]):
        if name not in place:
            return [SpecProblem(path, "there is no such part", name, nearest(name, place))]
        place = place[name]
    place[names[-1]] = value
    return []


def _term_of(path: str) -> str:
    """Return the term of the objective that a path is of; empty if it is of none."""
    match = re.match(r"objective\.terms\.([^.]+)", path)
    return match[1] if match else ""


def _leave_out(data: Data, terms: Iterable[str]) -> None:
    objective = data["objective"]
    for term in terms:
        objective["terms"].pop(term, None)
    if objective is not None and not objective["terms"]:
        data["objective"] = None


@dataclass(frozen=True)
class _Moment:
    """One point of the history: the changes, and the knob that made the last of them."""

    changes: Changes
    path: str = ""
    when: float = float("-inf")


class State:
    """What a tuner shows: an experiment as it was opened, and what has been changed by hand.

    Parameters
    ----------
    base : Experiment
    facts : Facts
    changes : mapping of str to object, optional
        What is changed already, as by a link.
    clock : callable
        Seconds; moves of one knob in quick succession are undone together.

    Raises
    ------
    SpecError
        If the changes cannot be made.
    """

    def __init__(
        self,
        base: Experiment,
        facts: Facts,
        changes: Changes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.base = base
        self.facts = facts
        self._clock = clock
        self._done = [_Moment({})]
        self._undone: list[_Moment] = []
        self.applied = apply(base, facts, changes or {})
        if changes:
            self._done.append(_Moment(dict(changes)))

    @property
    def changes(self) -> Changes:
        """What is changed: path → value."""
        return self._done[-1].changes

    @property
    def experiment(self) -> Experiment:
        """The experiment with the changes."""
        return self.applied.experiment

    @property
    def aside(self) -> dict[str, str]:
        """Term of the objective that cannot be asked with the changes → why."""
        return self.applied.aside

    def change(self, path: str, value: Any) -> None:
        """Change one field.

        Raises
        ------
        SpecError
            If it cannot be; then nothing is changed.
        """
        self.change_all({path: value}, path)

    def change_all(self, more: Changes, knob: str = "") -> None:
        """Change several fields as one step of the history.

        Parameters
        ----------
        more : mapping of str to object
        knob : str
            What makes the change: another one of the same, soon after, is undone with it.

        Raises
        ------
        SpecError
            If they cannot be; then nothing is changed.
        """
        self._go({**self.changes, **more}, knob)

    def tried(self, more: Changes) -> Experiment:
        """Return the experiment with further changes, which are not made."""
        return apply(self.base, self.facts, {**self.changes, **more}).experiment

    def withdraw(self, path: str) -> None:
        """Let one field have its value of the experiment again."""
        self._go({p: v for p, v in self.changes.items() if p != path}, "")

    def _go(self, changes: Changes, knob: str) -> None:
        self.applied = apply(self.base, self.facts, changes)
        if changes == self.changes:
            return
        now, last = self._clock(), self._done[-1]
        if knob and knob == last.path and now - last.when < _GESTURE:
            self._done.pop()
        self._done.append(_Moment(dict(changes), knob, now))
        self._undone.clear()

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to undo."""
        return len(self._done) > 1

    @property
    def can_redo(self) -> bool:
        """Whether there is a change to make again."""
        return bool(self._undone)

    def undo(self) -> None:
        """Take the last change back."""
        if self.can_undo:
            self._undone.append(self._done.pop())
            self.applied = apply(self.base, self.facts, self.changes)

    def redo(self) -> None:
        """Make the change again that was undone last."""
        if self.can_redo:
            self._done.append(self._undone.pop())
            self.applied = apply(self.base, self.facts, self.changes)

    def reset(self) -> None:
        """Return to the experiment as it was opened; that can be undone, too."""
        self._go({}, "")

    def protocol_of(self, kind: str) -> str | None:
        """Return the first protocol of a kind; None if the experiment has none."""
        protocols = self.experiment.protocols
        return next((n for n, p in protocols.items() if p.kind == kind), None)

    def with_protocol(self, kind: str) -> str:
        """Return a protocol of a kind; the experiment gets one where it has none.

        Raises
        ------
        SpecError
            If the model cannot have one of this kind.
        """
        name = self.protocol_of(kind)
        if name is None:
            name = kind if kind not in self.experiment.protocols else f"{kind}_tuned"
            self.change(f"protocols.{name}", {"kind": kind})
        return name

    def yaml(self) -> str:
        """Return the experiment as YAML, which ``stpspec run`` and ``fit`` take unchanged."""
        return to_yaml(self.experiment)

    def link(self) -> str:
        """Return the changes as text for a link; empty without any."""
        return json.dumps(self.changes, separators=(",", ":")) if self.changes else ""


def from_link(text: str) -> dict[str, Any]:
    """Return the changes that a link holds.

    Raises
    ------
    StpspecError
        If it is no link of a tuner.
    """
    try:
        changes = json.loads(text) if text else {}
    except ValueError as error:
        raise StpspecError(f"the link is damaged: {error}") from error
    if not isinstance(changes, dict):
        raise StpspecError(f"the link is damaged: expected changes by field, received {text!r}")
    return changes


def changes_to(experiment: Experiment, values: Mapping[str, object]) -> dict[str, object]:
    """Return the changes that give parameters of the mechanism values, with or without a unit."""
    return {
        f"parameters.{n}.start" if n in experiment.parameters else field_of(n): v
        for n, v in values.items()
    }


def fit_data(experiment: Experiment) -> dict[str, Any]:
    """Return the data of a fit that begins at the starts of an experiment and leaves no study."""
    data = experiment.to_data()
    data["fitter"] |= {"start": "given", "n_starts": 1}
    return {**data, "study": None}
