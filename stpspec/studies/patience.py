"""Patience with a storage that is locked or gone in mid-fit: it is waited for, then given up."""

from __future__ import annotations

import errno
import logging
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from stpspec.errors import StudyError
from stpspec.formatting import first_line

log = logging.getLogger("stpspec.studies")

PATIENCE = 60.0  # s that a storage is waited for
_LONGEST_PAUSE = 1.0  # s between two attempts
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_LASTING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)  # a full disk stays full

T = TypeVar("T")

is_hurried: Callable[[], bool] = lambda: False  # noqa: E731 - set by whoever catches signals
"""Whether the fit has been asked to end, although its signal may wait for the end of a step."""


class Patience:
    """Repeats what fails, for a minute; then the storage is given up, and not waited for again.

    Parameters
    ----------
    what : str
        The storage, as messages name it.
    errors : type of Exception, or tuple of these
        By which it says that it is locked or gone.
    """

    def __init__(self, what: str, errors: type[Exception] | tuple[type[Exception], ...]) -> None:
        self._what, self._errors = what, errors
        self._error: StudyError | None = None
        self._is_inside = False

    def __call__(self, action: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        """Return what an action returns.

        Parameters
        ----------
        action : callable
        again : callable, optional
            What is done in its place after it has failed: the action by default. An action that
            failed may have been done all the same, as when a connection broke before the answer.

        Raises
        ------
        StudyError
            If it still fails after a minute, or has been given up before.
        """
        if self._is_inside:  # the action around this one is what is repeated
            return action()
        if self._error is not None:
            raise self._error
        self._is_inside, began, pause = True, None, 0.05
        try:
            while True:
                try:
                    return action()
                except self._errors as error:
                    action, now = again or action, time.monotonic()
                    if began is None:
                        began = now
                    self._look_at(error, now - began)
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
        except KeyboardInterrupt:
            if began is not None:  # whoever has had enough does not want another minute
                self._error = self._told("it was locked or gone when the fit was interrupted")
            raise
        finally:
            self._is_inside = False

    def _look_at(self, error: Exception, waited: float) -> None:
        """Raise unless an error may still pass."""
        if _lasts(error):
            raise self._told(reason_of(error)) from error
        if is_hurried():
            raise KeyboardInterrupt from error
        if waited > PATIENCE:
            reason = f"{reason_of(error)}; it was waited for {PATIENCE:g} s"
            self._error = self._told(reason)
            raise self._error from error
        if not waited:
            log.warning("%s is locked or gone, and is waited for: %s",
                        self._what, reason_of(error))  # fmt: skip

    def _told(self, why: str) -> StudyError:
        return StudyError(f"{self._what} cannot be written: {why}")


def _lasts(error: BaseException) -> bool:
    """Tell whether an error, or what it wraps, is one that no time heals."""
    return any(getattr(e, "errno", None) in _LASTING or _is_damage(e) for e in _causes(error))


def _is_damage(error: BaseException) -> bool:
    if not isinstance(error, sqlite3.DatabaseError):
        return False
    code = getattr(error, "sqlite_errorcode", None)  # Python has none for text that is not UTF-8
    return code is None or code & 0xFF in _DAMAGED  # the rest says where


def reason_of(error: BaseException) -> str:
    """Return the line of an error that says what is wrong; a library may have wrapped it."""
    return first_line(_causes(error)[-1])


def _causes(error: BaseException) -> list[BaseException]:
    """Return an error and all that it wraps, the innermost last."""
    causes = [error]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    return causes
