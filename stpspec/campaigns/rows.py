"""Rows of a table and their bases → one experiment each, or what is wrong with which cell."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stpspec.campaigns.bases import CHOICES, Base, Bases
from stpspec.campaigns.table import Cell, Row
from stpspec.errors import SpecProblem, nearest
from stpspec.specs.changes import changed_data
from stpspec.specs.diagnosis import examine
from stpspec.specs.experiment import Experiment

_TOP = ("description", "source", "seed", "workers")
_NONE = ("", "-", "–", "—", "na", "n/a", "n.a.", "nan", "nd", "n.d.", "none", "null")
_WITH_SD = re.compile(r"(.+?)\s*(?:±|\+/-|\+-)\s*(.+)")


@dataclass
class Made:
    """What became of one row.

    Attributes
    ----------
    experiment : Experiment or None
        None if anything is wrong.
    parts : dict
        What is valid of it, for the questions that only NEURON can answer.
    problems, raw : list of SpecProblem
        At their cells, and those of the experiment by its own paths.
    places : dict of str to Cell
        Dotted path of a field → the cell that set it.
    unknown : dict of str to Cell
        Columns that mean nothing to the base of this row.
    """

    row: Row
    experiment: Experiment | None = None
    parts: dict[str, Any] = field(default_factory=dict)
    problems: list[SpecProblem] = field(default_factory=list)
    raw: list[SpecProblem] = field(default_factory=list)
    places: dict[str, Cell] = field(default_factory=dict)
    unknown: dict[str, Cell] = field(default_factory=dict)
    base: Base | None = None

    def located(self, problem: SpecProblem) -> SpecProblem:
        """Say of a problem of the experiment in which cell of the table it was written."""
        cell = self.places.get(problem.path)
        for path, other in self.places.items() if cell is None else ():
            if problem.path.startswith(f"{path}.") or path.startswith(f"{problem.path}."):
                cell = other
        if cell is None:
            at = f"row {self.row.label}: {problem.path}"
            return SpecProblem(at, problem.rule, problem.received, problem.nearest, self.row.where)
        at = f"row {self.row.label}, column {cell.column}"
        return SpecProblem(at, problem.rule, cell.value, problem.nearest, cell.where)


def make(row: Row, bases: Bases) -> Made:
    """Make the experiment of one row."""
    made = Made(row)
    base = bases.of(row)
    if isinstance(base, SpecProblem):
        made.problems.append(base)
        return made
    made.base = base
    changes, dropped = _changes(made, base)
    data, problems = changed_data(base.experiment, changes)
    data["name"] = row.name or "unnamed"
    for path in changes:
        if path.startswith("model.fixed."):  # what a row fixes is free no longer
            data["parameters"].pop(path.removeprefix("model.fixed."), None)
    terms = data["objective"]["terms"] if data["objective"] else {}
    for name in dropped:
        terms.pop(name, None)
    if not terms:
        rule = "no target is left: every term of the objective is empty in this row"
        made.problems.append(SpecProblem(f"row {row.label}", rule, where=row.where))
        data["objective"] = None
    elif not data["parameters"]:
        rule = "no parameter is left that is free"
        made.problems.append(SpecProblem(f"row {row.label}", rule, where=row.where))
    experiment, more, made.parts = examine(data)
    made.raw = [*problems, *more]
    made.problems += [made.located(p) for p in made.raw]
    made.experiment = None if made.problems else experiment
    return made


def _changes(made: Made, base: Base) -> tuple[dict[str, Any], set[str]]:
    """Return path → value of what the cells set, and the terms without data."""
    changes: dict[str, Any] = {}
    dropped = set(base.open_terms)
    for key, cell in made.row.cells.items():
        path = "" if key in CHOICES else path_of(key, base)
        if path is None:
            made.unknown[key] = cell
        if not path:
            continue
        term = _target_of(path)
        if term is not None and _is_missing(cell.value):
            dropped.add(term)
        elif cell.value is not None and not (path.endswith(".sd") and _is_missing(cell.value)):
            dropped.discard(term or "")
            for where, value in _values(path, cell).items():
                if where in changes:
                    rule = f"{where} is set by another column, too"
                    made.problems.append(_problem(made, cell, rule, made.places[where].column))
                changes[where], made.places[where] = value, cell
    _sds_in_the_unit_of_their_target(changes)
    for term in sorted(dropped):
        cell = made.places.get(f"objective.terms.{term}.sd")
        if cell is not None:
            rule = f"an sd of {term}, and no target beside it"
            made.problems.append(_problem(made, cell, rule, cell.value))
    return changes, dropped


def path_of(key: str, base: Base) -> str | None:
    """Return the field that a column sets; None if it means nothing to the base."""
    terms, start = base.terms, "objective.terms"
    if key in terms:
        return f"{start}.{key}.target"
    if key.endswith("_sd") and key[:-3] in terms:
        return f"{start}.{key[:-3]}.sd"
    for term in terms:
        if key.startswith(f"{term}."):
            return f"{start}.{key}"
    return key if "." in key or key in _TOP else None


def unknown_column(key: str, base: Base) -> tuple[str, str | None]:
    """Return the rule that an unknown column breaks, and the nearest that is known."""
    experiment = base.experiment
    if key in experiment.parameters or key in experiment.model.fixed:
        rule = f"{key} is a parameter: model.fixed.{key} fixes it, parameters.{key}.start begins "
        return f"{rule}there, parameters.{key}.min and .max bound it", None
    terms = base.terms
    known = [*terms, *(f"{t}_sd" for t in terms), "connection", *CHOICES, *_TOP]
    rule = (
        f"no such column: a column is connection, experiment or another group, a term "
        f"({', '.join(terms)}), TERM_sd, a field with dots such as model.fixed.e, or begins with #"
    )
    return rule, nearest(key, known)


def _problem(made: Made, cell: Cell, rule: str, received: Any) -> SpecProblem:
    return SpecProblem(
        f"row {made.row.label}, column {cell.column}", rule, received, where=cell.where
    )


def _target_of(path: str) -> str | None:
    inner = path.removeprefix("objective.terms.")
    return inner.removesuffix(".target") if inner != path and path.endswith(".target") else None


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() in _NONE)


def _values(path: str, cell: Cell) -> dict[str, Any]:
    """Return what a cell sets: a target may be written with its sd, ``42 ± 5 pA``."""
    match = _WITH_SD.fullmatch(cell.value) if isinstance(cell.value, str) else None
    if match is None or not path.endswith(".target"):
        return {path: _with_unit(_parsed(cell.value), cell.unit)}
    value, sd = match[1], match[2]
    own = _unit_of(sd)
    value = _with_unit(_parsed(value), own or cell.unit)
    return {path: value, path.removesuffix("target") + "sd": _with_unit(_parsed(sd), cell.unit)}


def _parsed(value: Any) -> Any:
    """Return what a text means: a number, a truth value, a list, a mapping or the text."""
    import yaml

    if not isinstance(value, str):
        return value
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(value)
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        return value


def _with_unit(value: Any, unit: str) -> Any:
    if isinstance(value, list):
        return [_with_unit(v, unit) for v in value]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value!r} {unit}" if unit and is_number else value


def _unit_of(value: Any) -> str:
    from stpspec.units import UnitError, split

    value = value[0] if isinstance(value, list) and value else value
    try:
        return split(value)[1] if isinstance(value, str) else ""
    except UnitError:
        return ""


def _sds_in_the_unit_of_their_target(changes: dict[str, Any]) -> None:
    """Let an sd without a unit have that of the target beside it: never pA for one, nA for two."""
    for path, sd in list(changes.items()):
        start = path.removesuffix(".sd")
        if start != path and start.startswith("objective.terms."):
            changes[path] = _with_unit(sd, _unit_of(changes.get(f"{start}.target")))


def unknown_columns(made: list[Made], header: str | None) -> list[SpecProblem]:
    """Return the problem of each column that means nothing where it has a value, once."""
    found: dict[str, SpecProblem] = {}
    columns: Mapping[str, None] = dict.fromkeys(k for m in made for k in m.unknown)
    for key in columns:
        those = [m for m in made if key in m.unknown and m.base is not None]
        nowhere = all(key in m.unknown for m in made if m.base is not None and key in m.row.cells)
        for m in those:
            cell = m.unknown[key]
            if cell.value is None and not nowhere:
                continue
            assert m.base is not None
            rule, guess = unknown_column(key, m.base)
            at = f"column {cell.column}" if nowhere else f"row {m.row.label}, column {cell.column}"
            where = (nowhere and header) or cell.where
            found.setdefault(f"{key} {at}", SpecProblem(at, rule, key, guess, where))
    return list(found.values())
