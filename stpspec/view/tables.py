"""Tables of text: a fit at a glance, the arithmetic of a run, lists of names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from stpspec.formatting import Rows, columns, number, presentable, presentable_rows, unit_text
from stpspec.formatting.layout import fitted, numbered, screen_width
from stpspec.metrics.miss import Miss
from stpspec.metrics.noise import students_t
from stpspec.specs.protocol import runs_of
from stpspec.view.contract import target_unit, terms_of
from stpspec.view.style import UNITS

if TYPE_CHECKING:
    import xarray as xr

    from stpspec.metrics.measure import Measurement
    from stpspec.metrics.requests import Request
    from stpspec.specs.objective import Term
    from stpspec.specs.protocol import Protocol
    from stpspec.view.contract import Fit

_OPTION_VALUES = 4  # more than these of an option are counted, not shown


def with_error(value: float, error: float) -> str:
    """Write value ± error, both to the same decimal: two digits of the error."""
    if not np.isfinite(error) or error <= 0:
        return number(value)
    if error >= 1e6 or error < 1e-6 or abs(value) >= 1e6 or abs(value) < 1e-3:
        return f"{number(value)} ± {number(error, 2)}"
    decimals = max(1 - int(np.floor(np.log10(error))), 0)
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def fit_table(result: Fit, width: int | None = None) -> str:
    """Return the report of a fit: what was asked and achieved, the parameters, the cost.

    Parameters
    ----------
    result : FitResult
    width : int, optional
        Columns for tables; by default those of the terminal, and no end in a pipe.
    """
    prose = screen_width()
    width = width or prose
    head, targets, parameters, closing = fit_parts(result)
    parts = [
        fitted(presentable(head), prose),
        columns(targets, width=width),
        _remarked(parameters, width),
    ]
    return "\n\n".join([*parts, fitted(presentable(closing), prose)])


def _remarked(rows: Rows, width: int | None) -> str:
    """Return a table whose last column has remarks: below it, where they repeat or are too long."""
    rows, left = presentable_rows(rows), None
    if width is not None:
        others = [max(len(row[i]) for row in rows) + 2 for i in range(len(rows[0]) - 1)]
        left = max(width - sum(others), 0)
    rows, notes = numbered(rows, left)
    text = columns(rows, width=width)
    return f"{text}\n\n{fitted(chr(10).join(notes), screen_width())}" if notes else text


def fit_parts(result: Fit) -> tuple[str, Rows, Rows, str]:
    """Return the parts of that report: a line, two tables with headers, more lines."""
    experiment = result.experiment
    n_free, terms = len(result.parameters), terms_of(experiment)
    n_targets = sum(m.n_data for n, m in result.misses.items() if terms[n].weight > 0)
    head = f"{experiment.name}: {n_free} free parameter{'s' * (n_free != 1)}, {n_targets} target"
    head += "s" * (n_targets != 1) + f": {verdict(result)}"
    if n_free > n_targets:
        head += " – MORE PARAMETERS THAN TARGETS: other values fit as well"
    return head, _targets(result), _parameters(result), _closing(result)


def verdict(result: Fit) -> str:
    """Say whether the targets are hit, or which are missed, by how much, and what that means."""
    terms = terms_of(result.experiment)
    misses = {n: m for n, m in result.misses.items() if terms[n].weight > 0}
    off = {n: m for n, m in misses.items() if not m.is_hit}
    if not off:
        return "all hit"
    far = {n: m for n, m in off.items() if m.is_far}
    if not far and result.status != "unreachable":
        with_sd = [float(np.abs(m.scaled).max()) for m in misses.values() if m.sd is not None]
        within = [f"all within {number(max(with_sd), 2)} sd"] if with_sd else []
        without = [f"{n} {m.text(result.metric_units[n])}" for n, m in off.items() if m.sd is None]
        return "; ".join([*within, *without])
    missed = far or off
    said = ", ".join(f"{n} {m.text(result.metric_units[n])}" for n, m in missed.items())
    if result.status == "unreachable":
        return f"{said} CANNOT BE REACHED within the bounds"
    return f"MISSED: {said}"


def _targets(result: Fit) -> Rows:
    rows = [("metric", "protocol", "unit", "target ± sd", "achieved", "miss")]
    misses = result.misses
    for name, term in terms_of(result.experiment).items():
        label = name if name == term.metric else f"{name} ({term.metric})"
        unit = target_unit(term, result.metric_units[name])
        miss = misses[name]
        target, achieved = _asked(miss, term)
        rows.append((label, term.protocol, unit_text(unit), target, achieved, miss.text(unit)))
    return rows


def _asked(miss: Miss, term: Term) -> tuple[str, str]:
    """Return target ± sd, and what was achieved; of a vector, their ranges."""
    sds, sd = miss.sd, ""
    if sds is not None:
        known = sds[np.isfinite(sds)]
        sd = f" ± {number(float(known[0]))}" if np.ptp(known) == 0 else f" ± {_span(known)}"
        sd += f" (s.e.m., n = {_repeats(term.n)})" if term.n is not None else ""
    if not isinstance(term.target, list):
        return number(float(miss.target[0])) + sd, number(float(miss.achieved[0]))
    return f"{values_text(miss)}, {_span(miss.target)}{sd}", _span(miss.achieved)


def values_text(miss: Miss) -> str:
    """Return how many values a vector has, and how many of them were not measured."""
    gaps = int(np.isnan(miss.target).sum())
    text = f"{miss.target.size - gaps} values"
    return f"{text} ({gaps} gap{'s' * (gaps > 1)})" if gaps else text


def _repeats(n: int | Sequence[int | None]) -> str:
    if isinstance(n, int):
        return str(n)
    known = [k for k in n if k is not None]
    return f"{min(known)} … {max(known)}" if min(known) < max(known) else str(known[0])


def _span(values: np.ndarray) -> str:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return f"{number(low, 3)} … {number(high, 3)}"


def _parameters(result: Fit) -> Rows:
    rows = [("parameter", "value ± approx. SE", "unit", "bounds", "")]
    for name, value in result.parameters.items():
        spec = result.experiment.parameters[name]
        shown = with_error(value, result.errors.get(name, float("nan")))
        bounds = f"{number(float(spec.min))} … {number(float(spec.max))}"
        if spec.scale == "log":
            bounds += " (log)"
        remark = ""
        if name in result.at_bound:
            remark = f"◀ AT ITS BOUND ({result.at_bound[name]})"
        elif name in result.undetermined:
            remark = f"no SE: {result.undetermined[name]}"
        elif result.at_bound:
            remark = f"given {' and '.join(_at_bounds(result))}"
        if name in result.degrees_of_freedom:
            remark = "; ".join(filter(None, (remark, _wider(result.degrees_of_freedom[name]))))
        rows.append((name, shown, unit_text(result.units[name]), bounds, remark))
    return [*rows, *_scales(result)]


def _scales(result: Fit) -> Rows:
    """Return a row for each free scale, which has no bounds."""
    rows = []
    for name, scale in result.scales.items():
        remark = f"no SE: {scale['undetermined']}" if "undetermined" in scale else ""
        if "degrees_of_freedom" in scale:
            remark = "; ".join(filter(None, (remark, _wider(scale["degrees_of_freedom"]))))
        shown = with_error(scale["value"], scale.get("standard_error", float("nan")))
        rows.append((f"scale {name}", shown, unit_text(scale["unit"]), "free", remark))
    return rows


def _wider(degrees: float) -> str:
    """Say how many standard errors are 95 %, where these are not the usual 1.96."""
    wide = students_t(degrees)
    return f"95 %: ± {wide:.2g} SE ({number(degrees, 2)} degrees of freedom)" if wide > 2.2 else ""


def _at_bounds(result: Fit) -> list[str]:
    """Say of each parameter at a bound which value it has there."""
    values = {
        n: (number(result.parameters[n]), unit_text(result.units[n])) for n in result.at_bound
    }
    return [f"{n} at its bound of {value} {unit}".rstrip() for n, (value, unit) in values.items()]


def _closing(result: Fit) -> str:
    experiment = result.experiment
    failed = int((result.history["reason"] != "").sum())
    early = result.status in ("stopped", "interrupted") or (
        result.status == "budget" and not experiment.fitter.uses_whole_budget
    )
    lines = ["NOT CONVERGED: values and standard errors are those of the best point seen"] * early
    lines += [
        _losses(result),
        f"{result.status}: {result.message}",
        f"{result.n_evaluations} simulations"
        + (f" ({failed} failed)" if failed else "")
        + f" in {result.seconds:.1f} s, {experiment.fitter.kind}, seed {experiment.seed}",
    ]
    if failed:
        reasons = [str(r) for r in result.history["reason"].values if r]
        common = max(set(reasons), key=reasons.count)
        lines.append(f"most common failure: {common}")
    texts = dict.fromkeys(text for texts in result.notes.values() for text in texts)
    for text in texts:
        names = ", ".join(n for n, own in result.notes.items() if text in own)
        lines.append(f"note on {names}: {text}")
    return "\n".join(lines)


def _losses(result: Fit) -> str:
    """Name start and end, and the numerics of each where the search had others."""
    start, end = number(result.loss_start), number(result.loss)
    if result.experiment.numerics.integrator == "fixed":
        return f"loss {start} at the start, {end} at the end"
    last = "after a last step " if took_last_step(result) else ""
    return (
        f"loss {start} at the start, {number(result.loss_search)} at the end of the search, "
        f"{end} {last}on the reference numerics (fixed step)"
    )


def took_last_step(result: Fit) -> bool:
    """Tell whether the values of a result are other ones than those of its best evaluation."""
    losses = np.where(result.history["reason"] == "", result.history["loss"], np.inf)
    best = int(np.argmin(losses))
    return any(
        float(result.history[f"parameter_{name}"].values[best]) != value
        for name, value in result.parameters.items()
        if f"parameter_{name}" in result.history
    )


def run_table(
    measured: Mapping[Request, Measurement],
    protocols: Mapping[str, Protocol],
    width: int | None = None,
    *,
    spreads: Mapping[str, np.ndarray] | None = None,
) -> str:
    """Return the metrics of one candidate, protocol by protocol, with their arithmetic.

    Parameters
    ----------
    measured : mapping of Request to Measurement
    protocols : mapping of str to Protocol
    width : int, optional
        As of :func:`fit_table`.
    spreads : mapping of str to ndarray, optional
        Name of a request → sd of its value over trials, in a column of its own.
    """
    width = width or screen_width()
    blocks = []
    for name, protocol in {**protocols, **runs_of(protocols)}.items():
        mine = {r: m for r, m in measured.items() if r.protocol == name}
        if not mine:
            continue
        several = any(m.error is not None for m in mine.values())
        heading = "value ± standard error" if several else "value"
        rows: list[tuple[str, ...]] = [("metric", heading, *["sd"] * bool(spreads), "unit")]
        for request, m in mine.items():
            label, sd = _label(request), (spreads or {}).get(request.name)
            shown = _value(m.value) if not m.reason else "none"
            if m.error is not None and m.error.ndim == 0:
                shown += f" ± {number(float(m.error), 2)}"
            spread = ["" if sd is None or m.reason else _value(sd)] * bool(spreads)
            rows.append((label, shown, *spread, unit_text(m.unit) if not m.reason else ""))
        block = f"{name} ({protocol.kind})\n\n{columns(rows, width=width)}"
        block += _arithmetic(mine)
        for reason in dict.fromkeys(m.reason for m in mine.values() if m.reason):
            names = ", ".join(_label(r) for r, m in mine.items() if m.reason == reason)
            block += f"\n\nno {names}: {reason}"
        notes = list(dict.fromkeys(n for m in mine.values() for n in m.notes))
        if notes:
            block += "\n\n" + "\n".join(f"note: {n}" for n in notes)
        blocks.append(fitted(presentable(block), screen_width()))
    return "\n\n\n".join(blocks)


def sweep_table(
    swept: xr.Dataset,
    metrics: Sequence[str] | None = None,
    rows: int = 40,
    width: int | None = None,
) -> str:
    """Return the main metrics of a sweep as a table, one row a combination.

    Parameters
    ----------
    swept : xarray.Dataset
    metrics : sequence of str, optional
        By default those that are plotted.
    rows : int
        More combinations than this are left to the files.
    width : int, optional
        As of :func:`fit_table`.
    """
    from stpspec.view.sweep import default_metrics

    width = width or screen_width()
    names = list(metrics) if metrics else default_metrics(swept)
    dims = [str(d) for d in swept[names[0]].dims]
    units = [str(swept[d].attrs.get("units", "1")) for d in dims]
    heads = [
        d if u == "1" else f"{d} ({UNITS.get(u, u)})" for d, u in zip(dims, units, strict=True)
    ]
    table = [(*heads, *names)]
    frame = swept[[*names, "reason"]].to_dataframe().reset_index()
    for row in frame.head(rows).to_dict("records"):
        keys = [number(row[d], 6) if not isinstance(row[d], str) else row[d] for d in dims]
        table.append((*keys, *(number(float(row[n])) for n in names)))
    text = columns(table, right=range(len(table[0])), width=width, keys=len(dims))
    if len(frame) > rows:
        text += f"\n… and {len(frame) - rows} more"
    reasons = dict.fromkeys(r for n in names for r in frame["reason"][frame[n].isna()] if r)
    told = swept.attrs.get("confirmed")
    confirmed = [f"note: {told}"] if told else []
    said = [*(f"– is missing: {r}" for r in reasons), *confirmed]
    return "\n".join([text, *(fitted(presentable(line), screen_width()) for line in said)])


def _arithmetic(measured: Mapping[Request, Measurement]) -> str:
    """Return how the values were calculated: those with options by themselves, each line once."""
    groups: dict[str, list[str]] = {}
    for request, m in measured.items():
        groups.setdefault(_label(request) if request.options else "", []).extend(m.steps)
    text = ""
    for label, steps in groups.items():
        if steps:
            text += f"\n\nhow {label or 'the others' if len(groups) > 1 else 'they'} "
            text += "was calculated\n" if label else "were calculated\n"
            text += "\n".join(f"  {s}" for s in dict.fromkeys(steps))
    return text


def _label(request: Request) -> str:
    """Name a term of the objective, with its options where they make it another number."""
    if not request.options:
        return request.name.removeprefix(f"{request.protocol}.")
    given = ((n, _option(v)) for n, v in request.options.items() if n != "windows")
    return f"{request.name} ({', '.join(f'{n}={v}' for n, v in given)})"


def _option(value: object) -> str:
    """Return the value of an option: digits as of a metric, of many values how many."""
    if isinstance(value, list | tuple) and len(value) > _OPTION_VALUES:
        return f"{len(value)} values"
    return number(value, 6) if isinstance(value, float) else str(value)


def _value(value: np.ndarray) -> str:
    if value.ndim == 0:
        return number(float(value), 5)
    shown = ", ".join(number(float(v)) for v in value.ravel()[:12])
    return shown + (" …" if value.size > 12 else "")
