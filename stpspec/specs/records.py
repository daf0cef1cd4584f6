"""Records in files: JSON that is read through a model, which says what is wrong in which file."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from stpspec.errors import ResultError, StpspecError

T = TypeVar("T")
_TOLD = 3  # faults of one file that are told
_LARGEST = 200_000_000  # bytes; no record comes near it


def read_record(
    path: Path, model: type[T], what: str, error: type[StpspecError] = ResultError
) -> T:
    """Read a JSON file.

    Parameters
    ----------
    path : Path
    model : type
        A TypedDict, or any other type that pydantic validates.
    what : str
        What the file is, in the words of a message.
    error : type of StpspecError
        What is raised.

    Raises
    ------
    StpspecError
        If it cannot be read, or is not what the model says.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise error(f"{path} is too large for {what}")
        text = path.read_bytes()
    except OSError as fault:
        raise error(f"{path} cannot be read: {fault.strerror or fault}") from fault
    return parsed_record(text, model, f"{path}", what, error)


def parsed_record(
    text: str | bytes,
    model: type[T],
    where: str,
    what: str,
    error: type[StpspecError] = ResultError,
) -> T:
    """Return what a text in JSON holds; see :func:`read_record`."""
    return _checked(lambda: _adapter(model).validate_json(text), where, what, error)


def checked_record(
    data: object, model: type[T], where: str, what: str, error: type[StpspecError] = ResultError
) -> T:
    """Return data that is what a model says; see :func:`read_record`."""
    return _checked(lambda: _adapter(model).validate_python(data), where, what, error)


def _checked(validate: Any, where: str, what: str, error: type[StpspecError]) -> Any:
    try:
        return validate()
    except (ValidationError, RecursionError, UnicodeEncodeError) as fault:
        raise error(f"{where} is damaged, or no {what}: {_told(fault)}") from fault


def _told(fault: Exception) -> str:
    if not isinstance(fault, ValidationError):
        return str(fault)
    found = fault.errors(include_url=False, include_context=False)
    lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}".lstrip(": ") for e in found]
    more = len(lines) - _TOLD
    return "; ".join(lines[:_TOLD]) + (f"; and {more} more" if more > 0 else "")


@functools.cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)
