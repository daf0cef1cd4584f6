"""Parameters in the units of a model: fixed values, bounds of free ones, and what is wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from stpspec.engine.binding.facts import CellFacts
from stpspec.engine.binding.places import fixed_elsewhere, owner, unknown_place
from stpspec.engine.mechanisms.description import Mechanism
from stpspec.errors import SpecProblem, nearest
from stpspec.specs.base import problems_of
from stpspec.specs.places import is_place
from stpspec.units import UnitError, convert


@dataclass(frozen=True)
class Settable:
    """What may be a parameter of a model, and what its cells told."""

    model: Any
    mechanism: str
    units: dict[str, str]
    limits: dict[str, tuple[float, float]]
    cells: Sequence[CellFacts]

    def lacks(self, path: str, name: str, mechanism: str) -> list[SpecProblem]:
        """Return what is wrong with a name that is none of these."""
        if not is_place(name):
            return [no_parameter(path, name, mechanism, self.units)]
        problem = unknown_place(path, name, self.model, self.cells, self.units)
        return [] if problem is None else [problem]


def settable(model: Any, info: Mechanism) -> dict[str, str]:
    """Return name → unit of what a candidate may set: mechanism parameters and the weight.

    A parameter that is called ``weight`` goes before the weight of the NetCon, which then is set by
    ``model.net_con.weight`` alone.
    """
    weight = {"weight": "1"} if model.stimulated_by == "event" else {}
    return {**weight, **info.parameters}


def fixed_values(known: Settable) -> tuple[dict[str, float], list[SpecProblem]]:
    """Return the fixed values of a model as numbers, and what is wrong with them."""
    values, problems = {}, []
    for name, value in known.model.fixed.items():
        path = f"model.fixed.{name}"
        if name not in known.units:
            problems += known.lacks(path, name, known.model.mechanism)
            continue
        if is_place(name) and (elsewhere := fixed_elsewhere(path, name)) is not None:
            problems.append(elsewhere)
            continue
        problems += set_in_units(values, path, name, value, known.limits, known.units)
    return values, problems


def free_parameters(
    parameters: Mapping[str, Any], known: Settable, wrong: Collection[str]
) -> tuple[dict[str, Any], list[SpecProblem]]:
    """Return the free parameters with bounds as numbers, and what is wrong with them."""
    numbers, problems = {}, []
    for name, parameter in parameters.items():
        path = f"parameters.{name}"
        if name not in known.units:
            problems += known.lacks(path, name, "the mechanism")
            continue
        try:
            numbers[name] = parameter.in_unit(known.units[name])
        except UnitError as error:
            # What is wrong already is a stand-in here.
            ends = [e for e in ("min", "max", "start") if f"{path}.{e}" not in wrong]
            told = _in_other_units(path, parameter, ends, known.units[name])
            if len(told) != 1:  # all of them, in one wrong unit
                told = [SpecProblem(path, str(error), " … ".join(str(p.received) for p in told))]
            problems += told
            continue
        except ValidationError as error:  # bounds that are reversed once both are in one unit
            problems += problems_of(error, path)
            continue
        for end in ("min", "max"):
            value, written = getattr(numbers[name], end), getattr(parameter, end)
            where = f"{path}.{end}"
            problems += outside(where, name, value, written, known.limits, known.units)
    return numbers, problems


def _in_other_units(path: str, parameter: Any, ends: Sequence[str], unit: str) -> list[SpecProblem]:
    """Return which numbers of a free parameter have a unit that is not of its dimension."""
    problems = []
    for end in ends:
        written = getattr(parameter, end)
        try:
            if written is not None:
                convert(written, unit)
        except UnitError as error:
            problems.append(SpecProblem(f"{path}.{end}", str(error), written))
    return problems


def set_in_units(
    values: dict[str, float],
    path: str,
    name: str,
    written: Any,
    limits: Mapping[str, tuple[float, float]],
    units: Mapping[str, str],
) -> list[SpecProblem]:
    """Set a value as a number in its unit; return what is wrong with it."""
    try:
        values[name] = convert(written, units[name])
    except UnitError as error:
        return [SpecProblem(path, str(error), written)]
    return outside(path, name, values[name], written, limits, units)


def outside(
    path: str,
    name: str,
    value: float,
    written: Any,
    limits: Mapping[str, tuple[float, float]],
    units: Mapping[str, str],
) -> list[SpecProblem]:
    """Return that a value is beyond its limits; nothing if it is not."""
    limit = limits.get(name)
    if limit is None or limit[0] <= value <= limit[1]:
        return []
    rule = f"{owner(name)} allows {limit[0]:g} to {limit[1]:g} {units[name].removesuffix('1')}"
    return [SpecProblem(path, rule.rstrip(), written)]


def no_parameter(path: str, name: str, mechanism: str, units: Mapping[str, str]) -> SpecProblem:
    """Return that a mechanism has no parameter of a name."""
    names = [n for n in units if not is_place(n)]
    return SpecProblem(
        path,
        f"{mechanism} has no parameter of this name; it has {', '.join(names)}",
        name,
        nearest(name, [*names, *(n for n in units if n not in names)]),
    )
