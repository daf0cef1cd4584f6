"""Storages of Optuna, opened so that torn lines are repaired and processes may start at once."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from stpspec import log
from stpspec.errors import StudyError
from stpspec.formatting import HIDDEN, PASSWORD_VARIABLE, hide, revealed
from stpspec.resources import expanded
from stpspec.studies.damage import name_what_is_gone
from stpspec.studies.database import open_database
from stpspec.studies.optuna_internals import (
    allow_delayed_trials,
    has_studies,
    journal_storage,
)
from stpspec.studies.patience import Patience

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from sqlalchemy import Engine

    from stpspec.studies.journal import Journal

ATTEMPTS = 20
_WITH_USER = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://[^\s:/@]+)(?::\*\*\*)?(?=@)")
RETRY_PAUSE = 0.2  # s between two looks for what another process is about to write


@dataclass(frozen=True)
class Storage:
    """A storage of Optuna, with the file or database that it is on.

    Attributes
    ----------
    optuna : optuna.storages.BaseStorage
    journal : Journal or None
        The journal that it writes; None of a database, and of a journal that is only read.
    engine : sqlalchemy.Engine or None
        Of a database.
    patience : Patience or None
        With which a database is used.
    """

    optuna: BaseStorage
    journal: Journal | None = None
    engine: Engine | None = None
    patience: Patience | None = None

    def revision(self) -> int | None:
        """Return a number that changes whenever the journal is written without its lock held here.

        So it does when other processes write, or Optuna on its own. None of a database, of which
        it is not known.
        """
        return None if self.journal is None else self.journal.revision()

    @contextlib.contextmanager
    def single_write(self) -> Iterator[None]:
        """Collect what is written inside, lock the journal and write it at the end.

        What is read inside is the state before. A database is written line by line.
        """
        if self.journal is None:
            yield
            return
        with self.journal.locked():
            self.journal.pending = []
            try:
                yield
            finally:
                logs, self.journal.pending = self.journal.pending, None
                if logs:
                    self.journal.append_logs(logs)

    def close(self) -> None:
        """Close the connections to a database; sync a journal with the disk.

        Nothing depends on it any more: where it fails, that is but logged.
        """
        try:
            self.optuna.remove_session()
            if self.journal is not None:
                self.journal.sync()
            if self.engine is not None:
                self.engine.dispose()
        except Exception as error:  # of the file system, of a database's driver
            logging.getLogger("stpspec.studies").info("the storage was not closed: %s", error)


def open_storage(place: str, *, read_only: bool = False) -> Storage:
    """Open a journal file, or the database that a URL names.

    Parameters
    ----------
    place : str
    read_only : bool
        Whether a journal is opened so that it can be neither locked nor written. A torn last line
        is then left as it is; else it is cut off. A database is then not made, nor its tables.

    Raises
    ------
    StudyError
        If it cannot be opened.
    """
    if "://" in place:
        return _open_database(place, read_only)
    path = expanded(place)
    try:
        return _open_journal(path, read_only)
    except OSError as error:
        raise StudyError(
            f"the journal {path} cannot be opened: {error.strerror or error}"
        ) from error


def with_password(place: str) -> str:
    """Return the URL of a storage with its password, as the connection needs it.

    It was in the URL when that was read, or stands in the environment variable
    ``STPSPEC_STORAGE_PASSWORD``; drivers have ways of their own beside, such as ``~/.pgpass``.

    Raises
    ------
    StudyError
        If the URL had a password, and it is not known here.
    """
    hidden = hide(place)
    known, variable = revealed(hidden), os.environ.get(PASSWORD_VARIABLE)
    if known is not None and (variable is None or HIDDEN in hidden):
        return known
    if variable is not None:
        return _WITH_USER.sub(lambda m: f"{m[1]}:{quote(variable, safe='')}", hidden)
    raise StudyError(
        f"the password of the storage {hidden} is not known: results and logs never hold it; put "
        f"it into the environment variable {PASSWORD_VARIABLE}"
    )


def _open_journal(path: Path, read_only: bool) -> Storage:
    from stpspec.studies.journal import Journal, ReadOnlyJournal

    if read_only:
        return Storage(journal_storage(ReadOnlyJournal(str(path)), str(path)))
    path.parent.mkdir(parents=True, exist_ok=True)
    journal = Journal(str(path))
    storage: Any = journal_storage(journal, str(path))
    allow_delayed_trials(storage)
    name_what_is_gone(storage, str(path))
    return Storage(storage, journal=journal)


def _open_database(place: str, read_only: bool) -> Storage:
    """Open a database; of processes that start together one makes its tables, the others wait."""
    url, attempts = with_password(place), ATTEMPTS
    while True:
        attempts -= 1
        try:
            if read_only and not has_studies(url):
                raise StudyError(f"the storage {hide(place)} holds no study")
            storage, engine, patience = open_database(url, hide(place))
            log.enable()
            if not read_only:
                name_what_is_gone(storage, place)
            return Storage(storage, engine=engine, patience=patience)
        except StudyError:
            raise
        except Exception as error:  # drivers and databases have exceptions of their own
            said = str(error)  # another process is making the tables, or has locked them
            passing = "already exists" in said or "database is locked" in said
            passing = passing or type(error).__name__ == "IntegrityError"
            if passing and attempts:
                time.sleep(RETRY_PAUSE)
                continue
            raise StudyError(
                f"the storage {hide(place)} cannot be opened: {type(error).__name__}: {error}"
            ) from error
