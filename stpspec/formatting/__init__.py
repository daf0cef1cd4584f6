"""Numbers, units and tables as text and as HTML: the same for a terminal and for a notebook."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stpspec.formatting.layout import Rows, broken, table, text_width

# A notebook aligns cells to the right and colors text by its theme: the one is undone, the other
# left alone, so that it can be read on light and dark.
_CELL = "text-align: left; vertical-align: top; padding: 2px 12px 2px 4px; color: inherit"
_TABLE = "border-collapse: collapse; table-layout: auto; margin: 4px 0 10px 0"


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
    return table(rows, right=right, width=width, keys=keys)


def outline(rows: Rows, width: int = 100) -> str:
    """Align rows of text in columns without a header, and wrap the last column.

    Parameters
    ----------
    rows : sequence of sequence of str
    width : int
        Of the whole; the last column gets what the others leave of it.
    """
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
    return broken(text, width)


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
            cells.append(f'<{tag} style="{_CELL}{weight}">{escape(row[i])}</{tag}>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table style="{_TABLE}">{"".join(lines)}</table>'


def html_lines(text: str, style: str = "") -> str:
    """Return text as escaped HTML, line by line."""
    from html import escape

    return f'<div style="{style}">{"<br>".join(escape(text).splitlines())}</div>'
