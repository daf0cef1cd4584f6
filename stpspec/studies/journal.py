"""Journal files of studies: repair of torn lines, writes of many lines, read-only access."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NoReturn

from optuna.storages.journal import JournalFileBackend

from stpspec.errors import StudyError
from stpspec.studies.journal_lock import JournalLock
from stpspec.studies.optuna_internals import LINE_START, OPERATION
from stpspec.studies.patience import Patience

Line = dict[str, Any]  # of a journal, as Optuna's interface says
_SYNC_INTERVAL = 1.0  # s between two times at which a journal is synced with the disk
_ENCODER = json.JSONEncoder(separators=(",", ":"))


def trim(path: Path) -> None:
    """Cut off a last line that a crash has torn; what is appended to it could not be read.

    Raises
    ------
    StudyError
        If it is not the beginning of a line of a journal: the file is something else.
    """
    if not path.is_file() or not path.stat().st_size:
        return
    with path.open("rb+") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        content = file.read()
        end = content.rfind(b"\n") + 1
        if not LINE_START.startswith(content[end:][: len(LINE_START)].rstrip(b"\0")):
            raise StudyError(f"{path} is no journal of a study; name another file")
        file.truncate(end)


class Journal(JournalFileBackend):
    """A journal that can collect lines, and then write them all at once.

    What is written outlives the process at once, and the machine within a second: to sync each
    write with the disk takes longer than some simulations.

    Parameters
    ----------
    path : str

    Attributes
    ----------
    pending : list of dict, optional
        Lines that are collected, to be written later; None if lines are written at once.
    last_sync : float
        Monotonic time (s) at which the file was last synced with the disk.
    end : int, optional
        Length of the file in bytes when this process last wrote.
    """

    pending: list[Line] | None = None
    last_sync = -math.inf
    end: int | None = None
    _depth = 0
    _revision = 0

    def __init__(self, path: str):
        self.lock, self._path = JournalLock(path), Path(path)
        self._patience = Patience(f"the journal {path}", OSError)
        self.lock.acquire()  # before Optuna creates the file
        try:
            trim(self._path)
            super().__init__(path, lock_obj=self.lock)
            self._file = _identity(self._path)
        finally:
            self.lock.release()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from writing; may be entered again inside."""
        self._depth += 1
        try:  # also while it is acquired: Ctrl-C may come just then
            if self._depth == 1:
                self._patience(self.lock.acquire)
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self.lock.release()

    def _be_there(self) -> None:
        """Raise where the file is not the one that was opened.

        Raises
        ------
        FileNotFoundError
            If it is gone; it may come back.
        StudyError
            If another file has its name, or lines are gone: what was read is not in there.
        """
        if _identity(self._path) != self._file:
            raise StudyError(
                f"the journal {self._path} was replaced by another file while it was in use"
            )
        if self.end is not None and self._path.stat().st_size < self.end:
            raise StudyError(
                f"the journal {self._path} was shortened by another program while it was in use"
            )

    def append_logs(self, logs: list[Line]) -> None:
        """Write lines after the last complete one: another process may have died while writing."""
        if self.pending is not None:
            self.pending.extend(logs)
            return
        lines = "".join(_ENCODER.encode(log) + "\n" for log in logs).encode()
        with self.locked():
            self._patience(lambda: self._append(lines))

    def _append(self, lines: bytes) -> None:
        self._be_there()
        is_own = self._is_own()
        if not is_own or self._depth == 1:
            self._revision += 1
        if not is_own:
            trim(self._path)
        with self._path.open("rb+", buffering=0) as file:
            start = file.seek(0, os.SEEK_END)
            try:
                written = 0
                while written < len(lines):  # a full disk may take some of them
                    written += file.write(lines[written:])
            except BaseException:  # all or none: they are written again, or never
                file.truncate(start)
                raise
            self.end = file.tell()
            now = time.monotonic()
            if now - self.last_sync > _SYNC_INTERVAL:
                os.fsync(file.fileno())
                self.last_sync = now

    def revision(self) -> int:
        """Return a number that changes whenever the file is written without the lock held here.

        If the lock is held, the caller is about to read what other processes have written: the
        number then stays the same until they write again.
        """
        if not self._is_own():
            self._revision += 1
            if self._depth:
                self._patience(self._take_over)
        return self._revision

    def _take_over(self) -> None:
        self._be_there()
        trim(self._path)
        self.end = self._path.stat().st_size

    def _is_own(self) -> bool:
        """Tell whether this process was the last to write."""
        with contextlib.suppress(FileNotFoundError):
            return self._path.stat().st_size == self.end
        return False

    def sync(self) -> None:
        """Sync the file with the disk, so that all of it outlives the machine."""
        with contextlib.suppress(FileNotFoundError), self._path.open("rb+") as file:
            os.fsync(file.fileno())

    def read_logs(self, log_number_from: int) -> Generator[Line, None, None]:
        """Yield the lines from a number on; none while lines are collected."""
        if self.pending is not None:  # what is read is old until they are written
            return valid_lines(self._path, iter(()))
        self._patience(self._be_there)
        return valid_lines(self._path, super().read_logs(log_number_from))


def _identity(path: Path) -> tuple[int, int]:
    """Return what a file keeps when it grows, and another file of its name has not."""
    status = path.stat()
    return status.st_dev, status.st_ino


class ReadOnlyJournal(JournalFileBackend):
    """A journal file that exists, to be read.

    Parameters
    ----------
    path : str
    """

    def __init__(self, path: str):
        super().__init__(path)
        self._path = Path(path)

    def read_logs(self, log_number_from: int) -> Generator[Line, None, None]:
        """Yield the lines from a number on."""
        return valid_lines(self._path, super().read_logs(log_number_from))

    def append_logs(self, logs: list[Line]) -> NoReturn:
        """Refuse.

        Raises
        ------
        StudyError
            Always.
        """
        raise StudyError("this journal was opened to be read only")


def valid_lines(path: Path, logs: Iterator[object]) -> Generator[Line, None, None]:
    """Yield the lines of a journal as long as they are such.

    Raises
    ------
    StudyError
        If a line, other than the last, is not what Optuna writes.
    """
    try:
        for line in logs:
            if not isinstance(line, dict) or OPERATION not in line:
                raise ValueError(str(line)[:40])
            yield line
    except ValueError as error:  # of JSON, or of UTF-8
        raise StudyError(
            f"{path} is no journal of a study, or a damaged one ({error}); name another file, or "
            f"move this one away"
        ) from error
