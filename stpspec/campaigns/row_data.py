"""Data of one row of a table: its base with what the row changes, without validation."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stpspec.campaigns.bases import Bases, stand_in_for_targets
from stpspec.campaigns.rows import RowExperiment, changes_of
from stpspec.campaigns.table import Row, read
from stpspec.config.compose import compose
from stpspec.config.overrides import at
from stpspec.errors import SpecError, SpecProblem, StpspecError, unknown_name
from stpspec.specs.changes import overlaps
from stpspec.specs.experiment import Experiment
from stpspec.specs.places import field_of

if TYPE_CHECKING:
    from stpspec.config.locations import Origin


@dataclass(frozen=True)
class _Terms:
    """What is known of a base that is not validated."""

    terms: list[str]
    open_terms: frozenset[str]


def row_data(
    table: str | Path, experiment: str | Path | None, overrides: Sequence[str], only: Sequence[str]
) -> tuple[dict[str, object], Origin, dict[str, str]]:
    """Return the data of the experiment of one row; nothing of it is imported.

    Parameters
    ----------
    table : path
    experiment : str, path or None
        What the rows begin with.
    overrides : sequence of str
        For all rows.
    only : sequence of str
        The name of the row, where the table has several.

    Returns
    -------
    data : dict
    origin : Origin
        Of the base.
    places : dict of str to str
        Dotted path → the line of the table that sets it.
    """
    content = read(table)
    if content.problems:
        raise SpecError(content.problems, f"the table {content.stem!r} is not valid")
    row = _chosen(content.rows, only, str(table))
    base = Bases(experiment, overrides, content)
    name, words = base.words_of(row)
    if name is None or isinstance(name, Experiment):
        raise StpspecError(f"which experiment do the rows of {table} begin with? experiment=NAME")
    data, origin = compose(name, words)
    open_terms = frozenset(stand_in_for_targets(data))
    terms = at(data, "objective.terms")
    entry = RowExperiment(row)
    known = _Terms(list(terms) if isinstance(terms, dict) else [], open_terms)
    changes, dropped = changes_of(entry, known)
    entry.problems += [entry.located(p) for p in overlaps(changes.items())]
    if entry.problems:
        raise SpecError(entry.problems, f"the table {content.stem!r} is not valid")
    places = {path: cell.where or str(table) for path, cell in entry.places.items()}
    for path, value in {**changes, "name": row.name}.items():
        _put(data, path, value)
        if isinstance(free := data.get("parameters"), dict):
            for other in [n for n in free if field_of(n) == path]:
                del free[other]
    final = at(data, "objective.terms")
    if isinstance(final, dict):
        for term in dropped:
            final.pop(term, None)
    return data, origin, {**places, "name": row.where or str(table)}


def _chosen(rows: Sequence[Row], only: Sequence[str], table: str) -> Row:
    names = [row.label for row in rows]
    if not only and len(rows) == 1:
        return rows[0]
    if len(only) != 1:
        shown = ", ".join(names[:10]) + (" …" if len(names) > 10 else "")
        raise StpspecError(f"{table} has {len(rows)} rows: choose one with --only NAME ({shown})")
    found = next((row for row in rows if only[0] in (row.label, row.name)), None)
    if found is None:
        raise unknown_name("connection", only[0], names)
    return found


def _put(data: dict[str, object], path: str, value: object) -> None:
    *parents, last = path.split(".")
    place: Any = data
    for part in parents:
        inner = place[_key(place, part, path)] if part in place or isinstance(place, list) else None
        inner = copy.copy(inner) if isinstance(inner, dict | list) else {}
        place[_key(place, part, path)] = inner
        place = inner
    place[_key(place, last, path)] = value


def _key(place: Any, name: str, path: str) -> Any:
    if isinstance(place, dict):
        return name
    if name not in map(str, range(len(place))):
        raise SpecError([SpecProblem(path, f"no such field; there are {len(place)} values here")])
    return int(name)
