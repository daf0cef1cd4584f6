"""Names of processes, by which the leftovers of a dead one differ from what is in use."""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path


def process_name() -> str:
    """Return the name of this process: host, number, and its start time where that is known."""
    return _name_of(os.getpid())


def has_ended(name: str) -> bool:
    """Tell whether a process has ended; False for those on other machines, of which none knows."""
    host, pid, start = [*name.split(":"), "", ""][:3]
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    current = _start_of(int(pid))
    return bool(start and current) and start != current  # another process has its number by now


@functools.lru_cache(maxsize=1)  # of a fork the number is another
def _name_of(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}:{_start_of(pid)}"


def _start_of(pid: int) -> str:
    """Return when a process started, in ticks since the machine did; empty where Linux is not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return text.rpartition(")")[2].split()[19]  # after its name, which may hold anything
    except (OSError, IndexError):
        return ""
