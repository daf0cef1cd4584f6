"""Terminal: exit codes, errors, the progress bar and shown paths, which the verbs share."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from stpspec.errors import StpspecError
from stpspec.formatting import presentable

if TYPE_CHECKING:
    from pathlib import Path

    from tqdm import tqdm

DONE = 0
FAILED = 1
"""The experiment is not valid, or something failed or was interrupted."""
NOT_UNDERSTOOD = 2
"""The command line is not valid."""
MISSED = 3
"""A fit has ended, is saved, and misses a target by more than 3 sd."""


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


def complain_of_usage(error: UsageError, verb: str | None) -> int:
    """Print why a command line is not valid, and whose help shows what is; return the exit code."""
    of = f"stpspec {verb}" if verb else "stpspec"
    print(f"{error.prog}: {error}\n  {of} --help shows how it is used", file=sys.stderr)
    return error.exit_code


def complain(error: Exception, with_traceback: bool) -> int:
    """Print an error as one block on standard error; return the exit code."""
    if with_traceback:
        import traceback

        print(presentable("".join(traceback.format_exception(error))), end="", file=sys.stderr)
    elif not isinstance(error, StpspecError):
        print(
            f"stpspec: an error that should not happen: {type(error).__name__}: "
            f"{presentable(str(error))}\n"
            f"  please report it with what --traceback shows",
            file=sys.stderr,
        )
    else:
        print(f"stpspec: {error}", file=sys.stderr)
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
