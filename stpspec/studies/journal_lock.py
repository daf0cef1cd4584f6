"""The lock file of a journal, which dies with its owner."""

from __future__ import annotations

import contextlib
import math
import os
import time
from pathlib import Path

from optuna.storages.journal import JournalFileOpenLock

from stpspec.studies.processes import is_gone, owner

_SHORT = 5.0  # s, far below the half minute after which a lock is broken


class JournalLock(JournalFileOpenLock):
    """Optuna's lock file with its owner's name in it: one that was killed holds nobody up.

    Of owners on other machines nothing is known; as in Optuna, their lock is broken when it has
    stayed the same for half a minute.
    """

    _since = -math.inf  # when it was acquired; of the clock, which goes on in a machine's sleep

    def acquire(self) -> bool:
        """Wait until no other process has it."""
        nap, seen, since = 0.001, None, time.monotonic()
        while True:
            with contextlib.suppress(FileExistsError):
                handle = os.open(self._lock_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
                try:
                    os.write(handle, self._name().encode())
                except BaseException:
                    Path(self._lock_file).unlink()
                    raise
                finally:
                    os.close(handle)
                self._since = time.time()
                return True
            with contextlib.suppress(OSError):  # released in the meantime, or being broken
                now = Path(self._lock_file).lstat()
                if (now.st_ino, now.st_mtime_ns) != seen:
                    seen, since = (now.st_ino, now.st_mtime_ns), time.monotonic()
                self._break(old=time.monotonic() - since > float(self.grace_period or "inf"))
            time.sleep(nap)
            nap = min(2 * nap, 0.1)

    def release(self) -> None:
        """Let others have it, unless they have: who holds it for too long is taken for dead."""
        path, since = Path(self._lock_file), self._since
        self._since = -math.inf
        with contextlib.suppress(FileNotFoundError):
            # A lock of a few seconds is nobody else's, and need not be read.
            if time.time() - since < _SHORT or path.read_text(encoding="utf-8") == self._name():
                path.unlink()

    def _name(self) -> str:
        return f"{owner()}:{id(self)}"  # of this lock, since a process may have several

    def _break(self, old: bool) -> None:
        """Remove the lock file if its owner is gone, unless another process has just done so."""
        import fcntl

        path = Path(self._lock_file)
        if path.is_symlink():  # Optuna's own, which does not tell whose it is
            if old:
                path.unlink()
            return
        with path.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # another is at it
                return
            except OSError:  # a file system without such locks
                if not old:
                    return
            same = path.stat().st_ino == os.fstat(file.fileno()).st_ino
            if same and (old or is_gone(file.read())):
                path.unlink()
