"""Errors of broken rules, in the form in which pydantic collects them."""

from __future__ import annotations

from pydantic_core import PydanticCustomError

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
