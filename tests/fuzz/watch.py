"""Watch over a fuzzed call: errors of our own only, no hang, no file outside, nothing run."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis.strategies import SearchStrategy

from stpspec.errors import StpspecError
from stpspec.resources import cache_folder

SECONDS = 5.0  # of the processor, for one input
_RUNS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect")
_WRITES = (
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.truncate",
    "shutil.rmtree",
    "os.utime",
)
MARK = "stpspec_fuzz_mark"  # a module that inputs name as their plug-in: it must not be imported

_allowed: tuple[str, ...] | None = None  # folders that may be written to, while a call is watched
_seen: list[str] = []


class Hang(BaseException):
    """An input took too long; no error that anything catches."""


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _allowed is None:
        return
    if event in _RUNS or (event == "import" and arguments[0] == MARK):
        _seen.append(f"{event}{arguments[:2]}")
    elif (
        event == "open" and isinstance(arguments[2], int) and isinstance(arguments[0], str | bytes)
    ):
        if arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND):
            _note(event, arguments[0])
    elif event in _WRITES:
        _note(event, arguments[0])


def _note(event: str, place: object) -> None:
    if isinstance(place, str | bytes | os.PathLike):
        path = os.path.realpath(os.fsdecode(place))
        if "__pycache__" in Path(path).parts:  # of a module that is imported for the first time
            return
        if path != os.devnull and not path.startswith(_allowed or ()):
            _seen.append(f"{event}: {path}")


sys.addaudithook(_hook)  # for good: a hook cannot be taken away


def _stop(*_: object) -> None:
    raise Hang(f"more than {SECONDS:g} s of the processor for one input")


@contextlib.contextmanager
def watched(*folders: Path) -> Iterator[None]:
    """Let pass what the project says of bad input; fail at everything else."""
    global _allowed
    _seen.clear()
    before = signal.signal(signal.SIGVTALRM, _stop)
    _allowed = tuple(os.path.realpath(f) for f in (*folders, cache_folder("")))
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd numbers, which are told elsewhere
            yield
    except StpspecError as error:
        if not _harmless(str(error)):
            _seen.append(f"an error with control characters: {error!r}")
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        _allowed = None
        signal.signal(signal.SIGVTALRM, before)
    assert not _seen, _seen


def _harmless(text: str) -> bool:
    return not any(c in text for c in "\x1b\x07\r\u202e\u2066\u200f\x9b")


def fuzz(
    inputs: SearchStrategy[Any],
    call: Callable[[Any], object],
    n: int,
    *,
    found: tuple[Any, ...] = (),
    folders: tuple[Path, ...] = (),
) -> None:
    """Call with ``n`` inputs, and with all that were ever found to fail.

    Parameters
    ----------
    inputs : SearchStrategy
    call : callable
    n : int
    found : tuple
        Inputs that once ended otherwise than with an error of ours.
    folders : tuple of Path
        That may be written to.
    """
    seen: list[int] = []

    def run(given_input: Any) -> None:
        seen.append(1)
        with watched(*folders, Path(tempfile.gettempdir()) / "nothing"):
            call(given_input)

    test = given(inputs)(run)
    for one in found:
        test = example(one)(test)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an input may be too long to be shown
        _search(test, n)
    assert len(seen) >= n, "the grammar has fewer inputs than are asked"


def _search(test: Callable[[], None], n: int) -> None:
    settings(
        max_examples=n,
        deadline=None,
        database=None,
        derandomize=n < 10_000,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        phases=set(Phase) - {Phase.explain},  # which takes minutes, to tell what a traceback shows
    )(test)()
