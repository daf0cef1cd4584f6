"""Sweeps over any fields of an experiment: one process, one Dataset over the swept fields."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence, Sized
from typing import TYPE_CHECKING

import numpy as np

from stpspec.errors import Failure, SpecError, SpecProblem, StpspecError
from stpspec.formatting.progress import progress_bar
from stpspec.metrics.measure import Measurement
from stpspec.metrics.miss import Miss
from stpspec.metrics.requests import Request, protocols_read
from stpspec.specs.base import Spec
from stpspec.specs.changes import inside, missing_field, steps
from stpspec.specs.experiment import Experiment, needed
from stpspec.specs.places import canonical, field_of, place_of
from stpspec.specs.plausible import warn_of_slips
from stpspec.specs.protocol import FREQUENCIES, owner_of
from stpspec.specs.quantities import unit_of
from stpspec.units import UnitError, convert

if TYPE_CHECKING:
    import xarray as xr

    from stpspec.engine.binding.bound import Bound
    from stpspec.engine.confirmation import Row
    from stpspec.results.fit_result import FitResult

Progress = Callable[[int, int], None]

LARGEST = 1_000_000  # combinations
_NOT_SIMULATED = {"fitter", "seed", "study", "workers", "figures", "name", "format", "plugins"}


def sweep(
    experiment: Experiment | FitResult,
    fields: Mapping[str, Sequence[object] | Mapping[str, object]] | None = None,
    *,
    values: Mapping[str, object] | None = None,
    progress: Progress | bool | None = None,
) -> xr.Dataset:
    """Measure an experiment over the grid of some fields.

    Parameters
    ----------
    experiment : Experiment or FitResult
        Of a result, its experiment at the fitted values.
    fields : mapping of str to sequence, optional
        Path of a field (``"protocols.train.frequency"``, ``"recording"``), or the name of a
        parameter of the mechanism (``"U"``), → its values; or a mapping of labels to values. By
        default the frequency of the first protocol that has one, over 1 … 200 Hz.
    values : mapping of str to float, optional
        Parameter values; by default start values, as in :func:`stpspec.simulate`, or the fitted
        ones of a result.
    progress : callable or bool, optional
        Called with the combinations done and their number; True shows a bar.

    Returns
    -------
    xarray.Dataset
        The terms of the objective and every scalar metric of the swept protocols, over the swept
        fields (the last part of their paths, or the whole path where two would be alike), and
        ``reason``, why a value is missing. Coordinates are in the unit of their field, whatever
        unit the values were given in.

    Raises
    ------
    SpecError
        If a field does not exist, or a combination is not valid.

    Notes
    -----
    With ``numerics.integrator: auto`` a sweep simulates as a fit does while it searches, unless a
    field of the numerics is swept. The first and the last value of each field are simulated once
    more on the reference numerics (fixed step), and all combinations where these differ; the
    attribute ``confirmed`` says how many were, and the largest difference.
    """
    from stpspec.engine.confirmation import confirm, ends
    from stpspec.engine.rigs.reuse import rigs_kept
    from stpspec.engine.stochastic import warn_of_chance
    from stpspec.results.fit_result import FitResult

    if isinstance(experiment, FitResult):
        experiment, values = experiment.experiment, {**experiment.parameters, **(values or {})}
    experiment = needed(experiment)
    given = {canonical(n): v for n, v in (fields or frequency_grid(experiment)).items()}
    _check(experiment, given)
    # Candidates of one run differ in parameters of the mechanism; all else is a run of its own.
    outer = [n for n in given if _is_field(n) and n not in experiment.parameters]
    axes = {n: Axis(n, given[n]) for n in sorted(given, key=outer.__contains__, reverse=True)}
    inner = list(axes)[len(outer) :]
    grid = [dict(zip(inner, point, strict=True))
            for point in itertools.product(*(axes[n].values for n in inner))]  # fmt: skip
    combinations = list(itertools.product(*(range(len(axes[n].values)) for n in outer)))
    requests: dict[str, Request] = {}
    rows: list[Row] = []
    variant, bound = experiment, None
    with rigs_kept(), progress_bar(experiment.name, "combination", progress) as report:
        for done, picks in enumerate(combinations):
            chosen = dict(zip(outer, picks, strict=True))
            previous = variant
            variant = experiment.changed({n: axes[n].values[i] for n, i in chosen.items()})
            warn_of_slips(variant)
            bound = _bind(variant, previous, bound)
            if not done:
                warn_of_chance(bound)
            for name, axis in axes.items():
                axis.read(bound, chosen.get(name))
            measured = _measure(bound, grid, values or {}, outer)
            requests |= {r.name: r for r in measured[0].requests if r.name not in requests}
            rows += measured
            if report is not None:
                report(done + 1, len(combinations))
        right, told = [row.measured for row in rows], ""
        if not _is_of_numerics(outer):
            right, told = confirm(rows, ends([len(axis.values) for axis in axes.values()]))
    from stpspec.results.provenance import with_targets

    swept = _dataset(with_targets(experiment), list(axes.values()), list(requests.values()), right)
    return swept.assign_attrs(confirmed=told) if told else swept


def frequency_grid(experiment: Experiment) -> dict[str, Sequence[float]]:
    """Return the default sweep: the frequency of the first protocol that has one.

    Raises
    ------
    SpecError
        If no protocol has a frequency.
    """
    for name, protocol in experiment.protocols.items():
        if hasattr(protocol, "frequency"):
            return {f"protocols.{name}.frequency": FREQUENCIES}
    kinds = ", ".join(p.kind for p in experiment.protocols.values())
    raise SpecError(
        [SpecProblem("protocols", "no protocol has a frequency: name the field to sweep", kinds)],
        "there is nothing to sweep by default",
    )


def _is_field(name: str) -> bool:
    """Tell whether a name is a field; else it is a parameter: of the mechanism or beyond it."""
    return name.partition(".")[0] in Experiment.model_fields or (
        "." in name and place_of(name) is None
    )


def _check(experiment: Experiment, fields: Mapping[str, object]) -> None:
    problems = []
    for path, values in fields.items():
        if path.partition(".")[0] in _NOT_SIMULATED - _drawn(experiment):
            rule = "nothing of a simulation depends on it (stpspec fit -m makes one fit of each)"
            problems.append(SpecProblem(path, rule))
        elif isinstance(values, str) or not isinstance(values, Sized) or not len(values):
            problems.append(SpecProblem(path, "a sweep needs a list of values", values))
        elif (
            _is_field(path) and path not in experiment.parameters
        ):  # else a parameter of the mechanism: known once it is loaded
            problem = missing_field(experiment, path)
            problems += [problem] if problem is not None else []
    sizes = [len(v) for v in fields.values() if isinstance(v, Sized)]
    if (number := math.prod(sizes)) > LARGEST:
        rule = f"at most {LARGEST:,} combinations in one sweep"
        problems.append(SpecProblem(", ".join(fields), rule, number))
    if problems:
        raise SpecError(problems, "the sweep is not valid")


def _drawn(experiment: Experiment) -> set[str]:
    """Return the field on which a simulation depends if random numbers are drawn in it."""
    asked = any(experiment.trials_of(name) is not None for name in experiment.protocols)
    return {"seed"} if asked else set()


class Axis:
    """One swept field: its values, and what they are on an axis once the experiment is bound.

    Attributes
    ----------
    name : str
    values : list
        As given.
    unit : str
        Of the numbers; empty for labels.
    """

    def __init__(self, name: str, given: Sequence[object] | Mapping[str, object]):
        self.name = name
        self.values = list(given.values()) if isinstance(given, Mapping) else list(given)
        self._ticks: list[object] = (
            list(given) if isinstance(given, Mapping) else [None] * len(given)
        )
        self._is_labeled = isinstance(given, Mapping)
        self.unit = ""

    def read(self, bound: Bound, index: int | None) -> None:
        """Take the value at ``index`` (all of a parameter's) in the unit of its field."""
        from stpspec.engine.binding.bound import numbers

        if self._is_labeled:
            return
        if index is None:
            self._ticks = [numbers(bound, {self.name: v})[self.name] for v in self.values]
            self.unit = bound.units[self.name]
        else:
            self._ticks[index], self.unit = _value_and_unit(bound, self.name)

    def coordinate(self) -> np.ndarray:
        """Return the numbers, or a label for each value."""
        ticks = [t.tolist() if isinstance(t, np.ndarray | np.generic) else t for t in self._ticks]
        if all(isinstance(t, int | float) and not isinstance(t, bool) for t in ticks):
            return np.array(ticks)
        kinds = [str(getattr(tick, "kind", tick)) for tick in ticks]
        distinct = len(set(kinds)) == len(kinds)
        return np.array(kinds if distinct else [str(tick) for tick in ticks])


def _bind(variant: Experiment, previous: Experiment, bound: Bound | None) -> Bound:
    """Bind an experiment; quickly where it is nearly what is ``bound`` already."""
    from stpspec.engine.binding.bind import bind_again, can_bind_again
    from stpspec.engine.workers.place import bind

    if bound is None or not can_bind_again(variant, previous):
        return bind(variant)
    return bind_again(bound, variant)


def _value_and_unit(bound: Bound, path: str) -> tuple[object, str]:
    """Return the value of a field of a bound experiment, and its unit."""
    *parents, last = steps(bound.experiment, path)
    place: object = bound.experiment
    for name in parents:
        place = inside(place, name)
        if parents[0] == "protocols" and name == "recording":  # its changes, without units
            place = bound.recordings[parents[1]]
    value = inside(place, last)
    if parents == ["model", "fixed"] or parents[:1] == ["parameters"]:
        return value, bound.units.get(last if parents[0] == "model" else parents[1], "")
    field = type(place).model_fields.get(last) if isinstance(place, Spec) else None
    return value, unit_of(field) if field is not None else ""


def _measure(
    bound: Bound,
    grid: Sequence[Mapping[str, object]],
    values: Mapping[str, object],
    outer: Sequence[str],
) -> list[Row]:
    """Measure all combinations of swept parameters, which are candidates of one run."""
    from stpspec.engine.binding.bound import numbers
    from stpspec.engine.binding.numerics import for_reading
    from stpspec.engine.confirmation import Row
    from stpspec.engine.workers.place import evaluate
    from stpspec.metrics.requests import requests_of

    rows = [numbers(bound, {**values, **point}) for point in grid]
    columns = {n: np.array([row[n] for row in rows]) for n in rows[0]}
    swept = {p.split(".")[1] for p in outer if p.startswith("protocols.")}
    objective = bound.experiment.objective
    terms = objective.terms if objective is not None else {}
    requests = [
        r for r in requests_of(bound.experiment, all_metrics=True)
        if not swept or owner_of(r.protocol, bound.experiment.protocols) in swept or r.name in terms
    ]  # fmt: skip
    simulated = bound
    if not _is_of_numerics(outer):  # else what the numerics do is what is asked
        simulated = for_reading(bound, [(r.metric, r.options, r.protocol) for r in requests])
    protocols = protocols_read(requests, bound.experiment.protocols)
    measured = evaluate(simulated, columns, protocols, requests)
    return [Row(bound, v, requests, m) for v, m in zip(rows, measured, strict=True)]


def _is_of_numerics(outer: Sequence[str]) -> bool:
    return any(p.partition(".")[0] == "numerics" for p in outer)


def _dataset(
    experiment: Experiment,
    axes: Sequence[Axis],
    requests: Sequence[Request],
    rows: Sequence[dict[str, Measurement]],
) -> xr.Dataset:
    import xarray as xr

    short = [a.name.rpartition(".")[2] for a in axes]
    dims = [s if short.count(s) == 1 else a.name for s, a in zip(short, axes, strict=True)]
    shape = [len(a.values) for a in axes]
    data: dict[str, tuple[Sequence[str], np.ndarray, dict[str, str | float]]] = {}
    for request in requests:
        if any(row[request.name].value.ndim for row in rows if request.name in row):
            continue  # a vector
        for row in rows:
            row.setdefault(request.name, _not_given(request))
        column = [row[request.name] for row in rows]
        # A swept recording may give volts here and amperes there: then both are named.
        units = dict.fromkeys(m.unit for m in column if not m.reason) or {column[0].unit: None}
        attrs: dict[str, str | float] = {
            "units": " or ".join(units),
            "long_name": f"{request.metric} of {request.protocol}",
            "metric": request.metric,
            "protocol": request.protocol,
        }
        attrs |= _target(experiment, request.name, list(units))
        numbers = np.array([float(m.value) for m in column]).reshape(shape)
        data[request.name] = (dims, numbers, attrs)
    reasons = ["; ".join(f"{n}: {row[n].reason}" for n in data if row[n].reason) for row in rows]
    data["reason"] = (dims, np.array(reasons, dtype=object).reshape(shape), {})
    coords = {
        d: (d, a.coordinate(), {"long_name": a.name, **({"units": a.unit} if a.unit else {}),
                                **_own_value(experiment, a)})
        for d, a in zip(dims, axes, strict=True)
    }  # fmt: skip
    return xr.Dataset(data, coords, {"experiment": experiment.name})


def _target(experiment: Experiment, name: str, units: Sequence[str]) -> dict[str, float]:
    """Return target and sd of a term of one number, in the unit of its metric."""
    terms = experiment.objective.terms if experiment.objective is not None else {}
    if name not in terms or isinstance(terms[name].target, list) or len(units) != 1:
        return {}
    try:
        term = terms[name].in_unit(units[0])
    except UnitError:
        return {}  # a swept recording: the target is of the other one
    miss = Miss.of_term(term.target, term)
    sd = {} if miss.sd is None else {"target_sd": float(miss.sd[0])}
    return {"target": float(miss.target[0]), **sd}


def _own_value(experiment: Experiment, axis: Axis) -> dict[str, float]:
    """Return what the experiment itself has for a swept field that is a number."""
    place: object = experiment
    path = axis.name if place_of(axis.name) is None else field_of(axis.name)
    try:
        for name in steps(experiment, path):
            place = inside(place, name)
        if isinstance(place, bool) or not isinstance(place, int | float | str):
            return {}
        return {"own": convert(place, axis.unit or "1")}
    except (KeyError, AttributeError, StpspecError, ValueError, TypeError):
        return {}


def _not_given(request: Request) -> Measurement:
    reason = f"the protocol {request.protocol!r} gives no {request.metric}"
    return Measurement(np.array(np.nan), "", Failure("metric", reason))
