"""History of a fit: all evaluations as a Dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stpspec.fitters.problem import Problem

if TYPE_CHECKING:
    import xarray as xr


def to_history(problem: Problem) -> xr.Dataset:
    """Return what was evaluated.

    Returns
    -------
    xarray.Dataset
        Over ``evaluation`` (from 1): ``parameter_NAME``, ``metric_NAME`` (a vector term has a
        dimension ``NAME_element`` beside; NaN where the evaluation failed), ``loss``, ``seconds``
        since the start, ``start`` (which of the starting points was followed) and ``reason`` (why
        it failed; empty if it did not).
    """
    import xarray as xr

    history = problem.history
    data: dict[str, tuple[object, ...]] = {}
    for name in problem.names:
        attrs = {"units": problem.bound.units[name], "long_name": name, "role": "parameter"}
        data[f"parameter_{name}"] = ("evaluation", [e.values[name] for e in history], attrs)
    for name, term in problem.judge.objective.terms.items():
        dims, values = ["evaluation"], _achieved(problem, name, term.size)
        if isinstance(term.target, list):
            dims.append(f"{name}_element")
        else:
            values = values[:, 0]
        data[f"metric_{name}"] = (dims, values, {"role": "metric"})
    data["loss"] = ("evaluation", [e.loss for e in history], {"long_name": "loss"})
    data["seconds"] = ("evaluation", [e.seconds for e in history], {"units": "s"})
    data["start"] = ("evaluation", [e.start for e in history])
    data["reason"] = ("evaluation", np.array([e.reason for e in history], dtype=object))
    return xr.Dataset(data, {"evaluation": np.arange(1, len(history) + 1)})


def _achieved(problem: Problem, name: str, size: int) -> np.ndarray:
    """Return what was fitted to the target values, shape (evaluation, size)."""
    found = np.full((len(problem.history), size), np.nan)
    for row, evaluation in zip(found, problem.history, strict=True):
        if evaluation.metrics:
            row[:] = problem.judge.achieved(name, evaluation.metrics[name])
    return found
