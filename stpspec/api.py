"""The verbs: simulate, measure, fit, check."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stpspec.errors import SimulationError, SpecProblem, StudyError, unknown_name
from stpspec.formatting import unit_text
from stpspec.formatting.layout import broken
from stpspec.formatting.progress import progress_bar
from stpspec.log import recorded
from stpspec.specs.diagnosis import examine
from stpspec.specs.experiment import Experiment, needed
from stpspec.specs.plausible import implausible, warn_of_slips
from stpspec.specs.protocol import runs_of
from stpspec.specs.recovery import unseen

if TYPE_CHECKING:  # a check needs none of them
    import numpy as np
    import xarray as xr

    from stpspec.engine.binding.bound import Bound
    from stpspec.metrics.measure import Measurement
    from stpspec.metrics.requests import Request
    from stpspec.results.fit_result import FitResult
    from stpspec.view.pictures import ShownFigure

log = logging.getLogger("stpspec")

Value = float | str  # of a parameter, a string with its unit


def simulate(
    experiment: Experiment,
    values: Mapping[str, Value | Sequence[Value] | np.ndarray] | None = None,
    *,
    protocols: Sequence[str] | str | None = None,
) -> xr.DataTree:
    """Simulate candidates in NEURON.

    Parameters
    ----------
    experiment : Experiment
    values : mapping of str to float or str, or a sequence of these, optional
        Any parameters of the mechanism (or ``weight``), in its units or as strings with a unit;
        scalars are repeated.
        Free parameters that are not given take their start, or the middle of their bounds.
    protocols : str or sequence of str, optional
        Names of the protocols to run; all by default.

    Returns
    -------
    xarray.DataTree
        Parameter values and ``failure`` over ``candidate`` at the root, one child a protocol
        with signals of shape (candidate, trial, time).

    Raises
    ------
    SpecError
        If the experiment or the values are not valid.
    UnknownNameError
        If there is no such protocol.
    """
    from stpspec.engine.workers.place import bind
    from stpspec.engine.workers.place import simulate as run

    experiment = needed(experiment)
    warn_of_slips(experiment)
    names = [protocols] if isinstance(protocols, str) else protocols
    known = [*experiment.protocols, *runs_of(experiment.protocols)]
    for name in names or ():
        if name not in known:
            raise unknown_name("protocol", name, dict.fromkeys(known))
    return run(bind(experiment), values, names)


def measure(experiment: Experiment, tree: xr.DataTree, *, all_metrics: bool = False) -> xr.Dataset:
    """Measure what :func:`simulate` returned.

    Parameters
    ----------
    experiment : Experiment
    tree : xarray.DataTree
    all_metrics : bool
        Beside the terms of the objective, every scalar metric the protocols can give, as
        ``protocol.metric`` (without an objective these are measured anyway).

    Returns
    -------
    xarray.Dataset
        Over ``candidate``, one variable a metric, and ``reason``: why a candidate lacks a value.
    """
    from stpspec.dataset import protocol_of
    from stpspec.metrics.measure import to_dataset
    from stpspec.metrics.requests import requests_of
    from stpspec.results.provenance import with_targets

    experiment = with_targets(needed(experiment))  # a source may give options of its metric
    wanted = requests_of(experiment, all_metrics=all_metrics)
    run = set(tree.children) | {of for c in tree.children.values() if (of := protocol_of(c))}
    return to_dataset(tree, [r for r in wanted if r.protocol in run])


def run(
    experiment: Experiment, values: Mapping[str, object] | None = None
) -> tuple[xr.DataTree, dict[Request, Measurement]]:
    """Simulate one candidate and measure everything, with the arithmetic of each metric.

    Parameters
    ----------
    experiment : Experiment
    values : mapping of str to float or str, optional
        Parameter values, as numbers or strings with a unit.

    Returns
    -------
    tree : xarray.DataTree
    measured : dict of Request to Measurement
    """
    from stpspec.engine.stochastic import warn_of_chance
    from stpspec.engine.workers.place import bind
    from stpspec.engine.workers.place import simulate as run_in_neuron
    from stpspec.metrics.measure import measure_candidates
    from stpspec.metrics.requests import requests_of

    warn_of_slips(experiment)
    bound = bind(experiment)
    tree = run_in_neuron(bound, values)
    warn_of_chance(bound)
    requests = requests_of(bound.experiment, all_metrics=True)  # a source may give options
    measured = measure_candidates(tree, requests)[0]
    return tree, {r: measured[r.name] for r in requests}


@dataclass(frozen=True)
class _Shown:
    """What a figure shows of one simulation beside its traces."""

    experiment: Experiment
    metrics: Mapping[str, np.ndarray]
    metric_units: Mapping[str, str]


def plot_once(experiment: Experiment, values: Mapping[str, Value] | None = None) -> ShownFigure:
    """Simulate one candidate and plot it; see :meth:`stpspec.Experiment.plot`."""
    from stpspec.metrics.measure import measure_candidates
    from stpspec.metrics.requests import requests_of
    from stpspec.results.provenance import with_targets
    from stpspec.view.trial import plot_trial

    experiment = with_targets(needed(experiment))
    tree = simulate(experiment, values)
    if failed := str(tree.dataset["failure"].values[0]):
        raise SimulationError(f"there is nothing to plot, the simulation failed: {failed}")
    measured: dict[str, Measurement] = {}
    if experiment.objective is not None:
        measured = measure_candidates(tree, requests_of(experiment, all_metrics=False))[0]
    shown = _Shown(
        experiment,
        {n: m.value for n, m in measured.items()},
        {n: m.unit for n, m in measured.items()},
    )
    at = [f"{n} = {float(v.values[0]):.4g} {unit_text(v.attrs.get('units', '1'))}".rstrip()
          for n, v in tree.to_dataset().data_vars.items() if n != "failure"]  # fmt: skip
    return plot_trial(tree, shown, "\n".join([experiment.name, *broken(", ".join(at), 90)]))


def fit(
    experiment: Experiment,
    *,
    progress: Callable[[int, int | None, float], None] | bool | None = None,
    executor: Executor | None = None,
) -> FitResult:
    """Fit the free parameters to the objective.

    Parameters
    ----------
    experiment : Experiment
    progress : callable or bool, optional
        Called with the evaluations so far, the budget of evaluations and the best loss so far;
        True shows a bar, in a notebook as in a terminal.
    executor : concurrent.futures.Executor, optional
        Where to simulate, instead of the ``workers`` of the experiment: processes of any library,
        on any machine, but no threads of this process. It can neither kill a batch at its time
        limit nor survive one that crashes its process, unless it does so by itself.

    Returns
    -------
    FitResult
        At the best point seen, simulated once more with all protocols on the reference numerics
        (fixed step), where it takes a last step if that lowers the loss.

    Raises
    ------
    SpecError
        If the experiment is not valid.
    FitError
        If there is nothing to fit, every evaluation fails, or a mechanism draws random numbers
        and nothing says in how many ``trials``.
    StudyError
        If the study cannot be opened, or was locked or gone for a minute in mid-fit; its ``result``
        is then that of the best point so far.
    """
    from stpspec.fitters.fit import fit as run_fit

    experiment = needed(experiment)
    bar = progress_bar(experiment.name, "simulation", progress, lambda best: f"loss {best:.4g}")
    with recorded() as told, bar as call:
        warn_of_slips(experiment)
        try:
            result = run_fit(experiment, call, executor)
        except StudyError as error:
            if error.result is not None:
                error.result = replace(error.result, log=tuple(told.lines))
            raise
    return replace(result, log=tuple(told.lines))


def check(data: Experiment | Mapping[str, object]) -> list[SpecProblem]:
    """Find every problem of an experiment, without simulating anything.

    The names, units and limits of the mechanism, sections and recorded variables are read from
    the loaded mechanism and the built cell, in a process of their own.

    Parameters
    ----------
    data : Experiment or mapping
        A mapping as read from YAML may have any number of problems.

    Returns
    -------
    list of SpecProblem
        Empty if the experiment can be run.
    """
    return _checked(data)[0]


def examined(
    data: Experiment | Mapping[str, object],
) -> tuple[list[SpecProblem], list[SpecProblem]]:
    """Find every problem of an experiment, and what is possible but hardly meant.

    Parameters
    ----------
    data : Experiment or mapping

    Returns
    -------
    problems, doubts : list of SpecProblem
        Doubts are looked for where there is no problem.
    """
    from stpspec.engine.stochastic import doubts_of_chance

    problems, experiment, bound = _checked(data)
    if problems or experiment is None or bound is None:
        return problems, []
    return [], implausible(experiment) + doubts_of_chance(bound)


def _checked(
    data: Experiment | Mapping[str, object],
) -> tuple[list[SpecProblem], Experiment | None, Bound | None]:
    from stpspec.engine.binding.check import check_parts

    raw = data.to_data() if isinstance(data, Experiment) else data
    experiment, problems, parts = examine(raw)
    found, bound = check_parts([parts], [experiment])
    return problems + unseen(found[0], problems), experiment, bound[0]
