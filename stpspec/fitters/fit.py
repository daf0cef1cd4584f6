"""The course of a fit: prepare, search, confirm on the reference numerics, report."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import TypeVar

import numpy as np

from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.numerics import for_search
from stpspec.engine.binding.source_files import sources_of_bound
from stpspec.engine.rigs.reuse import rigs_kept
from stpspec.engine.stochastic import refuse_chance
from stpspec.engine.workers.place import bind, pool_for
from stpspec.fitters import interrupts
from stpspec.fitters.confirm import Confirmed, confirm, sound
from stpspec.fitters.data_noise import too_much_scatter
from stpspec.fitters.effects import look_around
from stpspec.fitters.evaluation import Evaluation
from stpspec.fitters.history import to_history
from stpspec.fitters.outcome import Outcome, idle_settings, named_truly, search
from stpspec.fitters.problem import Problem
from stpspec.fitters.trace_notes import trace_notes
from stpspec.fitters.trial_figures import TrialFigures
from stpspec.fitters.trial_notes import notes_of_trials
from stpspec.fitters.uncertainty import Uncertainty, estimate, scale_label
from stpspec.metrics.measure import Measurement
from stpspec.metrics.scale import free_scales, unit_of_scale
from stpspec.results.fit_result import FitResult
from stpspec.results.provenance import versions
from stpspec.specs.experiment import Experiment
from stpspec.specs.result_files import Sources
from stpspec.studies.study import study_for
from stpspec.view.contract import ScaleSummary

log = logging.getLogger("stpspec")

T = TypeVar("T")
Progress = Callable[[int, int | None, float], None]


def fit(
    experiment: Experiment,
    progress: Progress | None,
    executor: Executor | None,
    watch: Callable[[Problem], None] | None = None,
) -> FitResult:
    """Fit an experiment; see :func:`stpspec.fit`.

    ``watch`` is called with the problem after each batch, for those who show its course.
    """
    started = time.monotonic()
    bound = bind(experiment)
    log.info("fit of %s with %s, seed %d; %s", experiment.name, experiment.fitter.kind,
             experiment.seed, ", ".join(f"{n} {v}" for n, v in versions().items()))  # fmt: skip
    refuse_chance(bound)
    figures = TrialFigures(bound)

    def observe(problem: Problem) -> None:
        figures.look(problem)
        if progress is not None:
            losses = [e.loss for e in problem.history if not e.failed]
            budget = problem.fitter.budget.evaluations
            progress(len(problem.history), budget, min(losses, default=float("nan")))
        if watch is not None:
            watch(problem)

    searched, sources = for_search(bound), sources_of_bound(bound)
    with (
        study_for(searched.experiment, sources) or contextlib.nullcontext() as study,
        pool_for(searched, executor) as pool,
        rigs_kept(),
    ):
        problem = Problem(searched, pool=pool, study=study, observe=observe)
        begun_before = study is not None and study.records()  # it has been told then
        if not problem.fitter.takes_differences and not begun_before:
            look_around(problem)
        outcome = search(problem)
        interrupts.hold()  # what is found is first confirmed and saved
        idle = idle_settings(problem)
        log.info("%s after %d evaluations: %s", outcome.status, len(problem.history),
                 outcome.message)  # fmt: skip
        best, here, passed_over = sound(bound, problem)
        by_derivatives = bool(problem.stencil) and problem.stencil[0] is best
        is_optimum = outcome.status == "converged" and by_derivatives
        uncertainty = estimate(problem, best, here.measured, is_optimum=is_optimum)
        if outcome.error is None:
            figures.finish(problem, best, here.traces)
    confirmed = confirm(bound, problem, best, here, uncertainty)
    without = f"without effect on this fit: {', '.join(idle)}" if idle else ""
    parts = (outcome.message, passed_over, *problem.remarks, without)
    message = "; ".join(filter(None, parts))
    judge = problem.judge
    compared = judge.compared({n: m.value for n, m in confirmed.measured.items()})
    misses = [compared[n] for n in judge.counted]
    n_free = problem.n + len(uncertainty.scales)
    outcome = named_truly(replace(outcome, message=message), misses, n_free)
    seconds = time.monotonic() - started
    result = _report(bound, problem, outcome, best, confirmed, uncertainty, sources, seconds)
    if outcome.error is not None:
        outcome.error.result = result
        raise outcome.error
    return result


def _report(
    bound: Bound,
    problem: Problem,
    outcome: Outcome,
    best: Evaluation,
    confirmed: Confirmed,
    uncertainty: Uncertainty,
    sources: Sources,
    seconds: float,
) -> FitResult:
    measured = confirmed.measured
    notes = {n: list(m.notes) for n, m in measured.items() if m.notes}
    for name, text in _trial_notes(problem, measured).items():
        notes.setdefault(name, []).append(text)
    for name, text in confirmed.apart.items():
        notes.setdefault(name, []).append(text)
    n_free = len(uncertainty.free) + len(uncertainty.scales)
    scatter = too_much_scatter(problem.judge, measured, n_free)
    for name in problem.judge.counted if scatter else ():
        notes.setdefault(name, []).append(scatter)
    for name, text in trace_notes(problem.judge, measured).items():
        notes.setdefault(name, []).append(text)
    return FitResult(
        experiment=bound.experiment,
        parameters=confirmed.values,
        units={n: bound.units[n] for n in problem.names},
        errors=_of_names(uncertainty.errors, problem.names),
        degrees_of_freedom=_of_names(uncertainty.degrees, problem.names),
        undetermined=_of_names(uncertainty.undetermined, problem.names),
        scales=_scales(problem, measured, uncertainty),
        at_bound=uncertainty.at_bound,
        loss=confirmed.loss,
        loss_start=problem.history[0].loss,
        loss_search=best.loss,
        metrics={n: m.value if np.ndim(m.value) else float(m.value) for n, m in measured.items()},
        metric_units={n: m.unit for n, m in measured.items()},
        history=to_history(problem),
        traces=confirmed.traces,
        status=outcome.status,
        message=outcome.message,
        seconds=seconds,
        notes=notes,
        versions=versions(),
        sources=sources.sha256,
        files=sources.texts,
        places=sources.places,
    )


def _trial_notes(problem: Problem, measured: Mapping[str, Measurement]) -> dict[str, str]:
    by_differences = problem.fitter.takes_differences
    return notes_of_trials(problem.judge, measured, by_differences=by_differences)


def _of_names(found: Mapping[str, T], names: Sequence[str]) -> dict[str, T]:
    return {name: found[name] for name in names if name in found}


def _scales(
    problem: Problem, measured: Mapping[str, Measurement], uncertainty: Uncertainty
) -> dict[str, ScaleSummary]:
    """Return what is known of each free scale at the best point."""
    judge, found = problem.judge, {}
    values = judge.scales({n: m.value for n, m in measured.items()})
    for name, terms in free_scales(judge.objective).items():
        own, label = judge.objective.terms[terms[0]].unit or "1", scale_label(name)
        scale: ScaleSummary = {
            "value": values[name],
            "unit": unit_of_scale(own, measured[terms[0]].unit),
        }
        if label in uncertainty.errors:
            scale["standard_error"] = uncertainty.errors[label]
        if label in uncertainty.degrees:
            scale["degrees_of_freedom"] = uncertainty.degrees[label]
        if label in uncertainty.undetermined:
            scale["undetermined"] = uncertainty.undetermined[label]
        found[name] = scale
    return found
