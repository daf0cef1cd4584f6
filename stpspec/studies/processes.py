"""Processes by name, so that what a dead one has left behind can be told from what is in use."""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path


def owner() -> str:
    """Return the name of this process: host, number, and when it began where that is known."""
    return _name_of(os.getpid())


def is_gone(name: str) -> bool:
    """Tell whether a process has ended; of those on other machines nothing is known."""
    host, pid, began = [*name.split(":"), "", ""][:3]
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    now = _began(int(pid))
    return bool(began and now) and began != now  # another process has its number by now


@functools.lru_cache(maxsize=1)  # of a fork the number is another
def _name_of(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}:{_began(pid)}"


def _began(pid: int) -> str:
    """Return when a process began, in ticks since the machine did; empty where Linux is not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return text.rpartition(")")[2].split()[19]  # after its name, which may hold anything
    except (OSError, IndexError):
        return ""
