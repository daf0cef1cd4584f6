"""Names of processes, by which the leftovers of a dead one differ from what is in use."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import socket
from pathlib import Path

_OF_THE_MACHINE = "4026531836"  # number of the first PID namespace of every Linux


def process_name() -> str:
    """Return the name of this process: where its number means something, that, and its start time.

    The place is the host, and on Linux the machine, its boot and the PID namespace: containers
    share the name of a host, and number their processes each for itself.
    """
    return _name_of(os.getpid())


def has_ended(name: str) -> bool:
    """Tell whether a process has ended; False for those elsewhere, of which nothing is known."""
    place, pid, start = [*name.split(":"), "", ""][:3]
    host, _, space = place.partition("@")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    if space and space != _space():
        return _was_rebooted(space)
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
    space = _space()
    return f"{socket.gethostname()}{'@' if space else ''}{space}:{pid}:{_start_of(pid)}"


@functools.cache
def _space() -> str:
    """Return machine, boot and PID namespace of this process; empty where Linux is not.

    A namespace cannot be left, only given to children.
    """
    try:
        space = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
    machine = ""
    with contextlib.suppress(OSError):  # its identity is not to be shown as it is
        identity = Path("/etc/machine-id").read_bytes().strip()
        machine = hashlib.sha256(identity).hexdigest()[:8] if identity else ""
    return f"{machine}.{boot[:8]}.{space}"


def _was_rebooted(space: str) -> bool:
    """Tell whether another place was this machine before it started anew.

    Of containers that is not known: the identity of the machine may come with their image.
    """
    machine, boot, namespace = space.split(".") if space.count(".") == 2 else ("", "", "")
    my_machine, my_boot, my_namespace = _space().split(".") if _space() else ("", "", "")
    on_machines = namespace == my_namespace == _OF_THE_MACHINE
    return bool(machine) and machine == my_machine and boot != my_boot and on_machines


def _start_of(pid: int) -> str:
    """Return when a process started, in ticks since the machine did; empty where it is not known.

    So where Linux is not, and where /proc shows the processes of another namespace.
    """
    try:
        if str(Path("/proc/self").readlink()) != str(os.getpid()):
            return ""
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return text.rpartition(")")[2].split()[19]  # after its name, which may hold anything
    except (OSError, IndexError):
        return ""
