"""Internals of Optuna that the studies use beyond its public interface.

No other module does (ruff's SLF001 sees to it), and `tests/test_optuna_internals.py` holds each
name against the installed Optuna: a release that moves one fails there.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from stpspec.studies.damage import damage_named

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from sqlalchemy import Engine

ENQUEUED_VALUES = "fixed_params"  # system attribute in which `enqueue_trial` leaves the values
LOCK_SUFFIX = ".lock"  # of the file by which Optuna's own processes lock a journal
OPERATION = "op_code"  # key of every line of a journal, and the first
LINE_START = f'{{"{OPERATION}":'.encode()


def cached_database(url: str) -> tuple[BaseStorage, Engine]:
    """Return the storage on a database as Optuna's commands open it, and its SQLAlchemy engine.

    A study opened by its URL alone would have the same cache of finished trials, but not let us
    close its connections.
    """
    from optuna.storages import RDBStorage, get_storage

    database = RDBStorage(url)
    return get_storage(database), database.engine


def has_studies(url: str) -> bool:
    """Tell whether a database is there and has Optuna's tables, which opening it would make."""
    from pathlib import Path

    from sqlalchemy import create_engine, inspect
    from sqlalchemy.engine import make_url

    file = make_url(url)
    is_sqlite = file.get_backend_name() == "sqlite"
    if is_sqlite and "uri" not in file.query and not Path(file.database or "").is_file():
        return False  # to connect would make an empty file
    engine = create_engine(url)
    try:
        return inspect(engine).has_table("studies")
    finally:
        engine.dispose()


def journal_storage(backend: JournalFileBackend, place: str) -> JournalStorage:
    """Return the storage on a journal; what Optuna raises of damaged lines names the journal.

    Optuna trusts the fields of each line, which it reads whenever it is asked for anything.
    """
    from optuna.storages import JournalStorage

    class Guarded(JournalStorage):
        def _sync_with_backend(self) -> None:
            with damage_named(place):
                super()._sync_with_backend()

    return Guarded(backend)


def allow_delayed_trials(storage: JournalStorage) -> None:
    """Have a journal storage create trials whose lines are written, and read, later.

    Optuna returns the id of the last trial that this process created and has read. Of a delayed
    one it is not known yet, and the attribute does not exist before the first.
    """
    storage._replay_result._last_created_trial_id_by_this_process = -1


def study_id_of(study: Any) -> int:
    """Return the number of a study that a storage lists."""
    return study._study_id


def trial_id_of(trial: Any) -> int:
    """Return the number of a trial in its storage."""
    return trial._trial_id


def with_study_id(study: Any, number: int) -> Any:
    """Return a copy of a study that a storage lists, with another number."""
    shown = copy.copy(study)
    shown._study_id = number
    return shown


def with_trial_id(trial: Any, number: int) -> Any:
    """Return a copy of a trial, with another number."""
    shown = copy.copy(trial)
    shown._trial_id = number
    return shown
