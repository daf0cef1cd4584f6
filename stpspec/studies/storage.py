"""Optuna's storages: opened so that what a crash has torn is mended and many may begin at once."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stpspec import log
from stpspec.errors import StudyError

ATTEMPTS = 20
SHORTLY = 0.2  # s until what another process is making is looked for again


def open_storage(place: str, *, trim: bool = True) -> Any:
    """Return Optuna's storage: a journal file, or whatever a URL names.

    Parameters
    ----------
    place : str
    trim : bool
        Whether a torn last line of a journal is cut off. One who only reads leaves it, and gets
        a journal that can be neither locked nor written.

    Raises
    ------
    StudyError
        If it cannot be opened.
    """
    import optuna

    if "://" in place:
        return _open_database(place)
    path = Path(place).expanduser()
    try:
        from stpspec.studies.journal import Journal, ReadOnlyJournal

        if not trim:
            return optuna.storages.JournalStorage(ReadOnlyJournal(str(path)))
        path.parent.mkdir(parents=True, exist_ok=True)
        storage = optuna.storages.JournalStorage(Journal(str(path)))
        # Optuna asks for it after each creation, also of a trial that is held back.
        storage._replay_result._last_created_trial_id_by_this_process = -1
        return storage
    except OSError as error:
        raise StudyError(
            f"the journal {path} cannot be opened: {error.strerror or error}"
        ) from error


def turn_of(storage: Any) -> int | None:
    """Return a number that stays the same as long as all is written while a journal is held here.

    What others write, or Optuna on its own, changes it. None of a database, of which it is not
    known.
    """
    journal = journal_of(storage)
    return None if journal is None else journal.turn()


def journal_of(storage: Any) -> Any:
    """Return the journal of a storage that can be written; None of any other."""
    from stpspec.studies.journal import Journal

    backend = getattr(storage, "_backend", None)
    return backend if isinstance(backend, Journal) else None


def engine_of(storage: Any) -> Any:
    """Return SQLAlchemy's engine of a database; None of a journal."""
    return getattr(getattr(storage, "_backend", None), "engine", None)


@contextlib.contextmanager
def in_one_write(storage: Any) -> Iterator[None]:
    """Write all that is written inside at its end, where the storage is a journal; and hold it.

    What is read inside is the state before.
    """
    journal = journal_of(storage)
    if journal is None:
        yield
        return
    with journal.held():
        journal.waiting = []
        try:
            yield
        finally:
            logs, journal.waiting = journal.waiting, None
            if logs:
                journal.append_logs(logs)


def _open_database(place: str) -> Any:
    """Open a database; of processes that begin together one makes its tables, the others wait."""
    import optuna

    for attempt in range(ATTEMPTS):
        try:
            storage = optuna.storages.get_storage(place)
            log.enable()
            return storage
        except Exception as error:  # drivers and databases have exceptions of their own
            others = "already exists" in str(error) or type(error).__name__ == "IntegrityError"
            if others and attempt < ATTEMPTS - 1:  # another process makes the tables just now
                time.sleep(SHORTLY)
                continue
            raise StudyError(
                f"the storage {without_password(place)} cannot be opened: "
                f"{type(error).__name__}: {error}"
            ) from error
    return None


def without_password(place: str) -> str:
    """Return the place of a storage without the password that a URL may hold."""
    return re.sub(r"(://[^:/@]*:)[^@/]*@", r"\1***@", place)


def close_storage(storage: Any) -> None:
    """Close the connections to a database; a journal has none, and is synced with the disk."""
    storage.remove_session()
    journal = journal_of(storage)
    if journal is not None:
        journal.sync()
    engine = engine_of(storage)
    if engine is not None:
        engine.dispose()
