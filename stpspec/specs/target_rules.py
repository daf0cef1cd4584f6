"""The rules between a target and its metric: size, sign, ratios, free scales, several trains."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from stpspec.errors import SpecProblem
from stpspec.registry import LOSSES
from stpspec.specs.base import Spec
from stpspec.specs.objective import Term
from stpspec.units import UnitError, convert, number_of

_OF_ONE = 1e-3  # a table may be rounded
_IN_NOISE = 4.0  # sd below 0, that a measured amplitude next to 0 may be
_OF_LARGEST = 0.1  # the same where no sd is known


class HasOptions(Protocol):
    """A metric, a loss or a cost function."""

    @property
    def options(self) -> type[Spec]: ...


class TargetMetric(HasOptions, Protocol):
    """What the rules have to know of a metric, which is defined in a row above this one."""

    @property
    def name(self) -> str: ...

    @property
    def unit(self) -> str: ...

    @property
    def reads_signal(self) -> bool: ...

    @property
    def is_magnitude(self) -> bool: ...

    @property
    def vector(self) -> bool: ...

    def own_ratio(self, options: Mapping[str, object]) -> bool: ...


def value_problems(
    path: str, term: Term, metric: TargetMetric, *, has_options: bool = True
) -> list[SpecProblem]:
    """Find what is wrong with the numbers of a target for its metric.

    Parameters
    ----------
    path : str
        Of the term.
    term : Term
        With numbers; those of a source have been read.
    metric : Metric
    has_options : bool
        Whether the options of the term are valid.
    """
    problems = []
    if isinstance(term.target, list) != metric.vector:
        wanted = "a list of numbers" if metric.vector else "a single number"
        rule = f"{metric.name} takes {wanted} as target"
        problems.append(SpecProblem(f"{path}.target", rule, term.target))
    problems += _zero_problems(path, term)
    problems += _sign_problems(path, term, metric)
    if has_options:
        problems += _ratio_problems(path, term, metric)
    return problems


def scale_problems(
    path: str, term: Term, metric: TargetMetric, parts: Mapping[str, Any]
) -> Iterator[SpecProblem]:
    """A free scale is between a model with a unit and a sum of squares."""
    if term.scale is None:
        return
    objective = parts.get("objective")
    rule = ""
    if not metric.unit.startswith("signal") or metric.own_ratio(term.options):
        rule = f"{metric.name} has no unit here, so that no factor is left free in it"
    elif term.loss != "squared":
        rule = "a free scale is found with the loss 'squared'"
    elif objective is not None and objective.cost is not None:
        rule = "a free scale is found with the loss of the terms, and not with a cost function"
    elif term.weight > 0 and term.scale in parts.get("parameters", {}):
        rule = "this is the name of a parameter; choose another"
    if rule:
        yield SpecProblem(f"{path}.scale", rule, term.scale)


def shared_scale_problems(terms: Mapping[str, Term]) -> Iterator[SpecProblem]:
    """The targets of one scale have one unit, and an sd all or none of them.

    Parameters
    ----------
    terms : mapping of str to Term
        With plain numbers.
    """
    first: dict[str, Term] = {}
    for name, term in terms.items():
        if term.scale is None:
            continue
        other = first.setdefault(term.scale, term)
        path = f"objective.terms.{name}.scale"
        if term.unit != other.unit:
            units = f"{other.unit or 'none'} and {term.unit or 'none'}"
            rule = f"the targets of one scale are in one unit, and here in {units}"
            yield SpecProblem(path, rule, term.scale)
        elif (term.sd is None) != (other.sd is None):
            rule = "either all targets of one scale have an sd, or none of them"
            yield SpecProblem(path, rule, term.scale)


def several_runs_problems(
    path: str, term: Term, metric: TargetMetric, protocol: Any
) -> Iterator[SpecProblem]:
    """A protocol of several runs has as many values of a metric of one number."""
    runs = [f"{term.protocol}.{label}" for label in protocol.runs() if label]
    if not runs:
        return
    if not metric.vector:
        rule = (f"{metric.name} is one number for each train of {term.protocol!r}: name one of "
                f"them ({', '.join(runs)})")  # fmt: skip
        yield SpecProblem(f"{path}.protocol", rule, term.protocol, runs[0])
    elif metric.own_ratio(term.options):
        rule = (f"each train of {term.protocol!r} has a first of its own to be divided by: name "
                f"one train ({', '.join(runs)}), or let all share a free scale "
                f"(scale: free)")  # fmt: skip
        yield SpecProblem(f"{path}.options", rule, term.options)


def _zero_problems(path: str, term: Term) -> Iterator[SpecProblem]:
    """A loss that divides by the target needs one other than 0."""
    if term.loss not in LOSSES.names() or LOSSES.get(term.loss).takes_sd:
        return
    if any(number_of(t) == 0 for t in term.measured):
        rule = f"the loss {term.loss!r} needs a target other than 0"
        yield SpecProblem(f"{path}.target", rule, term.target)


def _sign_problems(path: str, term: Term, metric: TargetMetric) -> Iterator[SpecProblem]:
    """Laboratories write inward currents and IPSPs with their sign; a metric gives the size."""
    if not metric.is_magnitude or all(number_of(t) >= 0 for t in term.measured):
        return
    if isinstance(term.target, list) and _is_noise_around_zero(term):
        return
    if metric.unit.startswith("signal"):
        rule = (f"{metric.name} is a magnitude, along the response: write it without its sign; "
                f"that the response is negative says options.direction: negative")  # fmt: skip
    else:
        rule = f"{metric.name} is never below 0"
    yield SpecProblem(f"{path}.target", rule, term.target)


def _is_noise_around_zero(term: Term) -> bool:
    """Tell whether a vector is of positive values, but for noise in those next to 0."""
    assert isinstance(term.target, list)
    size = len(term.target)
    sds = term.sd if isinstance(term.sd, list) else [term.sd] * size
    ns = term.n if isinstance(term.n, list) else [term.n or 1] * size
    values = [number_of(t) for t in term.measured]
    least = [
        _OF_LARGEST * max(values) if sd is None else _IN_NOISE * number_of(sd) / (n or 1) ** 0.5
        for target, sd, n in zip(term.target, sds, ns, strict=False)
        if target is not None
    ]
    return sum(values) > 0 and all(v >= -m for v, m in zip(values, least, strict=False))


def _ratio_problems(path: str, term: Term, metric: TargetMetric) -> Iterator[SpecProblem]:
    """Amplitudes divided by their first begin with 1; what does not, was divided by another."""
    if not isinstance(term.target, list) or not metric.own_ratio(term.options):
        return
    if term.target[0] is None:
        rule = "values divided by the first of them need the first, which is a gap here"
        yield SpecProblem(f"{path}.target", rule, term.target)
        return
    with contextlib.suppress(UnitError):  # told elsewhere
        first = convert(term.target[0], "1")
        if abs(first - 1) > _OF_ONE:
            rule = "values divided by the first of them begin with 1"
            yield SpecProblem(f"{path}.target", rule, term.target[0])
    if len(term.measured) < 2:
        rule = "values divided by the first of them need a second: the first is no datum"
        yield SpecProblem(f"{path}.target", rule, term.target)
