"""Free parameters: bounds, start and scale, and their place in the unit interval."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import model_validator

from stpspec.specs.base import Spec
from stpspec.specs.quantities import Quantity
from stpspec.specs.rule_errors import rule_error
from stpspec.units import UnitError, convert, split


class Parameter(Spec):
    """One free parameter: of the mechanism, ``weight``, or what a dotted path names.

    A number is in the unit of the mechanism, or in NEURON's own of what is named;
    a string such as ``"20 ms"`` says its own.
    """

    min: Quantity
    max: Quantity
    start: Quantity | None = None
    scale: Literal["linear", "log"] = "linear"

    @model_validator(mode="before")
    @classmethod
    def _is_more_than_a_value(cls, data: object) -> object:
        if isinstance(data, int | float | str | list):
            rule = "a mapping such as {min: 0.1, max: 0.9}; a value that is not fitted belongs in "
            raise rule_error("rule", f"{rule}model.fixed")
        return data

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> Self:
        unit = self._common_unit()
        if unit is None:
            return self
        low, high = convert(self.min, unit), convert(self.max, unit)
        if not low < high:
            raise ValueError(f"min must be below max (got min={self.min!r}, max={self.max!r})")
        if self.scale == "log" and low <= 0:
            raise ValueError(f"a log scale needs min > 0 (got min={self.min!r})")
        if self.start is not None and not low <= convert(self.start, unit) <= high:
            raise ValueError(
                f"start must be within the bounds (got start={self.start!r}, "
                f"min={self.min!r}, max={self.max!r})"
            )
        return self

    def _common_unit(self) -> str | None:
        """Unit in which all values can be compared; None if only the mechanism can tell."""
        values = [v for v in (self.min, self.max, self.start) if v is not None]
        units = [split(v)[1] if isinstance(v, str) else "" for v in values]
        if all(u == "" for u in units):
            return "1"
        if any(u == "" for u in units):
            return None
        try:
            for value in values:
                convert(value, units[0])
        except UnitError:
            return None  # only the mechanism can tell which of the units is the wrong one
        return units[0]

    def in_unit(self, unit: str) -> Parameter:
        """Return the same parameter as plain numbers in ``unit``.

        Raises
        ------
        UnitError
            If a value has another dimension.
        pydantic.ValidationError
            If the bounds turn out to be reversed once they are in one unit.
        """
        return Parameter(
            min=convert(self.min, unit),
            max=convert(self.max, unit),
            start=None if self.start is None else convert(self.start, unit),
            scale=self.scale,
        )

    def to_unit(self, value: float) -> float:
        """Map a value to [0, 1] (numbers only: after :meth:`in_unit`)."""
        low, high = float(self.min), float(self.max)
        if self.scale == "log":
            return math.log(value / low) / math.log(high / low)
        return (value - low) / (high - low)

    def from_unit(self, x: float) -> float:
        """Map a point of [0, 1] to a value, exactly at both bounds."""
        low, high = float(self.min), float(self.max)
        if x <= 0:
            return low
        if x >= 1:
            return high
        value = low * (high / low) ** x if self.scale == "log" else low + x * (high - low)
        return min(max(value, low), high)
