"""Processes of our own in which functions are called; what ends one of them does not end ours."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, BinaryIO
from weakref import WeakSet

_OURS = "stpspec"
_LOOK = 1.0  # s between two looks whether the process still lives
_TRIES = 5  # times that a process may be killed from outside
_PATIENCE = 100.0  # s until it has begun, on a machine that is busy
_BEGIN = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[2]); "
    "from stpspec.engine.child import serve; serve(int(sys.argv[1]))"
)


class ChildEndedError(Exception):
    """The process has ended before it had answered.

    Parameters
    ----------
    code : int
        Exit code; negative, the signal that has ended it.
    written : str
        The last lines that it had written.
    had_begun : bool
        Whether it had got as far as waiting for the first call.
    """

    def __init__(self, code: int, written: str = "", *, had_begun: bool = True):
        self.code = code
        self.written = written
        self.had_begun = had_begun
        super().__init__(f"{self.how}: {written}" if written else self.how)

    @property
    def how(self) -> str:
        """What ended it, in words."""
        if self.code < 0:
            with contextlib.suppress(ValueError):
                return f"killed by {signal.Signals(-self.code).name}"
        return f"it ended with code {self.code}"


class Child:
    """A process that calls one function after the other; it begins with the first of them.

    Unlike the processes of :mod:`multiprocessing` it does not run the script of this process again,
    and it looks for modules in the standard library and beside stpspec first: no file in the
    current folder can take their place.

    Parameters
    ----------
    hands_on : bool
        Whether what it writes and logs is written and logged here.
    """

    def __init__(self, *, hands_on: bool = False):
        self._hands_on = hands_on
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._written: BinaryIO | None = None
        self._read = 0
        self._is_closed = False
        _children.add(self)

    def call(self, function: Callable[..., Any], *args: Any, limit: float | None = None) -> Any:
        """Call a function there, and return what it returns.

        Parameters
        ----------
        function : callable
            Found by its module and name, as pickle finds it.
        *args
        limit : float, optional
            s after which the process is ended.

        Raises
        ------
        ChildEndedError
            If the process ends meanwhile; the next call begins another.
        TimeoutError
            If the limit is passed; likewise.
        Exception
            What the function raises.
        """
        with self._turn:
            try:
                self._send(function, args)
                value, error, records = self._answer(limit)
            except BaseException:  # also a Ctrl-C: nobody waits for the answer any more
                self._end()
                raise
            text = self._new_text()
            if self._hands_on:
                _hand_on(records, text)
        if error is not None:
            raise error
        return value

    def ask(self, function: Callable[..., Any], *args: Any, limit: float | None = None) -> Any:
        """Call a function; again where somebody else has killed the process meanwhile.

        Raises
        ------
        ChildEndedError, TimeoutError, Exception
            As :meth:`call`.
        """
        for _ in range(_TRIES):
            try:
                return self.call(function, *args, limit=limit)
            except ChildEndedError as error:
                if error.code != -signal.SIGKILL:
                    raise
        return self.call(function, *args, limit=limit)

    def _send(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(OSError):  # it has died since: then another takes it
                assert self._connection is not None
                self._connection.send((function, args, *_folder_and_environment()))
                return
        self._end()
        self._begin().send((function, args, *_folder_and_environment()))

    def _begin(self) -> Connection:
        if self._is_closed:
            raise ChildEndedError(-signal.SIGTERM)
        ours, theirs = Pipe()
        with contextlib.suppress(OSError):  # nowhere to write to: then it goes unread
            self._written = tempfile.TemporaryFile()  # noqa: SIM115 - closed in _end
        self._read = 0
        output = subprocess.DEVNULL if self._written is None else self._written
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", f"-Xutf8={sys.flags.utf8_mode}", "-c", _BEGIN,
                 str(theirs.fileno()), json.dumps(module_path())],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                pass_fds=[theirs.fileno()],
            )  # fmt: skip
        finally:
            theirs.close()
            self._connection = ours
        try:
            self._answer(_PATIENCE)
        except ChildEndedError as error:
            raise ChildEndedError(error.code, error.written, had_begun=False) from None
        return ours

    def _answer(self, limit: float | None) -> Any:
        assert self._connection is not None
        assert self._process is not None
        until = None if limit is None else time.monotonic() + limit
        while not self._connection.poll(_LOOK if limit is None else min(_LOOK, limit)):
            if self._process.poll() is not None and not self._connection.poll(0):
                raise self._ended()
            if until is not None and time.monotonic() > until:
                raise TimeoutError
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            raise self._ended() from None

    def _ended(self) -> ChildEndedError:
        assert self._process is not None
        code = self._process.wait()
        lines = [line.strip() for line in self._new_text().splitlines()]
        return ChildEndedError(code, " / ".join([line for line in lines if line][-3:]))

    def _new_text(self) -> str:
        """Return what has been written since the last look."""
        if self._written is None:
            return ""
        text = os.pread(self._written.fileno(), 1 << 20, self._read)
        self._read += len(text)
        return text.decode(errors="replace")

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        for opened in (self._connection, self._written):
            if opened is not None:
                opened.close()
        self._connection = self._written = None

    def rest(self) -> bool:
        """End the process if it has nothing to do; the next call begins another.

        Returns
        -------
        bool
            Whether it had nothing to do.
        """
        if not self._turn.acquire(blocking=False):
            return False
        try:
            self._end()
        finally:
            self._turn.release()
        return True

    def close(self) -> None:
        """End the process at once; a call that waits for it ends with a ChildEndedError."""
        self._is_closed = True
        if not self.rest() and self._process is not None:
            self._process.kill()


_children: WeakSet[Child] = WeakSet()


@atexit.register
def _close_all() -> None:
    for child in list(_children):
        child.close()


# -- processes that are kept ----------------------------------------------------------------

_MOST = 4
_kept: dict[str, Child] = {}
_keeping = threading.Lock()


def kept_child(key: str, *, hands_on: bool = True) -> Child:
    """Return the process that is kept for a key: it has loaded already what it was asked for.

    Parameters
    ----------
    key : str
        Of the contents that it loads; of two that contradict each other, no process can load both.
    hands_on : bool
        As in :class:`Child`; of one that is not there yet.
    """
    with _keeping:
        child = _kept.pop(key, None) or Child(hands_on=hands_on)
        _kept[key] = child
        for other in list(_kept)[:-_MOST]:
            if _kept[other].rest():
                del _kept[other]
    return child


def _forget() -> None:
    """Leave the processes to the parent of this one, which was forked from it."""
    global _keeping
    _keeping = threading.Lock()  # a thread that held it is not here
    _kept.clear()
    _children.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


# -- in the process -------------------------------------------------------------------------


def serve(descriptor: int) -> None:
    """Call what comes, and answer, until the other end is closed.

    Parameters
    ----------
    descriptor : int
        File descriptor of the connection.
    """
    for name in ("SIGINT", "SIGHUP"):  # they are for the parent, which ends us
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    connection, heard = Connection(descriptor), _Heard()
    logger = logging.getLogger(_OURS)
    logger.addHandler(heard)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    connection.send("ready")
    given = dict(os.environ)
    while True:
        value, error = None, None
        try:
            function, args, folder, environment = connection.recv()
            with contextlib.suppress(OSError):  # it may be gone
                os.chdir(folder)
            _follow(given, environment)
            given = environment
            value = function(*args)
        except EOFError:
            return
        except (Exception, SystemExit) as raised:
            error = raised
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        try:
            connection.send((value, error, heard.taken()))
        except OSError:  # nobody is left to hear it
            return
        except Exception:  # it cannot be pickled
            told = RuntimeError(f"{type(error).__name__}: {error}" if error else repr(value))
            connection.send((None, told, []))


def _follow(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Change the environment variables as the program has since the last call.

    An error may have told the user to set one. Those that NEURON or a template set here stay.
    """
    for name in before.keys() - after.keys():
        os.environ.pop(name, None)
    os.environ.update({n: v for n, v in after.items() if before.get(n) != v})


def _folder_and_environment() -> tuple[str, dict[str, str]]:
    """Return the folder from which a template reads files (a root if deleted), and the variables.

    A process that is kept is called from wherever its parent is by then.
    """
    try:
        folder = os.getcwd()  # noqa: PTH109  # as text, for another process
    except FileNotFoundError:
        folder = os.sep
    return folder, dict(os.environ)


class _Heard(logging.Handler):
    """Keeps what is logged until it is taken."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._records: list[tuple[str, int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append((record.name, record.levelno, record.getMessage()))

    def taken(self) -> list[tuple[str, int, str]]:
        records, self._records = self._records, []
        return records


def _hand_on(records: list[tuple[str, int, str]], text: str) -> None:
    if text and sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
    for name, level, message in records:
        logging.getLogger(name).log(level, "%s", message)


def module_path() -> list[str]:
    """Return where this process looks for modules: first the standard library, then stpspec."""
    here = [str(Path(place or os.curdir).absolute()) for place in sys.path]
    installed = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    library = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]

    def rank(place: str) -> int:
        path = Path(place)
        if place in installed or path.name in ("site-packages", "dist-packages"):
            return 2
        if path.suffix == ".zip" or any(path == p or p in path.parents for p in library):
            return 0
        return 2

    ours = str(Path(__file__).resolve().parents[2])
    return sorted(dict.fromkeys([*here, ours]), key=lambda p: 1 if p == ours else rank(p))
