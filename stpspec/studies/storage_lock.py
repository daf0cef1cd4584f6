"""One process at a time: what has been read stays true until what follows from it is written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stpspec.studies.storage import engine_of, journal_of

_KEY = 0x7374707370656300  # of the advisory lock of PostgreSQL: "stpspec" in ASCII


class Exclusive:
    """A lock on a storage, that ends with its process. It may be entered again inside.

    It is that of the journal; of a database, an advisory lock (PostgreSQL) or a file beside it
    (SQLite). Other databases have none: there two processes may record the same evaluation.

    Parameters
    ----------
    storage : optuna.storages.BaseStorage
    """

    def __init__(self, storage: Any):
        self._depth = 0
        journal = journal_of(storage)
        engine = engine_of(storage)
        kind, file = ("", None) if engine is None else (engine.dialect.name, engine.url.database)
        if journal is not None:
            self._lock = journal.held
        elif kind == "postgresql":
            self._lock = lambda: _advisory(engine)
        elif kind == "sqlite" and file not in (None, "", ":memory:"):
            from filelock import FileLock

            path = Path(file).resolve()
            self._lock = lambda: FileLock(path.with_name(f"{path.name}.lock"))
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
def _advisory(engine: Any) -> Iterator[None]:
    from sqlalchemy import text

    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _KEY})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _KEY})
