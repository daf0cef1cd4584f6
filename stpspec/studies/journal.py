"""Journal files: tears that are mended, and a reader's copy."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from optuna.storages.journal import JournalFileBackend

from stpspec.errors import StudyError
from stpspec.studies.journal_lock import JournalLock

_SYNC = 1.0  # s between two times at which a journal is synced with the disk
_LINE = b'{"op_code":'  # how each begins
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
        if not _LINE.startswith(content[end:][: len(_LINE)].rstrip(b"\0")):
            raise StudyError(f"{path} is no journal of a study; name another file")
        file.truncate(end)


class Journal(JournalFileBackend):
    """A journal that can hold entries back, and then write them all at once.

    What is written outlives the process at once, and the machine within a second: to sync each
    write with the disk takes longer than some simulations.

    Parameters
    ----------
    path : str
    """

    waiting: list[dict[str, Any]] | None = None
    synced = -math.inf
    end: int | None = None  # of the file, when this process last wrote
    _depth = 0
    _turn = 0

    def __init__(self, path: str):
        self.lock, self._path = JournalLock(path), Path(path)
        self.lock.acquire()  # before Optuna makes the file
        try:
            trim(self._path)
        finally:
            self.lock.release()
        super().__init__(path, lock_obj=self.lock)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from writing; may be entered again inside."""
        self._depth += 1
        try:  # also while it is acquired: Ctrl-C may come just then
            if self._depth == 1:
                self._acquire()
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self.lock.release()

    def _acquire(self) -> None:
        try:
            self.lock.acquire()
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> StudyError:
        return StudyError(f"the journal {self._path} cannot be written: {error.strerror or error}")

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write lines, after the last that is whole: another process may have died in its own."""
        if self.waiting is not None:
            self.waiting.extend(logs)
            return
        lines = "".join(_ENCODER.encode(log) + "\n" for log in logs)
        try:
            with self.held():
                ours = self._is_ours()
                if not ours or self._depth == 1:
                    self._turn += 1
                if not ours:
                    trim(self._path)
                self._append(lines.encode())
        except OSError as error:
            raise self._unwritable(error) from error

    def _append(self, lines: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(lines)
            file.flush()
            self.end = file.tell()
            now = time.monotonic()
            if now - self.synced > _SYNC:
                os.fsync(file.fileno())
                self.synced = now

    def turn(self) -> int:
        """Return a number that stays the same as long as all is written while it is held here.

        Who asks while it is held reads what others have written: it then stays the same until they
        write again.
        """
        if not self._is_ours():
            self._turn += 1
            if self._depth:
                trim(self._path)
                self.end = self._path.stat().st_size
        return self._turn

    def _is_ours(self) -> bool:
        """Tell whether nobody has written since this process last did."""
        with contextlib.suppress(FileNotFoundError):
            return self._path.stat().st_size == self.end
        return False

    def sync(self) -> None:
        """Have all that was written outlive the machine, too."""
        with contextlib.suppress(FileNotFoundError), self._path.open("rb+") as file:
            os.fsync(file.fileno())

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """Yield the lines from a number on; none while entries are held back."""
        if self.waiting is not None:  # what it says is old until they are written
            return iter(())
        return whole(self._file_path, super().read_logs(log_number_from))


class ReadOnlyJournal(JournalFileBackend):
    """A journal file that exists, to be read."""

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """Yield the lines from a number on."""
        return whole(self._file_path, super().read_logs(log_number_from))

    def append_logs(self, logs: list[dict[str, Any]]) -> NoReturn:
        """Refuse.

        Raises
        ------
        StudyError
            Always.
        """
        raise StudyError("this journal was opened to be read only")


def whole(path: str, logs: Iterator[Any]) -> Iterator[dict[str, Any]]:
    """Yield the lines of a journal, or say that it is none.

    Raises
    ------
    StudyError
        If a line, other than the last, is not what Optuna writes.
    """
    try:
        for line in logs:
            if not isinstance(line, dict) or "op_code" not in line:
                raise ValueError(str(line)[:40])
            yield line
    except ValueError as error:  # of JSON, or of UTF-8
        raise StudyError(
            f"{path} is no journal of a study, or a damaged one ({error}); name another file, or "
            f"move this one away"
        ) from error
