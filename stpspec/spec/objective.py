"""The objective: what is asked of the metrics, term by term."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from stpspec.spec.base import Spec

Target = float | list[float]


class Term(Spec):
    """One target: a metric of one protocol, its target value and how a miss is judged.

    A miss is d = (achieved − target) / sd. Without an ``sd`` it is counted in the metric's own
    unit; give one to make milliseconds and ratios comparable.
    """

    metric: str
    protocol: str = Field(description="name of a protocol of this experiment")
    target: Target = Field(
        description="a number, or a list for a vector metric; the unit is the metric's"
    )
    sd: Target | None = Field(default=None, description="standard deviation of the target")
    weight: float = Field(default=1.0, ge=0)
    loss: str = Field(
        default="squared", description="squared, absolute, relative, huber, band or a plug-in"
    )
    loss_options: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict, description="of the metric")

    @model_validator(mode="after")
    def _sd_fits(self) -> Self:
        sds = self.sd if isinstance(self.sd, list) else [] if self.sd is None else [self.sd]
        if any(s <= 0 for s in sds):
            raise ValueError(f"sd must be above 0 (got {self.sd!r})")
        if isinstance(self.target, list) and not self.target:
            raise ValueError("a target list must not be empty")
        if isinstance(self.sd, list) and (
            not isinstance(self.target, list) or len(self.sd) != len(self.target)
        ):
            raise ValueError("a list of sd needs a list of as many targets")
        if self.loss == "relative" and 0 in (
            self.target if isinstance(self.target, list) else [self.target]
        ):
            raise ValueError("a relative loss needs a target other than 0")
        return self

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
    cost_options: dict[str, Any] = Field(default_factory=dict)

    @property
    def n_targets(self) -> int:
        """Number of target values in all terms that count (weight above 0)."""
        return sum(t.size for t in self.terms.values() if t.weight > 0)
