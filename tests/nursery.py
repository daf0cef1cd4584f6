"""Commands in processes that are forked from a warm one, so that many can be killed in a minute."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from small import ROOT

_SERVER = """
import contextlib, io, json, os, signal, sys
import stpspec.campaigns.run, optuna.storages
from stpspec.cli.main import main
with contextlib.redirect_stdout(io.StringIO()):  # all that a fit imports, NEURON too
    main("fit small.yaml fitter=random fitter.budget.evaluations=4 --quiet --out warm".split())
answer = os.fdopen(os.dup(1), "w", buffering=1)
for line in sys.stdin:
    job = json.loads(line)
    pid = os.fork()
    if not pid:
        os.chdir(job["cwd"])
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.close(0)
        answer.close()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = ["stpspec", *job["words"]]
        code = 1
        try:
            code = main()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    print(json.dumps(pid), file=answer)
    print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])), file=answer)
"""


class Nursery:
    """A warm process, and what it starts.

    Parameters
    ----------
    folder : Path
        In which the commands run.
    """

    def __init__(self, server: subprocess.Popen[str], folder: Path):
        self._server, self.folder = server, folder

    def run(
        self, words: Sequence[str], signals: Sequence[tuple[float, int]] = ()
    ) -> tuple[int, str, str]:
        """Run a command; send it signals, each so many seconds after the one before.

        Returns
        -------
        int, str, str
            Exit code (negative: the signal that has killed it), standard output and error.
        """
        out, err = self.folder / ".out", self.folder / ".err"
        job = {"words": list(words), "cwd": str(self.folder), "out": str(out), "err": str(err)}
        pid = self._ask(job)
        for seconds, number in signals:
            time.sleep(seconds)
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                os.kill(pid, number)
        code = self._answer()
        return code, out.read_text(errors="replace"), err.read_text(errors="replace")

    def _ask(self, job: dict[str, Any]) -> int:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        return self._answer()

    def _answer(self) -> int:
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        assert line, self._server.communicate()
        return json.loads(line)


@contextlib.contextmanager
def nursery(folder: Path) -> Iterator[Nursery]:
    """Start a warm process; it ends with the context."""
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER], cwd=folder, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'tests'}:{folder}"},
    ) as server:  # fmt: skip
        try:
            yield Nursery(server, folder)
        finally:
            server.send_signal(signal.SIGKILL)
