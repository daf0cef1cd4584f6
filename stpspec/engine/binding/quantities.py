"""Quantities of an experiment as numbers in the units of its mechanism, within its limits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from stpspec.errors import SpecProblem, nearest
from stpspec.specs.base import problems_of
from stpspec.units import UnitError, convert


def fixed_values(
    model: Any, units: Mapping[str, str], limits: Mapping[str, tuple[float, float]]
) -> tuple[dict[str, float], list[SpecProblem]]:
    """Return the fixed values in the units of the mechanism, and their problems."""
    values, problems = {}, []
    for name, value in model.fixed.items():
        path = f"model.fixed.{name}"
        if name not in units:
            problems.append(no_parameter(path, name, model.mechanism, units))
            continue
        try:
            values[name] = convert(value, units[name])
        except UnitError as error:
            problems.append(SpecProblem(path, str(error), value))
            continue
        problems += outside(path, values[name], value, limits.get(name), units[name])
    return values, problems


def free_parameters(
    parameters: Mapping[str, Any],
    units: Mapping[str, str],
    limits: Mapping[str, tuple[float, float]],
    wrong: Collection[str],
) -> tuple[dict[str, Any], list[SpecProblem]]:
    """Return the free parameters in the units of the mechanism, and their problems."""
    numbers, problems = {}, []
    for name, parameter in parameters.items():
        path = f"parameters.{name}"
        if name not in units:
            problems.append(no_parameter(path, name, "the mechanism", units))
            continue
        try:
            numbers[name] = parameter.in_unit(units[name])
        except UnitError as error:
            ends = [end for end in ("min", "max") if f"{path}.{end}" not in wrong]  # no stand-ins
            written = " … ".join(str(getattr(parameter, end)) for end in ends)
            problems.append(SpecProblem(path, str(error), written))
            continue
        except ValidationError as error:  # bounds that are reversed once both are in one unit
            problems += problems_of(error, path)
            continue
        for end in ("min", "max"):
            value = getattr(numbers[name], end)
            written = getattr(parameter, end)
            problems += outside(f"{path}.{end}", value, written, limits.get(name), units[name])
    return numbers, problems


def outside(
    path: str, value: float, written: Any, limit: tuple[float, float] | None, unit: str
) -> list[SpecProblem]:
    """Tell a value beyond the limits that the mechanism declares."""
    if limit is None or limit[0] <= value <= limit[1]:
        return []
    rule = f"the mechanism allows {limit[0]:g} to {limit[1]:g} {unit.removesuffix('1')}"
    return [SpecProblem(path, rule.rstrip(), written)]


def no_parameter(path: str, name: str, mechanism: str, units: Mapping[str, str]) -> SpecProblem:
    """Tell a name that is none of a parameter."""
    known = ", ".join(units)
    return SpecProblem(
        path,
        f"{mechanism} has no parameter of this name; it has {known}",
        name,
        nearest(name, units),
    )
