"""The objective: what is asked of the metrics, term by term."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from stpspec.specs.base import Spec
from stpspec.specs.quantities import QuantitiesWithGaps
from stpspec.specs.target_source import TargetField, TargetSource, named_files
from stpspec.units import convert, number_of, split

# Of a target or an sd, each perhaps with a unit; None in a list is a gap, not measured.
Values = float | str | list[float | str | None]
Repeats = Annotated[int, Field(ge=1, le=10**9)]
Target = Annotated[Any, TargetField()]  # Values, or a TargetSource until it is read


class WrittenTarget(Spec):
    """A target as it was written, before its source was read."""

    target: Target
    sd: QuantitiesWithGaps | None = None
    n: Repeats | list[Repeats | None] | None = None
    options: dict[str, object] = Field(default_factory=dict)


class Term(Spec):
    """One target: a metric of one protocol, its target value and how a miss is judged.

    A miss is d = (achieved − target) / sd. Without an ``sd`` it is counted in the metric's own
    unit; give one to make milliseconds and ratios comparable. The ``sd`` is how far the target
    itself may be off: of a mean its standard error (s.e.m.), or the sd of single measurements and
    their number ``n``, whose mean is off by sd / √n.
    """

    metric: str
    protocol: str = Field(description="name of a protocol of this experiment")
    target: Target = Field(
        description="a number in the metric's unit, or a string with a unit; a list of them for a "
        "vector metric, with null for what was not measured; or a source of such numbers"
    )
    sd: QuantitiesWithGaps | None = Field(
        default=None,
        description="standard deviation of the target, in the metric's unit; with n, that of the "
        "n measurements whose mean the target is",
    )
    n: Repeats | list[Repeats | None] | None = Field(
        default=None,
        description="number of measurements whose mean the target is, and whose spread the sd is; "
        "without it the sd is that of the target itself (of a mean, the s.e.m.)",
    )
    sd_degrees: float | None = Field(
        default=None,
        ge=1,
        description="degrees of freedom of the sd where it is an estimate from other data, such as "
        "the noise before a stimulus; with n they follow from n",
    )
    scale: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$",
        description="name of a free factor between model and target, such as free: found with the "
        "parameters, and one for all terms of the same name; target and sd then have a unit of "
        "their own",
    )
    unit: str | None = Field(
        default=None,
        description="unit of the numbers of target and sd that have none; by default that of the "
        "metric, and with a scale none",
    )
    weight: float = Field(default=1.0, ge=0)
    loss: str = Field(
        default="squared", description="squared, absolute, relative, huber, band or a plug-in"
    )
    loss_options: dict[str, object] = Field(default_factory=dict)
    options: dict[str, object] = Field(default_factory=dict, description="of the metric")

    written: WrittenTarget | None = Field(
        default=None,
        description="the source of the numbers, as it was written; set where they are read from it",
    )

    # Rules of one field, so that a wrong one does not hide what is wrong with the others.
    @field_validator("target")
    @classmethod
    def _target_is_not_empty(cls, target: Any) -> Any:
        if isinstance(target, list) and not target:
            raise ValueError("a target list must not be empty")
        if isinstance(target, list) and all(value is None for value in target):
            raise ValueError("a target needs a value: all of this one are gaps")
        return target

    @field_validator("sd")
    @classmethod
    def _sd_fits(cls, sd: Values | None, info: ValidationInfo) -> Values | None:
        sds = sd if isinstance(sd, list) else [] if sd is None else [sd]
        if any(number_of(s) <= 0 for s in sds if s is not None):
            raise ValueError("sd must be above 0")
        if isinstance(sd, list):
            _require_like(info, sd, "sd")
        return sd

    @field_validator("n")
    @classmethod
    def _n_fits(
        cls, n: int | list[int | None] | None, info: ValidationInfo
    ) -> int | list[int | None] | None:
        is_from_source = isinstance(info.data.get("target"), TargetSource)
        if n is not None and "sd" in info.data and info.data["sd"] is None and not is_from_source:
            raise ValueError("n is the number of measurements whose sd is given: it needs an sd")
        if isinstance(n, list):
            _require_like(info, n, "n")
        return n

    def in_unit(self, unit: str) -> Term:
        """Return the same term with target and sd as plain numbers in ``unit``.

        Those of a term with a free scale stay in a unit of their own, which the term then names.

        Parameters
        ----------
        unit : str
            Of the metric.

        Raises
        ------
        UnitError
            If a value has another dimension.
        """

        named = self.own_unit if self.scale is not None and self.own_unit != "1" else None
        target, sd = (self.numbers(field, unit) for field in ("target", "sd"))
        return self.copy_with(target=target, sd=sd, unit=named)

    def numbers(self, field: Literal["target", "sd"], unit: str) -> Any:
        """Return the target or the sd as plain numbers, as :meth:`in_unit` has them.

        Raises
        ------
        UnitError
            If a value has another dimension.
        """
        own = self.own_unit if self.scale is not None else unit
        value = getattr(self, field)
        if isinstance(value, list):
            return [None if v is None else self._number(v, own) for v in value]
        return None if value is None else self._number(value, own)

    def _number(self, value: float | str, unit: str) -> float:
        if self.unit is not None and not (isinstance(value, str) and split(value)[1]):
            value = f"{number_of(value)!r} {self.unit}"
        return convert(value, unit)

    @property
    def own_unit(self) -> str:
        """Unit of target and sd beside a free scale: the first that is written; 1 without any."""
        written = [split(v)[1] for v in self.measured if isinstance(v, str)]
        return next((u for u in written if u), self.unit or "1")

    @property
    def measured(self) -> list[float | str]:
        """The values of the target without its gaps; none as long as its source is not read."""
        if isinstance(self.target, TargetSource):
            return []
        values = self.target if isinstance(self.target, list) else [self.target]
        return [v for v in values if v is not None]

    @property
    def size(self) -> int:
        """Number of values in the target."""
        return len(self.target) if isinstance(self.target, list) else 1


def _require_like(info: ValidationInfo, values: list[Any], name: str) -> None:
    """Refuse a list that has not as many values as the target, or lacks one where it has none."""
    target = info.data.get("target")
    if "target" not in info.data or isinstance(target, TargetSource):
        return
    if not isinstance(target, list) or len(values) != len(target):
        raise ValueError(f"a list of {name} needs a list of as many targets")
    for k, (value, aim) in enumerate(zip(values, target, strict=True), 1):
        if value is None and aim is not None:
            raise ValueError(f"value {k} of the target has no {name} (null stands beside a gap)")


class Objective(Spec):
    """Terms by name; their losses add up, unless a cost function of one's own is named."""

    terms: dict[str, Term] = Field(min_length=1)
    cost: str | None = Field(
        default=None,
        description="registered function of (metrics, targets) used instead of the sum",
    )
    cost_options: dict[str, object] = Field(default_factory=dict)


def target_files(objective: Objective | None) -> Iterator[tuple[str, str]]:
    """Yield the dotted path, in the experiment, of each field of a target that names a file.

    Yields
    ------
    path, file : str
        The path is below ``written`` where the source has been read.
    """
    for name, term in objective.terms.items() if objective is not None else ():
        place = f"objective.terms.{name}"
        for field, file in named_files(term.target):
            yield f"{place}.target.{field}", file
        for field, file in named_files(term.written and term.written.target):
            yield f"{place}.written.target.{field}", file
