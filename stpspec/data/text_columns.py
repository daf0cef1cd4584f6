"""Columns of numbers in a text file: delimiter, headers, comments and missing values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stpspec.data.headers import Header, known_unit
from stpspec.errors import DataError

_COMMENT = re.compile(r"^\s*[#%!]+\s?")
_MISSING = frozenset({"", "na", "n/a", "nan", "nd", "null", "none", "missing", "-", "--", ".", "*"})
_MOST_COLUMNS = 10_000
_RATE = re.compile(
    r"sampl\w*[ _-]*(?:rate|freq\w*)[^\d+-]*([\d.]+(?:[eE][-+]?\d+)?)\s*([kM]?Hz)", re.IGNORECASE
)


@dataclass(frozen=True)
class TextColumns:
    """The columns of a text file.

    Attributes
    ----------
    headers : list of Header
        One a column; of a file without headers, ``column 1`` and so on.
    values : ndarray, shape (row, column)
        NaN where a value is missing.
    has_headers : bool
    sampling_rate : str
        As the lines above the columns state it, with its unit; empty if they do not.
    """

    headers: list[Header]
    values: np.ndarray
    has_headers: bool
    sampling_rate: str = ""


def read_columns(path: Path) -> TextColumns:
    """Read a text file of columns of numbers.

    Raises
    ------
    DataError
        If there are no columns of numbers, or a row is not like the others; it names the line.
    """
    lines = _without_axon_header(list(enumerate(_text(path).splitlines(), 1)))
    rate = _RATE.search("\n".join(line for _, line in lines[:200]))
    stated = f"{rate[1]} {rate[2]}" if rate else ""
    comments = [_COMMENT.sub("", line) for _, line in lines if _COMMENT.match(line)]
    rows = [(k, line) for k, line in lines if line.strip() and not _COMMENT.match(line)]
    split = _Splitter.of([line for _, line in rows])
    start = next((i for i, (_, line) in enumerate(rows) if split.is_data(line)), None)
    if start is None:
        raise DataError(f"{path.name} has no columns of numbers")
    width = len(split(rows[start][1]))
    if width > _MOST_COLUMNS:
        raise DataError(
            f"{path.name} has {width} columns: each row of a trace is one time, so that sweeps "
            f"are columns"
        )
    texts = _header_rows([line for _, line in rows[:start]], comments, split, width)
    values = np.array([_row(path, k, split(line), split, width) for k, line in rows[start:]])
    headers = _headers(texts, width)
    used = [c for c in range(width) if texts or not np.isnan(values[:, c]).all()]
    is_empty = len(used) > 1 and not headers[used[-1]].text and np.isnan(values[:, used[-1]]).all()
    used = used[:-1] if is_empty else used  # lines that end in a delimiter
    return TextColumns([headers[c] for c in used], values[:, used], bool(texts), stated)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    if b"\0" in data[:4096]:
        raise DataError(f"{path.name} is no text file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # in which old programs write µ


def _without_axon_header(lines: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Leave out the lines of an Axon text file (ATF) above its row of names, which it counts."""
    if len(lines) < 2 or not lines[0][1].startswith("ATF"):
        return lines
    count = re.match(r"\s*(\d+)", lines[1][1])
    return lines[2 + int(count[1]) :] if count else lines


@dataclass(frozen=True)
class _Splitter:
    """How the rows are split into values, and how decimals are written."""

    delimiter: str | None  # None: any white space
    comma: bool  # is the decimal sign

    @classmethod
    def of(cls, lines: Sequence[str]) -> _Splitter:
        sample = [line for line in lines[-200:] if any(c.isdigit() for c in line)]
        for delimiter, comma in (("\t", False), ("\t", True), (";", False), (";", True),
                                 (",", False), (None, False), (None, True)):  # fmt: skip
            split = cls(delimiter, comma)
            counts = {len(split(line)) for line in sample}
            is_split = len(counts) == 1 and (counts != {1} or delimiter is None)
            if is_split and all(split.is_data(line) for line in sample):
                return split
        common = "\n".join(sample)
        fitting = next((d for d in "\t;," if d in common), None)
        return cls(fitting, comma=fitting == ";" and re.search(r"\d,\d", common) is not None)

    def __call__(self, line: str) -> list[str]:
        fields = line.split(self.delimiter) if self.delimiter else line.split()
        return [f.strip().strip('"').strip() for f in fields]

    def number(self, field: str) -> float | None:
        """Return a value; NaN of a missing one, and None of what is no number."""
        if field.lower() in _MISSING:
            return np.nan
        text = field.replace("\u2212", "-")
        try:
            value = float(text.replace(",", ".") if self.comma else text)
        except ValueError:
            return None
        return value if np.isfinite(value) else np.nan

    def is_data(self, line: str) -> bool:
        """Tell whether a line has nothing but numbers, and at least one."""
        numbers = [self.number(f) for f in self(line)]
        is_one = [n is not None and np.isfinite(n) for n in numbers]
        return None not in numbers and any(is_one)


def _row(path: Path, line: int, fields: list[str], split: _Splitter, width: int) -> list[float]:
    while len(fields) > width and not fields[-1]:
        fields = fields[:-1]
    if len(fields) != width:
        raise DataError(
            f"line {line} of {path.name} has {len(fields)} values, and the first row has {width}"
        )
    values = [split.number(f) for f in fields]
    if None in values:
        at = values.index(None)
        raise DataError(
            f"line {line}, column {at + 1} of {path.name}: {fields[at]!r} is no number (a missing "
            f"value is left empty, or written NaN)"
        )
    return [np.nan if v is None else v for v in values]


def _header_rows(
    above: Sequence[str], comments: Sequence[str], split: _Splitter, width: int
) -> list[list[str]]:
    """Return the rows of names and units: those above the numbers that have as many fields."""

    def names(line: str) -> list[str]:
        if width == 1:
            return [line.strip()]
        # Names may be of several words, as in "time (ms)  voltage (mV)".
        words = re.split(r"\s{2,}|\t|(?<=[)\]])\s+", line.strip())
        return words if split.delimiter is None and len(words) == width else split(line)

    rows = [f for f in map(names, above) if len(f) == width and any(f)]
    if not rows:
        texts = [c for c in comments if c.strip() and not split.is_data(c)]
        rows = [f for f in map(names, texts) if len(f) == width and any(f)]
        rows = [f for f in rows if not _RATE.search(" ".join(f))]
    return rows[-2:]


def _headers(rows: list[list[str]], width: int) -> list[Header]:
    if not rows:
        return [Header.of(f"column {k}") for k in range(1, width + 1)]
    units = [f.strip("\"'()[]{} ") for f in rows[-1]]
    if len(rows) == 2 and any(known_unit(u) for u in units):
        named = all(Header.of(f).unit for f in rows[0])
        is_below = sum(bool(known_unit(u)) for u in units) >= sum(bool(u) for u in units) / 2
        if is_below and not named:
            return [Header.of(n, u) for n, u in zip(rows[0], units, strict=True)]
    if len(units) > 1 and all(known_unit(u) for u in units):  # "s,V" names units, "t,V" does not
        return [Header(f, f.lower(), known_unit(u)) for f, u in zip(rows[-1], units, strict=True)]
    return [Header.of(f) for f in rows[-1]]
