"""Field types that carry a unit: each takes a number in that unit, or a string such as "0.25 s".

Units are NEURON's own: ms, mV, nA, µS, Hz, °C, MΩ.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import core_schema

from stpspec.specs.rule_errors import rule_error
from stpspec.units import UnitError, convert, number_of, require_unit, split


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


def quantity(value: Any) -> float | str:
    """Check the form of a quantity whose unit is known only once the mechanism is loaded."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise rule_error("quantity", 'a number or a string with a unit, such as "20 ms"')
    try:
        number, written = (number_of(value), "") if isinstance(value, int | float) else split(value)
    except UnitError as error:
        raise rule_error("quantity", str(error)) from error
    if not math.isfinite(number):
        raise rule_error("quantity", "a finite number")
    if not written:
        return number
    try:
        require_unit(written)
    except UnitError as error:
        raise rule_error("quantity", str(error)) from error
    return str(value).strip()


Quantity = Annotated[
    float | str,
    BeforeValidator(quantity),
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
        return quantity(value)
    return [None if v is None and gaps else quantity(v) for v in value]


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
