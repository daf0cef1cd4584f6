"""Damage of a storage: what Optuna and databases raise where one is not as they wrote it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from stpspec.errors import StpspecError, StudyError
from stpspec.formatting import hide
from stpspec.studies.storage_methods import Method, exchange_methods

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

_BY_NAME = ("get_study_id_from_name", "create_new_study")  # they ask whether there is one
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


def name_what_is_gone(storage: BaseStorage, place: str) -> None:
    """Have each method of a storage say so where a study or trial that was written is gone.

    Another process may delete a study, or restore an older file, in the midst of a fit.
    """
    exchange_methods(storage, lambda _, method: _naming(method, place), _BY_NAME)


def _naming(method: Method, place: str) -> Method:
    @functools.wraps(method)
    def call(*args: Any, **options: Any) -> Any:
        try:
            return method(*args, **options)
        except LookupError as error:
            told = error.args[0] if error.args else error
            raise StudyError(
                f"{hide(place)} no longer holds what was written to it ({told}); was the study "
                f"deleted, or the file restored, while it was in use?"
            ) from error

    return call
