"""Confirmation of a sweep: its ends on the reference numerics, and all of it where they differ."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.numerics import for_reading
from stpspec.engine.reference import finer_step, measured_on_reference, step_errors
from stpspec.engine.shortcuts import equivalence
from stpspec.engine.workers.place import feasible
from stpspec.metrics.measure import Measurement
from stpspec.metrics.requests import Request
from stpspec.resources import content_key

log = logging.getLogger("stpspec.engine")

_OF_SD = 0.1  # of a term
_OF_VALUE = 1e-3  # of a term with an sd that is smaller than any numerics tell
_OF_LARGEST = 0.005  # of the largest value of a metric in the sweep, without an sd
_OF_RATIO = 1e-3  # of a metric without a unit, such as a change of amplitude that is 0
_TINY = 1e-300  # in place of 0, to divide by

Measured = dict[str, Measurement]


@dataclass(frozen=True, eq=False)
class Row:
    """One combination of a sweep, as it was simulated.

    Attributes
    ----------
    bound : Bound
        The experiment with all that it asks for.
    values : dict of str to float
    requests : list of Request
    measured : dict of str to Measurement
    """

    bound: Bound
    values: dict[str, float]
    requests: list[Request]
    measured: Measured

    @property
    def is_reference(self) -> bool:
        """Whether it was simulated in fixed steps from the beginning."""
        asked = [(r.metric, r.options, r.protocol) for r in self.requests]
        return feasible(for_reading(self.bound, asked)).scheme.is_fixed


@dataclass(frozen=True)
class _Gap:
    """The largest difference of one row, of that which is allowed, and how it is told."""

    ratio: float
    text: str


def ends(shape: Sequence[int]) -> list[int]:
    """Return the rows of a grid where all axes begin, where all end, and where each one ends.

    Parameters
    ----------
    shape : sequence of int
        Length of each axis.

    Returns
    -------
    list of int
        Rising, into the grid in C order.
    """
    first = (0,) * len(shape)
    last = tuple(n - 1 for n in shape)
    alone = [(*first[:k], last[k], *first[k + 1 :]) for k in range(len(shape))]
    return sorted({int(np.ravel_multi_index(i, tuple(shape))) for i in (first, last, *alone)})


def confirm(rows: Sequence[Row], sample: Sequence[int]) -> tuple[list[Measured], str]:
    """Simulate a sample of rows on the reference numerics, each by itself; all if they differ.

    Where they do, half of the step tells which is right: the rows are left as they are where the
    reference is the one that is off.

    Parameters
    ----------
    rows : sequence of Row
        Of which none was simulated on the reference is left out.
    sample : sequence of int

    Returns
    -------
    measured : list of dict of str to Measurement
        What is right of each row.
    told : str
        How many rows were confirmed, and the largest difference; empty if all were simulated on
        the reference.
    """
    before = [row.measured for row in rows]
    open_rows = [k for k in range(len(rows)) if not rows[k].is_reference]
    sample = [k for k in sample if k in set(open_rows)] or open_rows[:1]
    if not sample:
        return before, ""
    largest = _largest(rows)
    allowed = [{r.name: _allowed(row, r.name, largest) for r in row.requests} for row in rows]
    found = {k: _on_reference(rows[k]) for k in sample}
    gaps = {k: _gap(before[k], found[k], allowed[k], largest) for k in sample}
    worst = max(sample, key=lambda k: gaps[k].ratio)
    count = f"{len(sample)} of {len(rows)} rows were confirmed on the reference numerics"
    step = f"(fixed step of {rows[worst].bound.experiment.numerics.dt:g} ms)"
    told = f"{count} {step}: {gaps[worst].text}"
    if gaps[worst].ratio <= 1:
        return before, told
    is_right, advice = _judged(rows[worst], found[worst], allowed[worst], largest)
    if not is_right:
        rest = {k: _on_reference(rows[k]) for k in open_rows if k not in found}
        found |= rest
        told += f"; all {len(open_rows)} rows were simulated there and are shown as found there"
    told += advice
    log.warning("%s", told)
    return [m if is_right else found.get(k, m) for k, m in enumerate(before)], told


def _on_reference(row: Row) -> Measured:
    """Simulate a row on the reference; the same row of another sweep is remembered."""
    bound, requests = row.bound, row.requests
    protocols = {n: p.digest for n, p in bound.experiment.protocols.items()}
    asked = [repr((r.name, r.metric, r.protocol, r.options)) for r in requests]
    key = content_key(equivalence.key(bound, [row.values]), repr(protocols), *asked)
    return equivalence.remembered(
        "confirmed row", key, lambda: measured_on_reference(bound, row.values, requests)
    )


def _largest(rows: Sequence[Row]) -> dict[str, float]:
    """Return the largest value of each metric in all rows."""
    largest: dict[str, float] = {}
    for name, m in itertools.chain.from_iterable(row.measured.items() for row in rows):
        size = 0.0 if m.reason else float(np.abs(m.value).max(initial=0.0))
        largest[name] = max(largest.get(name, 0.0), size)
    return largest


def _allowed(row: Row, name: str, largest: Mapping[str, float]) -> np.ndarray:
    """Return by how much a metric may differ."""
    e, m = row.bound.experiment, row.measured[name]
    term = e.objective.terms.get(name) if e.objective is not None else None
    if term is not None and term.sd is not None and term.scale is None:
        return np.fmax(_OF_SD * np.asarray(term.sd, float), _OF_VALUE * np.abs(m.value))
    # Events between two steps are delivered at one: no time is told better than by a step.
    least = {"ms": e.numerics.dt, "1": _OF_RATIO, "": _OF_RATIO}.get(m.unit, 0.0)
    return np.asarray(max(_OF_LARGEST * largest[name], least))


def _gap(
    one: Measured,
    other: Measured,
    allowed: Mapping[str, np.ndarray],
    largest: Mapping[str, float],
) -> _Gap:
    """Compare what two simulations of a row gave."""
    gaps = []
    for name, m in one.items():
        if bool(m.reason) != bool(other[name].reason):
            gaps.append(_Gap(np.inf, f"{name} can be measured in one of both only"))
        elif not m.reason:
            apart = np.abs(np.asarray(m.value) - other[name].value)
            size = _percent(apart, largest[name])
            gaps.append(_Gap(_ratio(apart, allowed[name]), f"{name} differs by {size}"))
    return max(gaps, key=lambda gap: gap.ratio, default=_Gap(0.0, "nothing is measured"))


def _ratio(size: np.ndarray, allowed: np.ndarray) -> float:
    return float((np.abs(size) / np.maximum(allowed, _TINY)).max(initial=0.0))


def _percent(size: np.ndarray, of: float) -> str:
    return f"{100 * float(np.abs(size).max(initial=0.0)) / (of or 1.0):.2g} %"


def _judged(
    row: Row, found: Measured, allowed: Mapping[str, np.ndarray], largest: Mapping[str, float]
) -> tuple[bool, str]:
    """Return whether a row is right where the reference is not, and what helps."""
    errors = step_errors(row.bound, row.values, row.requests, found, allowed)
    off = {n: _ratio(e, allowed[n]) for n, e in errors.sizes.items()}
    apart = [n for n, m in row.measured.items() if _gap({n: m}, found, allowed, largest).ratio > 1]
    worst = max(off, key=off.__getitem__, default="")
    if not worst or off[worst] <= 1:
        return False, ""
    is_right = all(
        n in errors.converging and _is_nearer(row.measured[n], found[n], errors.sizes[n])
        for n in apart
    )
    kept = "; the rows are left as they are" if is_right else ""
    dt = row.bound.experiment.numerics.dt
    return is_right, (
        f"; the reference numerics are themselves off by about "
        f"{_percent(errors.sizes[worst], largest[worst])} in {worst}{kept}; "
        f"numerics.dt={finer_step(dt, off[worst]):g} helps"
    )


def _is_nearer(searched: Measurement, found: Measurement, error: np.ndarray) -> bool:
    """Tell whether a value is nearer to the extrapolated one than the reference is, by far."""
    if searched.reason:
        return False
    right = found.value - error
    return bool((np.abs(searched.value - right) < 0.7 * np.abs(error)).all())
