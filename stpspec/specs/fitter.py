"""Base of all fitters: start, budget, and what they see when an evaluation fails."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from stpspec.specs.base import Spec
from stpspec.specs.plausible import Range
from stpspec.specs.quantities import Second

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stpspec.specs.objective import Objective
    from stpspec.specs.parameters import Parameter


class Budget(Spec):
    """Where a fit stops at the latest."""

    evaluations: int | None = Field(default=1000, ge=1, description="simulated candidates")
    seconds: Annotated[Second, Range("s", 0.01, 1e7)] | None = Field(
        default=None, gt=0, description="wall-clock seconds"
    )


class FitterSpec(Spec):
    """Base of every fitter: a subclass adds its own settings and ``minimize(problem)``."""

    kind: str
    start: Literal["auto", "given", "middle", "random", "sobol", "closed_form", "result"] = Field(
        default="auto",
        description="given: each parameter's own start, the middle where it has none; closed_form: "
        "the best by the event map; result: the best trial of the study, or the values of the "
        "saved result that is fitted anew; auto: closed_form where no start is given and there is "
        "one",
    )
    n_starts: int = Field(
        default=1, ge=1, le=1024, description="number of random, Sobol or closed-form starts"
    )
    budget: Budget = Field(default_factory=Budget)
    on_failure: Literal["penalty", "raise"] = Field(
        default="penalty",
        description="what the fitter sees of a failed evaluation; the history keeps it as failed",
    )
    penalty: float = Field(
        default=1e6, gt=0, description="loss shown to the fitter for a failed evaluation"
    )

    uses_whole_budget: ClassVar[bool] = False
    """Whether it goes on until the budget is spent, as samplers do, instead of converging."""

    keeps_its_trials: ClassVar[bool] = False
    """Whether it makes its own trials in the study, so that none is kept twice."""

    @model_validator(mode="after")
    def _starts_are_drawn(self) -> Self:
        if self.n_starts > 1 and self.start in ("auto", "given", "middle", "result"):
            raise ValueError(
                f"n_starts counts starts that are drawn: it needs start: sobol, random or "
                f"closed_form (got n_starts={self.n_starts}, start={self.start!r})"
            )
        return self

    @property
    def takes_differences(self) -> bool:
        """Whether it begins with differences around its start."""
        return False

    def idle_settings(self) -> list[str]:
        """Return the fields that have no effect, given the others."""
        return ["penalty"] if self.on_failure == "raise" else []

    @abstractmethod
    def minimize(self, problem: Any) -> Any:  # of rows above this one: Problem → Outcome
        """Minimize the loss of a problem and return an Outcome (see :mod:`stpspec.fitters`)."""

    def objections(
        self, parameters: Mapping[str, Parameter], objective: Objective
    ) -> list[tuple[str, str, object]]:
        """Return (path, rule, received) for whatever keeps this fitter from this problem."""
        return []
