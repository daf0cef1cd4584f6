"""The verbs: simulate, measure, fit, check."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from stpspec.errors import Problem, unknown_name
from stpspec.folders import versions
from stpspec.log import kept
from stpspec.metrics.judge import requested
from stpspec.metrics.measure import Measurement, Request, everything, measure_candidates, to_dataset
from stpspec.results import FitResult
from stpspec.sources import read_sources, source_paths
from stpspec.spec.base import Spec
from stpspec.spec.experiment import Experiment, examine, needed
from stpspec.spec.salvage import unseen

log = logging.getLogger("stpspec")

_PATIENCE = 300  # s; compiling a folder of mechanisms takes a minute or two


def simulate(
    experiment: Experiment,
    values: Mapping[str, Any] | None = None,
    *,
    protocols: Sequence[str] | str | None = None,
) -> Any:
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
    from stpspec.engine.bind import bind
    from stpspec.engine.simulate import simulate as run

    needed(experiment)
    names = [protocols] if isinstance(protocols, str) else protocols
    for name in names or ():
        if name not in experiment.protocols:
            raise unknown_name("protocol", name, experiment.protocols)
    return run(bind(experiment), values, names)


def requests_of(experiment: Experiment, *, all_metrics: bool = False) -> list[Request]:
    """Return what is measured: the terms of the objective, or everything without one."""
    terms = requested(experiment.objective) if experiment.objective else []
    if terms and not all_metrics:
        return terms
    asked = {(t.metric, t.protocol) for t in terms if not t.options}
    rest = [r for r in everything(experiment.protocols) if (r.metric, r.protocol) not in asked]
    return [*terms, *rest]


def measure(experiment: Experiment, tree: Any, *, all_metrics: bool = False) -> Any:
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
    needed(experiment)
    wanted = requests_of(experiment, all_metrics=all_metrics)
    run = set(tree.children)
    return to_dataset(tree, [r for r in wanted if r.protocol in run])


def run(
    experiment: Experiment, values: Mapping[str, Any] | None = None
) -> tuple[Any, dict[Request, Measurement]]:
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
    from stpspec.engine.bind import bind
    from stpspec.engine.chance import warn_of_chance
    from stpspec.engine.simulate import simulate as run_in_neuron

    bound = bind(experiment)
    tree = run_in_neuron(bound, values)
    warn_of_chance(bound)
    requests = requests_of(experiment, all_metrics=True)
    measured = measure_candidates(tree, requests)[0]
    return tree, {r: measured[r.name] for r in requests}


def fit(
    experiment: Experiment,
    *,
    progress: Callable[[int, int | None, float], None] | None = None,
    executor: Executor | None = None,
) -> FitResult:
    """Fit the free parameters to the objective.

    Parameters
    ----------
    experiment : Experiment
    progress : callable, optional
        Called with the evaluations so far, the budget of evaluations and the best loss so far.
    executor : concurrent.futures.Executor, optional
        Where to simulate, instead of the ``workers`` of the experiment: processes of any library,
        on any machine. It can neither kill a batch at its time limit nor survive one that crashes
        its process, unless it does so by itself.

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
        If there is nothing to fit, every evaluation fails, or a mechanism draws random numbers.
    """
    needed(experiment)
    with kept() as told:
        result = _fit(experiment, progress, executor)
    return replace(result, log=tuple(told.lines))


def _fit(
    experiment: Experiment,
    progress: Callable[[int, int | None, float], None] | None,
    executor: Executor | None,
) -> FitResult:
    from stpspec.engine.bind import bind
    from stpspec.engine.chance import refuse_chance
    from stpspec.engine.pool import pool_for
    from stpspec.engine.search import for_search
    from stpspec.engine.spare import rigs_kept
    from stpspec.fitters.base import run
    from stpspec.fitters.confirm import confirm, sound
    from stpspec.fitters.history import to_history
    from stpspec.fitters.problem import Problem as FitProblem
    from stpspec.fitters.uncertainty import estimate
    from stpspec.portraits import Portraits
    from stpspec.studies import study_for

    started = time.monotonic()
    bound = bind(experiment)

    log.info("fit of %s with %s, seed %d; %s", experiment.name, experiment.fitter.kind,
             experiment.seed, ", ".join(f"{n} {v}" for n, v in versions().items()))  # fmt: skip
    refuse_chance(bound)

    portraits = Portraits(bound)

    def observe(problem: FitProblem) -> None:
        portraits.look(problem)
        if progress is not None:
            losses = [e.loss for e in problem.history if not e.failed]
            budget = problem.fitter.budget.evaluations
            progress(len(problem.history), budget, min(losses, default=float("nan")))

    search, sources = for_search(bound), read_sources(source_paths(bound))
    with (
        study_for(search.experiment, sources.sha256) or contextlib.nullcontext() as study,
        pool_for(search, executor) or contextlib.nullcontext() as pool,
        rigs_kept(),
    ):
        problem = FitProblem(search, pool=pool, study=study, observe=observe)
        outcome = run(problem)
        log.info("%s after %d evaluations: %s", outcome.status, len(problem.history),
                 outcome.message)  # fmt: skip
        best, here, told = sound(bound, problem)
        uncertainty = estimate(problem, best)
        portraits.finish(problem, best, here.traces)
    confirmed = confirm(bound, problem, best, here, uncertainty)
    measured = confirmed.measured
    notes = {n: list(m.notes) for n, m in measured.items() if m.notes}
    for name, text in confirmed.apart.items():
        notes.setdefault(name, []).append(text)
    first = problem.history[0]
    return FitResult(
        experiment=bound.experiment,
        parameters=confirmed.values,
        units={n: bound.units[n] for n in problem.names},
        errors=uncertainty.errors,
        undetermined=uncertainty.undetermined,
        at_bound=uncertainty.at_bound,
        loss=confirmed.loss,
        loss_start=first.loss,
        loss_search=best.loss,
        metrics={n: m.value if m.value.ndim else float(m.value) for n, m in measured.items()},
        metric_units={n: m.unit for n, m in measured.items()},
        history=to_history(problem),
        traces=confirmed.traces,
        status=outcome.status,
        message="; ".join(filter(None, (outcome.message, told))),
        seconds=time.monotonic() - started,
        notes=notes,
        versions=versions(),
        sources=sources.sha256,
        files=sources.texts,
    )


def check(data: Experiment | Mapping[str, Any]) -> list[Problem]:
    """Find every problem of an experiment, without simulating anything.

    The names, units and limits of the mechanism, sections and recorded variables are read from
    the loaded mechanism and the built cell, in a process of their own.

    Parameters
    ----------
    data : Experiment or mapping
        A mapping as read from YAML may have any number of problems.

    Returns
    -------
    list of Problem
        Empty if the experiment can be run.
    """
    raw = data.to_data() if isinstance(data, Experiment) else data
    _, problems, parts = examine(raw)
    return problems + unseen(check_parts([parts])[0], problems)


def check_parts(several: Sequence[Mapping[str, Any]]) -> list[list[Problem]]:
    """Ask NEURON about the valid parts of several experiments, all in one process of its own.

    Parameters
    ----------
    several : sequence of mapping
        As :func:`stpspec.spec.experiment.examine` returns them.

    Returns
    -------
    list of list of Problem
        For each experiment, those that only the loaded mechanism and the built cell can tell.
    """
    found: list[list[Problem]] = [[] for _ in several]
    asked = [index for index, parts in enumerate(several) if "model" in parts]
    wanted = [{name: _dump(p) for name, p in several[index].items()} for index in asked]
    for index, problems in zip(asked, _check_in_subprocess(wanted) if asked else [], strict=True):
        found[index] = problems
    return found


def _dump(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _dump(value) for name, value in part.items()}
    return part.model_dump(mode="json") if isinstance(part, Spec) else part


def _check_in_subprocess(several: Sequence[Mapping[str, Any]]) -> list[list[Problem]]:
    from stpspec.resources import extra_folders

    job = {"parts": several, "folders": [str(f) for f in extra_folders()], "path": sys.path}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "stpspec.engine.inspect"],
            input=json.dumps(job), capture_output=True, text=True, timeout=_PATIENCE,
        )  # fmt: skip
        ended = f"ended with code {done.returncode}"
        said = " / ".join(done.stderr.strip().splitlines()[-3:]) or "no message"
    except subprocess.TimeoutExpired:
        done, ended, said = None, f"was stopped after {_PATIENCE} s", "does a template never end?"
    if done is None or done.returncode != 0 or not done.stdout.strip():
        if len(several) > 1:  # find whose it is; the others are examined all the same
            return [_check_in_subprocess([parts])[0] for parts in several]
        rule = f"the process that loads the mechanisms and builds the cell {ended}: {said}"
        return [[Problem("model.cell", rule)]]  # or the mechanism: that is not known
    told = json.loads(done.stdout.splitlines()[-1])
    return [[Problem(**p) for p in problems] for problems in told]
