"""The figures of a result: in which formats they are written, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from pydantic import Field, field_validator

from stpspec.specs.base import Spec

Format = Literal["png", "svg", "pdf"]


class Figures(Spec):
    """How the figures in the folder of a result are written; no number depends on it."""

    format: list[Format] = Field(
        default=["png"],
        min_length=1,
        description="one or several of png, svg and pdf; the data are beside each as CSV",
    )
    scale_bars: bool = Field(default=False, description="traces with scale bars instead of axes")

    @field_validator("format", mode="before")
    @classmethod
    def _one_alone(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value


def figure_formats(spec: Mapping[str, object]) -> tuple[str, ...]:
    """Return the formats that the data of an experiment ask for; of an earlier version, PNG."""
    figures = spec.get("figures")
    formats = figures.get("format") if isinstance(figures, Mapping) else None
    known = [f for f in formats if f in get_args(Format)] if isinstance(formats, list) else []
    return tuple(known) or ("png",)
