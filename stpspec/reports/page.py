"""The page of a report: sections, tables and figures in one file that refers to nothing else."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from string import Template
from typing import Any

import numpy as np

from stpspec.formatting import Rows, first_line
from stpspec.view.inline_svg import inline_svg

log = logging.getLogger("stpspec")

GENERATOR = "stpspec report"
_WIDTH = 110  # characters, with three between columns, that a page has room for
_LONG = 30  # lines; more are printed in two columns
_NUMBER = re.compile(r"[-−+]?\d.{0,23}")  # its unit or its sd stays on the line
_HASH = re.compile(r"[0-9a-f]{64}")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="$generator">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="$policy">
<title>$title</title>
<style>$style</style>
</head>
<body>
<header>
<h1>$title</h1>
$lead
<nav>$contents</nav>
</header>
<main>
$body
</main>
<footer>$footer</footer>
</body>
</html>
""")

_STYLE = """
:root { color-scheme: light; --ink: #1a1a1a; --paper: white; --faint: #555; --line: #ccc;
  --row: #e4e4e4; --head: #999; --link: #005a8e; --code: #f5f5f5; }
body { font: 15px/1.45 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: var(--ink);
  background: var(--paper); max-width: 62rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .5rem; border-bottom: 1px solid var(--line);
  padding-bottom: .2rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; overflow-wrap: anywhere; }
p, li { max-width: 50rem; overflow-wrap: anywhere; }
.verdict { font-weight: 600; }
.quiet, footer { color: var(--faint); font-size: .92em; }
nav a { display: inline-block; margin-right: 1rem; color: var(--link); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .4rem 0 1rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .2rem .9rem .2rem 0; min-width: 2.5rem;
  max-width: 26rem; overflow-wrap: break-word; border-bottom: 1px solid var(--row); }
th { font-weight: 600; border-bottom-color: var(--head); white-space: nowrap; }
.hash { font: .85em ui-monospace, monospace; white-space: nowrap; max-width: none; }
figure { margin: .8rem 0 1.2rem; }
figcaption { color: var(--faint); font-size: .92em; max-width: 50rem; }
.number { white-space: nowrap; }
svg { max-width: 100%; height: auto; display: block; }
pre { background: var(--code); padding: .7rem; font: 12.5px/1.4 ui-monospace, monospace;
  white-space: pre-wrap; overflow-wrap: anywhere; margin: .5rem 0; }
footer { margin-top: 2rem; border-top: 1px solid var(--line); padding-top: .5rem; }
@media screen and (prefers-color-scheme: dark) { /* figures keep their paper */
  :root { color-scheme: dark; --ink: #e8e8e8; --paper: #16181d; --faint: #a3a9b2; --line: #3a3f48;
    --row: #2c3038; --head: #6a717c; --link: #7cc4f0; --code: #22252c; }
  svg { background: white; border-radius: 4px; padding: 4px; box-sizing: border-box; }
}
@media print {
  @page { size: A4; margin: 16mm 14mm; }
  body { font-size: 10pt; max-width: none; padding: 0; }
  nav { display: none; }
  h2, h3 { break-after: avoid; }
  figure, tr { break-inside: avoid; }
  thead { display: table-header-group; }
  .wide { overflow: visible; }
  table { font-size: 8.5pt; }
  th, td { padding-right: .5rem; min-width: 0; }
  pre { font-size: 8pt; }
  pre.long { columns: 2; }
  svg { max-height: 235mm; }
}
"""


@dataclass
class Page:
    """A report as it is written, section by section.

    Every text is escaped as it comes in: what a file says is shown, and never becomes markup.

    Attributes
    ----------
    title : str
    """

    title: str
    _lead: list[str] = field(default_factory=list)
    _body: list[str] = field(default_factory=list)
    _sections: list[str] = field(default_factory=list)
    _figures: int = 0

    def lead(self, text: str, kind: str = "") -> None:
        """Add a paragraph below the title."""
        self._lead.append(_paragraph(text, kind))

    def section(self, title: str) -> None:
        """Begin a section, which the contents at the top name."""
        self._sections.append(title)
        self._body.append(f'<h2 id="s{len(self._sections)}">{escape(title)}</h2>')

    def heading(self, title: str) -> None:
        """Begin a part of a section."""
        self._body.append(f"<h3>{escape(title)}</h3>")

    def text(self, text: str, kind: str = "") -> None:
        """Add paragraphs, one a line of the text."""
        self._body += [_paragraph(line, kind) for line in text.splitlines() if line.strip()]

    def items(self, texts: Sequence[str]) -> None:
        """Add a list."""
        if texts:
            listed = "".join(f"<li>{escape(t)}</li>" for t in texts)
            self._body.append(f"<ul>{listed}</ul>")

    def table(self, rows: Rows) -> None:
        """Add a table; the first row is its header, and empty columns are left out.

        One of many columns becomes several, each with the first column.
        """
        shown = [i for i in range(len(rows[0])) if any(str(row[i]) for row in rows[1:])]
        widths = {i: 3 + max(len(str(row[i])) for row in rows) for i in shown}
        block = shown[:1]
        for i in shown[1:]:
            if len(block) > 1 and sum(widths[j] for j in (*block, i)) > _WIDTH:
                self._block(rows, block)
                block = shown[:1]
            block.append(i)
        if block:
            self._block(rows, block)

    def _block(self, rows: Rows, shown: Sequence[int]) -> None:
        """Add columns of a table that fit on a page."""
        head, *body = ([escape(str(row[i])) for i in shown] for row in rows)
        lines = ["<tr>" + "".join(map(_cell, row)) + "</tr>" for row in body]
        names = "".join(f'<th scope="col">{c}</th>' for c in head)
        self._body.append(
            f'<div class="wide"><table><thead><tr>{names}</tr></thead>'
            f"<tbody>{''.join(lines)}</tbody></table></div>"
        )

    def code(self, text: str) -> None:
        """Add text as it is, line by line."""
        kind = ' class="long"' if text.count("\n") > _LONG else ""
        self._body.append(f"<pre{kind}>{escape(text.rstrip())}</pre>")

    def figure(self, plot: Callable[[], Any], caption: str) -> None:
        """Add a figure with its caption; one that cannot be drawn is left out, and says so.

        Parameters
        ----------
        plot : callable
            Returns matplotlib Axes, or an array of them; an empty one where there is nothing.
        caption : str
        """
        self._figures += 1
        try:
            axes = np.ravel(plot())
            if not axes.size:
                return
            drawn = inline_svg(axes, f"f{self._figures}", caption)
        except Exception as error:  # as matplotlib without the LaTeX that it is to use
            log.warning("a figure of the report is left out: %s", first_line(error))
            self.text(f"{caption} The figure is left out: {first_line(error)}", "quiet")
            return
        self._body.append(f"<figure>{drawn}<figcaption>{escape(caption)}</figcaption></figure>")

    def html(self, footer: str) -> str:
        """Return the page."""
        links = (f'<a href="#s{k}">{escape(s)}</a>' for k, s in enumerate(self._sections, 1))
        return _PAGE.substitute(
            generator=GENERATOR, policy=_POLICY, title=escape(self.title), style=_STYLE,
            lead="\n".join(self._lead), contents=" ".join(links), body="\n".join(self._body),
            footer=escape(footer),
        )  # fmt: skip


def _paragraph(text: str, kind: str) -> str:
    marked = f' class="{kind}"' if kind else ""
    return f"<p{marked}>{escape(text)}</p>"


def _cell(escaped: str) -> str:
    if _HASH.fullmatch(escaped):
        return f'<td class="hash">{escaped}</td>'
    kind = ' class="number"' if _NUMBER.fullmatch(escaped) else ""
    return f"<td{kind}>{escaped}</td>"


def is_report(text: str) -> bool:
    """Tell whether a file is a report that may be written anew."""
    return f'<meta name="generator" content="{GENERATOR}">' in text[:1000]


def failures_by_kind(reasons: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return header and one row a kind of failure: how often, and the first of them.

    Reasons that differ in numbers alone are of one kind.
    """
    kinds: dict[str, list[str]] = {}
    for reason in reasons:
        if reason:
            kinds.setdefault(re.sub(r"[-−]?\d+(\.\d+)?(e[-+]?\d+)?", "…", reason), []).append(
                reason
            )
    rows = sorted(kinds.values(), key=len, reverse=True)
    header = ("failures", "kind", "for example")
    listed = [
        (str(len(found)), kind, found[0] if found[0] != kind else "")
        for found in rows
        for kind in [next(k for k, v in kinds.items() if v is found)]
    ]
    return [header, *listed]
