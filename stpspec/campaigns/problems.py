"""Problems of a table of connections, located by row and column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stpspec.errors import ProblemKind, SpecProblem

_ALIKE = 3  # rows with the same problem in the same column that are listed one by one


@dataclass(frozen=True)
class TableProblem(SpecProblem):
    """A problem of a table of connections.

    Attributes
    ----------
    row, column : str or None
        Name of the connection and header of the column; None where it concerns all of them.
    """

    row: str | None = None
    column: str | None = None


def table_problem(
    rule: str,
    received: object = None,
    nearest: str | None = None,
    *,
    row: str | None = None,
    column: str | None = None,
    path: str | None = None,
    where: str | None = None,
    kind: ProblemKind = "rule",
) -> TableProblem:
    """Return a problem at ``row a, column size [pA]``, or at a field (``path``) of a row."""
    if path is None:
        row_text = [] if row is None else [f"row {row}"]
        path = ", ".join(row_text if column is None else [*row_text, f"column {column}"])
    else:
        path = f"row {row}: {path}"
    return TableProblem(path, rule, received, nearest, where, kind, row, column)


def gathered(problems: Sequence[SpecProblem]) -> list[SpecProblem]:
    """Merge what is wrong in a whole column: a wrong unit in the header is no 200 problems."""
    groups: dict[tuple[str, str], list[SpecProblem]] = {}
    for problem in problems:
        place = problem.path
        if isinstance(problem, TableProblem) and problem.row is not None:
            place = problem.column or problem.path
        groups.setdefault((place, problem.rule), []).append(problem)
    return [problem for group in groups.values() for problem in _merged(group)]


def _merged(group: Sequence[SpecProblem]) -> Sequence[SpecProblem]:
    rows = [p.row for p in group if isinstance(p, TableProblem) and p.row is not None]
    first = group[0]
    if not rows or not isinstance(first, TableProblem):
        return [first]
    if len(group) <= _ALIKE:
        return group
    path = f"rows {', '.join(rows[:_ALIKE])} and {len(rows) - _ALIKE} more, column {first.column}"
    return [replace(first, path=path)]
