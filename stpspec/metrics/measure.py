"""Measurements of a DataTree: metrics by name over candidates, with reasons and arithmetic."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stpspec.errors import Failure, MetricError
from stpspec.metrics.recorded import Candidate, Recorded, Trials
from stpspec.metrics.registration import Metric, ResponseOptions
from stpspec.metrics.requests import Request
from stpspec.metrics.response import Response
from stpspec.registry import METRICS

if TYPE_CHECKING:
    import xarray as xr

_GROUPS = 50  # of trials, that are left out in turn

_COMMON = tuple(name for name in ResponseOptions.model_fields if name != "trials")


@dataclass
class Measurement:
    """One metric of one candidate.

    Attributes
    ----------
    value : ndarray
        0-D, or 1-D for a vector metric; a leading trial axis with ``trials: each``.
        NaN where there is a ``failure``.
    failure : Failure or None
        Why there is no value.
    error : ndarray or None
        Standard error over the trials, in the shape of the value; None of a single trial.
    left_out : list of ndarray
        The value without each group of trials in turn, which tells the error; empty of one trial.
    """

    value: np.ndarray
    unit: str
    failure: Failure | None = None
    notes: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    error: np.ndarray | None = None
    left_out: list[np.ndarray] = field(default_factory=list)

    @property
    def reason(self) -> str:
        """Why there is no value; empty if there is."""
        return "" if self.failure is None else str(self.failure)


def measure_candidates(
    tree: xr.DataTree, requests: Sequence[Request]
) -> list[dict[str, Measurement]]:
    """Measure every candidate of a tree.

    Returns
    -------
    list of dict of str to Measurement
        One dict a candidate, keyed by the names of the requests.
    """
    children = {name: Recorded.of(node.to_dataset()) for name, node in tree.children.items()}
    failures = [
        Failure("simulation", str(t)) if t else None for t in tree.dataset["failure"].values
    ]
    return [
        measure_one(children, requests, failure, index, errors=True)
        for index, failure in enumerate(failures)
    ]


def measure_one(
    children: Mapping[str, Recorded],
    requests: Sequence[Request],
    failure: Failure | None = None,
    index: int = 0,
    *,
    errors: bool = False,
) -> dict[str, Measurement]:
    """Measure one candidate.

    Parameters
    ----------
    children : mapping of str to Recorded
        By protocol.
    requests : sequence of Request
    failure : Failure or None
        Why its simulation failed, if it did.
    index : int
        Which candidate of the arrays.
    errors : bool
        With standard errors over the trials, which a search has no use for.
    """
    candidate = Candidate(children, index)
    measured = {r.name: _measure(candidate, r, failure) for r in requests}
    for request in requests if errors else ():
        _add_error(candidate, request, measured[request.name])
    return measured


def _add_error(candidate: Candidate, request: Request, measured: Measurement) -> None:
    """Add the standard error over the trials, by the jackknife.

    A value of the mean trace has no other: it is measured again without each group of trials in
    turn (Efron and Stein 1981, doi:10.1214/aos/1176345462).
    """
    if measured.failure is not None:
        return
    runs = runs_measured(request.protocol, candidate.children)
    n = candidate.children[runs[0]].n_trials
    if n < 2:
        return
    groups = [tuple(g) for g in np.array_split(np.arange(n), min(n, _GROUPS))]
    if request.options.get("trials") == "each":
        measured.error = measured.value.std(axis=0, ddof=1) / np.sqrt(n)
        measured.left_out = [np.delete(measured.value, g, axis=0) for g in groups]
        return
    found = []
    for group in groups:
        rest = tuple(k for k in range(n) if k not in set(group))
        one = _measure(candidate, request, None, rest)
        if one.failure is not None:
            measured.notes.append(f"no standard error: without some trials, {one.reason}")
            return
        found.append(one.value)
    measured.left_out = found
    apart = np.stack(found) - np.mean(found, axis=0)
    measured.error = np.sqrt((len(groups) - 1) / len(groups) * (apart**2).sum(axis=0))


def _measure(
    candidate: Candidate, request: Request, failure: Failure | None, some: Trials = None
) -> Measurement:
    metric: Metric = METRICS.get(request.metric)

    def without_value(text: str) -> Measurement:
        return Measurement(np.array(np.nan), metric.unit, Failure("metric", text))

    if failure is not None:
        return Measurement(np.array(np.nan), metric.unit, failure)
    runs = runs_measured(request.protocol, candidate.children)
    if not runs:
        return without_value(f"the protocol {request.protocol!r} was not run")
    if len(runs) > 1:
        return _joined([
            _measure(candidate, replace(request, protocol=r), None, some) for r in runs
        ])  # fmt: skip
    options = dict(request.chosen)
    each = options.pop("trials", "mean") == "each"
    common = {n: options.pop(n) for n in _COMMON if metric.reads_signal and n in options}
    (run,) = runs
    trials: list[Trials] = [some]
    if each:
        trials = [(k,) for k in range(candidate.children[run].n_trials)]
    result = Measurement(np.array(np.nan), metric.unit)
    values = []
    for trial in trials:
        response = candidate.response(run, common, trial)
        response.steps = []
        try:
            values.append(_value(metric, request.metric, response, options))
        except MetricError as error:
            return without_value(str(error))
        result.steps += response.steps
        result.notes += [n for n in response.notes if n not in result.notes]
        result.unit = metric.unit_in(response.unit, options)
    result.value = np.stack(values) if each else values[0]
    return result


def _value(metric: Metric, name: str, response: Response, options: Mapping[str, Any]) -> np.ndarray:
    """Return what a metric gives; anything but finite numbers as it declares is an error."""
    try:
        value = np.asarray(metric.function(response, **options), float)
    except MetricError:
        raise
    except Exception as error:  # a plug-in's bug is a failed evaluation, named as such
        text = f"the metric {name!r} failed: {type(error).__name__}: {error}"
        raise MetricError(text) from error
    if value.ndim != int(metric.vector):
        shape = f"values of shape {value.shape}" if value.ndim else "a number"
        wanted = "a list of numbers (vector=True)" if metric.vector else "one number"
        raise MetricError(f"the metric {name!r} failed: it gave {shape}, and declares {wanted}")
    if not np.isfinite(value).all():
        raise MetricError("the result is not finite")
    return value


def runs_measured(protocol: str, children: Mapping[str, Recorded]) -> list[str]:
    """Return the names of what was recorded of a protocol, or of the run of that name."""
    if protocol in children:
        return [protocol]
    return [n for n, child in children.items() if child.stimulus.get("protocol") == protocol]


def _joined(parts: Sequence[Measurement]) -> Measurement:
    """Return the measurement of several runs: their values one after the other."""
    if failed := next((m for m in parts if m.failure is not None), None):
        return failed
    values = np.concatenate([m.value for m in parts], axis=-1)
    notes = list(dict.fromkeys(note for m in parts for note in m.notes))
    return Measurement(values, parts[0].unit, None, notes, [s for m in parts for s in m.steps])


def missing(requests: Sequence[Request], failure: Failure) -> dict[str, Measurement]:
    """Return the measurements of a candidate of which nothing came back."""
    return {r.name: _measure(Candidate({}, 0), r, failure) for r in requests}


def to_dataset(tree: xr.DataTree, requests: Sequence[Request]) -> xr.Dataset:
    """Measure every candidate; return an xarray Dataset over ``candidate``.

    Returns
    -------
    xarray.Dataset
        One variable per request (NaN where there is no value), ``reason`` (text per candidate,
        empty if every value is there) and the parameter values of the tree's root.
        ``attrs["notes"]`` is JSON: request → notes of the first candidate that has any.
    """
    import xarray as xr

    measured = measure_candidates(tree, requests)
    data: dict[str, tuple[object, ...]] = {}
    for request in requests:
        column = [m[request.name] for m in measured]
        shape = next((m.value.shape for m in column if not m.reason), ())
        values = np.stack([m.value if not m.reason else np.full(shape, np.nan) for m in column])
        unit = next((m.unit for m in column if not m.reason), column[0].unit)
        dims = ["candidate"]
        if request.options.get("trials") == "each":
            dims.append("trial")
        if values.ndim > len(dims):
            dims.append(f"{request.name}_element")
        attrs = {"units": unit, "long_name": f"{request.metric} of {request.protocol}"}
        data[request.name] = (dims, values, attrs)
        if any(m.error is not None for m in column):
            errors = [np.full(shape, np.nan) if m.error is None else m.error for m in column]
            if dims[1:2] == ["trial"]:
                errors = [e if e.shape == shape[1:] else np.full(shape[1:], np.nan) for e in errors]
            long_name = f"standard error of {request.name} over the trials"
            own = [d for d in dims if d != "trial"]
            data[f"{request.name}_error"] = (
                own, np.stack(errors), {"units": unit, "long_name": long_name},
            )  # fmt: skip
    reasons = [
        "; ".join(dict.fromkeys(f"{n}: {m.reason}" for n, m in row.items() if m.reason))
        for row in measured
    ]
    data["reason"] = ("candidate", np.array(reasons, dtype=object))
    notes = {n: m.notes for row in measured for n, m in row.items() if m.notes}
    coords = {str(n): v for n, v in tree.to_dataset().variables.items() if n != "failure"}
    return xr.Dataset(data, coords, {"notes": json.dumps(notes)})
