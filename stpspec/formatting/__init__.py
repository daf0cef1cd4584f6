"""Text that may be shown: numbers, units, tables, HTML; no passwords and no control characters."""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections.abc import Sequence
from urllib.parse import unquote

from stpspec.formatting.layout import Rows, broken, table, text_width

HIDDEN = "***"  # in the place of a password
PASSWORD_VARIABLE = "STPSPEC_STORAGE_PASSWORD"

# A notebook aligns cells to the right and colors text by its theme: the one is undone, the other
# left alone, so that it can be read on light and dark.
_CELL = "text-align: left; vertical-align: top; padding: 2px 12px 2px 4px; color: inherit"
_TABLE = "border-collapse: collapse; table-layout: auto; margin: 4px 0 10px 0"

# A password may hold anything: it ends at the last @ of the word.
_IN_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^\s:/@'\"]*:)([^\s'\"]*)(@[^\s'\"/?,;{}@]*)")
_IN_QUERY = re.compile(
    r"([?&;](?:ssl)?(?:password|passwd|pwd|pass|secret|token|api_?key)=)([^\s'\"&;,}]*)", re.I
)
_LONG = 6  # characters from which on a password is no word that may stand anywhere
_passwords: dict[str, str] = {}  # what stands around a password in a URL → the password
# Full-width letters are taken for the others.
_FORMULA = re.compile(r"(^|[;\t\r\n])(\s*)(?=[=+\-@＝＋－＠])")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?( ?[^\W\d_]*/?[^\W\d_]*| ?%)", re.I)


def presentable(text: str) -> str:
    """Return text as a terminal may get it: without passwords, control characters written out.

    Escape sequences move the cursor and change the title of a terminal, marks of direction let
    text be read in another order than it has; both come from names and notes in files of others.
    """
    text = masked(text)
    if text.isprintable() or text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(c if _is_harmless(c) else _written_out(c) for c in text)


def _is_harmless(character: str) -> bool:
    return character in "\n\t" or unicodedata.category(character) not in (
        "Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp",
    )  # fmt: skip


def _written_out(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def one_line(text: str) -> str:
    """Return text as a terminal may get it, without the ends of its lines and without tabs."""
    return presentable(text).replace("\n", " ").replace("\t", " ")


def presentable_rows(rows: Rows) -> list[list[str]]:
    """Return rows of a table with cells of one line each, as a terminal may get them."""
    return [[one_line(cell) for cell in row] for row in rows]


def spreadsheet_rows(rows: Rows) -> list[list[str]]:
    """Return rows for a CSV file: what a spreadsheet would run as a formula becomes text of it."""
    return [[spreadsheet_cell(cell) for cell in row] for row in rows]


def spreadsheet_cell(text: str) -> str:
    """Return one cell of a CSV file; an apostrophe goes before what would be a formula."""
    text = presentable(text)
    return text if _NUMBER.fullmatch(text) else _FORMULA.sub(r"\1\2'", text)


def masked(text: str) -> str:
    """Return text with ``***`` in the place of each password of a URL, and of each known one."""
    text = _masked_urls(text)
    for password in {*_passwords.values(), os.environ.get(PASSWORD_VARIABLE, "")}:
        for written in (password, unquote(password)):
            if len(written) >= _LONG and written in text:
                text = text.replace(written, HIDDEN)
    return text


def hide(text: str) -> str:
    """Return text with ``***`` for the passwords of URLs; the connection remembers them.

    What is read of a storage's URL goes into experiments, results and other processes; its
    password stays in the memory of this one.
    """
    for before, password, after in _IN_URL.findall(text):
        if password != HIDDEN:
            _passwords[before + after] = password
    for before, password in _IN_QUERY.findall(text) if "://" in text else ():
        if password != HIDDEN:
            _passwords[before.lstrip("?&;")] = password
    return _masked_urls(text)


def _masked_urls(text: str) -> str:
    if "://" not in text:
        return text
    return _IN_QUERY.sub(rf"\1{HIDDEN}", _IN_URL.sub(rf"\1{HIDDEN}\3", text))


def revealed(url: str) -> str | None:
    """Return a URL with the passwords that :func:`hide` took out of it; None if one is unknown."""
    lacking = False

    def put(before: str, after: str, key: str) -> str:
        nonlocal lacking
        lacking = lacking or key not in _passwords
        return before + _passwords.get(key, "") + after

    url = _IN_URL.sub(lambda m: m[0] if m[2] != HIDDEN else put(m[1], m[3], m[1] + m[3]), url)
    url = _IN_QUERY.sub(
        lambda m: m[0] if m[2] != HIDDEN else put(m[1], "", m[1].lstrip("?&;")), url
    )
    return None if lacking else url


def known_passwords() -> list[str]:
    """Return the different passwords that :func:`hide` has taken out of texts, as written there."""
    return list(dict.fromkeys(_passwords.values()))


def number(value: float, digits: int = 4) -> str:
    """Write a number with that many significant digits, without trailing noise."""
    if not math.isfinite(value):
        return "–"
    if value != 0 and (abs(value) < 1e-3 or abs(value) >= 1e6):
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{exponent}"
    text = f"{value:.{digits}g}"
    return text if "e" not in text else f"{value:.0f}"


def unit_text(unit: str) -> str:
    """Write a unit the way people do; dimensionless is empty."""
    return {"1": "", "uS": "µS", "MOhm": "MΩ", "signal": ""}.get(unit, unit)


def columns(
    rows: Rows, *, right: Sequence[int] = (), width: int | None = None, keys: int = 1
) -> str:
    """Align rows of text in columns.

    Parameters
    ----------
    rows : sequence of sequence of str
        The first is the header; a rule is drawn under it.
    right : sequence of int
        Columns that are aligned to the right.
    width : int, optional
        Of the screen into which the table is to fit (:func:`stpspec.formatting.layout.table`).
    keys : int
        So many columns name a row.
    """
    return table(presentable_rows(rows), right=right, width=width, keys=keys)


def outline(rows: Rows, width: int = 100) -> str:
    """Align rows of text in columns without a header, and wrap the last column.

    Parameters
    ----------
    rows : sequence of sequence of str
    width : int
        Of the whole; the last column gets what the others leave of it.
    """
    rows = presentable_rows(rows)
    widths = [max(text_width(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    left = max(width - sum(widths) - 2 * len(widths), 30)
    lines = []
    for *names, text in rows:
        for number, part in enumerate(wrapped(text, left)):
            shown = names if not number else [""] * len(names)
            cells = [c + " " * (w - text_width(c)) for c, w in zip(shown, widths, strict=True)]
            lines.append("  ".join([*cells, part]).rstrip())
    return "\n".join(lines)


def wrapped(text: str, width: int = 100) -> list[str]:
    """Break text into lines, but not between a number and its unit or name."""
    return broken(one_line(text), width)


def html_table(rows: Rows, *, header: bool = True) -> str:
    """Return rows as an HTML table; every text is escaped, empty columns are left out.

    Parameters
    ----------
    rows : sequence of sequence of str
    header : bool
        The first row is the header; otherwise the first column names the rows.
    """
    from html import escape

    body = rows[1:] if header else rows
    shown = [i for i in range(len(rows[0])) if any(row[i] for row in body)]
    lines = []
    for number, row in enumerate(rows):
        cells = []
        for i in shown:
            named = number == 0 if header else i == 0
            tag, weight = ("th", "; font-weight: 600") if named else ("td", "; font-weight: 400")
            cells.append(f'<{tag} style="{_CELL}{weight}">{escape(presentable(row[i]))}</{tag}>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table style="{_TABLE}">{"".join(lines)}</table>'


def html_lines(text: str, style: str = "") -> str:
    """Return text as escaped HTML, line by line."""
    from html import escape

    return f'<div style="{style}">{"<br>".join(escape(presentable(text)).splitlines())}</div>'


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, without its class; never empty."""
    said = getattr(error, "strerror", None) or str(error)
    return (said.strip().splitlines() or [type(error).__name__])[0]
