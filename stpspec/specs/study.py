"""The study: where the evaluations of a fit are kept, to be watched, resumed and shared."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import Field, field_validator, model_validator

from stpspec.formatting import hide
from stpspec.specs.base import Spec

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")


class StudySpec(Spec):
    """An Optuna study that holds every evaluation of a fit, whatever the fitter.

    The same experiment with the same study goes on where it stopped. A name alone will do.
    """

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="letters, digits, _, . and -, since it is the name of a file, too",
    )
    storage: str | None = Field(
        default=None,
        description="a journal file, or any storage URL that Optuna knows, with its password in "
        "STPSPEC_STORAGE_PASSWORD; by default stpspec-studies/NAME.journal",
    )
    accept_changes: bool = Field(
        default=False,
        description="go on, beside the first, although the experiment has changed since",
    )

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, data: object) -> object:
        return data if isinstance(data, Mapping) else {"name": data}

    @field_validator("name", mode="before")
    @classmethod
    def _readable(cls, name: object) -> str:
        if not isinstance(name, str):
            raise ValueError('a name; one that YAML reads as a number or date needs quotes: "2026"')
        if not _NAME.fullmatch(name):
            raise ValueError("a name of letters, digits, _, . and -, a letter or digit first")
        return name

    @field_validator("storage")
    @classmethod
    def _without_its_password(cls, storage: str | None) -> str | None:
        # Results, logs and other processes get the spec; the connection alone gets the password.
        return None if storage is None else hide(storage)

    @property
    def place(self) -> str:
        """The storage, with its default filled in."""
        return self.storage or f"stpspec-studies/{self.name}.journal"
