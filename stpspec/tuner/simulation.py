"""Simulations of the tuner, in the engine's process: a question in, answers out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from stpspec.dataset import SIGNALS, arrival_times
from stpspec.engine.binding.bind import bind
from stpspec.engine.binding.bound import Bound
from stpspec.engine.mechanisms import library, nmodl
from stpspec.engine.simulate import simulate
from stpspec.errors import Failure, MetricError, SpecError, StpspecError
from stpspec.metrics.coupling import mean_voltage, window_length
from stpspec.metrics.judge import Judge
from stpspec.metrics.measure import Measurement, Recorded, measure_candidates, measure_one
from stpspec.metrics.requests import Request, protocols_read, requests_of
from stpspec.metrics.response import Response
from stpspec.specs.experiment import Experiment
from stpspec.specs.objective import Values
from stpspec.specs.places import is_place
from stpspec.tuner.decimation import shown_samples
from stpspec.tuner.messages import (
    Answer,
    Ask,
    AskFacts,
    AskFit,
    AskPoint,
    AskTargets,
    AskTraces,
    Better,
    Facts,
    Fitted,
    Level,
    Metric,
    Numbers,
    Point,
    Pulses,
    Refused,
    Targets,
    Trace,
    Traces,
)
from stpspec.tuner.recorded import recorded_data

# What was shown last, so that its targets need no second simulation.
_last: list[tuple[Mapping[str, Any], str, Recorded]] = []

Tell = Callable[[Answer], None]


def answer(question: Ask, tell: Tell, begun: Callable[[], None]) -> Answer:
    """Do what is asked; return the last answer.

    Parameters
    ----------
    question : Ask
    tell : callable
        Takes the answers before the last.
    begun : callable
        Called once mechanisms are compiled and loaded: what comes then should not take long.
    """
    try:
        experiment = Experiment.from_data(question.data)
        if isinstance(question, AskFit):
            begun()
            return _fit(experiment, tell)
        bound = bind(experiment)
        begun()
        if isinstance(question, AskFacts):
            return _facts(bound)
        if isinstance(question, AskTraces):
            return _traces(bound, question)
        if isinstance(question, AskPoint):
            return _point(bound, question)
        assert isinstance(question, AskTargets)
        return _targets(bound, question)
    except SpecError as error:
        told = tuple((p.path, _without_path(str(p), p.path)) for p in error.problems)
        return Refused(str(error), told)
    except StpspecError as error:
        return Refused(str(error))


def _without_path(text: str, path: str) -> str:
    return text.removeprefix(f"{path}: ")


def _facts(bound: Bound) -> Facts:
    mechanism = bound.mechanism
    path = library.sources(bound.experiment.model.mod).get(mechanism.name)
    limits = nmodl.read(path).limits if path is not None else {}
    units = {n: mechanism.variable_units[n] for n in mechanism.recordable}
    free = bound.experiment.parameters  # a large cell has thousands of places that may be
    settable = {n: unit for n, unit in bound.units.items() if not is_place(n) or n in free}
    return Facts(settable, dict(mechanism.defaults), dict(limits), units)


def _traces(bound: Bound, question: AskTraces) -> Traces:
    started, name = time.perf_counter(), question.protocol
    tree = simulate(bound, None, [name])
    seconds = time.perf_counter() - started
    failure = str(tree.dataset["failure"].values[0])
    requests = [r for r in requests_of(bound.experiment, all_metrics=True)
                if r.protocol == name and not r.options]  # fmt: skip
    measured = measure_candidates(tree, requests)[0]
    metrics = tuple(_metric(r, measured[r.name]) for r in requests)
    if failure:
        return Traces(name, (), None, (), metrics, failure, seconds)
    recorded = Recorded.of(tree[name].to_dataset())
    _last[:] = [(question.data, name, recorded)]
    t, signals = recorded.at(0, slice(None))
    response = Response(t, signals, recorded.units, recorded.stimulus)
    onset = recorded.stimulus["onset"]
    first = _first_shown(t, onset, step=recorded.stimulus["step"] is not None)
    traces = tuple(
        _trace(signal, recorded.units[signal], t[first:] - onset, y[first:], question.pixels)
        for signal, y in signals.items()
    )
    data = recorded_data(bound.experiment, name, recorded, question.pixels)
    return Traces(name, traces, _pulses(response, onset), _levels(response, onset), metrics, "",
                  seconds, data)  # fmt: skip


def _first_shown(t: np.ndarray, onset: float, *, step: bool) -> int:
    """Return the index of the first sample that is drawn: a little before the stimulus."""
    before = 100.0 if step else max(5.0, 0.05 * float(t[-1] - onset))
    return int(np.searchsorted(t, onset - before - 1e-6))


def _trace(signal: str, unit: str, t: np.ndarray, y: np.ndarray, pixels: int) -> Trace:
    chosen = shown_samples(y, t, pixels)
    label = SIGNALS[signal][1].capitalize() if signal in SIGNALS else signal
    return Trace(signal, label, unit, t[chosen], y[chosen])


def _pulses(response: Response, onset: float) -> Pulses | None:
    """Return the pulses of the default signal; None where there are none or no baseline."""
    n = response.arrivals.size
    if not n or response.signal_name not in response.signals:
        return None
    peak, base, top, amplitude = (np.full(n, np.nan) for _ in range(4))
    for k in range(n):
        try:
            when, height = response.peak(k)
            peak[k], amplitude[k] = when - onset, height
            base[k] = response.baseline_at(k, when)
            top[k] = base[k] + (response.sign or 1) * height
        except MetricError:  # its reason stands with the metrics
            continue
    arrivals = arrival_times(response.spikes, response.stimulus["delay"]) - onset
    return Pulses(response.signal_name, arrivals, peak, base, top, amplitude)


def _levels(response: Response, onset: float) -> tuple[Level, ...]:
    """Return the mean voltages that the metrics of a current step compare."""
    step = response.stimulus.get("step")
    if step is None:
        return ()
    ends = (step["start"], step["stop"])
    try:
        length = window_length(response)
        return tuple(
            Level(f"somatic_voltage_{cell}", stop - length - onset, stop - onset,
                  mean_voltage(response, cell, stop - length, stop))
            for cell in (1, 2) for stop in ends
        )  # fmt: skip
    except MetricError:
        return ()


def _metric(request: Request, measurement: Measurement) -> Metric:
    value = measurement.value
    plain = float(value) if value.ndim == 0 else tuple(value.ravel().tolist())
    return Metric(
        request.name, request.metric, request.protocol, measurement.unit, plain,
        measurement.reason, tuple(measurement.steps), tuple(measurement.notes),
    )  # fmt: skip


def _known(question: Ask, protocol: str) -> Recorded | None:
    """Return what the last simulation gave, if it was of this experiment and protocol."""
    for data, name, recorded in _last:
        if name == protocol and data == question.data:
            return recorded
    return None


def _targets(bound: Bound, question: AskTargets) -> Targets:
    objective = bound.experiment.objective
    if objective is None:
        return Targets((), float("nan"), "the experiment has no objective")
    judge = Judge(objective)
    names = protocols_read(judge.requests, bound.experiment.protocols)
    missing = [name for name in names if _known(question, name) is None]
    if missing:
        tree = simulate(bound, None, missing)
        failure = str(tree.dataset["failure"].values[0])
        recorded = {n: Recorded.of(tree[n].to_dataset()) for n in missing}
    else:
        failure, recorded = "", {}
    children = {n: _known(question, n) or recorded[n] for n in names}
    failed = Failure("simulation", failure) if failure else None
    measured = measure_one(children, judge.requests, failed)
    try:
        scales = judge.scales({n: m.value for n, m in measured.items()})
    except MetricError:  # told with the loss
        scales = {}
    for name, m in measured.items():  # shown as they compare with the targets
        m.value = m.value * judge.scale_of(name, scales)
    metrics = tuple(_metric(r, measured[r.name]) for r in judge.requests)
    asked = {
        n: (_numbers(t.target), None if t.sd is None else _numbers(t.sd))
        for n, t in objective.terms.items()
    }
    try:
        return Targets(metrics, judge(measured)[0], "", asked)
    except MetricError as error:
        return Targets(metrics, float("nan"), str(error), asked)


def _numbers(value: Values) -> Numbers:
    """Return the target or the sd of a bound term, which is in the unit of its metric."""
    if not isinstance(value, list):
        return float(value)
    return tuple(math.nan if v is None else float(v) for v in value)


def _point(bound: Bound, question: AskPoint) -> Point:
    """Measure one frequency as ``stpspec sweep`` does."""
    requests = [r for r in requests_of(bound.experiment, all_metrics=True)
                if r.protocol == question.protocol and not r.options]  # fmt: skip
    tree = simulate(bound, None, [question.protocol])
    measured = measure_candidates(tree, requests)[0]
    metrics = tuple(_metric(r, measured[r.name]) for r in requests)
    return Point(question.protocol, question.frequency, metrics)


def _fit(experiment: Experiment, tell: Tell) -> Fitted:
    from stpspec.fitters.fit import fit
    from stpspec.fitters.problem import Problem

    def watch(problem: Problem) -> None:
        good = [e for e in problem.history if not e.failed]
        best = min(good, key=lambda e: e.loss, default=None)
        if best is not None:
            budget = problem.fitter.budget.evaluations
            tell(Better(len(problem.history), budget, best.loss, dict(best.values)))

    result = fit(experiment, None, None, watch=watch)
    return Fitted(dict(result.parameters), result.loss, result.status, result.message)
