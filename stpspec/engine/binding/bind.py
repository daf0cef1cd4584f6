"""Binding of an experiment to its loaded mechanism: names, units, limits, sections, variables."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stpspec.engine import cells
from stpspec.engine.binding import model_checks
from stpspec.engine.binding.facts import Facts, gather, question_of, usable_sources
from stpspec.engine.binding.parameters import (
    Settable,
    fixed_values,
    free_parameters,
    no_parameter,
    outside,
    settable,
)
from stpspec.engine.binding.places import places_of
from stpspec.engine.binding.scheme import REFERENCE, Scheme, highest_rung
from stpspec.engine.binding.stimuli import length_problems
from stpspec.engine.binding.targets import bind_terms
from stpspec.engine.mechanisms import library, nmodl
from stpspec.engine.mechanisms.description import Mechanism
from stpspec.engine.reading import Readings
from stpspec.errors import SpecError, SpecProblem, nearest
from stpspec.resources import shipped
from stpspec.specs.consistency import recordings_of
from stpspec.specs.experiment import Experiment
from stpspec.specs.places import canonical, is_place
from stpspec.units import UnitError, convert


@dataclass(frozen=True)
class Bound:
    """An experiment whose quantities are numbers in the units of the loaded mechanism.

    Attributes
    ----------
    experiment : Experiment
    mechanism : Mechanism
    units : dict of str to str
        Unit of everything that may be a free parameter.
    sources : dict of str to Path
        Mechanism name → .mod file.
    limits : dict of str to (float, float)
        What is allowed of those that have limits.
    templates : tuple of Path
    brief : bool
        Whether only the pulses that the objective reads are simulated.
    scheme : Scheme
        How it is simulated, or the highest rung of the ladder that may be taken.
    together : bool
        False where a comparison has shown that candidates influence each other, or where what they
        share is not known.
    readings : tuple of Readings
        What was read of the user's files for each cell that the experiment names.
    contents : str
        Key of what a process of its own has loaded for it; empty: this process has loaded it.
    """

    experiment: Experiment
    mechanism: Mechanism
    units: dict[str, str]
    sources: dict[str, Path]
    templates: tuple[Path, ...]
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    brief: bool = False
    scheme: Scheme = REFERENCE
    together: bool = True
    readings: tuple[Readings, ...] = ()
    contents: str = ""

    def located_data(self) -> dict[str, Any]:
        """Return the experiment's data with absolute paths, for a process somewhere else."""
        data = self.experiment.to_data()
        model = data["model"]
        if model["mod"]:
            shipped_files = shipped("mod")
            own = [path for path in self.sources.values() if path.parent != shipped_files]
            model["mod"] = [str(path) for path in own]
        model["cell"]["file"] = str(self.templates[0])
        if model.get("cell_2"):
            model["cell_2"]["file"] = str(self.templates[-1])
        return data

    @functools.cached_property
    def recordings(self) -> dict[str, Any]:
        """Protocol → how it is recorded."""
        return {n: self.experiment.recording_of(n) for n in self.experiment.protocols}

    @functools.cached_property
    def parts(self) -> dict[Any, Any]:
        """Parts of the experiment that are recorded alike, as they are first asked for."""
        return {}

    @functools.cached_property
    def by_chance(self) -> bool:
        """Whether a mechanism that may be in use speaks of random numbers."""
        return any(nmodl.read(path).draws_random for path in self.sources.values())

    @functools.cached_property
    def shares_data(self) -> bool:
        """Whether candidates of one simulation may share more than the values that are set."""
        content, others = self._contents
        if not self.together:
            return True
        if content is not None and (content.tabulated or content.written_globals):
            return True
        return any(not c.parsed or c.static_c for c in (content, *others) if c is not None)

    @functools.cached_property
    def carries_over(self) -> bool:
        """Whether a run may leave something to the next one on the same cell and synapse."""
        content, others = self._contents
        if not self.together:
            return True
        if any(set(c.remembered) & set(c.parameters) for c in others):
            return True
        return content is not None and bool(
            content.remembered or content.verbatim or not content.parsed
        )

    @property
    def currents(self) -> tuple[str, ...]:
        """The variables whose sum is the current that is recorded."""
        return tuple(n for n in self._passed if n in self.mechanism.recordable)

    @property
    def hidden_currents(self) -> tuple[str, ...]:
        """What the mechanism passes beside it and does not make known: it is no RANGE variable."""
        return tuple(n for n in self._passed if n not in self.mechanism.recordable)

    @functools.cached_property
    def _passed(self) -> tuple[str, ...]:
        """All currents of the mechanism, unless one is asked for; one that is known first."""
        model = self.experiment.model
        source = self.sources.get(model.mechanism)
        passed = nmodl.read(source).membrane_currents if source is not None else ()
        return model_checks.currents_recorded(model.current, passed, self.mechanism.recordable)

    @functools.cached_property
    def foreign(self) -> tuple[str, ...]:
        """The mechanisms that may be in use, whose source is known, and that are not shipped."""
        return tuple(sorted(n for n, p in self.sources.items() if p.parent != shipped("mod")))

    @functools.cached_property
    def _contents(self) -> tuple[nmodl.ModFile | None, list[nmodl.ModFile]]:
        """What the source of the mechanism says, and those of others that may be in use.

        The shipped ones are known: their tests show that they share nothing.
        """
        own = {n: p for n, p in self.sources.items() if p.parent != shipped("mod")}
        contents = nmodl.read_all(own.values())
        name = self.mechanism.name
        source = contents.get(own[name]) if name in own else None
        return source, [contents[path] for other, path in own.items() if other != name]


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


def bind_again(bound: Bound, experiment: Experiment) -> Bound:
    """Bind an experiment that differs from one that is bound in what its protocols do.

    Raises
    ------
    SpecError
        If a term does not fit to what its protocol now does, or a run is too long.
    """
    known, objective = bound.experiment, experiment.objective
    parts = {name: getattr(known, name) for name in ("model", "recording", "numerics")}
    parts |= {"protocols": experiment.protocols, "objective": objective}
    problems = length_problems(known.model, known.parameters, bound.mechanism, parts)
    terms, found = bind_terms(parts, bound.mechanism, known.parameters)
    problems += found
    if problems:
        raise SpecError(problems)
    changed = {
        "protocols": experiment.protocols,
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
    info, paths = facts.mechanism, library.sources(model.mod)
    problems += model_checks.connection_problems(model, paths.get(model.mechanism))
    limits = nmodl.read(paths[model.mechanism]).limits if model.mechanism in paths else {}
    info = replace(info, limits=limits)
    places = places_of(
        model, parts.get("recording"), parts.get("protocols", {}), recordings_of(parts), facts.cells
    )
    units, limits = {**settable(model, info), **places.units}, {**limits, **places.limits}
    known = Settable(model, info.name, units, limits, facts.cells)
    for where, recording in recordings.items():
        found = model_checks.variable_problems(
            model, info, recording, paths.get(model.mechanism), where
        )
        problems += [p for p in found if p not in problems]
    problems += model_checks.role_problems(model, info, paths.get(model.mechanism))
    fixed, found = fixed_values(known)
    problems += found
    told = parts.get("wrong", ())
    parameters, found = free_parameters(parts.get("parameters", {}), known, told)
    problems += found
    problems += _name_problems(parts, info.name, units)
    numeric = model.copy_with(fixed=fixed)
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
    cell_specs = [model.cell, getattr(model, "second_cell", model.cell)]
    templates = tuple(dict.fromkeys(cells.template_path(c) for c in cell_specs))
    scheme = highest_rung(numbers.numerics.integrator, searching=False)
    readings = tuple(cell.readings for cell in facts.cells)
    return [], Bound(
        numbers, info, units, paths, templates, limits, scheme=scheme, readings=readings
    )


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


def numbers(bound: Bound, values: Mapping[str, Any]) -> dict[str, float]:
    """Express parameter values, possibly strings with a unit, in the mechanism's units.

    Raises
    ------
    SpecError
        With every name and unit that is wrong.
    """
    converted, problems = {}, []
    for written, value in values.items():
        name = canonical(written)
        if name not in bound.units:
            problems.append(_unknown(bound, name))
            continue
        try:
            converted[name] = convert(value, bound.units[name])
        except UnitError as error:
            problems.append(SpecProblem(name, str(error), value))
            continue
        problems += outside(name, name, converted[name], value, bound.limits, bound.units)
    if problems:
        raise SpecError(problems, "the parameter values are not valid")
    return converted


def _unknown(bound: Bound, name: str) -> SpecProblem:
    if not is_place(name):
        return no_parameter(name, name, bound.mechanism.name, bound.units)
    near = nearest(name, [n for n in bound.units if is_place(n)])
    return SpecProblem(name, "there is nothing of this path that can be set", name, near)


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
