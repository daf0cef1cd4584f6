"""The lock on a storage, under which what was read stays true until its consequence is written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stpspec.studies.patience import Patience
from stpspec.studies.storage import Storage

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_KEY = 0x7374707370656300  # of the advisory lock of PostgreSQL: "stpspec" in ASCII


class StorageLock:
    """A reentrant lock on a storage, which ends with its process.

    It is that of the journal; of a database, an advisory lock (PostgreSQL) or a file beside it
    (SQLite). Other databases have none: two processes may record the same evaluation in them.

    Parameters
    ----------
    storage : Storage
    """

    def __init__(self, storage: Storage):
        self._depth = 0
        engine = storage.engine
        kind, file = ("", None) if engine is None else (engine.dialect.name, engine.url.database)
        patience = storage.patience
        if storage.journal is not None:
            self._lock = storage.journal.locked
        elif engine is not None and patience is not None and kind == "postgresql":
            self._lock = lambda: _advisory(engine, patience)
        elif patience is not None and kind == "sqlite" and file not in (None, "", ":memory:"):
            path = Path(file).resolve()
            self._lock = lambda: _beside(path.with_name(f"{path.name}.lock"), patience)
        else:
            self._lock = contextlib.nullcontext

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """Keep other processes of stpspec from writing."""
        self._depth += 1
        try:
            with self._lock() if self._depth == 1 else contextlib.nullcontext():
                yield
        finally:
            self._depth -= 1


@contextlib.contextmanager
def _beside(path: Path, patience: Patience) -> Iterator[None]:
    from filelock import FileLock

    lock = FileLock(path)
    patience(lock.acquire)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _advisory(engine: Engine, patience: Patience) -> Iterator[None]:
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    connection = patience(lambda: _locked_connection(engine))
    try:
        yield
    finally:
        try:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _KEY})
        except SQLAlchemyError:  # it is broken, and PostgreSQL has given up the lock with it
            connection.invalidate()
        finally:
            connection.close()


def _locked_connection(engine: Engine) -> Connection:
    from sqlalchemy import text

    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    try:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _KEY})
    except BaseException:
        connection.invalidate()
        connection.close()
        raise
    return connection
