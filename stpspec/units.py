"""Field types that carry a unit: each takes a number in that unit, or a string such as "0.25 s".

Units are NEURON's own: ms, mV, nA, µS, Hz, °C, MΩ. pint is imported only for a pair of units that
has never been converted before: to import it takes longer than all else that checks an experiment.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from numbers import Real
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import PydanticCustomError, core_schema

from stpspec.errors import StpspecError
from stpspec.resources import cache_folder

_QUANTITY = re.compile(r"^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*$")

_TYPOGRAPHIC = tuple("“”„‟‘’‚‛«»")
# How mechanisms and people write units that pint spells differently.
_SPELLINGS = {
    "°C": "degC", "degC": "degC", "celsius": "degC", "Ω": "ohm", "µ": "u", "μ": "u",
    "mho": "siemens", "megohm": "megaohm", "Ohm": "ohm",
}  # fmt: skip


class UnitError(StpspecError, ValueError):
    """A quantity has no number, an unknown unit, or a unit of another dimension."""


@functools.cache
def _pint() -> Any:
    import pint

    # Reading its definitions takes pint half a second; what it has read is kept.
    try:
        return pint.UnitRegistry(cache_folder=cache_folder("units"))
    except Exception:  # a folder that cannot be written, or a file torn by a crash
        return pint.UnitRegistry(cache_folder=None)


def _factors_file() -> Path:
    """Return where the conversion factors of this version of pint are remembered."""
    return cache_folder("units") / f"factors-{version('pint')}.json"


def _read_factors(file: Path) -> dict[str, dict[str, float]]:
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
        return {
            source: {target: float(factor) for target, factor in row.items()}
            for source, row in table.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):  # not there, or damaged
        return {}


@functools.cache
def _factors() -> dict[str, dict[str, float]]:
    """Return unit → unit → factor, of the conversions that are plain multiplications."""
    return _read_factors(_factors_file())


def _remember(source: str, target: str, factor: float) -> None:
    _factors().setdefault(source, {})[target] = factor
    file, temporary = _factors_file(), None
    table = _read_factors(file)  # another process may have added to it
    table.setdefault(source, {})[target] = factor
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as written:
            json.dump(table, written, sort_keys=True)
        Path(temporary).replace(file)
    except OSError:  # pint is asked each time
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def split(value: str) -> tuple[float, str]:
    """Split ``"0.25 s"`` into 0.25 and ``"s"``; a bare number has the unit ``""``.

    Raises
    ------
    UnitError
        If it does not begin with a finite number.
    """
    match = _QUANTITY.match(value.replace("\u2212", "-"))  # the minus that papers are printed with
    if match is None and value.strip()[:1] in _TYPOGRAPHIC:
        raise UnitError(f"there are typographic quotes around it: {value!r}; write plain ones")
    if match is None:
        raise UnitError(f"not a number with a unit: {value!r}")
    if match.group(2)[:1] in _TYPOGRAPHIC:
        raise UnitError(f"there are typographic quotes in {value!r}: write plain ones")
    if match.group(2).startswith(","):  # pint takes "0,1" for 0 × 1
        raise UnitError(f"a number has a decimal point, no comma: {value!r}")
    return float(match.group(1)), match.group(2)


def _float_of(value: Real | float) -> float:
    """Return a number as a float; infinite where it is beyond all floats."""
    try:
        return float(value)
    except OverflowError:  # an integer of more than 308 digits
        return math.inf


def number_of(value: float | str) -> float:
    """Return the number of a quantity, whatever its unit."""
    return split(value)[0] if isinstance(value, str) else _float_of(value)


def convert(value: float | str, unit: str) -> float:
    """Express a quantity as a plain number in ``unit``.

    Parameters
    ----------
    value : float or str
        A number, taken to be in ``unit`` already, or a string such as ``"0.25 s"``.
    unit : str
        Target unit as pint or NMODL writes it; ``"1"`` or ``""`` means dimensionless.

    Returns
    -------
    float

    Raises
    ------
    UnitError
        If the string is no quantity, or its unit has another dimension than ``unit``.
    """
    if isinstance(value, bool):
        raise UnitError(f"expected a number in {unit or '1'}, not a truth value")
    if isinstance(value, Real):
        number = _float_of(value)
    elif not isinstance(value, str):
        raise UnitError(f"expected a number in {unit or '1'}, or a string with a unit")
    else:
        number, written = split(value)
        if written:
            number = _convert_written(number, written, unit)
    if not math.isfinite(number):
        raise UnitError(f"expected a finite number in {unit or '1'}")
    return number


def _convert_written(number: float, written: str, unit: str) -> float:
    source, target = _spell(written), _spell(unit) or "dimensionless"
    factor = _factors().get(source, {}).get(target)
    converted = _ask_pint(number, written, unit) if factor is None else number * factor
    return float(f"{converted:.15g}")  # "-10 pA" is -0.01 nA, not -0.009999999999999998


def _ask_pint(number: float, written: str, unit: str) -> float:
    import pint

    quantity = _pint().Quantity
    source, target = _spell(written), _spell(unit) or "dimensionless"
    try:
        converted = quantity(number, source).to(target).magnitude
    except pint.DimensionalityError as error:
        if target == "dimensionless":
            raise UnitError(f"expected a number without unit, and {written!r} is one") from error
        raise UnitError(
            f"expected a quantity in {unit or '1'}, and {written!r} has another dimension"
        ) from error
    except Exception as error:  # pint raises a dozen types on text it cannot read
        _known(written, unit or "1")
        raise UnitError(
            f"the unit {unit!r} of the mechanism is none that is known here: write a bare number"
        ) from error
    with contextlib.suppress(Exception):  # 0 W has no decibels
        zero, one, two = (quantity(n, source).to(target).magnitude for n in (0.0, 1.0, 2.0))
        if zero == 0 and two == 2 * one:  # not so from kelvin to °C
            _remember(source, target, one)
    return converted


def _known(written: str, expected: str = "") -> None:
    """Raise a UnitError if this is no unit at all."""
    source = _spell(written)
    if source in _factors():
        return
    try:
        _pint().Quantity(1.0, source)
    except Exception as error:  # as above
        rather = f" (expected {expected})" if expected else ""
        raise UnitError(f"unknown unit {written!r}{rather}") from error
    _remember(source, source, 1.0)


def _spell(unit: str) -> str:
    text = unit.strip()
    if text in ("", "1"):
        return ""
    for wrong, right in _SPELLINGS.items():
        if right not in text or wrong in ("µ", "μ"):
            text = text.replace(wrong, right)
    if text.startswith("/"):
        text = "1" + text
    if "/" not in text:  # NMODL writes products with a hyphen: ohm-cm
        text = re.sub(r"(?<=[A-Za-z])-(?=[A-Za-z])", "*", text)
    # NMODL writes powers without a caret: mA/cm2, um2.
    return (
        re.sub(r"(?<=[A-Za-z])(\d)", r"**\1", text).replace("-1", "**-1")
        if "**" not in text
        else text
    )


# What the context of an error holds beside its text; no text has these names in braces.
RULE, NEAREST = "rule_broken", "nearest_valid_choice"


def rule_error(kind: str, text: str, nearest: str | None = None) -> PydanticCustomError:
    """Return an error for pydantic to collect; ``text`` is literal, braces and all.

    Parameters
    ----------
    kind : str
        See :class:`stpspec.errors.SpecProblem`, or a type of pydantic's own.
    text : str
    nearest : str, optional
        The nearest valid choice.
    """
    context = {RULE: text, NEAREST: nearest} if nearest else None
    text += f"; did you mean {nearest!r}?" if nearest else ""
    return PydanticCustomError(kind, text, context)  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class Unit:
    """The unit of a field: reads a number or a quantity, and describes both in a JSON schema.

    Attributes
    ----------
    symbol : str
        As pint knows it.
    example : str
        A quantity of the same dimension.
    """

    symbol: str
    example: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(self.number, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            "anyOf": [{"type": "number"}, {"type": "string", "examples": [self.example]}],
            "description": f"in {self.symbol}, or a string with a unit",
        }

    def number(self, value: Any) -> float:
        """Return a quantity as a number in this unit.

        Raises
        ------
        PydanticCustomError
            If it is none.
        """
        wanted = f'a number in {self.symbol} or a string such as "{self.example}"'
        if not isinstance(value, int | float | str) or isinstance(value, bool):
            raise rule_error("quantity", f"expected {wanted}")
        try:
            return convert(value, self.symbol)
        except UnitError as error:
            raise rule_error("quantity", f"{error}: {wanted}") from error

    def __str__(self) -> str:
        """Return the symbol as people write it."""
        return {"degC": "°C", "Mohm": "MΩ", "uS": "µS"}.get(self.symbol, self.symbol)


Millisecond = Annotated[float, Unit("ms", "0.25 s")]
Millivolt = Annotated[float, Unit("mV", "-70 mV")]
Nanoampere = Annotated[float, Unit("nA", "-10 pA")]
Microsiemens = Annotated[float, Unit("uS", "0.5 nS")]
Hertz = Annotated[float, Unit("Hz", "0.05 kHz")]
Celsius = Annotated[float, Unit("degC", "34 degC")]
Megaohm = Annotated[float, Unit("Mohm", "1 kohm")]
Second = Annotated[float, Unit("s", "2 min")]


def unit_of(field: Any) -> str:
    """Return the unit of a field of a spec (pydantic's FieldInfo) as people write it, or ``""``."""
    return next((str(mark) for mark in _marks(field.rebuild_annotation())), "")


def _marks(annotation: Any) -> Iterator[Unit]:
    """Yield the units in an annotation, also within Optional and list."""
    yield from (m for m in getattr(annotation, "__metadata__", ()) if isinstance(m, Unit))
    for inner in get_args(annotation):
        yield from _marks(inner)


def _quantity(value: Any) -> float | str:
    """Check the form of a quantity whose unit is known only once the mechanism is loaded."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise rule_error("quantity", 'a number or a string with a unit, such as "20 ms"')
    try:
        number, written = (_float_of(value), "") if isinstance(value, int | float) else split(value)
    except UnitError as error:
        raise rule_error("quantity", str(error)) from error
    if not math.isfinite(number):
        raise rule_error("quantity", "a finite number")
    if not written:
        return number
    try:
        _known(written)
    except UnitError as error:
        raise rule_error("quantity", str(error)) from error
    return str(value).strip()


Quantity = Annotated[
    float | str,
    BeforeValidator(_quantity),
    WithJsonSchema(
        {
            "anyOf": [{"type": "number"}, {"type": "string"}],
            "description": "in the unit of the mechanism, or a string with a unit",
        }
    ),
]


def quantities(value: Any, *, gaps: bool = False) -> Any:
    """Check the form of a quantity or of a list of them, for pydantic.

    Parameters
    ----------
    value : object
    gaps : bool
        Whether None may stand in a list, for what was not measured.
    """
    if not isinstance(value, list | tuple):
        return _quantity(value)
    return [None if v is None and gaps else _quantity(v) for v in value]


Quantities = Annotated[
    float | str | list[float | str],
    BeforeValidator(quantities),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number"},
                {"type": "string", "examples": ["2.5 ms"]},
                {"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "string"}]}},
            ],
        }
    ),
]

QuantitiesWithGaps = Annotated[
    float | str | list[float | str | None],
    BeforeValidator(functools.partial(quantities, gaps=True)),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number"},
                {"type": "string", "examples": ["2.5 ms"]},
                {
                    "type": "array",
                    "items": {"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]},
                },
            ],
        }
    ),
]
