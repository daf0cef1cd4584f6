"""Layout of text for a screen: tables that fit into its width, and lines that break between words.

Without a width nothing is broken: a pipe and a file get whole lines.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

Rows = Sequence[Sequence[str]]

_GAP = 2  # spaces between columns
_PROSE = 24  # columns of text from which on it is read without pain beside a table
_SHORT = 24  # characters that may be repeated from row to row
# A space before a number, and one before a unit: broken late, and never.
_NAMED, _UNIT = "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"
# A last resort: names are broken where their parts meet.
_PIECE = re.compile(rf"[^ {_NAMED}_./,=-]+[_./,=-]*[ {_NAMED}]*|[_./,=-]+[ {_NAMED}]*")
_HEAD = re.compile(r"[^ .]+\.?|\.+")  # parts of a header: the name of a quantity stays whole


def screen_width() -> int | None:
    """Return the columns of the terminal that standard output is; None if it is none."""
    import shutil
    import sys

    try:
        is_terminal = sys.stdout.isatty()
    except (AttributeError, ValueError):  # replaced, or closed
        is_terminal = False
    return shutil.get_terminal_size((80, 24)).columns if is_terminal else None


def text_width(text: str) -> int:
    """Return how many columns of a terminal a line of text takes."""
    if text.isascii():
        return len(text)
    marks = sum(unicodedata.combining(c) != 0 for c in text)
    return len(text) + sum(unicodedata.east_asian_width(c) in "WF" for c in text) - marks


def broken(text: str, width: int, *, whole_words: bool = False) -> list[str]:
    """Break a line between words, but not between a number and its unit or name.

    Parameters
    ----------
    text : str
    width : int
    whole_words : bool
        A word that is wider, as a path, stays whole; else it is broken where its parts meet.
    """
    bound = re.sub(r"(?<=\d) (?=[^\W\d_]|[°%])", _UNIT, text)
    bound = re.sub(r"(?<=\w) (?=-?\d)", _NAMED, bound)
    lines = [""]
    for word in re.findall(r"[^ ]+ *", bound):
        fits = text_width(word.rstrip()) <= width or (whole_words and "/" in word)
        for piece in [word] if fits else _PIECE.findall(word):
            if lines[-1] and text_width(lines[-1] + piece.rstrip()) > width:
                lines.append("")
            lines[-1] += piece
    return [line.rstrip().replace(_NAMED, " ").replace(_UNIT, " ") for line in lines]


def fitted(text: str, width: int | None) -> str:
    """Break the lines of a text that are longer than the screen; what follows is indented more."""
    if width is None:
        return text
    lines: list[str] = []
    for line in text.split("\n"):
        if text_width(line) <= width:
            lines.append(line)
            continue
        indent = " " * (len(line) - len(line.lstrip(" ")))
        first, *rest = broken(line.strip(" "), max(width - len(indent) - 2, 10), whole_words=True)
        lines += [indent + first, *(f"{indent}  {more}" for more in rest)]
    return "\n".join(lines)


def table(rows: Rows, *, right: Sequence[int] = (), width: int | None = None, keys: int = 1) -> str:
    """Align rows of text in columns; what is too wide for the screen is laid out otherwise.

    Headers are broken first. A last column of sentences is broken beside the others or, where they
    leave it no room, goes below the table as numbered notes. What is still too wide becomes several
    tables.

    Parameters
    ----------
    rows : sequence of sequence of str
        The first is the header; a rule is drawn under it.
    right : sequence of int
        Columns that are aligned to the right.
    width : int, optional
        Of the screen.
    keys : int
        So many columns name a row, and stand in each of several tables.
    """
    if width is None or _total(_widths(rows)) <= width:
        return _aligned(rows, right)
    last = len(rows[0]) - 1
    others = _narrow(rows)[:-1]
    left = width - sum(others) - _GAP * len(others)
    notes: list[str] = []
    if last not in right and last >= keys:
        if left >= _PROSE and any(" " in row[last] for row in rows[1:]):
            return _aligned(rows, right, [*others, left])
        rows, notes = numbered(rows, max(left, _SHORT))
    widths = _narrow(rows)
    blocks = []
    for block in _blocks(widths, width, keys):
        part = [[row[i] for i in block] for row in rows]
        aligned_right = [block.index(i) for i in right if i in block]
        blocks.append(_aligned(part, aligned_right, [widths[i] for i in block]))
    if notes:
        blocks.append(fitted("\n".join(notes), width))
    return "\n\n".join(blocks)


def numbered(rows: Rows, longest: int | None = None) -> tuple[list[list[str]], list[str]]:
    """Replace sentences of the last column by numbers, where they are too long or said before.

    Parameters
    ----------
    rows : sequence of sequence of str
        The first is the header.
    longest : int, optional
        Characters that there is room for; by default only what is repeated is replaced.

    Returns
    -------
    rows : list of list of str
    notes : list of str
        The sentences, each after its number.
    """
    texts = [row[-1] for row in rows[1:]]
    wide = {
        t for t in texts
        if (longest is not None and text_width(t) > longest)
        or (len(t) > _SHORT and texts.count(t) > 1)
    }  # fmt: skip
    parts = {t: _lead(t) for t in wide}
    # Rows may begin otherwise and have the same reason.
    sentences = list(dict.fromkeys(parts[t][1] for t in texts if t in wide))
    number = {sentence: f"[{k}]" for k, sentence in enumerate(sentences, 1)}
    short = {t: f"{lead} {number[sentence]}".strip() for t, (lead, sentence) in parts.items()}
    shown = [list(rows[0]), *([*row[:-1], short.get(row[-1], row[-1])] for row in rows[1:])]
    return shown, [f"{n} {sentence}" for sentence, n in number.items()]


def _lead(text: str) -> tuple[str, str]:
    """Split a remark, as in ``no SE: hardly determined``, into a word for the row and the rest."""
    lead, colon, rest = text.partition(": ")
    return (lead, rest) if colon and len(lead) <= _SHORT else ("", text)


def _blocks(widths: Sequence[int], width: int, keys: int) -> Iterator[list[int]]:
    """Yield the columns of each of the tables that fit into the width."""
    named = list(range(keys))
    block: list[int] = []
    for i in range(keys, len(widths)):
        if block and _total([widths[k] for k in (*named, *block, i)]) > width:
            yield named + block
            block = []
        block.append(i)
    yield named + block


def _aligned(rows: Rows, right: Sequence[int], widths: Sequence[int] | None = None) -> str:
    """Align rows in columns; headers and the last column are broken at their widths."""
    widths = widths or _widths(rows)
    lines = []
    for number, row in enumerate(rows):
        cells = [[cell] for cell in row]
        if number == 0:
            cells = [_head(cell, w) for cell, w in zip(row, widths, strict=True)]
        elif text_width(row[-1]) > widths[-1]:
            cells[-1] = broken(row[-1], widths[-1])
        for k in range(max(map(len, cells))):
            line = [cell[k] if k < len(cell) else "" for cell in cells]
            lines.append(_line(line, widths, right))
        if number == 0:
            lines.append((" " * _GAP).join("─" * w for w in widths).rstrip())
    return "\n".join(lines)


def _widths(rows: Rows) -> list[int]:
    return [max(text_width(row[i]) for row in rows) for i in range(len(rows[0]))]


def _narrow(rows: Rows) -> list[int]:
    """Return the widths of columns with headers that are broken at spaces and dots only."""
    body = _widths(rows[1:] or rows)
    parts = [max(map(text_width, _HEAD.findall(head)), default=0) for head in rows[0]]
    return [max(pair) for pair in zip(body, parts, strict=True)]


def _head(name: str, width: int) -> list[str]:
    """Break a header, as ``train.paired_pulse_ratio`` or ``tau_rec (ms)``."""
    lines = [""]
    for part in re.findall(rf"(?:{_HEAD.pattern}) ?", name):
        if lines[-1] and text_width(lines[-1] + part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return [line.rstrip() for line in lines]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[int] = ()) -> str:
    cells = []
    for i, (cell, w) in enumerate(zip(row, widths, strict=True)):
        space = " " * (w - text_width(cell))
        cells.append(space + cell if i in right else cell + space)
    return (" " * _GAP).join(cells).rstrip()
