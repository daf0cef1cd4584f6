"""The objective: what is asked of the metrics, term by term."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from stpspec.specs.base import Spec
from stpspec.units import Quantities, convert, number_of

Values = float | str | list[float | str]  # of a target or an sd, each perhaps with a unit
Repeats = Annotated[int, Field(ge=1, le=10**9)]


class Term(Spec):
    """One target: a metric of one protocol, its target value and how a miss is judged.

    A miss is d = (achieved − target) / sd. Without an ``sd`` it is counted in the metric's own
    unit; give one to make milliseconds and ratios comparable. The ``sd`` is how far the target
    itself may be off: of a mean its standard error (s.e.m.), or the sd of single measurements and
    their number ``n``, whose mean is off by sd / √n.
    """

    metric: str
    protocol: str = Field(description="name of a protocol of this experiment")
    target: Quantities = Field(
        description="a number in the metric's unit, or a string with a unit; a list of them for a "
        "vector metric"
    )
    sd: Quantities | None = Field(
        default=None,
        description="standard deviation of the target, in the metric's unit; with n, that of the "
        "n measurements whose mean the target is",
    )
    n: Repeats | list[Repeats] | None = Field(
        default=None,
        description="number of measurements whose mean the target is, and whose spread the sd is; "
        "without it the sd is that of the target itself (of a mean, the s.e.m.)",
    )
    weight: float = Field(default=1.0, ge=0)
    loss: str = Field(
        default="squared", description="squared, absolute, relative, huber, band or a plug-in"
    )
    loss_options: dict[str, object] = Field(default_factory=dict)
    options: dict[str, object] = Field(default_factory=dict, description="of the metric")

    # Rules of one field, so that a wrong one does not hide what is wrong with the others.
    @field_validator("target")
    @classmethod
    def _target_is_not_empty(cls, target: Values) -> Values:
        if isinstance(target, list) and not target:
            raise ValueError("a target list must not be empty")
        return target

    @field_validator("sd")
    @classmethod
    def _sd_fits(cls, sd: Values | None, info: ValidationInfo) -> Values | None:
        sds = sd if isinstance(sd, list) else [] if sd is None else [sd]
        if any(number_of(s) <= 0 for s in sds):
            raise ValueError("sd must be above 0")
        if isinstance(sd, list) and "target" in info.data:
            target = info.data["target"]
            if not isinstance(target, list) or len(sd) != len(target):
                raise ValueError("a list of sd needs a list of as many targets")
        return sd

    @field_validator("n")
    @classmethod
    def _n_fits(cls, n: int | list[int] | None, info: ValidationInfo) -> int | list[int] | None:
        if n is not None and "sd" in info.data and info.data["sd"] is None:
            raise ValueError("n is the number of measurements whose sd is given: it needs an sd")
        if isinstance(n, list) and "target" in info.data:
            target = info.data["target"]
            if not isinstance(target, list) or len(n) != len(target):
                raise ValueError("a list of n needs a list of as many targets")
        return n

    def in_unit(self, unit: str) -> Term:
        """Return the same term with target and sd as plain numbers in ``unit``.

        Raises
        ------
        UnitError
            If a value has another dimension.
        """

        def plain(value: Values) -> Values:
            if isinstance(value, list):
                return [convert(v, unit) for v in value]
            return convert(value, unit)

        sd = None if self.sd is None else plain(self.sd)
        return self.copy_with(target=plain(self.target), sd=sd)

    @property
    def size(self) -> int:
        """Number of values in the target."""
        return len(self.target) if isinstance(self.target, list) else 1


class Objective(Spec):
    """Terms by name; their losses add up, unless a cost function of one's own is named."""

    terms: dict[str, Term] = Field(min_length=1)
    cost: str | None = Field(
        default=None,
        description="registered function of (metrics, targets) used instead of the sum",
    )
    cost_options: dict[str, object] = Field(default_factory=dict)
