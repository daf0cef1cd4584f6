"""Commands in processes that are forked from a warm one, which has imported what they import.

A command by itself takes longer to import than for what it does: so many can be run, and killed,
in a minute.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from small import YAML

SECONDS = 300  # that a command may take
_FIT = ["fit", "small.yaml", "fitter=random", "fitter.budget.evaluations=4", "--quiet",
        "--out", "warm"]  # fmt: skip

_SERVER = """
import contextlib, importlib, io, json, os, signal, sys, traceback
import stpspec.campaigns.run, optuna.storages
from stpspec.cli.main import main
with contextlib.redirect_stdout(io.StringIO()):
    FIRST
answer = os.fdopen(os.dup(1), "w", buffering=1)
for line in sys.stdin:
    job = json.loads(line)
    pid = os.fork()
    if not pid:
        signal.alarm(job["seconds"])
        os.chdir(job["cwd"])
        os.environ.clear()
        os.environ.update(job["environment"])
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        answer.close()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = ["stpspec", *job["words"]]
        code = 1
        try:
            code = main()
        except SystemExit as end:
            code = end.code or 0
            if isinstance(code, str):
                code = print(code, file=sys.stderr) or 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    print(json.dumps(pid), file=answer)
    print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])), file=answer)
"""
_FITTED = f"main({_FIT!r})"  # NEURON has loaded the shipped mechanisms, too
# All that a fit imports, without what NEURON then holds: the process that fits is another.
_IMPORTED = f"""reading, writing = os.pipe()
    if not os.fork():
        if main({_FIT!r}) in (0, 3):
            os.write(writing, " ".join(sys.modules).encode())
        os._exit(0)
    os.close(writing)
    imported = os.fdopen(reading).read().split()
    assert imported, "the fit that was to tell what a command imports has failed"
    for name in imported:
        if not name.startswith("neuron"):  # which a command finds as it has been left by nobody
            with contextlib.suppress(ImportError, AttributeError):
                importlib.import_module(name)
    os.wait()"""


class Nursery:
    """A warm process, and what it starts.

    Parameters
    ----------
    server : subprocess.Popen
    folder : Path
        Where the output of a command is kept until it is read.
    """

    def __init__(self, server: subprocess.Popen[str], folder: Path):
        self._server = server
        self._out, self._err = folder / ".out", folder / ".err"

    def run(
        self, words: Sequence[str], cwd: Path, signals: Sequence[tuple[float, int]] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; send it signals, each so many seconds after the one before.

        Parameters
        ----------
        words : sequence of str
        cwd : Path
        signals : sequence of (float, int)

        Returns
        -------
        subprocess.CompletedProcess
            Its return code is negative where a signal has killed it.
        """
        for path in (self._out, self._err):  # of the command before
            path.write_bytes(b"")
        job = {
            "words": list(words),
            "cwd": str(cwd),
            "out": str(self._out),
            "err": str(self._err),
            "environment": dict(os.environ),
            "seconds": SECONDS,
        }
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        pid = self._answer()
        for seconds, number in signals:
            time.sleep(seconds)
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                os.kill(pid, number)
        code = self._answer()
        out, err = (path.read_text(errors="replace") for path in (self._out, self._err))
        return subprocess.CompletedProcess(job["words"], code, out, err)

    def _answer(self) -> int:
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        if not line:
            common.cache_clear()  # the next command gets another
            raise AssertionError(self._server.communicate()[1])
        return json.loads(line)


@contextlib.contextmanager
def nursery(*, fitted: bool) -> Iterator[Nursery]:
    """Start a warm process; it ends with the context.

    Parameters
    ----------
    fitted : bool
        Whether NEURON has loaded the shipped mechanisms in it, and simulated.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, "-c", _SERVER.replace("FIRST", _FITTED if fitted else _IMPORTED)],
            cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as server,
    ):  # fmt: skip
        Path(folder, "small.yaml").write_text(YAML)
        try:
            yield Nursery(server, Path(folder))
        finally:
            server.send_signal(signal.SIGKILL)


@functools.cache
def common() -> Nursery:
    """Return a warm process for the commands of all tests of this process."""
    opened = contextlib.ExitStack()
    atexit.register(opened.close)
    return opened.enter_context(nursery(fitted=False))
