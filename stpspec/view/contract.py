"""Contract of the view: what tables and figures read of a fit, a job and a connection.

The classes themselves are of higher rows (:mod:`stpspec.results`, :mod:`stpspec.campaigns`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, Protocol

import numpy as np
from typing_extensions import TypedDict

from stpspec.errors import MetricError, ResultError
from stpspec.metrics.miss import Miss
from stpspec.specs.records import checked_record
from stpspec.specs.result_files import FIT, summary_of

if TYPE_CHECKING:
    import xarray as xr

    from stpspec.specs.experiment import Experiment
    from stpspec.specs.objective import Term


class ParameterSummary(TypedDict):
    """One parameter in ``summary.json``; bounds are in its unit."""

    value: float
    unit: str
    min: float | str
    max: float | str
    standard_error: NotRequired[float]
    degrees_of_freedom: NotRequired[float]
    undetermined: NotRequired[str]
    at_bound: NotRequired[str]


class ScaleSummary(TypedDict):
    """A free scale in ``summary.json``: what targets are by what the model gives."""

    value: float
    unit: str
    standard_error: NotRequired[float]
    degrees_of_freedom: NotRequired[float]
    undetermined: NotRequired[str]


class MetricSummary(TypedDict):
    """One term in ``summary.json``; a vector has lists, with None for gaps in the target.

    Where a free scale stands between them, ``achieved`` is what the model gives, in ``unit``, and
    times ``scale`` it compares with the target, which is in ``target_unit``.
    """

    achieved: float | list[float]
    target: float | str | list[float | str | None]
    sd: NotRequired[float | str | list[float | str | None]]
    n: NotRequired[int | list[int | None]]
    divided_by_first: NotRequired[bool]
    unit: str
    scale: NotRequired[float]
    target_unit: NotRequired[str]


class Asked(TypedDict):
    """What is asked of one term, also where nothing was achieved."""

    metric: str
    target: float | str | list[float | str | None]
    sd: float | str | list[float | str | None] | None
    n: int | list[int | None] | None


class FitSummary(TypedDict, total=False):
    """``summary.json``; a job or connection without a result has an empty one."""

    format: int
    name: str
    status: str
    message: str
    loss: float
    loss_start: float | None
    loss_search: float
    parameters: dict[str, ParameterSummary]
    scales: dict[str, ScaleSummary]
    metrics: dict[str, MetricSummary]
    notes: dict[str, list[str]]
    evaluations: int
    failed_evaluations: int
    seconds: float
    seed: int
    fitter: str
    versions: dict[str, str]
    sources: dict[str, str]


def read_summary(folder: Path) -> FitSummary:
    """Return the summary of a saved fit.

    Raises
    ------
    ResultError
        If it cannot be read, or is damaged.
    """
    where = str(folder / FIT)
    summary = checked_record(summary_of(folder), FitSummary, where, "summary of a fit")
    return checked_summary(summary, where)


def checked_summary(summary: FitSummary, where: str) -> FitSummary:
    """Return a summary in which what was achieved can be compared with the targets.

    Raises
    ------
    ResultError
        If it cannot.
    """
    for name, metric in summary.get("metrics", {}).items():
        try:
            miss = Miss.of(metric["achieved"], metric["target"], metric.get("sd"))
            fault = "" if miss.target.size else "the target is empty"
        except (MetricError, ValueError, TypeError) as error:
            fault = str(error)
        if fault:
            raise ResultError(
                f"{where} is damaged, or no summary of a fit: metrics.{name}: {fault}"
            )
    return summary


class Achieved(Protocol):
    """Targets, and what was achieved of them."""

    @property
    def experiment(self) -> Experiment: ...
    @property
    def metrics(self) -> Mapping[str, float | np.ndarray]: ...
    @property
    def metric_units(self) -> Mapping[str, str]: ...


class Fit(Achieved, Protocol):
    """A :class:`stpspec.FitResult`."""

    @property
    def misses(self) -> Mapping[str, Miss]: ...
    @property
    def parameters(self) -> Mapping[str, float]: ...
    @property
    def units(self) -> Mapping[str, str]: ...
    @property
    def errors(self) -> Mapping[str, float]: ...
    @property
    def degrees_of_freedom(self) -> Mapping[str, float]: ...
    @property
    def undetermined(self) -> Mapping[str, str]: ...
    @property
    def scales(self) -> Mapping[str, ScaleSummary]: ...
    @property
    def at_bound(self) -> Mapping[str, str]: ...
    @property
    def loss(self) -> float: ...
    @property
    def loss_start(self) -> float: ...
    @property
    def loss_search(self) -> float: ...
    @property
    def history(self) -> xr.Dataset: ...
    @property
    def traces(self) -> xr.DataTree: ...
    @property
    def status(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def notes(self) -> Mapping[str, list[str]]: ...
    @property
    def n_evaluations(self) -> int: ...


class JobState(Protocol):
    """A :class:`stpspec.results.Job`."""

    @property
    def name(self) -> str: ...
    @property
    def overrides(self) -> Mapping[str, str]: ...
    @property
    def status(self) -> str: ...
    @property
    def cause(self) -> str: ...
    @property
    def fitter(self) -> str: ...
    @property
    def summary(self) -> FitSummary: ...
    @property
    def losses(self) -> np.ndarray: ...
    @property
    def seconds(self) -> np.ndarray: ...
    @property
    def formats(self) -> Sequence[str]: ...


class Connection(Protocol):
    """A connection of a :class:`stpspec.campaigns.summary.Campaign`."""

    @property
    def label(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def summary(self) -> FitSummary: ...
    @property
    def misses(self) -> Mapping[str, float]: ...
    @property
    def asked(self) -> Mapping[str, Asked]: ...
    @property
    def formats(self) -> Sequence[str]: ...
    def miss_of(self, term: str, /) -> Miss: ...


def miss_of(summary: MetricSummary) -> Miss:
    """Return what was achieved of a term in a saved result, compared with its target."""
    target, sd, n = summary["target"], summary.get("sd"), summary.get("n")
    is_own_ratio = summary.get("divided_by_first", False)
    achieved = np.asarray(summary["achieved"], float) * summary.get("scale", 1.0)
    return Miss.of(achieved, target, sd, n, is_own_ratio=is_own_ratio)


def target_unit(term: Term, metric_unit: str) -> str:
    """Return the unit in which a target and what was achieved of it are compared."""
    return metric_unit if term.scale is None else term.unit or "1"


def terms_of(experiment: Experiment) -> Mapping[str, Term]:
    """Return the terms of the objective; none without one."""
    return experiment.objective.terms if experiment.objective is not None else {}
