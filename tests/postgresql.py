"""A PostgreSQL server of our own, from the programs that Debian installs; it ends with the test."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from programs import postgresql_folder


def _someone() -> str | None:
    """Return who is to run the server: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Start a server on 127.0.0.1; yield the URL of an empty database as Optuna takes it."""
    bin_folder, user = postgresql_folder(), _someone()
    with tempfile.TemporaryDirectory(prefix="stpspec-pg-") as folder:
        if user is not None:
            shutil.chown(folder, user)

        def call(program: str, *words: str) -> None:
            done = subprocess.run(
                [str(bin_folder / program), *words], cwd=folder, user=user, text=True, check=False,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, timeout=120,
                group=None if user is None else pwd.getpwnam(user).pw_gid,
                extra_groups=None if user is None else [],
            )  # fmt: skip
            assert done.returncode == 0, (program, Path(log.name).read_text(encoding="utf-8"))

        port, data = _free_port(), f"{folder}/data"
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c fsync=off -k {folder}"
        with Path(folder, "log").open("w", encoding="utf-8") as log:
            call("initdb", "-D", data, "-U", "stpspec", "-A", "trust", "--no-sync", "-E", "UTF8")
            call("pg_ctl", "-D", data, "-w", "-t", "60", "-o", options, "start")
            try:
                yield f"postgresql+psycopg://stpspec@127.0.0.1:{port}/postgres"
            finally:
                call("pg_ctl", "-D", data, "-m", "immediate", "stop")
