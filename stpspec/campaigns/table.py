"""A table of connections, CSV or YAML, as rows of cells with the places where they were written."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from stpspec.campaigns.problems import table_problem
from stpspec.config.locations import ambiguous_number
from stpspec.config.yaml_files import document
from stpspec.data.decimal_sign import DecimalSign
from stpspec.data.table_files import delimiter, records, split_header
from stpspec.errors import SpecError, SpecProblem, StpspecError, nearest
from stpspec.resources import expanded

if TYPE_CHECKING:
    from yaml import Node

NAME = "connection"
VALUES = 100_000  # of a table in YAML: thousands of connections
_ENDINGS = {".csv": ",", ".tsv": "\t", ".yaml": "", ".yml": ""}


@runtime_checkable
class Frame(Protocol):
    """What gives its rows as mappings: a pandas DataFrame."""

    def to_dict(self, orient: Literal["records"], /) -> Sequence[Mapping[Hashable, object]]: ...


TableSource = (
    str | Path | Iterable[Mapping[str, object]] | Mapping[str, Mapping[str, object]] | Frame
)


@dataclass(frozen=True)
class TableCell:
    """One cell of a table.

    Attributes
    ----------
    column : str
        Header as it was written, with its unit.
    value : object
        Text as it was written (CSV), or a value (YAML, Python); None if empty.
    unit : str
        The one in the header; empty if there is none.
    where : str or None
        ``file:line``.
    """

    column: str
    value: object
    unit: str = ""
    where: str | None = None


@dataclass(frozen=True)
class Row:
    """One connection: its cells by column, without units.

    Attributes
    ----------
    label : str
        The name of the connection as it was written.
    name : str
        The same as the name of a folder and of an experiment: ``pvalb→pyr`` is ``pvalb_pyr``.
    """

    label: str
    cells: dict[str, TableCell]
    where: str | None = None

    @property
    def name(self) -> str:
        return re.sub(r"[^A-Za-z0-9.-]+", "_", self.label).strip("_.-")


@dataclass(frozen=True)
class Table:
    """A table of connections: ``stem`` names it, ``header`` is where its columns are written."""

    stem: str
    rows: list[Row]
    folder: Path | None = None
    header: str | None = None
    problems: list[SpecProblem] = field(default_factory=list)


def read(table: TableSource) -> Table:
    """Read a table of connections.

    Parameters
    ----------
    table : path, or sequence of mappings, or mapping of mappings
        A .csv, .tsv, .yaml or .yml file; or rows, each with its ``connection``; or connection →
        row; or what gives rows by ``to_dict("records")``, such as a pandas DataFrame.

    Returns
    -------
    Table
        With everything that is wrong with names and shape among its ``problems``.

    Raises
    ------
    SpecError
        If the file cannot be read as a table at all.
    """
    if not isinstance(table, str | Path):
        rows = table.to_dict("records") if isinstance(table, Frame) else table
        rows, problems = _mapped([(None, value) for value in _listed(rows)])
        return _named(Table("campaign", rows, problems=problems))
    path = expanded(table)
    if path.suffix.lower() not in _ENDINGS:
        rule = f"a table of connections ends in {', '.join(_ENDINGS)}"
        raise _unreadable(SpecProblem(str(table), rule, path.suffix or path.name))
    if path.suffix.lower() in (".yaml", ".yml"):
        rows, problems = _mapped(_yaml_rows(path))
        return _named(Table(path.stem, rows, path.parent, problems=problems))
    try:
        if path.exists() and not path.is_file():  # a pipe or a device might never end
            raise OSError(None, "it is no file")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        rule = "a table is text in UTF-8: in Excel, save it as 'CSV UTF-8'"
        raise _unreadable(SpecProblem(str(table), rule, where=str(path))) from error
    except OSError as error:
        why = error.strerror or str(error)
        guess = nearest(str(table), _tables_beside(path))
        told = SpecProblem(str(table), f"the table cannot be read: {why}", nearest=guess)
        raise _unreadable(told) from error
    header, rows, problems = _csv_rows(text, path)
    return _named(Table(path.stem, rows, path.parent, header, problems))


def _tables_beside(path: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return [str(p) for p in path.parent.iterdir() if p.suffix.lower() in (".csv", ".tsv")]
    return []


def is_table(path: str | Path) -> bool:
    """Tell whether a file is a table of connections rather than an experiment.

    Parameters
    ----------
    path : path
        One that cannot be read is none.
    """
    from stpspec.specs.experiment import Experiment

    file = expanded(path)
    if file.suffix.lower() in (".csv", ".tsv"):
        return True
    if file.suffix.lower() not in _ENDINGS or not file.is_file():
        return False
    try:
        data = document(file, VALUES).data
    except StpspecError:
        return False
    if isinstance(data, list):
        return any(isinstance(row, Mapping) and NAME in row for row in data)
    fields = {"defaults", *Experiment.model_fields}
    return (
        isinstance(data, Mapping)
        and bool(data)
        and not fields & data.keys()
        and all(isinstance(row, Mapping) for row in data.values())
    )


def _unreadable(problem: SpecProblem) -> SpecError:
    return SpecError([problem], "the table of connections is not valid")


def _named(table: Table) -> Table:
    """Find rows without a name, and names that mean the same folder."""
    problems = list(table.problems)
    seen: dict[str, Row] = {}
    for number, row in enumerate(table.rows, 1):
        place = {"row": row.label or str(number), "column": NAME, "where": row.where}
        if not row.name:
            rule = "each row needs the name of its connection, with letters from A to Z or digits"
            problems.append(table_problem(rule, row.label, **place))
        elif row.name in seen:
            other = seen[row.name].label
            same = "" if other == row.label else f" ({other!r}: both have the folder {row.name})"
            rule = f"each connection has one row; this one has two{same}"
            problems.append(table_problem(rule, row.label, **place))
        seen.setdefault(row.name, row)
    if not table.rows and not problems:
        problems.append(SpecProblem("(whole table)", "there is no row in it", where=table.header))
    return Table(table.stem, table.rows, table.folder, table.header, problems)


# -- CSV ----------------------------------------------------------------------------------------


def _csv_rows(text: str, path: Path) -> tuple[str, list[Row], list[SpecProblem]]:
    """Return where the header is, the rows, and what is wrong with their shape."""
    lines = records(text, delimiter(text, path))
    first = next(lines, None)
    if first is None:
        return f"{path}:1", [], []
    header_line, header = first
    header = [column.strip() for column in header]
    at = f"{path}:{header_line}"
    problems = _header_problems(header, at)
    rows, written = [], list(lines)
    # The name of a connection is no number, and a remark may hold any.
    used = [k for k, c in enumerate(header) if _key(c) not in ("", NAME) and c[:1] != "#"]
    sign = DecimalSign.of(t[k] for _, t in written if len(t) == len(header) for k in used)
    sign.tell(path)
    for line, texts in written:
        where = f"{path}:{line}"
        if len(texts) != len(header):
            rule = f"{len(header)} cells are needed, as many as columns (quote text with commas)"
            label = texts[0].strip()
            problems.append(table_problem(rule, len(texts), row=label, where=where))
            continue
        cells: dict[str, TableCell] = {}
        for column, value in zip(header, texts, strict=True):
            key, unit = split_header(column)
            if key and not key.startswith("#"):
                cells.setdefault(key, TableCell(column, value.strip() or None, unit, where))
        label = cells.pop(NAME, TableCell(NAME, None)).value
        numbers = {
            key: replace(cell, value=sign.with_point(cell.value))
            if isinstance(cell.value, str) else cell
            for key, cell in cells.items()
        }  # fmt: skip
        rows.append(Row("" if label is None else str(label), numbers, where))
    return at, rows if NAME in map(_key, header) else [], problems


def _key(column: str) -> str:
    return split_header(column)[0]


def _header_problems(header: Sequence[str], where: str) -> list[SpecProblem]:
    keys = [_key(column) for column in header]
    problems = []
    if NAME not in keys:
        rule = f"the first line names the columns, and one of them is called {NAME}"
        problems.append(table_problem(rule, ", ".join(keys), column=NAME, where=where))
    for key in dict.fromkeys(k for k in keys if k and not k.startswith("#") and keys.count(k) > 1):
        rule = "two columns have this name"
        problems.append(table_problem(rule, key, column=key, where=where))
    return problems


# -- YAML and Python ----------------------------------------------------------------------------


def _listed(rows: object) -> list[object]:
    """Return rows; of a mapping connection → row, each with its name."""
    if isinstance(rows, Mapping):
        return [{NAME: name, **row} if isinstance(row, Mapping) else row
                for name, row in rows.items()]  # fmt: skip
    if not isinstance(rows, Iterable):
        rule = "a path, a list of rows or a mapping of connection to row"
        raise _unreadable(SpecProblem("(whole table)", rule, rows))
    return list(rows)


def _yaml_rows(path: Path) -> list[tuple[dict[str, str] | None, object]]:
    """Return (lines of the fields by path, row) of each row."""
    import yaml

    read = document(path, VALUES)
    if told := ambiguous_number(path, VALUES):
        raise StpspecError(told)
    node, data = read.root, read.data
    if isinstance(node, yaml.MappingNode) and isinstance(data, dict):
        pairs = [(key.start_mark.line, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode) and isinstance(data, list):
        pairs = [(value.start_mark.line, value) for value in node.value]
    else:
        rule = "a list of rows, or a mapping of connection to row"
        raise _unreadable(SpecProblem("(whole table)", rule, data, where=f"{path}:1"))
    lines = [{"": f"{path}:{line + 1}", **dict(_lines(value, path))} for line, value in pairs]
    return list(zip(lines, _listed(data), strict=False))


def _lines(node: Node, path: Path, prefix: str = "") -> Iterator[tuple[str, str]]:
    if not isinstance(node.value, list) or not node.value or not isinstance(node.value[0], tuple):
        return
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        yield _key(name), f"{path}:{key.start_mark.line + 1}"
        yield from _lines(value, path, f"{name}.")


def _mapped(
    listed: Sequence[tuple[dict[str, str] | None, object]],
) -> tuple[list[Row], list[SpecProblem]]:
    rows, problems = [], []
    for number, (lines, data) in enumerate(listed, 1):
        where = (lines or {}).get("")
        if not isinstance(data, Mapping):
            rule = "expected a mapping, column: value"
            problems.append(table_problem(rule, data, row=str(number), where=where))
            continue
        cells = {}
        for column, value in _flat(data):
            key, unit = split_header(column)
            if not key.startswith("#"):
                at = (lines or {}).get(key, where)
                cells[key] = TableCell(column, _plain(value), unit, at)
        label = cells.pop(NAME, TableCell(NAME, None)).value
        rows.append(Row("" if label is None else str(label), cells, where))
    return rows, problems


def _flat(data: Mapping[Hashable, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _plain(value: object) -> object:
    """Return a value of Python's own; None for NaN, which is an empty cell in a DataFrame."""
    as_list = getattr(value, "tolist", None)  # of an array or a number of numpy
    value = value if as_list is None else as_list()
    with contextlib.suppress(TypeError, ValueError):
        if value != value:
            return None
    return value.strip() or None if isinstance(value, str) else value
