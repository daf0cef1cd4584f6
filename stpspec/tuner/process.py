"""The engine as the page sees it: a process that runs the latest questions and may die of them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import IO

from stpspec.tuner.child import BEGUN, DONE
from stpspec.tuner.messages import Answer, Ask, AskTraces, Refused

PATIENCE = 30.0  # s; a simulation takes a thousandth of it
_LOADING = 300.0  # s; compiling a folder of mechanisms takes a minute or two
_TURN = 0.1  # s, in which a stop is noticed
_PAINT = 0.03  # s, in which a browser paints a trace: on two cores it has none to spare
_YIELD = 5e-4  # s
_TAIL = 400  # characters of what a process wrote at its end

Deliver = Callable[[Ask, Answer], None]


class Engine:
    """A process that answers questions, one after the other; a new list takes the old one's place.

    What is being simulated is finished, as that takes some milliseconds; what waits is dropped. A
    process that dies or does not come back costs one :class:`~stpspec.tuner.messages.Refused`, and
    the rest of the list that was asked with it: the next list begins another one.

    Parameters
    ----------
    deliver : callable
        Takes each question with its answer, in a thread of the engine's.
    patience : float or None
        Seconds after which a simulation is given up; None: never.
    """

    def __init__(self, deliver: Deliver, patience: float | None = PATIENCE):
        self._deliver = deliver
        self._patience = patience
        self._waiting: list[Ask] = []
        self._changed = threading.Condition()
        self._closed = self._stopped = False
        self._child: _Child | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def submit(self, questions: Sequence[Ask]) -> None:
        """Ask these next, in their order, instead of all that waits."""
        with self._changed:
            self._waiting = list(questions)
            self._changed.notify()
        time.sleep(_YIELD)  # else our thread waits until the page is done with what was moved

    def warm(self) -> None:
        """Begin the process before anything is asked."""
        with self._changed:
            if self._child is None and not self._closed:
                self._child = _Child()

    def stop(self) -> None:
        """End what runs at once, and drop what waits; no answer comes of either."""
        with self._changed:
            self._waiting, self._stopped = [], True

    def close(self) -> None:
        """End the process and the thread."""
        with self._changed:
            self._closed = self._stopped = True
            self._waiting = []
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(5)

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    break
                questions, self._stopped = self._waiting, False
                question = questions.pop(0)
            try:
                self._ask(question)
            except _LostError as error:
                # Of the same values: another process would die of them. Not what came meanwhile.
                questions.clear()
                self._drop()
                self._deliver(question, Refused(str(error), ended=True))
            if isinstance(question, AskTraces):
                self._let_paint(questions)
        self._drop()

    def _let_paint(self, questions: list[Ask]) -> None:
        """Leave the machine to the browser for a moment, unless something else is asked."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is not questions, _PAINT)

    def _ask(self, question: Ask) -> None:
        if self._child is None or not self._child.is_alive:
            self._drop()
            self._child = _Child()
        try:
            for answer in self._child.ask(question, self._patience, lambda: self._stopped):
                self._deliver(question, answer)
        except _StoppedError:
            self._drop()

    def _drop(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


class _LostError(Exception):
    """The process is gone, or does not come back; the message is for the page."""


class _StoppedError(Exception):
    """Nobody waits for the answer any more."""


class _Child:
    """One process, and what it wrote."""

    def __init__(self) -> None:
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        ours, theirs = multiprocessing.Pipe()
        self._channel: Connection = ours
        with theirs:
            handle = theirs.fileno()
            # In a group of its own: Ctrl-C is for us, and its own workers end with it.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stpspec.tuner.child", str(handle)],
                pass_fds=[handle], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=self._output, start_new_session=True, env=_environment(),
            )  # fmt: skip

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, question: Ask, patience: float | None, is_stopped: Callable[[], bool]):
        """Yield the answers to a question."""
        deadline = time.monotonic() + _LOADING
        try:
            self._channel.send((question, patience))
            while True:
                is_told = self._channel.poll(_TURN)
                if is_stopped():  # also where answers come faster than turns
                    raise _StoppedError
                if not is_told:
                    if time.monotonic() > deadline:
                        raise _LostError(_HANGS.format(patience or _LOADING))
                    continue
                kind, answer = self._channel.recv()
                if kind == BEGUN:
                    limit = float("inf") if patience is None else patience
                    deadline = time.monotonic() + limit
                    continue
                yield answer
                if kind == DONE:
                    return
        except (EOFError, ConnectionError) as error:
            raise _LostError(self._death()) from error

    def _death(self) -> str:
        code = self._process.wait(10)
        how = f"ended with code {code}"
        if code < 0:
            with contextlib.suppress(ValueError):
                how = f"was killed by {signal.Signals(-code).name}"
        self._output.seek(0)
        text = self._output.read().decode(errors="replace").strip()
        lines = [line.strip() for line in text[-_TAIL:].splitlines() if line.strip()]
        said = f" ({' / '.join(lines[-2:])})" if lines else ""
        return f"the simulation {how} at these values{said}; the last good trace stays"

    def end(self) -> None:
        """Kill the process and those that it has begun."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._channel.close()
        self._output.close()


_HANGS = "the simulation had not ended after {:g} s at these values; the last good trace stays"


def _environment() -> dict[str, str]:
    """Return the environment of the process: it finds our package where we did."""
    path = os.pathsep.join(p for p in sys.path if p)
    return {**os.environ, "PYTHONPATH": path}
