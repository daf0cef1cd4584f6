"""Measurements of a DataTree: metrics by name over candidates, with reasons and arithmetic."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from stpspec.dataset import (
    ClampDescription,
    StimulusDescription,
    clamps_of,
    delays_of,
    signals_of,
    stimulus_of,
    times_of,
)
from stpspec.errors import Failure, MetricError
from stpspec.metrics.registration import Metric, Options, ResponseOptions
from stpspec.metrics.requests import Request
from stpspec.metrics.response import Response
from stpspec.registry import METRICS

if TYPE_CHECKING:
    import xarray as xr

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
    """

    value: np.ndarray
    unit: str
    failure: Failure | None = None
    notes: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    @property
    def reason(self) -> str:
        """Why there is no value; empty if there is."""
        return "" if self.failure is None else str(self.failure)


@dataclass(frozen=True)
class Recorded:
    """The arrays of one protocol, without xarray's cost per access.

    Attributes
    ----------
    time : ndarray, shape (n,) or (candidate, n)
        ms; of its own for each candidate, and padded with NaN, after a variable step.
    signals : mapping of str to ndarray, shape (candidate, trial, n)
    units : mapping of str to str
    stimulus : StimulusDescription
        As in :func:`stpspec.dataset.protocol_dataset`.
    delays : ndarray, shape (candidate,), or None
        Of the NetCon, ms, where each candidate has its own.
    clamps : sequence of ClampDescription, or None
        Of each candidate, where a voltage clamp is not ideal.
    """

    time: np.ndarray
    signals: Mapping[str, np.ndarray]
    units: Mapping[str, str]
    stimulus: StimulusDescription
    delays: np.ndarray | None = None
    clamps: Sequence[ClampDescription] | None = None

    @classmethod
    def of(cls, dataset: xr.Dataset) -> Recorded:
        """Return the arrays of a protocol's Dataset."""
        names = signals_of(dataset)
        return cls(
            times_of(dataset),
            {n: dataset[n].values for n in names},
            {n: str(dataset[n].attrs.get("units", "")) for n in names},
            stimulus_of(dataset),
            delays_of(dataset),
            clamps_of(dataset),
        )

    def stimulus_at(self, candidate: int) -> StimulusDescription:
        """Return what the protocol did to one candidate."""
        stimulus: StimulusDescription = self.stimulus
        if self.delays is not None:
            stimulus = {**stimulus, "delay": float(self.delays[candidate])}
        if self.clamps is not None:
            stimulus = {**stimulus, "clamp": self.clamps[candidate]}
        return stimulus

    @property
    def n_trials(self) -> int:
        """Number of trials."""
        return next(iter(self.signals.values())).shape[1]

    def at(self, candidate: int, trials: slice) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the times of one candidate, and its signals, the mean over trials."""
        time = self.time if self.time.ndim == 1 else self.time[candidate]
        n = time.size if self.time.ndim == 1 else int(np.isfinite(time).sum())
        # Ratios of a stochastic synapse come from the mean trace, not from the mean of ratios.
        signals = {s: _mean(a[candidate, trials])[:n] for s, a in self.signals.items()}
        return time[:n], signals


class _Candidate:
    """The responses of one candidate, built once for each set of common options."""

    def __init__(self, children: Mapping[str, Recorded], index: int):
        self.children = children
        self.index = index
        self._responses: dict[tuple[object, ...], Response] = {}

    def response(self, protocol: str, common: Options, trial: int | None) -> Response:
        """Return the response to a protocol in one trial, or (None) the mean of all trials."""
        key = (protocol, trial, *sorted(common.items()))
        if key not in self._responses:
            child = self.children[protocol]
            pick = slice(None) if trial is None else slice(trial, trial + 1)
            time, signals = child.at(self.index, pick)
            stimulus = child.stimulus_at(self.index)
            response = Response(time, signals, child.units, stimulus, **common)
            response.find_siblings = lambda: self._siblings(protocol, common, trial)
            self._responses[key] = response
        return self._responses[key]

    def _siblings(self, protocol: str, common: Options, trial: int | None) -> list[Response]:
        mine = bool(self.children[protocol].stimulus["spikes"])
        found = []
        for name, child in self.children.items():
            if bool(child.stimulus["spikes"]) != mine:
                continue
            trials = [None] if trial is None else range(child.n_trials)
            found += [
                self.response(name, common, k) for k in trials if (name, k) != (protocol, trial)
            ]
        return found


def _mean(trials: np.ndarray) -> np.ndarray:
    return trials[0] if trials.shape[0] == 1 else trials.mean(axis=0)


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
    return [
        measure_one(children, requests, Failure("simulation", str(text)) if text else None, index)
        for index, text in enumerate(tree.dataset["failure"].values)
    ]


def measure_one(
    children: Mapping[str, Recorded],
    requests: Sequence[Request],
    failure: Failure | None = None,
    index: int = 0,
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
    """
    candidate = _Candidate(children, index)
    return {r.name: _measure(candidate, r, failure) for r in requests}


def _measure(candidate: _Candidate, request: Request, failure: Failure | None) -> Measurement:
    metric: Metric = METRICS.get(request.metric)

    def without_value(text: str) -> Measurement:
        return Measurement(np.array(np.nan), metric.unit, Failure("metric", text))

    if failure is not None:
        return Measurement(np.array(np.nan), metric.unit, failure)
    runs = runs_measured(request.protocol, candidate.children)
    if not runs:
        return without_value(f"the protocol {request.protocol!r} was not run")
    if len(runs) > 1:
        return _joined([_measure(candidate, replace(request, protocol=r), None) for r in runs])
    options = dict(request.chosen)
    each = options.pop("trials", "mean") == "each"
    common = {n: options.pop(n) for n in _COMMON if metric.reads_signal and n in options}
    (run,) = runs
    trials = range(candidate.children[run].n_trials) if each else [None]
    result = Measurement(np.array(np.nan), metric.unit)
    values = []
    for trial in trials:
        response = candidate.response(run, common, trial)
        response.steps = []
        try:
            value = np.asarray(metric.function(response, **options), float)
        except MetricError as error:
            return without_value(str(error))
        except Exception as error:  # a plug-in's bug is a failed evaluation, named as such
            text = f"the metric {request.metric!r} failed: {type(error).__name__}: {error}"
            return without_value(text)
        if value.ndim != int(metric.vector):
            shape = f"values of shape {value.shape}" if value.ndim else "a number"
            wanted = "a list of numbers (vector=True)" if metric.vector else "one number"
            text = f"the metric {request.metric!r} failed: it gave {shape}, and declares {wanted}"
            return without_value(text)
        if not np.isfinite(value).all():
            return without_value("the result is not finite")
        values.append(value)
        result.steps += response.steps
        result.notes += [n for n in response.notes if n not in result.notes]
        result.unit = metric.unit_in(response.unit, options)
    result.value = np.stack(values) if each else values[0]
    return result


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
    return {r.name: _measure(_Candidate({}, 0), r, failure) for r in requests}


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
    reasons = [
        "; ".join(dict.fromkeys(f"{n}: {m.reason}" for n, m in row.items() if m.reason))
        for row in measured
    ]
    data["reason"] = ("candidate", np.array(reasons, dtype=object))
    notes = {n: m.notes for row in measured for n, m in row.items() if m.notes}
    coords = {str(n): v for n, v in tree.to_dataset().variables.items() if n != "failure"}
    return xr.Dataset(data, coords, {"notes": json.dumps(notes)})
