"""Experiments of the rows of a table: one of each, or what is wrong with which cell."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from stpspec.campaigns.bases import CHOICES, Base, Bases
from stpspec.campaigns.problems import TableProblem, table_problem
from stpspec.campaigns.table import Row, TableCell
from stpspec.config.located_files import with_files_located
from stpspec.errors import SpecProblem, nearest
from stpspec.specs.changes import changed_data
from stpspec.specs.diagnosis import examine
from stpspec.specs.experiment import Experiment
from stpspec.specs.places import field_of as field_of_parameter

_TERMS = "objective.terms"
_TOP = ("description", "source", "seed", "workers")
_NONE = ("", "-", "–", "—", "na", "n/a", "n.a.", "nan", "nd", "n.d.", "none", "null")
_WITH_SD = re.compile(r"(.+?)\s*(?:±|\+/-|\+-)\s*(.+)")


class Terms(Protocol):
    """What the columns of a table may set of a base, beside its fields."""

    @property
    def terms(self) -> list[str]: ...

    @property
    def open_terms(self) -> frozenset[str]: ...


@dataclass
class RowExperiment:
    """The experiment of one row, as far as it is valid.

    Attributes
    ----------
    experiment : Experiment or None
        None if anything is wrong.
    parts : dict
        What is valid of it, for the questions that only NEURON can answer.
    problems, raw : list of SpecProblem
        At their cells, and those of the experiment by its own paths.
    places : dict of str to TableCell
        Dotted path of a field → the cell that set it.
    unknown : dict of str to TableCell
        Columns that mean nothing to the base of this row.
    """

    row: Row
    experiment: Experiment | None = None
    parts: dict[str, object] = field(default_factory=dict)
    problems: list[SpecProblem] = field(default_factory=list)
    raw: list[SpecProblem] = field(default_factory=list)
    places: dict[str, TableCell] = field(default_factory=dict)
    unknown: dict[str, TableCell] = field(default_factory=dict)
    base: Base | None = None

    def located(self, problem: SpecProblem) -> SpecProblem:
        """Say of a problem of the experiment in which cell of the table it was written."""
        cell = self.places.get(problem.path)
        for path, other in self.places.items() if cell is None else ():
            if problem.path.startswith(f"{path}.") or path.startswith(f"{problem.path}."):
                cell = other
        if cell is None:
            received, place = problem.received, {"path": problem.path, "where": self.row.where}
        else:
            received, place = cell.value, {"column": cell.column, "where": cell.where}
        place |= {"row": self.row.label, "kind": problem.kind}
        return table_problem(problem.rule, received, problem.nearest, **place)


def row_experiment(row: Row, bases: Bases) -> RowExperiment:
    """Make the experiment of one row."""
    entry = RowExperiment(row)
    base = bases.of(row)
    if isinstance(base, SpecProblem):
        entry.problems.append(base)
        return entry
    entry.base = base
    changes, dropped = changes_of(entry, base)
    data, problems = changed_data(base.experiment, changes)
    data["name"] = row.name or "unnamed"
    parameters, objective = data["parameters"], data["objective"]
    assert isinstance(parameters, dict)
    for name in [n for n in parameters if field_of_parameter(n) in changes]:
        del parameters[name]  # what a row fixes is free no longer
    terms = objective["terms"] if isinstance(objective, dict) else {}
    for name in dropped if isinstance(terms, dict) else ():
        terms.pop(name, None)
    if not terms:
        rule = "no target is left: every term of the objective is empty in this row"
        entry.problems.append(table_problem(rule, row=row.label, where=row.where))
        data["objective"] = None
    elif not parameters:
        rule = "no parameter is left that is free"
        entry.problems.append(table_problem(rule, row=row.label, where=row.where))
    experiment, more, entry.parts = examine(with_files_located(data))
    entry.raw = [*problems, *more]
    entry.problems += [entry.located(p) for p in entry.raw]
    entry.experiment = None if entry.problems else experiment
    return entry


def changes_of(entry: RowExperiment, base: Terms) -> tuple[dict[str, object], set[str]]:
    """Return path → value of what the cells set, and the terms without data."""
    changes: dict[str, object] = {}
    dropped = set(base.open_terms)
    for key, cell in entry.row.cells.items():
        if key in CHOICES:
            continue
        place = field_of(key, base)
        if place is None:
            entry.unknown[key] = cell
            continue
        if place.is_target and _is_missing(cell.value):
            dropped.add(place.term)
        elif cell.value is not None and not (place.is_of_target and _is_missing(cell.value)):
            if place.is_target:
                dropped.discard(place.term)
            changes |= _set_by(cell, place, entry)
    _sds_in_the_unit_of_their_target(changes, base.terms)
    for term in sorted(dropped):
        cell = entry.places.get(Field.of_term(term, "sd").path)
        if cell is not None:
            rule = f"an sd of {term}, and no target beside it"
            entry.problems.append(_problem(entry.row, cell, rule, cell.value))
    return changes, dropped


@dataclass(frozen=True)
class Field:
    """The field of an experiment that a column sets.

    Attributes
    ----------
    path : str
        Dotted path of the field.
    term : str
        Name of the term that it belongs to; empty where it belongs to none.
    part : str
        Field of the term, such as ``target`` or ``sd``.
    """

    path: str
    term: str = ""
    part: str = ""

    @classmethod
    def of_term(cls, term: str, part: str) -> Field:
        return cls(f"{_TERMS}.{term}.{part}", term, part)

    @property
    def is_target(self) -> bool:
        return self.part == "target"

    @property
    def is_of_target(self) -> bool:
        return self.part in ("sd", "n")


def field_of(key: str, base: Terms) -> Field | None:
    """Return the field that a column sets; None if it means nothing to the base."""
    columns = {t: (t, "target") for t in base.terms}
    columns |= {f"{t}_{part}": (t, part) for t in base.terms for part in ("sd", "n")}
    if key in columns:
        return Field.of_term(*columns[key])
    for term in sorted(base.terms, key=len, reverse=True):  # a name may begin with another
        for start in (f"{term}.", f"{_TERMS}.{term}."):
            if key.startswith(start):
                return Field.of_term(term, key.removeprefix(start))
    return Field(key) if "." in key or key in _TOP else None


def unknown_column(key: str, base: Base) -> tuple[str, str | None]:
    """Return the rule that an unknown column breaks, and the nearest that is known."""
    experiment = base.experiment
    if key in experiment.parameters or key in experiment.model.fixed:
        fixes = field_of_parameter(key)
        rule = f"{key} is a parameter: {fixes} fixes it, parameters.{key}.start begins "
        return f"{rule}there, parameters.{key}.min and .max bound it", None
    terms = base.terms
    names = [*terms, *(f"{t}_{part}" for t in terms for part in ("sd", "n")), "connection"]
    rule = (
        f"no such column: a column is connection, experiment or another group, a term "
        f"({', '.join(terms)}), TERM_sd, TERM_n, a field with dots such as model.fixed.e, or "
        f"begins with #"
    )
    return rule, nearest(key, [*names, *CHOICES, *_TOP])


def _set_by(cell: TableCell, place: Field, entry: RowExperiment) -> dict[str, object]:
    """Return path → value of what a cell sets, and note its place."""
    values = _values(place, cell)
    for path in values:
        if path in entry.places:
            rule = f"{path} is set by another column, too"
            entry.problems.append(_problem(entry.row, cell, rule, entry.places[path].column))
        entry.places[path] = cell
    return values


def _problem(row: Row, cell: TableCell, rule: str, received: object) -> TableProblem:
    return table_problem(rule, received, row=row.label, column=cell.column, where=cell.where)


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() in _NONE)


def _values(place: Field, cell: TableCell) -> dict[str, object]:
    """Return what a cell sets: a target may be written with its sd, ``42 ± 5 pA``."""
    match = _WITH_SD.fullmatch(cell.value) if isinstance(cell.value, str) else None
    if match is None or not place.is_target:
        return {place.path: _with_unit(_parsed(cell.value), cell.unit)}
    target = _with_unit(_parsed(match[1]), _unit_of(match[2]) or cell.unit)
    sd = _with_unit(_parsed(match[2]), cell.unit)
    return {place.path: target, Field.of_term(place.term, "sd").path: sd}


def _parsed(value: object) -> object:
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


def _with_unit(value: object, unit: str) -> object:
    if isinstance(value, list):
        return [_with_unit(v, unit) for v in value]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value!r} {unit}" if unit and is_number else value


def _unit_of(value: object) -> str:
    from stpspec.units import UnitError, split

    value = value[0] if isinstance(value, list) and value else value
    try:
        return split(value)[1] if isinstance(value, str) else ""
    except UnitError:
        return ""


def _sds_in_the_unit_of_their_target(changes: dict[str, object], terms: Iterable[str]) -> None:
    """Let an sd without a unit have that of the target beside it: never pA for one, nA for two."""
    for term in terms:
        target, sd = (Field.of_term(term, part).path for part in ("target", "sd"))
        if sd in changes:
            changes[sd] = _with_unit(changes[sd], _unit_of(changes.get(target)))


def unknown_columns(rows: Sequence[RowExperiment], header: str | None) -> list[SpecProblem]:
    """Return the problem of each column that means nothing where it has a value, once."""
    problems: dict[str, SpecProblem] = {}
    columns: Mapping[str, None] = dict.fromkeys(k for r in rows for k in r.unknown)
    for key in columns:
        with_base = [r for r in rows if r.base is not None and key in r.row.cells]
        nowhere = all(key in r.unknown for r in with_base)
        for row in rows:
            cell = row.unknown.get(key)
            if cell is None or row.base is None or (cell.value is None and not nowhere):
                continue
            rule, guess = unknown_column(key, row.base)
            label, where = (None, header or cell.where) if nowhere else (row.row.label, cell.where)
            problem = table_problem(rule, key, guess, row=label, column=cell.column, where=where)
            problems.setdefault(f"{key} {problem.path}", problem)
    return list(problems.values())
