"""Targets as the page shows them: what is achieved of each, and marks for the traces."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from stpspec.errors import Failure, MetricError
from stpspec.metrics.judge import Judge
from stpspec.metrics.measure import Recorded, measure_one
from stpspec.metrics.miss import Miss
from stpspec.metrics.response import Response
from stpspec.specs.experiment import Experiment
from stpspec.specs.protocol import names_of_runs
from stpspec.tuner.messages import Metric, Targets
from stpspec.view.contract import target_unit, terms_of

_RELATIVE = {"normalizer"}  # an option that divides amplitudes by one number


def judged(
    experiment: Experiment,
    judge: Judge,
    children: Mapping[str, Recorded],
    failure: Failure | None,
) -> Targets:
    """Measure the terms of an objective, and compare them with their targets.

    Parameters
    ----------
    experiment : Experiment
        Bound: its targets are numbers.
    judge : Judge
        Of its objective.
    children : mapping of str to Recorded
        What each protocol that is read has recorded, in their order.
    failure : Failure or None
        Why the simulation failed, if it did.
    """
    measured = measure_one(children, judge.requests, failure)
    values = {n: m.value for n, m in measured.items()}
    loss, reason, scales = math.nan, "", dict[str, float]()
    try:
        loss = judge(measured)[0]
    except MetricError as error:
        reason = str(error)
    with contextlib.suppress(MetricError):  # told with the loss
        scales = judge.scales(values)
    metrics, misses = [], {}
    for request in judge.requests:
        name, m = request.name, measured[request.name]
        term = judge.objective.terms[name]
        m.value, m.unit = m.value * judge.scale_of(name, scales), target_unit(term, m.unit)
        metrics.append(Metric.of(request, m))
        if m.failure is not None:
            continue
        try:
            if term.scale and term.scale not in scales:
                raise MetricError(f"the scale {term.scale!r} is not known: a term has no value")
            misses[name] = judge.miss(name, values[name], scales)
        except MetricError as error:
            metrics[-1] = replace(metrics[-1], reason=str(error))
    marks = _amplitudes(experiment, judge, children, misses) if failure is None else {}
    return Targets(tuple(metrics), loss, reason, misses, marks)


def _amplitudes(
    experiment: Experiment,
    judge: Judge,
    children: Mapping[str, Recorded],
    misses: Mapping[str, Miss],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return targets of amplitudes and their sd by run, in the unit of its trace.

    Targets that are relative to a normalizer or a free scale are drawn as multiples of what the
    model has there.
    """
    targets = {}
    for name, term in terms_of(experiment).items():
        if term.metric != "amplitudes" or set(term.options) - _RELATIVE:
            continue
        goal, start = judge.goals[name], 0
        for run in names_of_runs(term.protocol, experiment.protocols):
            stop = start + len(children[run].stimulus["spikes"])
            part, start = slice(start, stop), stop
            unit = 1.0
            if term.scale or term.options.get("normalizer"):
                unit = _unit(children[run], misses[name].part(part)) if name in misses else math.nan
            target = goal.target[part]
            if math.isfinite(unit) and target.size == stop - part.start:
                sd = np.zeros_like(target) if goal.sd is None else goal.sd[part]
                targets[run] = (target * unit, sd * unit)
    return targets


def _unit(recorded: Recorded, miss: Miss) -> float:
    """Return what 1 of the values of a run is in the unit of its trace; NaN if it is not known."""
    response = Response(*recorded.at(0, slice(None)), recorded.units, recorded.stimulus)
    try:
        first = float(response.peak(0)[1])
    except MetricError:  # it stands with the metrics
        return math.nan
    return first / float(miss.achieved[0]) if miss.achieved[0] else math.nan
