"""Terminal: exit codes, errors, the progress bar and shown paths, which the verbs share."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from stpspec.cli.color import colored, error_head, has_color
from stpspec.errors import StpspecError
from stpspec.formatting import presentable
from stpspec.formatting.layout import fitted, screen_width

if TYPE_CHECKING:
    from pathlib import Path

    from tqdm import tqdm

DONE = 0
FAILED = 1
"""The experiment is not valid, or something failed."""
NOT_UNDERSTOOD = 2
"""The command line is not valid."""
MISSED = 3
"""A fit has ended, is saved, and misses a target by more than 3 sd."""


# What lies in the surroundings of a program: permissions, a full or failing disk, too long a name.
_OF_SURROUNDINGS = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO,
    errno.ENAMETOOLONG, errno.ELOOP,
}  # fmt: skip


class UsageError(StpspecError):
    """The command line is not valid.

    Parameters
    ----------
    message : str
    prog : str
        Who refuses it: the first words of the block that is printed.
    """

    exit_code: ClassVar[int] = NOT_UNDERSTOOD

    def __init__(self, message: str, prog: str = "stpspec"):
        super().__init__(message)
        self.prog = prog


def show(text: str) -> None:
    """Print tables and notes on standard output, in color and within its width if a terminal."""
    text = fitted(presentable(text), screen_width())
    print(colored(text) if has_color(sys.stdout) else text, flush=True)


def complain_of_usage(error: UsageError, verb: str | None) -> int:
    """Print why a command line is not valid, and whose help shows what is; return the exit code."""
    of = f"stpspec {verb}" if verb else "stpspec"
    head = error_head(f"{error.prog}:", sys.stderr)
    print(f"{head} {error}\n  {of} --help shows how it is used", file=sys.stderr)
    return error.exit_code


def complain(error: Exception, with_traceback: bool) -> int:
    """Print an error as one block on standard error; return the exit code."""
    head = error_head("stpspec:", sys.stderr)
    if with_traceback:
        import traceback

        print(presentable("".join(traceback.format_exception(error))), end="", file=sys.stderr)
    elif isinstance(error, OSError) and error.errno in _OF_SURROUNDINGS and error.filename:
        place = presentable(str(error.filename))
        print(f"{head} {place} cannot be read or written: {error.strerror}", file=sys.stderr)
    elif not isinstance(error, StpspecError):
        print(
            f"{head} an error that should not happen: {type(error).__name__}: "
            f"{presentable(str(error))}\n"
            f"  please report it with what --traceback shows",
            file=sys.stderr,
        )
    else:
        print(f"{head} {error}", file=sys.stderr)
    return getattr(error, "exit_code", FAILED)


@contextlib.contextmanager
def bar(name: str, unit: str, total: int | None, quiet: bool) -> Iterator[tqdm]:
    """Show a progress bar on standard error, where that is a terminal."""
    from tqdm import tqdm

    off = True if quiet else None  # None: silent when standard error is no terminal
    with tqdm(
        total=total, desc=presentable(name), unit=f" {unit}", disable=off, leave=False
    ) as shown:
        yield shown


def shown_path(path: Path) -> str:
    """Return a path as it is shown: from the current folder, where it is inside."""
    full, here = path.resolve(), type(path).cwd().resolve()
    return presentable(str(full.relative_to(here)) if full.is_relative_to(here) else str(path))


class _SteadyStream:
    """A text stream that ends nothing: what it cannot write is lost, and only that."""

    def __init__(self, stream: Any):
        self._stream = stream
        self.error: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text; characters that the encoding lacks as question marks."""
        try:
            self._stream.write(text)
        except UnicodeEncodeError as error:
            self.write(text.encode(error.encoding, "replace").decode(error.encoding))
        except (OSError, ValueError) as error:  # a full disk, a closed pipe, terminal or file
            self._fail(error)
        return len(text)

    def flush(self) -> None:
        """Write what is pending."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self.error is None:
            self.error = error
        with contextlib.suppress(OSError, ValueError):  # what is pending goes where all has room
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)


class Output:
    """Standard output and standard error of a command.

    Attributes
    ----------
    is_lost : bool
        Whether standard output could not be written although somebody was to read it.
    """

    def __init__(self, out: _SteadyStream, err: _SteadyStream):
        self._out, self._err, self.is_lost = out, err, False

    def finish(self) -> None:
        """Write what is pending; say on standard error if something is lost."""
        self._out.flush()
        error = self._out.error
        if error is not None and not isinstance(error, BrokenPipeError):  # `| head` is no error
            self.is_lost = True
            reason = getattr(error, "strerror", None) or error
            self._err.write(f"stpspec: standard output cannot be written: {reason}\n")
        self._err.flush()


@contextlib.contextmanager
def steady_output() -> Iterator[Output]:
    """Have nothing end because it cannot be printed."""
    _open_closed()
    before = sys.stdout, sys.stderr
    out, err = _SteadyStream(sys.stdout), _SteadyStream(sys.stderr)
    sys.stdout, sys.stderr = out, err  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield Output(out, err)
    finally:
        sys.stdout, sys.stderr = before


def _open_closed() -> None:
    """Open the streams that our parent has closed, or the first file would take their place."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
