"""The table of a campaign for a terminal, a notebook and a spreadsheet."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

from stpspec.formatting import (
    columns,
    html_lines,
    html_table,
    presentable,
    presentable_rows,
    wrapped,
)
from stpspec.view.contract import miss_of
from stpspec.view.style import cut
from stpspec.view.tables import number, unit_text, with_error

if TYPE_CHECKING:
    from stpspec.view.contract import Connection, FitSummary, MetricSummary, ParameterSummary

_Entry = TypeVar("_Entry", "ParameterSummary", "MetricSummary")
_NAME, _ROWS = 36, 40  # width of a name in the table; more connections are left to summary.csv


def campaign_rows(connections: Sequence[Connection]) -> list[list[str]]:
    """Return header and one row a connection, numbers with all their digits: ``summary.csv``."""
    parameters, terms = _named(connections, "parameters"), _named(connections, "metrics")
    metrics = [c.summary.get("metrics", {}) for c in connections]
    with_n = {(n, m["unit"]) for terms_of_one in metrics for n, m in terms_of_one.items()
              if "n" in m}  # fmt: skip
    header = ["connection", "status", "fit", "loss", "simulations", "seconds"]
    for name, unit in parameters:
        header += [_head(name, unit), _head(f"{name}_se", unit), f"{name} at bound"]
    for name, unit in terms:
        header += [_head(f"{name} {what}", unit) for what in ("target", "sd", "achieved")]
        header += [f"{name} n"] * ((name, unit) in with_n) + [f"{name} miss [sd]"]
    rows = [[*header, "reason"]]
    for c in connections:
        s = c.summary
        row = [
            c.label,
            c.status,
            s.get("status", ""),
            *(_csv(s.get(k)) for k in ("loss", "evaluations", "seconds")),
        ]
        for name, unit in parameters:
            p = _entry(s.get("parameters", {}), name, unit)
            values = (p["value"], p.get("standard_error")) if p else (None, None)
            row += [*map(_csv, values), p.get("at_bound", "") if p else ""]
        for name, unit in terms:
            m = _entry(s.get("metrics", {}), name, unit)
            numbers = [m["target"], m.get("sd"), m["achieved"]] if m else [None] * 3
            numbers += [m.get("n") if m else None] * ((name, unit) in with_n)
            row += map(_csv, [*numbers, c.misses[name] if m else None])
        rows.append([*row, c.reason])
    return rows


def _named(
    connections: Sequence[Connection], part: Literal["parameters", "metrics"]
) -> list[tuple[str, str]]:
    """Return (name, unit) of the parameters or metrics of all connections."""
    named = [(n, x["unit"]) for c in connections for n, x in c.summary.get(part, {}).items()]
    return list(dict.fromkeys(named))


def _entry(entries: Mapping[str, _Entry], name: str, unit: str) -> _Entry | None:
    entry = entries.get(name)
    return entry if entry is not None and entry["unit"] == unit else None


def _head(name: str, unit: str) -> str:
    return f"{name} [{unit_text(unit)}]" if unit_text(unit) else name


def _csv(value: object) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return json.dumps(value) if isinstance(value, list) else f"{value:.10g}"


# -- for people ---------------------------------------------------------------------------------


def campaign_table(connections: Sequence[Connection], width: int = 100) -> str:
    """Return the table as text that fits into so many columns, in several blocks if need be.

    Of many connections those are shown that need a look: without a result, then the worst.
    """
    shown = list(connections)
    if len(shown) > _ROWS:
        shown = sorted(shown, key=_quality)[:_ROWS]
    rows, n_misses = _people(shown)
    blocks = _blocks(presentable_rows(rows), width, len(rows[0]) - n_misses)
    rest = len(connections) - len(shown)
    if rest:
        blocks.append(f"… and {rest} more, which hit their targets better")
    many = [cut(c.label, _NAME) for c in shown if _more_parameters(c.summary)]
    if many:
        text = f"more free parameters than targets, so other values fit as well: {', '.join(many)}"
        blocks.append("\n  ".join(wrapped(text, width - 2)))
    for names, reason in _reasons([(cut(c.label, _NAME), c.reason) for c in shown]):
        blocks.append("\n  ".join(wrapped(f"{names} failed: {reason}", width - 2)))
    return presentable("\n\n".join(blocks))


def campaign_html(connections: Sequence[Connection]) -> str:
    """Return the table of all connections as HTML."""
    reasons = "\n".join(
        f"{names} failed: {reason}"
        for names, reason in _reasons([(c.label, c.reason) for c in connections])
    )
    return html_table(_people(connections)[0]) + html_lines(reasons)


def campaign_parts(connections: Sequence[Connection]) -> list[list[str]]:
    """Return header and one row a connection, as people read them."""
    return _people(connections)[0]


def _reasons(failed: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield what connections failed of, each reason once with the names of all that had it."""
    names: dict[str, list[str]] = {}
    for label, reason in failed:
        if reason:
            names.setdefault(" ".join(reason.split()), []).append(label)
    for reason, labels in names.items():
        yield ", ".join(labels), reason


def _people(connections: Sequence[Connection]) -> tuple[list[list[str]], int]:
    """Return header and rows: parameters ± SE, then the misses; and how many columns have those."""
    parameters = _named(connections, "parameters")
    terms = list(dict.fromkeys(n for n, _ in _named(connections, "metrics")))
    header = ["connection", "status", "loss", *(_head(n, u) for n, u in parameters)]
    rows = [[*header, *(f"{n} miss" for n in terms)]]
    for c in connections:
        s = c.summary
        status = s["status"] if c.status == "done" and "status" in s else c.status
        row = [cut(c.label, _NAME), status, number(s["loss"], 3) if "loss" in s else ""]
        for name, unit in parameters:
            p = _entry(s.get("parameters", {}), name, unit)
            value = with_error(p["value"], p.get("standard_error", math.nan)) if p else ""
            row.append(f"{value} ◀ {p['at_bound']}" if p and "at_bound" in p else value)
        metrics = s.get("metrics", {})
        for name in terms:
            row.append(c.miss_of(name).text(metrics[name]["unit"]) if name in metrics else "")
        rows.append(row)
    return rows, len(terms)


def _quality(connection: Connection) -> tuple[bool, float]:
    misses = [abs(m) for m in connection.misses.values() if math.isfinite(m)]
    return bool(connection.summary), -max(misses, default=connection.summary.get("loss", 0.0))


def _more_parameters(summary: FitSummary) -> bool:
    n_targets = sum(miss_of(m).n_data for m in summary.get("metrics", {}).values())
    return len(summary.get("parameters", {})) > n_targets


def _blocks(rows: list[list[str]], width: int, misses: int) -> list[str]:
    """Return tables that fit into the width; the columns from ``misses`` on have their own."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    portions = [list(range(1, len(widths)))]
    if sum(widths) + 2 * len(widths) - 2 > width:
        portions = [list(range(1, misses)), list(range(misses, len(widths)))]
    return [
        columns([[row[i] for i in (0, *block)] for row in rows])
        for portion in portions
        for block in _portions(widths, portion, width)
    ]


def _portions(widths: Sequence[int], wanted: Sequence[int], width: int) -> Iterator[list[int]]:
    block: list[int] = []
    for i in wanted:
        if block and widths[0] + sum(widths[k] + 2 for k in (*block, i)) > width:
            yield block
            block = []
        block.append(i)
    if block:
        yield block
