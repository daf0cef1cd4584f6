"""Knobs: the numbers of an experiment that are set by hand, each with its unit, ends and scale."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from stpspec.formatting import unit_text
from stpspec.specs.base import Spec
from stpspec.specs.experiment import Experiment
from stpspec.specs.places import is_place
from stpspec.specs.plausible import Range
from stpspec.specs.protocol import FREQUENCIES, owner_of
from stpspec.specs.quantities import unit_of
from stpspec.tuner.messages import Facts
from stpspec.units import UnitError, convert

Scale = Literal["linear", "log"]
Group = Literal["parameters", "mechanism", "connection", "protocol", "recording"]

_STEPS = 200  # of a slider: an arrow key moves it by one
_DIGITS = 4  # of a value that a slider gives: what is shown is what is simulated
_POTENTIALS = (-120.0, 80.0)  # mV
_COUPLING = (1e-5, 1e-2)  # uS; of a gap junction
# Where a slider without bounds of its own goes: twenty times the default, or to 1000 from 0.
_TIMES, _FROM_ZERO = 20.0, 1000.0

# Field of a protocol or a recording → what its slider offers: any other value can be written.
_GRIDS: dict[str, tuple[float, ...]] = {"frequency": FREQUENCIES}
_SPANS: dict[str, tuple[float, float, Scale]] = {
    "recovery_delay": (125.0, 4000.0, "log"),
    "duration": (20.0, 5000.0, "log"),
    "tail": (20.0, 5000.0, "log"),
    "n_induction": (1.0, 20.0, "linear"),
    "n_recovery": (0.0, 20.0, "linear"),
    "amplitude": (-0.2, 0.2, "linear"),
    "holding_potential": (*_POTENTIALS, "linear"),
    "holding_current": (-0.5, 0.5, "linear"),
    "series_resistance": (0.001, 50.0, "log"),
    "weight": (0.0, 10.0, "linear"),
    "delay": (0.0, 10.0, "linear"),
    "cell": (1.0, 2.0, "linear"),
}


@dataclass(frozen=True)
class Knob:
    """One number that is set by hand.

    Attributes
    ----------
    path : str
        Dotted path of the field.
    label : str
    unit : str
    value : float or None
        None where the experiment leaves it to be worked out.
    low, high : float
        Ends of the slider.
    scale : {"linear", "log"}
    group : Group
    grid : tuple of float
        The values that the slider offers, if it offers only some.
    is_whole : bool
        Whether the number is a count.
    bounds : str
        What limits the value, as text.
    is_free : bool
        Whether a fit moves it.
    can_leave : bool
        Whether it was added by hand, and can be taken away.
    """

    path: str
    label: str
    unit: str
    value: float | None
    low: float
    high: float
    scale: Scale
    group: Group
    grid: tuple[float, ...] = ()
    is_whole: bool = False
    bounds: str = ""
    is_free: bool = False
    can_leave: bool = False

    def position(self, value: float | None = None) -> float:
        """Return where a value (this one's own by default) is on the slider, from 0 to 1."""
        value = self.value if value is None else value
        if value is None:
            return 0.0
        if self.grid:
            index = min(range(len(self.grid)), key=lambda k: abs(self.grid[k] - value))
            return index / (len(self.grid) - 1)
        value = min(max(value, self.low), self.high)
        if self.low == self.high:
            return 0.0
        if self.scale == "log":
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def value_at(self, position: float) -> float:
        """Return the value at a place of the slider: few digits, and both ends exactly."""
        position = min(max(position, 0.0), 1.0)
        if self.grid:
            return self.grid[round(position * (len(self.grid) - 1))]
        if position in (0.0, 1.0):
            value = self.high if position else self.low
        elif self.scale == "log":
            value = self.low * (self.high / self.low) ** position
        else:
            value = self.low + position * (self.high - self.low)
        if self.is_whole:
            return float(round(value))
        if position in (0.0, 1.0):
            return value
        return min(max(float(f"{value:.{_DIGITS}g}"), self.low), self.high)

    @property
    def steps(self) -> int:
        """Number of places of the slider beyond the first."""
        if self.grid:
            return len(self.grid) - 1
        return round(self.high - self.low) if self.is_whole else _STEPS

    @property
    def text(self) -> str:
        """The value as it is written into the number box."""
        return "" if self.value is None else f"{self.value:.10g}"

    @property
    def summary(self) -> str:
        """Name, value, unit and limits on one line."""
        bounds = f"; {self.bounds}" if self.bounds else ""
        return f"{self.label} ({self.text} {unit_text(self.unit)}".rstrip() + f"{bounds})"

    def read(self, text: str) -> float | None:
        """Return what was written into the number box, in the unit of the knob.

        Raises
        ------
        UnitError
            If it is no number, or its unit has another dimension.
        """
        text = text.strip().replace("\N{MINUS SIGN}", "-")
        if not text:
            raise UnitError(f"expected a number{f' in {self.unit}' if self.unit else ''}")
        value = convert(text, self.unit or "1")
        if self.is_whole and value != round(value):
            raise UnitError(f"expected a whole number, received {text}")
        return value


def knobs_of(
    experiment: Experiment, facts: Facts, protocol: str, own: Collection[str] = ()
) -> list[Knob]:
    """Return the knobs of an experiment while one of its protocols is shown.

    Parameters
    ----------
    experiment : Experiment
    facts : Facts
        Of its mechanism.
    protocol : str
        Name of the protocol that is shown.
    own : collection of str
        Parameters of the mechanism that cannot be taken away.
    """
    owner = owner_of(protocol, experiment.protocols) or protocol
    return [
        *_free(experiment, facts),
        *_fixed(experiment, facts, own),
        *_connection(experiment),
        *_of_spec(experiment.protocols[owner], f"protocols.{owner}", "protocol"),
        *_recording(experiment, owner),
    ]


def addable(experiment: Experiment, facts: Facts) -> list[Knob]:
    """Return the knobs of the mechanism's other parameters: each at its default."""
    known = {*experiment.parameters, *experiment.model.fixed, "weight"}
    names = [n for n in facts.units if n not in known and not is_place(n)]
    return [_mechanism_knob(n, facts.defaults[n], facts) for n in names]


def _free(experiment: Experiment, facts: Facts) -> Iterator[Knob]:
    for name, parameter in experiment.parameters.items():
        unit = facts.units[name]
        numbers = parameter.in_unit(unit)
        low, high = float(numbers.min), float(numbers.max)
        start = numbers.from_unit(0.5) if numbers.start is None else float(numbers.start)
        bounds = f"{low:.6g} … {high:.6g}{' (log)' if numbers.scale == 'log' else ''}"
        yield Knob(
            f"parameters.{name}.start", name, _plain(unit), start, low, high, numbers.scale,
            "parameters", bounds=bounds, is_free=True,
        )  # fmt: skip


def _fixed(experiment: Experiment, facts: Facts, own: Collection[str]) -> Iterator[Knob]:
    for name, written in experiment.model.fixed.items():
        if name in facts.units and name not in experiment.parameters and not is_place(name):
            value = convert(written, facts.units[name])
            yield replace(_mechanism_knob(name, value, facts), can_leave=name not in own)


def _mechanism_knob(name: str, value: float, facts: Facts) -> Knob:
    unit = _plain(facts.units[name])
    low, high, scale = _ends(facts.defaults.get(name, value), value, unit)
    limits, bounds = facts.limits.get(name), ""
    if limits is not None:
        low, high = max(low, limits[0]), min(high, limits[1])
        bounds = f"{limits[0]:.6g} … {limits[1]:.6g}"
        low, high = (low, high) if low < high else limits
    return Knob(f"model.fixed.{name}", name, unit, value, low, high, scale, "mechanism",
                bounds=bounds)  # fmt: skip


def _ends(default: float, value: float, unit: str) -> tuple[float, float, Scale]:
    """Return the ends and the scale of the slider of a parameter that has no bounds."""
    if unit == "mV":
        return min(_POTENTIALS[0], value), max(_POTENTIALS[1], value), "linear"
    if unit == "uS" and not default and value >= 0:  # a conductance that is off by default
        return _COUPLING[0], max(_COUPLING[1], value), "log"
    far = _TIMES * (default or value) or _FROM_ZERO
    return min(0.0, far, value), max(0.0, far, value), "linear"


def _connection(experiment: Experiment) -> Iterator[Knob]:
    net_con = getattr(experiment.model, "net_con", None)
    for knob in _of_spec(net_con, "model.net_con", "connection") if net_con is not None else ():
        name = "weight" if knob.label == "weight" else f"net_con.{knob.label}"
        if name not in experiment.parameters:
            yield knob


def _recording(experiment: Experiment, protocol: str) -> Iterator[Knob]:
    """Yield the knobs of the recording of a protocol, without those that are free parameters."""
    changes, own = experiment.protocols[protocol].recording or {}, f"protocols.{protocol}.recording"
    for knob in _of_spec(experiment.recording_of(protocol), "recording", "recording"):
        of_all = knob.label not in changes and "kind" not in changes
        path = knob.path if of_all else f"{own}.{knob.label}"
        if not {knob.path, f"{own}.{knob.label}"} & set(experiment.parameters):
            yield replace(knob, path=path)


def _of_spec(spec: Spec, path: str, group: Group) -> Iterator[Knob]:
    """Yield a knob for each numeric field of a part of the experiment."""
    for name, field in type(spec).model_fields.items():
        value = getattr(spec, name)
        if not _is_number(field) or name.endswith("_position") or isinstance(value, list | dict):
            continue
        low, high, scale = _SPANS.get(name) or _usual(field, value)
        grid, unit = _GRIDS.get(name, ()), _plain(unit_of(field))
        low, high = min(low, value or low), max(high, value or high)
        whole = isinstance(value, int) and not isinstance(value, bool)
        yield Knob(f"{path}.{name}", name, unit, None if value is None else float(value),
                   low, high, scale, group, grid, whole)  # fmt: skip


def _is_number(field: FieldInfo) -> bool:
    annotation = field.annotation
    if get_origin(annotation) in (list, tuple, dict):
        return False  # spike times
    kinds = [a for a in (annotation, *get_args(annotation)) if a is not None]
    if all(isinstance(a, int) and not isinstance(a, bool) for a in get_args(annotation) or ("",)):
        return True  # Literal[1, 2]
    numeric = (int, float)
    return any(a in numeric or _inner(a) in numeric for a in kinds)


def _inner(annotation: Any) -> Any:
    inner = get_args(annotation)
    return _inner(inner[0]) if inner and hasattr(annotation, "__metadata__") else annotation


def _usual(field: FieldInfo, value: float | None) -> tuple[float, float, Scale]:
    """Return the range of practice of a field of a plug-in, or one around its value."""
    for mark in field.metadata:
        if isinstance(mark, Range):
            return mark.low, mark.high, "log" if mark.low > 0 else "linear"
    far = _TIMES * (value or 0.0) or _FROM_ZERO
    return min(0.0, far), max(0.0, far), "linear"


def _plain(unit: str) -> str:
    return "" if unit == "1" else unit
