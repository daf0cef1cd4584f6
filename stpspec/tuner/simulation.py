"""Simulations of the tuner, in the engine's process: a question in, answers out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stpspec.engine.binding.bind import bind, bind_again, can_bind_again
from stpspec.engine.binding.bound import Bound
from stpspec.engine.mechanisms import library, nmodl
from stpspec.engine.simulate import record
from stpspec.errors import Failure, SpecError, StpspecError
from stpspec.metrics.judge import Judge
from stpspec.metrics.measure import Recorded, measure_one
from stpspec.metrics.requests import protocols_read, requests_of
from stpspec.specs.experiment import Experiment
from stpspec.specs.places import is_place
from stpspec.tuner.drawing import drawn
from stpspec.tuner.messages import (
    Answer,
    Ask,
    AskFacts,
    AskFit,
    AskMetrics,
    AskPoint,
    AskTargets,
    AskTraces,
    Better,
    Facts,
    Fitted,
    Measured,
    Metric,
    Point,
    Refused,
    Targets,
    Traces,
)
from stpspec.tuner.targets import judged


@dataclass(frozen=True)
class _Simulated:
    """One protocol of an experiment as it was simulated: nothing recorded if it failed."""

    data: Mapping[str, Any]
    protocol: str
    recorded: Recorded | None
    failure: str
    seconds: float


# What was shown last, so that its metrics and targets need no second simulation.
_last: list[_Simulated] = []

# What was bound last, with and without a protocol that is looked at, and when its files were.
_bound: list[tuple[Experiment, Bound, float]] = []
_GESTURE = 1.0  # s

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
        bound = _bind(experiment)
        begun()
        if isinstance(question, AskFacts):
            return _facts(bound)
        if isinstance(question, AskTraces):
            return _traces(bound, question)
        if isinstance(question, AskMetrics):
            return _measured(bound, question)
        if isinstance(question, AskPoint):
            return _point(bound, question)
        assert isinstance(question, AskTargets)
        return _targets(bound, question)
    except SpecError as error:
        told = tuple((p.path, _without_path(str(p), p.path)) for p in error.problems)
        return Refused(str(error), told)
    except StpspecError as error:
        return Refused(str(error))


def _bind(experiment: Experiment) -> Bound:
    """Bind an experiment; quickly within a gesture, after which files are looked at again."""
    now = time.monotonic()
    for k, (previous, bound, when) in enumerate(_bound):
        if now - when < _GESTURE and can_bind_again(experiment, previous):
            _bound[k] = (experiment, bind_again(bound, experiment), when)
            return _bound[k][1]
    _bound.insert(0, (experiment, bind(experiment), now))
    del _bound[2:]
    return _bound[0][1]


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


def _simulated(bound: Bound, question: AskTraces | AskMetrics) -> _Simulated:
    """Return what a protocol gives; it is simulated unless it was just shown."""
    last = _known(question, question.protocol) if isinstance(question, AskMetrics) else None
    if last is None:
        started = time.perf_counter()
        children, failure = record(bound, [question.protocol])
        seconds = time.perf_counter() - started
        recorded = None if failure else children[question.protocol]
        last = _Simulated(question.data, question.protocol, recorded, failure, seconds)
        _last[:] = [last]
    return last


def _traces(bound: Bound, question: AskTraces) -> Traces:
    shown = _simulated(bound, question)
    if shown.recorded is None:
        return Traces(question.protocol, (), None, (), shown.failure)
    return drawn(bound.experiment, question.protocol, shown.recorded, question.pixels)


def _measured(bound: Bound, question: AskMetrics) -> Measured:
    shown, name = _simulated(bound, question), question.protocol
    children = {} if shown.recorded is None else {name: shown.recorded}
    return Measured(name, _all_metrics(bound, name, children, shown.failure), shown.seconds)


def _all_metrics(
    bound: Bound, protocol: str, children: Mapping[str, Recorded], failure: str
) -> tuple[Metric, ...]:
    """Return every metric of a protocol, as it is measured in what was recorded."""
    requests = [r for r in requests_of(bound.experiment, all_metrics=True)
                if r.protocol == protocol and not r.options]  # fmt: skip
    measured = measure_one(children, requests, _failure(failure), errors=True)
    return tuple(Metric.of(r, measured[r.name]) for r in requests)


def _failure(reason: str) -> Failure | None:
    return Failure("simulation", reason) if reason else None


def _known(question: Ask, protocol: str) -> _Simulated | None:
    """Return what the last simulation gave, if it was of this experiment and protocol."""
    for last in _last:
        if last.protocol == protocol and last.data == question.data:
            return last
    return None


def _targets(bound: Bound, question: AskTargets) -> Targets:
    objective = bound.experiment.objective
    if objective is None:
        return Targets((), float("nan"), "the experiment has no objective")
    judge = Judge(objective)
    names = protocols_read(judge.requests, bound.experiment.protocols)
    shown = {n: last for n in names if (last := _known(question, n)) is not None}
    failure = next((last.failure for last in shown.values()), "")
    children = {n: last.recorded for n, last in shown.items() if last.recorded is not None}
    missing = [name for name in names if name not in shown]
    if missing and not failure:
        recorded, failure = record(bound, missing)
        children |= recorded
    children = {n: children[n] for n in names if n in children}  # the order of several trains
    return judged(bound.experiment, judge, children, _failure(failure))


def _point(bound: Bound, question: AskPoint) -> Point:
    """Measure one frequency as ``stpspec sweep`` does."""
    children, failure = record(bound, [question.protocol])
    metrics = _all_metrics(bound, question.protocol, children, failure)
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
