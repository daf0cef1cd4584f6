"""Optuna's storages: opened so that what a crash has torn is mended and many may begin at once."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stpspec import log
from stpspec.errors import StudyError

ATTEMPTS = 20
_SYNC = 1.0  # s between two times at which a journal is synced with the disk
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
    from optuna.storages.journal import JournalFileOpenLock

    if "://" in place:
        return _open_database(place)
    path = Path(place).expanduser()
    try:
        if not trim:
            from stpspec.journal import ReadOnlyJournal

            return optuna.storages.JournalStorage(ReadOnlyJournal(str(path)))
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = JournalFileOpenLock(str(path))
        lock.acquire()
        try:
            _trim(path)
        finally:
            lock.release()
        storage = optuna.storages.JournalStorage(_journal()(str(path), lock))
        # Optuna asks for it after each creation, also of a trial that is held back.
        storage._replay_result._last_created_trial_id_by_this_process = -1
        return storage
    except OSError as error:
        raise StudyError(
            f"the journal {path} cannot be opened: {error.strerror or error}"
        ) from error


@functools.cache
def _journal() -> Any:
    """Return the class of our journals; Optuna is not loaded before one is opened."""
    from optuna.storages.journal import JournalFileBackend

    class Journal(JournalFileBackend):
        """A journal that can hold entries back, and then write them all at once.

        What is written outlives the process at once, and the machine within a second: to sync each
        write with the disk takes longer than some simulations.
        """

        waiting: list[dict[str, Any]] | None = None
        synced = -math.inf

        def __init__(self, place: str, lock: Any):
            super().__init__(place, lock_obj=lock)
            self.place, self.lock = place, lock

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            if self.waiting is not None:
                self.waiting.extend(logs)
                return
            text = "".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in logs)
            self.lock.acquire()
            try:
                with Path(self.place).open("ab") as file:
                    file.write(text.encode())
                    file.flush()
                    now = time.monotonic()
                    if now - self.synced > _SYNC:
                        os.fsync(file.fileno())
                        self.synced = now
            finally:
                self.lock.release()

        def sync(self) -> None:
            """Have all that was written outlive the machine, too."""
            with contextlib.suppress(FileNotFoundError), Path(self.place).open("rb+") as file:
                os.fsync(file.fileno())

        def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:  # type: ignore[override]
            if self.waiting is not None:  # what it says is old until they are written
                return iter(())
            return super().read_logs(log_number_from)

    return Journal


@contextlib.contextmanager
def in_one_write(storage: Any) -> Iterator[None]:
    """Write all that is written inside at its end, where the storage is a journal.

    What is read inside is the state before.
    """
    backend: Any = getattr(storage, "_backend", None)
    if not isinstance(backend, _journal()):
        yield
        return
    backend.waiting = []
    try:
        yield
    finally:
        logs, backend.waiting = backend.waiting, None
        if logs:
            backend.append_logs(logs)


def _open_database(place: str) -> Any:
    """Open a database; of processes that begin together one makes its tables, the others wait."""
    import optuna

    for attempt in range(ATTEMPTS):
        try:
            storage = optuna.storages.get_storage(place)
            log.enable()
            return storage
        except Exception as error:  # drivers and databases have exceptions of their own
            if "already exists" in str(error) and attempt < ATTEMPTS - 1:
                time.sleep(SHORTLY)
                continue
            raise StudyError(
                f"the storage {place} cannot be opened: {type(error).__name__}: {error}"
            ) from error
    return None


def close_storage(storage: Any) -> None:
    """Close the connections to a database; a journal has none, and is synced with the disk."""
    storage.remove_session()
    backend: Any = getattr(storage, "_backend", None)
    if isinstance(backend, _journal()):
        backend.sync()
    engine = getattr(backend, "engine", None)
    if engine is not None:
        engine.dispose()


def _trim(path: Path) -> None:
    """Cut off a last line that was torn by a crash: nothing could be appended after it."""
    if not path.is_file():
        return
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            file.truncate(whole)
