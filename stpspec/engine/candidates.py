"""Candidates: assignments of parameters, as columns for arithmetic and as rows for simulations."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stpspec.engine.binding.bound import Bound, numbers
from stpspec.errors import SpecError, SpecProblem
from stpspec.specs.places import canonical

# Values of one parameter as people give them; a string has a unit.


@dataclass(frozen=True, eq=False)
class Candidates:
    """Parameter values of a batch of candidates, in the mechanism's units.

    Attributes
    ----------
    names : tuple of str
    values : ndarray, shape (candidate, parameter)
    """

    names: tuple[str, ...]
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    @functools.cached_property
    def columns(self) -> dict[str, np.ndarray]:
        """Name → values, shape (candidate,)."""
        return dict(zip(self.names, self.values.T, strict=True))

    @functools.cached_property
    def rows(self) -> list[dict[str, float]]:
        """One dict a candidate."""
        return [dict(zip(self.names, row, strict=True)) for row in self.values.tolist()]


def candidates_of(bound: Bound, values: Candidates | Mapping[str, object] | None) -> Candidates:
    """Return candidates from values as people give them, checked and in the mechanism's units.

    Free parameters that are not given take their start (the middle of their bounds without one).

    Parameters
    ----------
    bound : Bound
    values : Candidates, or mapping of str to float or str, or a sequence of these
        Numbers in the mechanism's unit, or strings with a unit; scalars are repeated. Candidates
        are returned as they are.

    Raises
    ------
    SpecError
        If a name is no parameter of the mechanism, lengths differ, or a value is not finite, has
        another dimension, or lies outside the limits of the mechanism.
    """
    if isinstance(values, Candidates):
        return values
    columns, problems = {}, []
    for path, written in (values or {}).items():
        name = canonical(path)
        try:
            columns[name] = _numbers(bound, name, written)
        except SpecError as error:
            problems += error.problems
    lengths = {a.size for a in columns.values()}
    n = max(lengths, default=1)
    if lengths - {1, n}:
        problems.append(SpecProblem("values", f"as many values as the longest list ({n}), or one"))
    if problems:
        raise SpecError(problems, "the candidates are not valid")
    for name, parameter in bound.experiment.parameters.items():
        if name not in columns:
            start = parameter.from_unit(0.5) if parameter.start is None else parameter.start
            columns[name] = np.array([start])
    rows = np.empty((n, len(columns)))
    for k, column in enumerate(columns.values()):
        rows[:, k] = column
    return Candidates(tuple(columns), rows)


def _numbers(bound: Bound, name: str, written: object) -> np.ndarray:
    if isinstance(written, np.ndarray | np.generic):
        written = written.tolist()
    items = [written] if isinstance(written, str | int | float) else written
    if not isinstance(items, Sequence) or not items:
        raise SpecError(
            [SpecProblem(name, "a finite number, a string with a unit, or a list of them", written)]
        )
    return np.array([numbers(bound, {name: item})[name] for item in items])
