"""Terminal: exit codes, errors, the progress bar and shown paths, which the verbs share."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from stpspec.cli.color import colored, error_head, has_color
from stpspec.errors import StpspecError
from stpspec.formatting.layout import fitted, screen_width

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


def show(text: str) -> None:
    """Print tables and notes on standard output, in color and within its width if a terminal."""
    text = fitted(text, screen_width())
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

        traceback.print_exception(error)
    elif not isinstance(error, StpspecError):
        print(
            f"{head} an error that should not happen: {type(error).__name__}: {error}\n"
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
    with tqdm(total=total, desc=name, unit=f" {unit}", disable=off, leave=False) as shown:
        yield shown


def shown_path(path: Path) -> str:
    """Return a path as it is shown: from the current folder, where it is inside."""
    full, here = path.resolve(), type(path).cwd().resolve()
    return str(full.relative_to(here)) if full.is_relative_to(here) else str(path)
