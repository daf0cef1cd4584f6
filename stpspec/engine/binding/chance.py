"""Chance: mechanisms whose random numbers nothing here can seed are refused, with the reason."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from stpspec.engine.mechanisms import nmodl
from stpspec.engine.mechanisms.generators import OBJECT
from stpspec.errors import SpecProblem

_CURE = (
    "a RANDOM variable (NEURON 9), or a procedure setRNG that takes ids of Random123, would make "
    "it possible; or take the deterministic mechanism of its mean release"
)


def chance_problems(
    parts: Mapping[str, Any], sources: Mapping[str, Path], in_cells: Collection[str]
) -> list[SpecProblem]:
    """Find mechanisms in use that draw random numbers, and cannot be seeded.

    Parameters
    ----------
    parts : mapping
        The valid parts of an experiment; the model is one of them.
    sources : mapping of str to Path
    in_cells : collection of str
        The mechanisms that sit in the cells.
    """
    model = parts["model"]
    problems: list[SpecProblem] = []
    for name in sorted({model.mechanism, *in_cells} & set(sources)):
        content = nmodl.read(sources[name])
        if content.draws_random:
            path = "model.mechanism" if name == model.mechanism else "model.cell"
            problems += _problems(name, path, content, parts)
    return problems


def _problems(
    name: str, path: str, content: nmodl.ModFile, parts: Mapping[str, Any]
) -> Iterator[SpecProblem]:
    if content.unseedable:
        by = " and ".join(content.unseedable)
        rule = f"{name} draws random numbers by {by}, which nothing outside of it can seed: {_CURE}"
        yield SpecProblem(path, rule)
        return
    takes_object = any(OBJECT in kinds for kinds in content.seeders.values())
    distribution = getattr(parts["model"], "distribution", None) or content.distribution
    if takes_object and not distribution:
        rule = (
            f"{name} takes a Random object, and its text does not tell which numbers it expects of "
            f"it: model.distribution is uniform (0 to 1), negexp (mean 1) or normal (0, 1)"
        )
        yield SpecProblem(path, rule)
    asked = [parts.get("trials"), *(p.trials for p in parts.get("protocols", {}).values())]
    if content.seeds_itself and any(n is not None and n > 1 for n in asked):
        rule = f"{name} seeds its random numbers itself, always alike: all trials would be the same"
        yield SpecProblem("trials", rule)
