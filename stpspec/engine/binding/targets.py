"""Binding of the targets: in units of their metrics, vectors of the right length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from pydantic import ValidationError

from stpspec.data.targets import read_term
from stpspec.dataset import SIGNALS
from stpspec.engine.binding.stimuli import longest_delay, timing, with_delay
from stpspec.engine.mechanisms.description import Mechanism
from stpspec.errors import SpecProblem, UnknownNameError
from stpspec.metrics.registration import Metric
from stpspec.registry import METRICS
from stpspec.specs.consistency import is_whole, recordings_of
from stpspec.specs.objective import Term
from stpspec.specs.protocol import Protocol, owner_of, runs_of
from stpspec.specs.stimulus import BEFORE, Stimulus, Timing
from stpspec.specs.target_rules import shared_scale_problems, value_problems
from stpspec.specs.target_source import TargetSource, Wanted
from stpspec.units import UnitError, convert

_LONG = 1e4  # ms; a time constant longer than those of synapses


def bind_terms(
    parts: Mapping[str, Any], mechanism: Mechanism, parameters: Mapping[str, Any]
) -> tuple[dict[str, Term], list[SpecProblem]]:
    """Return the terms with plain numbers, and what is wrong with their units and lengths.

    Parameters
    ----------
    parts : mapping
        Valid parts of an experiment, the model with fixed values as numbers.
    mechanism : Mechanism
    parameters : mapping of str to Parameter
        With bounds as numbers.
    """
    objective = parts.get("objective")
    recordings = recordings_of(parts)
    terms, problems = {}, []
    for name, term in objective.terms.items() if objective is not None else ():
        path = f"objective.terms.{name}"
        try:
            metric: Metric = METRICS.get(term.metric)
            options = metric.options.model_validate(dict(term.options)).model_dump()
        except (UnknownNameError, ValidationError):
            continue  # told already
        owner = owner_of(term.protocol, parts.get("protocols", {}))
        recording = recordings.get(owner or term.protocol, parts.get("recording"))
        runs = _runs_read(term.protocol, parts)
        is_known = bool(runs)
        stimuli = {n: _stimuli(p, parts, mechanism, parameters) for n, p in runs.items()}
        if isinstance(term.target, TargetSource):
            unit = _unit_of(metric, options, recording, mechanism)
            if unit is None or not is_known:
                continue  # told already
            wanted = Wanted(
                metric.name, options, term.options, _signal_read(metric, options, recording), unit,
                metric.vector, term.protocol, runs,
                {n: s[0] for n, s in stimuli.items()}, term.scale,
            )  # fmt: skip
            term, found = read_term(path, term, wanted)
            problems += found or value_problems(path, term, cast(Any, metric))
            if isinstance(term.target, TargetSource):
                continue
            options = metric.options.model_validate(dict(term.options)).model_dump()
        terms[name], found = _in_unit(path, term, metric, options, recording, mechanism)
        problems += found
        if is_known and metric.size is not None and isinstance(term.target, list):
            problems += _size_problems(path, term, metric, options, stimuli)
    problems += shared_scale_problems(terms)
    return terms, problems


def _runs_read(name: str, parts: Mapping[str, Any]) -> dict[str, Protocol]:
    """Return the runs of a protocol by name, or the run of this name; none where it is wrong."""
    protocols = parts.get("protocols", {})
    for owner in protocols:
        runs = runs_of({owner: protocols[owner]})
        if is_whole(owner, parts) and (name == owner or name in runs):
            return runs if name == owner else {name: runs[name]}
    return {}


def _stimuli(
    protocol: Any, parts: Mapping[str, Any], mechanism: Mechanism, parameters: Mapping[str, Any]
) -> list[Stimulus]:
    """Return what a protocol does; if the time constants are not certain, also with long ones."""
    model, numerics = parts["model"], parts.get("numerics")
    known = [timing(model, parameters, mechanism)]
    if any(p.startswith(("model", "parameters")) for p in parts.get("wrong", ())):
        known.append(Timing(_LONG, _LONG, _LONG))
    before = BEFORE if numerics is None else min(BEFORE, numerics.settle)
    delay = longest_delay(model, parameters)
    return [replace(with_delay(protocol.stimulus(t), delay), before=before) for t in known]


def _in_unit(
    path: str, term: Term, metric: Metric, options: Mapping[str, Any],
    recording: Any, mechanism: Mechanism,
) -> tuple[Term, list[SpecProblem]]:  # fmt: skip
    signal_unit = _signal_unit(options, recording, mechanism)
    unit = _unit_of(metric, options, recording, mechanism)
    if unit is None:
        return term, []  # no such signal, which is told elsewhere
    problems = []
    for field in ("target", "sd"):
        written = getattr(term, field)
        try:
            term.numbers(field, unit)
        except UnitError as error:
            problems.append(
                SpecProblem(f"{path}.{field}", f"{error} (unit of {metric.name})", written)
            )
    value = options.get("value")
    if isinstance(value, str) and "preset" in options:
        try:
            convert(value, signal_unit or "")
        except UnitError as error:
            problems.append(
                SpecProblem(f"{path}.options.value", f"{error} (unit of the signal)", value)
            )
    return (term if problems else term.in_unit(unit)), problems


def _unit_of(
    metric: Metric, options: Mapping[str, Any], recording: Any, mechanism: Mechanism
) -> str | None:
    """Return the unit of the values of a metric; None if there is no such signal."""
    signal_unit = _signal_unit(options, recording, mechanism)
    if signal_unit is None and metric.reads_signal:
        return None
    return metric.unit_in(signal_unit or "", options)


def _signal_read(metric: Metric, options: Mapping[str, Any], recording: Any) -> str:
    default = "" if recording is None else recording.default_signal
    return (options.get("signal") or default) if metric.reads_signal else ""


def _signal_unit(options: Mapping[str, Any], recording: Any, mechanism: Mechanism) -> str | None:
    if recording is None:
        return None
    signal = options.get("signal") or recording.default_signal
    if signal in SIGNALS:
        return SIGNALS[signal][0]
    return mechanism.variable_units.get(signal)


def _size_problems(
    path: str,
    term: Term,
    metric: Metric,
    options: Mapping[str, Any],
    stimuli: Mapping[str, Sequence[Stimulus]],
) -> list[SpecProblem]:
    several = zip(*stimuli.values(), strict=True)  # of all runs, with the same time constants
    found = [_size_problem(path, term, metric, options, s) for s in several]
    # What only some of the stimuli make wrong may follow from what is wrong elsewhere.
    return [p for p in found[:1] if p is not None and all(p == other for other in found)]


def _size_problem(
    path: str, term: Term, metric: Metric, options: Mapping[str, Any], stimuli: Sequence[Stimulus]
) -> SpecProblem | None:
    assert metric.size is not None
    assert isinstance(term.target, list)
    try:
        size = sum(metric.size(options, stimulus) for stimulus in stimuli)
    except ValueError as error:
        return SpecProblem(f"{path}.options", str(error))
    if len(term.target) == size:
        return None
    rule = f"{metric.name} of {term.protocol!r} gives {size} values, so {size} targets are needed"
    return SpecProblem(f"{path}.target", rule, f"{len(term.target)} values")
