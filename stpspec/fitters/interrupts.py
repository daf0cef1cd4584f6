"""Interrupts: the signals that ask a command to end, and what is finished before it does.

Ctrl-C, a closed terminal, ``kill`` and the limits of a cluster all ask for the same: an end in good
order. The first signal raises :class:`Interrupted`, a ``KeyboardInterrupt``, wherever the program
is; those after it change nothing, so that what is being saved is saved. Outside of :func:`caught`,
which only the command enters, signals do what Python has them do.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from stpspec.studies import patience

SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU")
    if hasattr(signal, name)  # Windows has two of them
)
_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)
_LOST = 5.0  # s after which an interrupt that nobody has noted was swallowed by a foreign callback
_AGAIN = b"\nstpspec: it is ending and saves what it has; Ctrl-\\ ends it at once\n"


class Interrupted(KeyboardInterrupt):
    """A signal has asked the command to end.

    Parameters
    ----------
    number : int
        Of the signal.
    """

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """The exit code by which shells know the end by this signal."""
        return exit_code(self.number)


def exit_code(number: int) -> int:
    """Return the exit code by which shells know the end by a signal."""
    return 128 + number


def cause(interrupt: KeyboardInterrupt) -> str:
    """Say who or what has asked for the end."""
    number = interrupt.number if isinstance(interrupt, Interrupted) else signal.SIGINT
    return "the user" if number == signal.SIGINT else signal.Signals(number).name


class _State:
    """What has come in since signals are caught."""

    def __init__(self) -> None:
        self.first: Interrupted | None = None
        self.raised_at = 0.0
        self.is_noted = False
        self.may_wait = False
        self.waits = False
        self.is_passed_on = False

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Raise, or remember for later."""
        now = time.monotonic()
        if self.first is None:
            self.first = Interrupted(number)
        elif self.is_noted or self.waits or now - self.raised_at < _LOST:
            if number == signal.SIGINT:
                with contextlib.suppress(OSError):
                    os.write(2, _AGAIN)
            return
        self.raised_at = now
        if self.is_passed_on:
            _end_children()
        elif not self.waits:
            raise self.first


_state: _State | None = None


@contextlib.contextmanager
def caught(*, for_good: bool = False, instead_of: object = None) -> Iterator[None]:
    """Have signals raise :class:`Interrupted`, except those that our parent has turned off.

    Parameters
    ----------
    for_good : bool
        Whether signals that come after it are still caught, and then only remembered: so it is in
        the worker process of a launcher, which waits there for its next job.
    instead_of : callable, optional
        A handler that takes signals until now, beside Python's own.
    """
    global _state
    if _state is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    _state = state = _State()
    hurried, patience.is_hurried = patience.is_hurried, lambda: state.first is not None
    state.is_passed_on = for_good
    ours = (*_DEFAULTS, instead_of or signal.SIG_DFL)
    handlers = {n: h for n in SIGNALS if (h := signal.getsignal(n)) in ours}
    for number in handlers:
        signal.signal(number, state.on_signal)
    shown, sys.unraisablehook = sys.unraisablehook, _unless_swallowed(sys.unraisablehook)
    try:
        yield
    finally:
        if not for_good:
            sys.unraisablehook = shown
            patience.is_hurried = hurried
            for number, handler in handlers.items():
                signal.signal(number, handler)
            _state = None


def _unless_swallowed(show: Callable[[Any], object]) -> Callable[[Any], None]:
    """Show what a callback swallows, but for an interrupt, which :func:`raise_lost` raises anew."""

    def unless_swallowed(ignored: Any) -> None:
        if not isinstance(ignored.exc_value, Interrupted):
            show(ignored)

    return unless_swallowed


def received() -> Interrupted | None:
    """Return the interrupt that has come in, whether it was raised or waits; None if none has."""
    return None if _state is None else _state.first


def note() -> None:
    """Take note of the interrupt: from here on the end is under way."""
    if _state is not None:
        _state.is_noted = True


def raise_lost() -> None:
    """Raise an interrupt that nobody has noted: a callback of a library had swallowed it."""
    if _state is not None and _state.first is not None and not (_state.is_noted or _state.waits):
        raise _state.first


@contextlib.contextmanager
def saved_first() -> Iterator[None]:
    """Let signals wait, from a :func:`hold` inside on, until what is inside is done."""
    if _state is None:
        yield
        return
    before = _state.may_wait, _state.waits
    _state.may_wait = True
    try:
        yield
    finally:
        _state.may_wait, _state.waits = before
    if _state.first is not None:
        raise _state.first


def hold() -> None:
    """Let signals wait until the end of the :func:`saved_first` around; without one, do nothing."""
    if _state is not None:
        _state.waits = _state.may_wait


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Let signals wait for the end of a step that is short, and worth nothing when half done."""
    if _state is None:
        yield
        return
    before, _state.waits = _state.waits, True
    try:
        yield
    finally:
        _state.waits = before
    raise_lost()


@contextlib.contextmanager
def passed_on(is_passed_on: bool = True) -> Iterator[None]:
    """Pass signals on to the child processes, which end in good order, and wait for these."""
    if _state is None:
        yield
        return
    before, _state.is_passed_on = _state.is_passed_on, is_passed_on
    try:
        yield
    finally:
        _state.is_passed_on = before


def _end_children() -> None:
    """Ask the child processes to end. Where there is no /proc, a Ctrl-C has reached them anyway."""
    me = os.getpid()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(parent[1]) == me:
                os.kill(int(path.parent.name), signal.SIGTERM)
