"""Processes by name, so that what a dead one has left behind can be told from what is in use."""

from __future__ import annotations

import os
import socket


def owner() -> str:
    """Return the name of this process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def is_gone(name: str) -> bool:
    """Tell whether a process has ended; of those on other machines nothing is known."""
    host, _, pid = name.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
