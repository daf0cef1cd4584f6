"""The one import of NEURON, and the border where its errors become ours."""

from __future__ import annotations

import contextlib
import functools
import io
import locale
import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stpspec.errors import StpspecError

_turn = threading.RLock()
_inside = False
_own: set[str] = set()  # names of sections that were made here, and are there still


@contextlib.contextmanager
def exclusive() -> Iterator[None]:
    """Let no other thread of this process use NEURON meanwhile, and no setting of it change ours.

    There is one NEURON for all threads, and it integrates everything that exists.
    """
    global _inside
    with _turn:
        if _inside:
            yield
            return
        _inside = True
        before = _section_names()
        try:
            with _numeric_locale(), np.errstate(**_ERRORS):
                yield
        finally:
            _inside = False
            after = _section_names()
            _own.intersection_update(after)
            _own.update(after - before)


_ERRORS: dict[str, Any] = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}


@contextlib.contextmanager
def _numeric_locale() -> Iterator[None]:
    """Have HOC read 0.5 where a window of the program has set a language with a decimal comma."""
    before = locale.setlocale(locale.LC_NUMERIC, None)
    if before in ("C", "POSIX"):
        yield
        return
    locale.setlocale(locale.LC_NUMERIC, "C")
    try:
        yield
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)


def _section_names() -> set[str]:
    h = getattr(sys.modules.get("neuron"), "h", None)
    return set() if h is None else {section.name() for section in h.allsec()}


def own_sections() -> set[str]:
    """Return the names of the sections that templates and rigs of ours have left."""
    return set(_own)


def _renew_turn() -> None:
    global _turn, _inside
    _turn, _inside = threading.RLock(), False


if hasattr(os, "register_at_fork"):  # a thread that had the turn is not there in a child
    os.register_at_fork(after_in_child=_renew_turn)


@functools.cache
def hoc() -> Any:
    """Return NEURON's ``h`` with its library of standard runs, which holds the settings."""
    h = bare_hoc()
    with exclusive():
        h.load_file("stdrun.hoc")
    return h


@functools.cache
def bare_hoc() -> Any:
    """Return NEURON's ``h``, imported from a neutral folder.

    NEURON loads any compiled mechanisms that it finds in the current folder when it is imported;
    those could clash with the ones an experiment names.
    """
    os.environ.setdefault("NEURON_MODULE_OPTIONS", "-nogui")
    here = os.open(os.curdir, os.O_RDONLY)
    try:
        os.chdir(Path(__file__).parent)
        try:
            with exclusive(), _outside_a_notebook():
                from neuron import h
        finally:
            os.fchdir(here)
    finally:
        os.close(here)
    return h


@contextlib.contextmanager
def _outside_a_notebook() -> Iterator[None]:
    """Keep NEURON from importing IPython only to find out that no notebook is running it.

    It registers how a notebook displays its objects, if IPython can be imported; that takes a
    third of the time of its own import. In a notebook it is loaded already.
    """
    if "IPython" in sys.modules:
        yield
        return
    sys.modules["IPython"] = None  # pyright: ignore[reportArgumentType]  # cannot be imported
    try:
        yield
    finally:
        del sys.modules["IPython"]


@functools.cache
def cvode() -> Any:
    """Return NEURON's variable step handle; one for the process, as each new one leaks a little."""
    return bare_hoc().CVode()


@functools.cache
def clock() -> tuple[Any, Any]:
    """Return pointers to NEURON's time and time step, ms; ``h.dt`` takes twenty times as long."""
    return hoc()._ref_t, hoc()._ref_dt


def pending_events() -> list[float]:
    """Return when the events that are queued will be delivered, ms."""
    times = hoc().Vector()
    cvode().print_event_queue(times)
    return list(times)


def context() -> Any:
    """Return the ParallelContext that advances simulations, ready for steps of any size."""
    made = parallel_context()
    # Each time: a script in the same process may have set it, and no step can be longer. There is
    # no other process whose spikes would have to be waited for.
    made.set_maxstep(1000)
    return made


@functools.cache
def parallel_context() -> Any:
    """Return the ParallelContext; one for the process, as each new one leaks a little."""
    return bare_hoc().ParallelContext()


def version() -> str:
    """Return NEURON's version, such as ``"9.0.2"``."""
    from importlib.metadata import version as distribution_version

    return distribution_version("neuron")


@contextlib.contextmanager
def border(error: type[StpspecError], doing: str) -> Iterator[None]:
    """Raise whatever fails inside as ``error``, with what NEURON wrote about it.

    Parameters
    ----------
    error : type of StpspecError
    doing : str
        What was being done; begins the message.
    """
    written = io.StringIO()
    try:
        with contextlib.redirect_stderr(written):
            yield
    except (KeyboardInterrupt, StpspecError):
        raise
    except (Exception, SystemExit) as cause:  # a template of the user's may call sys.exit()
        lines = [line.strip() for line in written.getvalue().splitlines() if line.strip()]
        said = "; ".join(line for line in lines if re.sub(r"[\^\s]", "", line))
        # NEURON's Python exception often says only "hocobj_call error"; stderr has the reason.
        text = f"{type(cause).__name__}: {cause}"
        raise error(f"{doing}: {said + ' (' + text + ')' if said else text}") from cause


@contextlib.contextmanager
def muted() -> Iterator[None]:
    """Keep to itself what the variable step writes whenever it fails.

    In a fit that may be many times, amid the progress bar and the table; the evaluation that
    failed has its reason. NEURON writes it through Python, SUNDIALS to the file of the process.
    """
    said = io.StringIO()
    try:
        kept = os.dup(2)
    except OSError:  # a process without standard error
        kept = None
    if kept is not None:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
    try:
        with contextlib.redirect_stdout(said):
            yield
    finally:
        if kept is not None:
            os.dup2(kept, 2)
            os.close(kept)
        others = [line for line in said.getvalue().splitlines() if not line.startswith("CVode ")]
        if others:  # a mechanism's or a template's own
            sys.stdout.write("\n".join([*others, ""]))
