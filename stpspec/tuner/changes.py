"""Changes made by hand: what may be changed, an experiment with changes in it, and as a link."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stpspec.errors import SpecError, SpecProblem, StpspecError, nearest
from stpspec.registry import METRICS, RECORDINGS
from stpspec.specs.base import Data
from stpspec.specs.diagnosis import examine
from stpspec.specs.experiment import Experiment
from stpspec.specs.places import field_of
from stpspec.tuner.messages import Facts

Changes = Mapping[str, Any]

CLAMP = "clamp"
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
        name = ".".join(names[:-1])  # of a place: net_con.delay
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


def from_link(text: str) -> dict[str, Any]:
    """Return the changes that a link holds.

    Raises
    ------
    StpspecError
        If it is no link of a tuner.
    """
    try:
        changes = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
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
