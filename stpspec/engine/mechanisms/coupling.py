"""Coupling by a gap junction, measured on two passive cells against its closed form."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stpspec.engine import nrn
from stpspec.engine.mechanisms import partner_voltage
from stpspec.engine.mechanisms.description import Mechanism, describe
from stpspec.engine.settings import settings_restored
from stpspec.errors import MechanismError
from stpspec.units import UnitError, convert

RESISTANCE = 100.0  # MΩ, of each of the cells
_AREA = 1e3  # µm²
_STEP = -0.01  # nA
_BEFORE, _DURING, _DT = 100.0, 100.0, 0.25  # ms
_REST = -70.0  # mV
_SMALL = 1e-6  # µS; coupled by this, a junction of either sign, or 1000 times as strong, is stable
_VALUES = (1e-6, 1e-3, 1.0, 1e3, 1e6, 1e9)  # tried in turn where the first couples too much
_LEAST, _MOST = 1e-11, 0.5  # coupling coefficients that are measured well

CONDUCTANCE, RESISTANCE_UNIT = "uS", "MOhm"


@dataclass(frozen=True)
class Coupling:
    """What a parameter of a gap junction does to two passive cells.

    Attributes
    ----------
    parameter : str
    unit : str
        As it is declared.
    value : float
        At which it was measured, in that unit.
    coefficient : float
        ΔV2 / ΔV1 at this value.
    conductance : float
        µS: the closed form CC = G / (G + 1/R2) solved for G.
    exponent : float
        Of the parameter in the conductance: 1 of a conductance, -1 of a resistance.
    """

    parameter: str
    unit: str
    value: float
    coefficient: float
    conductance: float
    exponent: float

    @property
    def declared(self) -> float | None:
        """The conductance that the value is by its declared unit, µS; None if that tells none."""
        if (of_conductance := _in(self.value, self.unit, CONDUCTANCE)) is not None:
            return of_conductance
        of_resistance = _in(self.value, self.unit, RESISTANCE_UNIT)
        return None if of_resistance is None else 1 / of_resistance

    @property
    def is_resistance(self) -> bool:
        """Whether the unit that is declared is one of a resistance."""
        return _in(self.value, self.unit, RESISTANCE_UNIT) is not None

    def conductance_at(self, value: float) -> float:
        """Return the conductance at another value of the parameter, µS."""
        if value == 0:
            return 0.0 if self.exponent > 0 else math.inf
        return self.conductance * (value / self.value) ** round(self.exponent)


def coupling_parameter(mechanism: Mechanism, preferred: Sequence[str] = ()) -> str | None:
    """Return the parameter that couples: by its unit, else by its name; None if none looks so.

    Parameters
    ----------
    mechanism : Mechanism
    preferred : sequence of str
        Those that go before others, such as free parameters.
    """
    names = sorted(mechanism.parameters, key=lambda n: (n not in preferred, n))
    units = mechanism.parameters
    by_unit = [n for n in names if _couples(units[n])]
    if by_unit:
        return by_unit[0]
    plain = [n for n in names if units[n] in ("", "1") and n[:1].lower() in ("g", "r")]
    return plain[0] if plain else None


def measure_coupling(
    name: str, partner: str, preferred: Sequence[str] = (), fixed: Sequence[tuple[str, float]] = ()
) -> Coupling | None:
    """Couple two passive cells of 100 MΩ, step one of them, and solve the closed form.

    Parameters
    ----------
    name : str
        The loaded mechanism.
    partner : str
        The variable for the voltage of the other side.
    preferred : sequence of str
        See :func:`coupling_parameter`.
    fixed : sequence of (str, float)
        Values of other parameters, in the units of the mechanism.

    Returns
    -------
    Coupling or None
        None if no parameter looks like a coupling, or none of the values tried couples measurably.
    """
    parameter = coupling_parameter(describe(name), preferred)
    others = tuple(pair for pair in fixed if pair[0] != parameter)
    return None if parameter is None else _measured(name, partner, parameter, others)


@functools.cache
def _measured(
    name: str, partner: str, parameter: str, fixed: tuple[tuple[str, float], ...]
) -> Coupling | None:
    unit = describe(name).parameters[parameter]
    first = _in(_SMALL, CONDUCTANCE, unit)
    if first is None:
        first = _in(1 / _SMALL, RESISTANCE_UNIT, unit)
    for value in ((first,) if first is not None else ()) + _VALUES:
        with settings_restored([f"{n}_{name}" for n in describe(name).global_parameters]):
            one, two = _coefficients(name, partner, fixed, parameter, (value, 2 * value))
        if all(_LEAST < abs(c) < _MOST for c in (one, two)) and one * two > 0:
            g, g_2 = (c / (RESISTANCE * (1 - c)) for c in (one, two))
            exponent = math.log2(g_2 / g) if g_2 / g > 0 else math.nan
            return Coupling(parameter, unit, value, one, g, exponent)
    return None


def _coefficients(
    name: str,
    partner: str,
    fixed: Sequence[tuple[str, float]],
    parameter: str,
    values: Sequence[float],
) -> list[float]:
    with _pair(name, partner, fixed) as pair:
        return [pair(parameter, value) for value in values]


@contextlib.contextmanager
def _pair(name: str, partner: str, fixed: Sequence[tuple[str, float]]) -> Iterator[Any]:
    """Give what returns the coupling coefficient at a value of a parameter."""
    h = nrn.hoc()
    conductance = 1e-6 / RESISTANCE / (_AREA * 1e-8)  # S/cm²
    sections = [h.Section(name=f"stpspec_coupling_{k}") for k in (1, 2)]
    for section in sections:
        section.L = section.diam = math.sqrt(_AREA / math.pi)
        section.insert("pas")
        section.g_pas, section.e_pas = conductance, _REST
    gaps = [getattr(h, name)(section(0.5)) for section in sections]
    electrode = h.IClamp(sections[0](0.5))
    electrode.delay, electrode.dur, electrode.amp = _BEFORE, _DURING, _STEP
    shared = describe(name).global_parameters

    def set_to(parameter: str, value: float) -> None:
        if parameter in shared:
            setattr(h, f"{parameter}_{name}", value)
            return
        for gap in gaps:
            setattr(gap, parameter, value)

    def coefficient(parameter: str, value: float) -> float:
        set_to(parameter, value)
        h.finitialize(_REST)
        nrn.context().psolve(_BEFORE - _DT)
        rest = [s(0.5).v for s in sections]
        nrn.context().psolve(_BEFORE + _DURING - _DT)
        own, other = (s(0.5).v - v for s, v in zip(sections, rest, strict=True))
        return other / own if own else math.nan

    try:
        with nrn.border(MechanismError, f"{name} between two passive cells"):
            nrn.cvode().active(0)
            h.dt, h.steps_per_ms, h.secondorder = _DT, 1 / _DT, 0
            for gap, other in zip(gaps, reversed(sections), strict=True):
                partner_voltage.connect(gap, partner, other, 0.5)
            partner_voltage.complete()
            for parameter, value in fixed:
                set_to(parameter, value)
            yield coefficient
    finally:
        partner_voltage.disconnect(gaps)


def _couples(unit: str) -> bool:
    return any(_in(1.0, unit, ours) is not None for ours in (CONDUCTANCE, RESISTANCE_UNIT))


def _in(value: float, unit: str, other: str) -> float | None:
    if unit in ("", "1"):
        return None
    with contextlib.suppress(UnitError):
        return convert(f"{value!r} {unit}", other)
    return None
