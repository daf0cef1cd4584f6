"""The study: where the evaluations of a fit are kept, to be watched, resumed and shared."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from stpspec.spec.base import Spec


class StudySpec(Spec):
    """An Optuna study that holds every evaluation of a fit, whatever the fitter.

    The same experiment with the same study goes on where it stopped. A name alone will do.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    storage: str | None = Field(
        default=None,
        description="a journal file, or any storage URL that Optuna knows; by default "
        "stpspec-studies/NAME.journal",
    )
    accept_changes: bool = Field(
        default=False,
        description="go on, beside the first, although the experiment has changed since",
    )

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data

    @property
    def place(self) -> str:
        """The storage, with its default filled in."""
        return self.storage or f"stpspec-studies/{self.name}.journal"
