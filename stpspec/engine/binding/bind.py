"""Binding of an experiment to its loaded mechanism: names, units, limits, sections, variables."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stpspec.engine import cells
from stpspec.engine.binding import model_checks
from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.chance import chance_problems
from stpspec.engine.binding.event_arguments import event_arguments
from stpspec.engine.binding.facts import (
    Facts,
    gather,
    question_of,
    sources_used,
    usable_sources,
)
from stpspec.engine.binding.parameters import (
    Settable,
    fixed_values,
    free_parameters,
    settable,
)
from stpspec.engine.binding.places import places_of
from stpspec.engine.binding.scheme import highest_rung
from stpspec.engine.binding.stimuli import length_problems
from stpspec.engine.binding.targets import bind_terms
from stpspec.engine.mechanisms import library, nmodl, partner_voltage
from stpspec.engine.mechanisms.description import Mechanism
from stpspec.errors import SpecError, SpecProblem
from stpspec.specs.consistency import recordings_of
from stpspec.specs.experiment import Experiment

log = logging.getLogger("stpspec.engine")


def bind(experiment: Experiment, facts: Facts | None = None) -> Bound:
    """Compile and load what an experiment needs, and bind it.

    Parameters
    ----------
    experiment : Experiment
    facts : Facts, optional
        What NEURON tells of it in another process; nothing is loaded in this one then.

    Raises
    ------
    SpecError
        With every problem that only the loaded mechanism and the built cell can tell.
    """
    problems, bound = examine(parts_of(experiment), experiment, facts)
    if problems or bound is None:
        raise SpecError(problems)
    return bound


def parts_of(experiment: Experiment) -> dict[str, Any]:
    """Return the parts of an experiment, as :func:`examine` takes them."""
    return {name: getattr(experiment, name) for name in Experiment.model_fields}


def can_bind_again(experiment: Experiment, previous: Experiment) -> bool:
    """Tell whether :func:`bind_again` may bind an experiment after another one, which is bound.

    So it is where they differ in what their protocols do and where their parameters start alone.
    """
    ours, theirs = experiment.protocols, previous.protocols
    return (
        list(ours) == list(theirs)
        and all(ours[name].recording == theirs[name].recording for name in ours)
        and _without_starts(experiment) == _without_starts(previous)
        and all(
            getattr(experiment, name) == getattr(previous, name)
            for name in Experiment.model_fields
            if name not in ("protocols", "parameters")
        )
    )


def _without_starts(experiment: Experiment) -> dict[str, Any]:
    return {n: (p.min, p.max, p.scale) for n, p in experiment.parameters.items()}


def bind_again(bound: Bound, experiment: Experiment) -> Bound:
    """Bind an experiment that :func:`can_bind_again` after one that is bound.

    Raises
    ------
    SpecError
        If a term does not fit to what its protocol now does, a run is too long, or a start has
        a wrong unit.
    """
    known, objective = bound.experiment, experiment.objective
    given = Settable(known.model, bound.mechanism.name, bound.units, bound.limits, ())
    parameters, problems = free_parameters(experiment.parameters, given, ())
    parts = {name: getattr(known, name) for name in ("model", "recording", "numerics")}
    parts |= {"protocols": experiment.protocols, "objective": objective}
    problems += length_problems(known.model, parameters, bound.mechanism, parts)
    terms, found = bind_terms(parts, bound.mechanism, parameters)
    problems += found
    if problems:
        raise SpecError(problems)
    changed = {
        "protocols": experiment.protocols,
        "parameters": parameters,
        "objective": objective and objective.copy_with(terms=terms),
    }
    return replace(bound, experiment=known.model_copy(update=changed))


def examine(
    parts: Mapping[str, Any], experiment: Experiment | None = None, facts: Facts | None = None
) -> tuple[list[SpecProblem], Bound | None]:
    """Find the problems of the valid parts of an experiment with the mechanism and the cell.

    Nothing is simulated.

    Parameters
    ----------
    parts : mapping
    experiment : Experiment, optional
        To be bound, if there is no problem.
    facts : Facts, optional
        What NEURON tells of these parts; it is asked in this process unless they are given.
    """
    model = parts.get("model")
    if model is None:
        return [], None
    usable, problems = usable_sources(model)
    if problems:
        return [*problems, *_without_mod(parts, usable, facts)], None
    facts = facts or gather(question_of(parts))
    if facts.load_error:
        if facts.of_shipped is None:
            return [SpecProblem("model.mechanism", facts.load_error)], None
        others = _without_mod(parts, [], facts.of_shipped)
        return [SpecProblem("model.mod", facts.load_error), *others], None
    recordings = by_path(parts)
    problems = model_checks.cell_problems(model, recordings, facts.cells)
    if facts.mechanism is None:
        return [SpecProblem("model.mechanism", facts.mechanism_error), *problems], None
    info, paths = facts.mechanism, _sources(parts, facts)
    model = _with_partner(model, info, paths.get(model.mechanism))
    problems += model_checks.connection_problems(model, info, paths.get(model.mechanism))
    problems += chance_problems(parts, paths, facts.in_cells)
    limits = nmodl.read(paths[model.mechanism]).limits if model.mechanism in paths else {}
    info = replace(info, limits=limits)
    places = places_of(
        model, parts.get("recording"), parts.get("protocols", {}), recordings_of(parts), facts.cells
    )
    units, limits = {**settable(model, info), **places.units}, {**limits, **places.limits}
    known = Settable(model, info.name, units, limits, facts.cells)
    problems += _variable_problems(model, info, recordings, paths.get(model.mechanism), problems)
    problems += model_checks.role_problems(model, info, paths.get(model.mechanism))
    fixed, found = fixed_values(known)
    problems += found
    told = parts.get("wrong", ())
    parameters, found = free_parameters(parts.get("parameters", {}), known, told)
    problems += found
    problems += _name_problems(parts, info.name, units)
    numeric = model.copy_with(fixed=fixed)
    weights, resets, found = event_arguments(model, paths.get(model.mechanism))
    problems += found
    wrongly = model_checks.coupling_problems({"model": numeric}, facts.coupling, parameters)
    if parts.get("parameters") or parts.get("objective") is not None:
        problems += wrongly
    else:  # one simulation shows what it is
        for problem in wrongly:
            log.warning("%s", problem.rule)
    problems += length_problems(numeric, parameters, info, parts)
    wrong = [*parts.get("wrong", ()), *(p.path for p in problems)]
    terms, found = bind_terms({**parts, "model": numeric, "wrong": wrong}, info, parameters)
    problems += found
    if problems or experiment is None:
        return problems, None
    objective = experiment.objective
    numbers = experiment.copy_with(
        model=numeric,
        parameters={name: p.model_dump() for name, p in parameters.items()},
        objective=objective and objective.copy_with(terms=terms),
    )
    templates = tuple(dict.fromkeys(cells.template_path(c) for c in model.cells))
    scheme = highest_rung(numbers.numerics.integrator, searching=False)
    readings = tuple(cell.readings for cell in facts.cells)
    return [], Bound(
        numbers, info, units, paths, templates, weights, resets, limits, scheme=scheme,
        readings=readings, in_use=facts.in_cells | {info.name},
        compartments=sum(cell.compartments for cell in facts.cells),
    )  # fmt: skip


def _with_partner(model: Any, info: Mechanism, source: Path | None) -> Any:
    """Return the model with the variable that holds the voltage of the other side."""
    if model.stimulated_by != "step":
        return model
    asked = model.partner_voltage
    usual = type(model).model_fields["partner_voltage"].default
    partner = partner_voltage.chosen(info, source, asked, usual)
    return model.copy_with(partner_voltage=partner) if partner != asked else model


def _variable_problems(
    model: Any,
    info: Mechanism,
    recordings: Mapping[str, Any],
    source: Path | None,
    others: list[SpecProblem],
) -> list[SpecProblem]:
    """Find variables to record that the mechanism has not, each told once."""
    problems: list[SpecProblem] = []
    for where, recording in recordings.items():
        found = model_checks.variable_problems(model, info, recording, source, where)
        problems += [p for p in found if p not in (*others, *problems)]
    return problems


def _sources(parts: Mapping[str, Any], facts: Facts) -> dict[str, Path]:
    """Return the sources of the mechanisms that the model uses, by their names in its files.

    And of those that sit in its cells without having been named there.
    """
    used, every = sources_used(question_of(parts)), library.sources(parts["model"].mod)
    return {n: p for n, p in every.items() if n in used or n in facts.in_cells}


def by_path(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return path → recording: that of the experiment, and those that protocols change."""
    default, protocols = parts.get("recording"), parts.get("protocols", {})
    found = {} if default is None else {"recording": default}
    for name, recording in recordings_of(parts).items():
        if protocols[name].recording:
            found[f"protocols.{name}.recording"] = recording
    return found


def _without_mod(
    parts: Mapping[str, Any], rest: list[str], facts: Facts | None
) -> list[SpecProblem]:
    """Find what the cell and the other mechanisms tell where some of ``mod`` cannot be used."""
    found, _ = examine({**parts, "model": parts["model"].copy_with(mod=rest)}, facts=facts)
    return [p for p in found if p.path != "model.mechanism"]


def _name_problems(
    parts: Mapping[str, Any], mechanism: str, units: Mapping[str, str]
) -> list[SpecProblem]:
    """Find protocols and terms that are called like a parameter: all are names in one dataset."""
    objective = parts.get("objective")
    named = {
        "protocols": parts.get("protocols", {}),
        "objective.terms": objective.terms if objective is not None else {},
    }
    told = {*parts.get("parameters", {}), *parts["model"].fixed}
    rule = f"this is the name of a parameter of {mechanism}; choose another"
    return [
        SpecProblem(f"{path}.{name}", rule, name)
        for path, names in named.items()
        for name in names
        if name in units and name not in told
    ]
