"""Sweep any field of an experiment: one process, one Dataset over the swept fields."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from stpspec.errors import Problem, SpecError
from stpspec.metrics.measure import Measurement, Request, protocols_read
from stpspec.spec.changes import missing_field
from stpspec.spec.experiment import Experiment
from stpspec.spec.protocol import FREQUENCIES

Progress = Callable[[int, int], None]


def sweep(
    experiment: Experiment,
    fields: Mapping[str, Sequence[Any]] | None = None,
    *,
    values: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> Any:
    """Measure an experiment over the grid of some fields.

    Parameters
    ----------
    experiment : Experiment
    fields : mapping of str to sequence, optional
        Dotted path of a field (``"protocols.train.frequency"``), or the name of a parameter of the
        mechanism (``"U"``), → its values. By default the frequency of every protocol that has
        one, over 1 … 200 Hz.
    values : mapping of str to float, optional
        Parameter values; by default start values, as in :func:`stpspec.simulate`.
    progress : callable, optional
        Called with the combinations done and their number.

    Returns
    -------
    xarray.Dataset
        The terms of the objective and every scalar metric of the swept protocols, over the swept
        fields (the last part of their paths, or the whole path where two would be alike), and
        ``reason``, why a value is missing.

    Raises
    ------
    SpecError
        If a field does not exist, or a combination is not valid.

    Notes
    -----
    With ``numerics.integrator: auto`` a sweep uses the variable step, as a fit does while it
    searches; unless a field of the numerics is swept.
    """
    from stpspec.engine.spare import rigs_kept

    chosen = dict(fields) if fields else frequency_grid(experiment)
    _check(experiment, chosen)
    names = list(chosen)
    parameters = [n for n in names if "." not in n]
    outer = [n for n in names if n not in parameters]
    grid = [dict(zip(parameters, c, strict=True))
            for c in itertools.product(*(chosen[n] for n in parameters))]  # fmt: skip
    combinations = list(itertools.product(*(chosen[n] for n in outer)))
    rows: list[dict[str, Measurement]] = []
    requests: list[Request] = []
    with rigs_kept():
        for done, combination in enumerate(combinations):
            changed = experiment.changed(dict(zip(outer, combination, strict=True)))
            requests, measured = _measure(changed, grid, values or {}, outer)
            rows += measured
            if progress is not None:
                progress(done + 1, len(combinations))
    return _dataset(experiment, chosen, outer + parameters, requests, rows)


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
        [Problem("protocols", "no protocol has a frequency: name the field to sweep", kinds)],
        "there is nothing to sweep by default",
    )


def _check(experiment: Experiment, fields: Mapping[str, Sequence[Any]]) -> None:
    problems = []
    for path, values in fields.items():
        if isinstance(values, str) or not len(values):
            problems.append(Problem(path, "a sweep needs a list of values", values))
        elif "." in path:  # else a parameter of the mechanism: known once it is loaded
            problem = missing_field(experiment, path)
            problems += [problem] if problem is not None else []
    if problems:
        raise SpecError(problems, "the sweep is not valid")


def _measure(
    experiment: Experiment,
    grid: Sequence[Mapping[str, Any]],
    values: Mapping[str, float],
    outer: Sequence[str],
) -> tuple[list[Request], list[dict[str, Measurement]]]:
    """Measure all combinations of swept parameters, which are candidates of one run."""
    from stpspec.api import requests_of
    from stpspec.engine.bind import bind, numbers
    from stpspec.engine.search import for_reading
    from stpspec.engine.simulate import evaluate

    bound = bind(experiment)
    rows = [numbers(bound, {**values, **point}) for point in grid]
    columns = {n: np.array([row[n] for row in rows]) for n in rows[0]}
    swept = {p.split(".")[1] for p in outer if p.startswith("protocols.")}
    requests = [
        r for r in requests_of(experiment, all_metrics=True)
        if not swept or r.protocol in swept or "." not in r.name
    ]  # fmt: skip
    if not any(p.startswith("numerics.") for p in outer):  # else it is the numerics that are asked
        bound = for_reading(bound, [(r.metric, r.options) for r in requests])
    protocols = protocols_read(requests, experiment.protocols)
    return requests, evaluate(bound, columns, protocols, requests)


def _dataset(
    experiment: Experiment,
    fields: Mapping[str, Sequence[Any]],
    order: Sequence[str],
    requests: Sequence[Request],
    rows: Sequence[Mapping[str, Measurement]],
) -> Any:
    import xarray as xr

    short = [n.rpartition(".")[2] for n in order]
    dims = [s if short.count(s) == 1 else n for s, n in zip(short, order, strict=True)]
    shape = [len(fields[n]) for n in order]
    data: dict[str, Any] = {}
    for request in requests:
        column = [row[request.name] for row in rows if request.name in row]
        if len(column) < len(rows) or any(m.value.ndim for m in column):
            continue  # a vector, or a metric that only some of the combinations can give
        unit = next((m.unit for m in column if not m.reason), column[0].unit)
        attrs = {"units": unit, "long_name": f"{request.metric} of {request.protocol}"}
        numbers = np.array([float(m.value) for m in column]).reshape(shape)
        data[request.name] = (dims, numbers, attrs)
    reasons = ["; ".join(f"{n}: {m.reason}" for n, m in row.items() if m.reason) for row in rows]
    data["reason"] = (dims, np.array(reasons, dtype=object).reshape(shape))
    coords = {d: (d, _axis(fields[n]), {"long_name": n}) for d, n in zip(dims, order, strict=True)}
    return xr.Dataset(data, coords, {"experiment": experiment.name})


def _axis(values: Sequence[Any]) -> np.ndarray:
    array = np.array(list(values))
    is_numbers = array.dtype.kind in "if" and array.ndim == 1
    return array if is_numbers else np.array([str(v) for v in values])
