"""Files that hold a table: CSV, TSV and Excel, as rows of text with the line of each."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stpspec.errors import SpecError, SpecProblem

ENDINGS = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm")
_HEADER = re.compile(r"^(.*?)\s*(?:\[([^\]]*)\]|\(([^)]*)\))$")
_DECIMAL_COMMA = re.compile(r"^[-+\u2212]?\d+,\d+(?:[eE][-+]?\d+)?$")
_MISSING = ("", "-", "–", "—", "na", "n/a", "n.a.", "nan", "nd", "n.d.", "none", "null")


@dataclass(frozen=True)
class TextTable:
    """A table as it was written.

    Attributes
    ----------
    path : Path
    header : list of str
        Names of the columns, as they were written.
    header_line : int
    rows : list of (int, list of str)
        Line and cells of each row.
    """

    path: Path
    header: list[str]
    header_line: int
    rows: list[tuple[int, list[str]]]


def read_table(path: Path, sheet: str | None = None) -> TextTable:
    """Read a table whose first line names its columns.

    Parameters
    ----------
    path : Path
        CSV, with whichever of comma, semicolon and tab is in its header; TSV; or Excel.
    sheet : str, optional
        Of an Excel file; its first one by default.

    Raises
    ------
    SpecError
        If it cannot be read as a table.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise _unreadable("file", f"a table ends in {', '.join(ENDINGS)}", path.name)
    if ending.startswith(".xls"):
        lines = _excel_rows(path, sheet)
    elif sheet is not None:
        raise _unreadable("sheet", "only an Excel file has sheets", sheet)
    else:
        text = read_text(path)
        lines = records(text, delimiter(text, path))
    first = next(lines, None)
    if first is None:
        raise _unreadable("file", f"{path.name} is empty: its first line names the columns")
    header = [column.strip() for column in first[1]]
    return TextTable(path, header, first[0], [(n, [c.strip() for c in row]) for n, row in lines])


def read_text(path: Path) -> str:
    """Return the text of a table in UTF-8.

    Raises
    ------
    SpecError
        If it is none, or cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        rule = "a table is text in UTF-8: in Excel, save it as 'CSV UTF-8'"
        raise _unreadable("file", rule, path.name) from error
    except OSError as error:
        why = error.strerror or str(error)
        raise _unreadable("file", f"{path} cannot be read: {why}") from error


def _unreadable(path: str, rule: str, received: object = None) -> SpecError:
    return SpecError([SpecProblem(path, rule, received)], "the table cannot be read")


def delimiter(text: str, path: Path) -> str:
    """Return what parts the cells of a table: tabs of .tsv, else what is most in the header."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    first = next((x for x in text.splitlines() if x.strip() and not x.startswith("#")), "")
    return max(",;\t", key=first.count)


def records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the first line and the cells of each record; blank lines and remarks are left out."""
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, skipinitialspace=True)
    while True:
        line = reader.line_num + 1
        texts = next(reader, None)
        if texts is None:
            return
        if any(t.strip() for t in texts) and not texts[0].startswith("#"):
            yield line, texts


def _excel_rows(path: Path, sheet: str | None) -> Iterator[tuple[int, list[str]]]:
    try:
        import openpyxl
    except ImportError as error:
        rule = "an Excel file is read by openpyxl: pip install 'stpspec[excel]', or save it as CSV"
        raise _unreadable("file", rule, path.name) from error
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # zipfile, XML and openpyxl raise a dozen types
        why = f"{type(error).__name__}: {error}"
        raise _unreadable("file", f"{path.name} cannot be read as Excel ({why})") from error
    try:
        names = book.sheetnames
        if sheet is not None and sheet not in names:
            raise _unreadable("sheet", f"{path.name} has the sheets {', '.join(names)}", sheet)
        page = book[sheet or names[0]]
        values = page.iter_rows(values_only=True)
        rows = [["" if v is None else str(v) for v in row] for row in values]
    finally:
        book.close()
    width = max((k for row in rows for k, text in enumerate(row, 1) if text.strip()), default=0)
    for line, row in enumerate(rows, 1):
        cells = [*row, *[""] * (width - len(row))][:width]
        if any(c.strip() for c in cells) and not cells[0].startswith("#"):
            yield line, cells


def split_header(column: str) -> tuple[str, str]:
    """Split ``"amplitude [pA]"`` into ``"amplitude"`` and ``"pA"``."""
    match = _HEADER.match(column.strip())
    if match is None:
        return column.strip(), ""
    return match[1].strip(), (match[2] or match[3] or "").strip()


def is_missing(text: object) -> bool:
    """Tell whether a cell says that there is no value."""
    return text is None or (isinstance(text, str) and text.strip().lower() in _MISSING)


def has_decimal_comma(text: str) -> bool:
    """Tell whether a cell is a number with a comma for its decimal point."""
    return _DECIMAL_COMMA.match(text.strip()) is not None
