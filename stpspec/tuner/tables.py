"""Tables of the page as HTML: targets and how far off they are, metrics and their arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from stpspec.formatting import number, unit_text
from stpspec.metrics.miss import FAR, Miss
from stpspec.tuner.messages import Metric, Targets

_NEAR = 1.0  # sd


def targets_html(answer: Targets, aside: Mapping[str, str]) -> str:
    """Return the targets: what is achieved of each, target ± sd, and how far off it is.

    Parameters
    ----------
    answer : Targets
    aside : mapping of str to str
        Term that is not asked → why.
    """
    rows = []
    for metric in answer.metrics:
        name = (
            f'<th scope="row">{_broken(metric.name)}<small>{escape(metric.protocol)}</small></th>'
        )
        if metric.reason:
            rows.append(f"<tr>{name}{_reason(f'none: {metric.reason}')}</tr>")
            continue
        miss = answer.misses[metric.name]
        now = f"{miss.achieved.size} values"
        if miss.achieved.size == 1:
            now = f"{number(float(miss.achieved[0]), 5)} {escape(unit_text(metric.unit))}"
        off, grade = _off(miss, metric.unit)
        rows.append(
            f'<tr>{name}<td>{now}</td><td>{_asked(miss)}</td><td class="{grade}">{off}</td></tr>'
        )
    for name, why in aside.items():
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{_reason(f"not asked: {why}")}</tr>')
    if not rows:
        return "<p>No targets: the experiment has no objective.</p>"
    loss = f"loss <b>{number(answer.loss, 5)}</b>" if np.isfinite(answer.loss) else ""
    if answer.reason and answer.metrics:
        loss = f"no loss: {escape(answer.reason)}"
    head = "<tr><th>target</th><th>now</th><th>target ± sd</th><th>off</th></tr>"
    return f"<table>{head}{''.join(rows)}</table><p>{loss}</p>"


def _broken(name: str) -> str:
    """Return a name that breaks into lines at its underscores only."""
    return escape(name).replace("_", "_<wbr>")


def _reason(text: str) -> str:
    return f'<td colspan="3" class="reason">{escape(text)}</td>'


def _asked(miss: Miss) -> str:
    """Return the target with its sd; of a mean of n repeats, with that of the mean."""
    if miss.target.size > 1:
        return f"{miss.target.size} values"
    sd = "" if miss.sd is None else f" ± {number(float(miss.sd[0]))}"
    return f"{number(float(miss.target[0]))}{sd}"


def _off(miss: Miss, unit: str) -> tuple[str, str]:
    """Return how far off a value is, as text and as its grade: color is not all that tells."""
    if miss.is_hit:
        return "✓ hit", "hit"
    text = miss.text(unit)
    if miss.sd is None:
        return text, ""
    size = float(np.abs(miss.scaled).max())
    sign = "" if miss.target.size > 1 else "▲ " if miss.number > 0 else "▼ "
    return f"{sign}{text}", "hit" if size <= _NEAR else "near" if size <= FAR else "far"


def metrics_html(metrics: Sequence[Metric]) -> str:
    """Return the metrics of a protocol with their arithmetic, each line of it once."""
    rows, said = [], set()
    for metric in metrics:
        if metric.reason:
            continue
        lines = [s for s in metric.steps if s not in said]
        said.update(lines)
        rows.append(
            f'<tr><th scope="row">{escape(metric.metric)}</th>'
            f"<td>{_value(metric)} {escape(unit_text(metric.unit))}</td></tr>"
        )
        if lines:
            text = "<br>".join(escape(s) for s in lines)
            rows.append(f'<tr><td colspan="2" class="arithmetic">{text}</td></tr>')
    reasons: dict[str, list[str]] = {}
    for metric in metrics:
        if metric.reason:
            reasons.setdefault(metric.reason, []).append(metric.metric)
    notes = dict.fromkeys(n for m in metrics for n in m.notes)
    below = [f'<p class="reason">no {escape(", ".join(names))}: {escape(why)}</p>'
             for why, names in reasons.items()]  # fmt: skip
    below += [f'<p class="note">note: {escape(n)}</p>' for n in notes]
    return f"<table>{''.join(rows)}</table>{''.join(below)}"


def _value(metric: Metric) -> str:
    values = metric.value if isinstance(metric.value, tuple) else (metric.value,)
    shown = ", ".join(number(v, 5) for v in values[:12])
    return shown + (" …" if len(values) > 12 else "")
