"""Damage of a storage: what Optuna and databases raise where one is not as they wrote it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from stpspec.errors import StpspecError, StudyError
from stpspec.formatting import hide

_RAW = (LookupError, TypeError, ValueError, AttributeError, OverflowError, AssertionError,
        RecursionError)  # fmt: skip


@contextlib.contextmanager
def damage_named(place: str) -> Iterator[None]:
    """Raise what reading a damaged storage raises as one StudyError that names it.

    Parameters
    ----------
    place : str
        Path of the journal, or URL of the database.
    """
    try:
        yield
    except StpspecError:
        raise
    except Exception as error:
        is_of_database = type(error).__module__.startswith("sqlalchemy")
        if not isinstance(error, _RAW) and not is_of_database:
            raise
        raise StudyError(
            f"{hide(place)} is damaged, or was not written by stpspec and Optuna "
            f"({type(error).__name__}: {error}); name another storage, or move this one away"
        ) from error
