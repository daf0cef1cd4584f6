"""Plausible ranges of physical fields: what practice has, what is possible, and the likely slip."""

from __future__ import annotations

import functools
import itertools
import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import core_schema

from stpspec.errors import SpecProblem, UnknownNameError
from stpspec.registry import METRICS
from stpspec.specs.base import Spec
from stpspec.specs.rule_errors import rule_error
from stpspec.units import UnitError, convert

log = logging.getLogger("stpspec")

_KELVIN = 273.15


@dataclass(frozen=True)
class Range:
    """Marks a field with the range of practice: what is outside it is told, and why it may be.

    Attributes
    ----------
    unit : str
        Of the field, as people write it; empty if it has none.
    low, high : float
        What is usual.
    least, most : float
        What is possible: beyond it the value is refused.
    smallest : float
        Least usual size of a value other than 0.
    zero : str
        Why 0 is not usual; empty if it is.
    """

    unit: str
    low: float
    high: float
    least: float = -math.inf
    most: float = math.inf
    smallest: float = 0.0
    zero: str = ""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._possible, handler(source))

    def _possible(self, value: float) -> float:
        if self.least <= value <= self.most:
            return value
        rule = f"possible is {self.text(self.least, self.most)}"
        raise rule_error("rule", rule, self.slip(value))

    def doubt(self, value: float) -> str:
        """Return why a value is not usual; empty if it is."""
        if value == 0 and self.zero:
            return self.zero
        if self.low <= value <= self.high and (value == 0 or abs(value) >= self.smallest):
            return ""
        shown = f"{value:g} {self.unit}".strip()
        return f"{shown} is unusual: practice has {self.text(self.low, self.high, self.smallest)}"

    def slip(self, value: float) -> str | None:
        """Return what may have been meant: a value in another unit of the same dimension."""
        meant = [value / 1e3, value * 1e3, value / 1e6]
        if self.unit == "°C":
            meant = [round(value - _KELVIN, 6)]
        meant = [m for m in meant if self.unit and m and not self.doubt(m)]
        return f"{meant[0]:.6g} {self.unit}" if meant else None

    def text(self, low: float, high: float, smallest: float = 0.0) -> str:
        """Return an interval in the unit of the field, in words."""
        interval = f"at most {high:g}" if math.isinf(low) else f"{low:g} to {high:g}"
        but = f", and 0 or at least {smallest:g} in size" if smallest else ""
        return f"{interval} {self.unit}".rstrip() + but


@functools.cache
def ranges(cls: type[Spec]) -> Mapping[str, Range]:
    """Return the fields of a spec that have a plausible range."""
    return {
        name: mark
        for name, field in cls.model_fields.items()
        for mark in _marks(field.rebuild_annotation())
        if isinstance(mark, Range)
    }


def _marks(annotation: Any) -> Iterator[object]:
    yield from getattr(annotation, "__metadata__", ())
    for inner in get_args(annotation):
        yield from _marks(inner)


def implausible(experiment: Any) -> list[SpecProblem]:
    """Return what is possible in a valid experiment, but outside the range of practice.

    Parameters
    ----------
    experiment : Experiment

    Returns
    -------
    list of SpecProblem
        Each with the likely slip as its nearest choice.
    """
    found = list(_doubts(experiment, ""))
    weighted = {*experiment.parameters, *experiment.model.fixed}
    if "weight" in weighted:  # it goes before that of the NetCon
        found = [p for p in found if p.path != "model.net_con.weight"]
    for name, term in experiment.objective.terms.items() if experiment.objective else ():
        try:
            options = METRICS.get(term.metric).options.model_validate(dict(term.options))
        except (UnknownNameError, ValidationError):  # told elsewhere
            continue
        found += _doubts(options, f"objective.terms.{name}.options")
    for name, protocol in experiment.protocols.items():
        changes = protocol.recording or {}
        doubts = _doubts(experiment.recording_of(name), f"protocols.{name}.recording")
        found += [p for p in doubts if p.path.rpartition(".")[2] in changes]
    more = (_target_doubts, _interval_doubts, _mechanism_doubts)
    return [*found, *(problem for doubts in more for problem in doubts(experiment))]


def _doubts(spec: Spec, path: str) -> Iterator[SpecProblem]:
    known = ranges(type(spec))
    for name in type(spec).model_fields:
        place = f"{path}.{name}" if path else name
        value = getattr(spec, name)
        if name in known:
            values = value if isinstance(value, list) else [value]
            if isinstance(value, list | dict) and path.endswith("net_con"):
                continue  # what each argument of NET_RECEIVE means only the mechanism tells
            yield from list(_doubt(place, values, known[name]))[:1]
        parts = value if isinstance(value, dict) else {"": value}
        for key, part in parts.items():
            if isinstance(part, Spec):
                yield from _doubts(part, f"{place}.{key}".rstrip("."))


def _doubt(path: str, values: list[Any], usual: Range) -> Iterator[SpecProblem]:
    for value in values:
        if value is not None and (why := usual.doubt(value)):
            yield SpecProblem(path, why, None, usual.slip(value))


_RATIO = Range("", -10.0, 10.0)


def _target_doubts(experiment: Any) -> Iterator[SpecProblem]:
    """Ratios that were written in percent."""
    for name, term in experiment.objective.terms.items() if experiment.objective else ():
        if term.metric not in METRICS.names() or METRICS.get(term.metric).unit != "1":
            continue
        targets = term.target if isinstance(term.target, list) else [term.target]
        for value in targets:
            number = _in(value, "")
            if number is not None and (why := _RATIO.doubt(number)):
                why += f"; {number:g} % is {number / 100:g}"
                yield SpecProblem(f"objective.terms.{name}.target", why, None, f"{number / 100:g}")
                break


_INTERVAL = Range("ms", 1.0, 1e6)


def _interval_doubts(experiment: Any) -> Iterator[SpecProblem]:
    """Times that were written in seconds are events within a fraction of a millisecond."""
    for name, protocol in experiment.protocols.items():
        times = getattr(protocol, "times", None) or []
        shortest = min((b - a for a, b in itertools.pairwise(times)), default=1.0)
        if why := _INTERVAL.doubt(shortest):
            slip = _INTERVAL.slip(shortest)
            yield SpecProblem(f"protocols.{name}.times", f"an interval of {why}", None, slip)


_REVERSAL = Range("mV", -120.0, 80.0, smallest=1.0)


def _mechanism_doubts(experiment: Any) -> Iterator[SpecProblem]:
    """What can be said of values of the mechanism before it is loaded: times, and the reversal."""
    model, dt = experiment.model, experiment.numerics.dt
    written = {f"model.fixed.{n}": (n, v) for n, v in model.fixed.items()}
    for name, p in experiment.parameters.items():
        written |= {f"parameters.{name}.{end}": (name, getattr(p, end)) for end in ("min", "max")}
    for path, (name, value) in written.items():
        if name == getattr(model, "reversal", None):
            if (number := _in(value, "mV")) is not None:
                yield from _doubt(path, [number], _REVERSAL)
        elif name == "weight" and path.startswith("model"):
            yield from _doubt(path, [_in(value, "")], ranges(type(model.net_con))["weight"])
        elif name.startswith("tau") and path.startswith("model"):
            tau = _in(value, "ms")
            if tau is not None and 0 < tau < 2 * dt:
                why = f"a step of {dt:g} ms is too coarse for {name} = {tau:g} ms: "
                why += "take at most a fifth of it"
                yield SpecProblem("numerics.dt", why, None, f"{tau / 5:g} ms")


def _in(value: Any, unit: str) -> float | None:
    try:
        return convert(value, unit)
    except UnitError:
        return None  # told elsewhere, once the mechanism is loaded


_TOLD: set[str] = set()


def warn_of_slips(experiment: Any) -> None:
    """Log what is implausible in an experiment, once in a process."""
    for problem in implausible(experiment):
        text = f"{experiment.name}: {problem}"
        if text not in _TOLD:
            _TOLD.add(text)
            log.warning("%s", text)
