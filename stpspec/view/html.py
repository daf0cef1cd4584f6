"""A fit as HTML: what a notebook shows of a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stpspec.formatting import html_lines, html_table
from stpspec.formatting.layout import numbered
from stpspec.view.tables import fit_parts

if TYPE_CHECKING:
    from stpspec.view.contract import Fit


def fit_html(result: Fit) -> str:
    """Return the report of a fit as HTML: what :func:`stpspec.view.tables.fit_table` says."""
    head, targets, parameters, closing = fit_parts(result)
    parameters, notes = numbered(parameters)
    return (
        html_lines(head, "font-weight: 600; font-size: 1.1em")
        + html_table(targets)
        + html_table(parameters)
        + html_lines("\n".join(notes))
        + html_lines(closing)
    )
