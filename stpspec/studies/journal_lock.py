"""The lock file of a journal, which names its owner so that it ends with that process."""

from __future__ import annotations

import contextlib
import math
import os
import time
from pathlib import Path

from optuna.storages.journal import JournalFileOpenLock

from stpspec.resources.processes import has_ended, process_name
from stpspec.studies.optuna_internals import LOCK_SUFFIX

_SHORT = 5.0  # s, far below the half minute after which a lock is broken


class JournalLock(JournalFileOpenLock):
    """Optuna's lock file with its owner's name in it: that of a killed process blocks nobody.

    Of owners on other machines nothing is known; as in Optuna, their lock is broken when it has
    stayed the same for half a minute.

    Parameters
    ----------
    path : str
        Of the journal.
    """

    _acquired_at = -math.inf  # s; of the clock, which goes on while the machine sleeps

    def __init__(self, path: str):
        super().__init__(path)
        self._path = Path(path + LOCK_SUFFIX)

    def acquire(self) -> bool:
        """Wait until no other process has it."""
        pause, version, since = 0.001, None, time.monotonic()
        while True:
            with contextlib.suppress(FileExistsError):
                self._create()
                return True
            with contextlib.suppress(OSError):  # released in the meantime, or being broken
                file = self._path.lstat()
                if (file.st_ino, file.st_mtime_ns) != version:
                    version, since = (file.st_ino, file.st_mtime_ns), time.monotonic()
                self._break(old=time.monotonic() - since > float(self.grace_period or "inf"))
            time.sleep(pause)
            pause = min(2 * pause, 0.1)

    def _create(self) -> None:
        handle = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        try:
            os.write(handle, self._owner().encode())
        except BaseException:
            self._path.unlink()
            raise
        finally:
            os.close(handle)
        self._acquired_at = time.time()

    def release(self) -> None:
        """Remove the file, unless it is another's by now: a lock held for too long is broken."""
        acquired_at, self._acquired_at = self._acquired_at, -math.inf
        with contextlib.suppress(FileNotFoundError):
            # A lock of a few seconds is nobody else's, and need not be read.
            is_new = time.time() - acquired_at < _SHORT
            if is_new or self._path.read_text(encoding="utf-8") == self._owner():
                self._path.unlink()

    def _owner(self) -> str:
        return f"{process_name()}:{id(self)}"  # of this lock, since a process may have several

    def _break(self, old: bool) -> None:
        """Remove the lock file if its owner has ended, unless another process has just done so."""
        import fcntl

        if self._path.is_symlink():  # Optuna's own, which does not name its owner
            if old:
                self._path.unlink()
            return
        with self._path.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # another process is breaking it
                return
            except OSError:  # a file system without such locks
                if not old:
                    return
            is_same = self._path.stat().st_ino == os.fstat(file.fileno()).st_ino
            if is_same and (old or has_ended(file.read())):
                self._path.unlink()
