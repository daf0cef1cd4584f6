"""The quit() of HOC, refused while a template is loaded or a cell is built.

Templates call it where they can do nothing with what they were given; it would end the process, and
with it a fit. Meanwhile the name stands for a function of HOC's own that raises an error: two words
of the entry in NEURON's table of symbols are exchanged, after it was seen that the entry looks as
expected. What a template has compiled goes through the table, so it matters not when it was loaded.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import re
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple, TextIO

from stpspec.engine import nrn
from stpspec.errors import StpspecError

_SAID = "quit() was called"
_FUNCTION = f'func stpspec_quit() {{ execerror("{_SAID}", "") return 0 }}'
_LOOKUPS = ("nrn_symbol", "hoc_lookup", "_Z10hoc_lookupPKc")  # as versions of NEURON call it
# In an entry: name (8 bytes), type (2), three flags (2 each), pointer to what it does (8).
_TYPE, _DOES = 8, 16
_OF_HOC = re.compile(r"(?:^|\.)(?:quit|execerror|xopen|execute1|load_file)\(")
_CALL = re.compile(r"^\s*([\w\[\].]+\([^()]*\))\s*$", re.MULTILINE)
_PLACE = re.compile(r"^\s*in (\S+) near line ([1-9]\d*)\s*$", re.MULTILINE)


class _Entry(NamedTuple):
    """The words of an entry of the table."""

    type: Any
    does: Any


@contextlib.contextmanager
def quit_refused(error: type[StpspecError], doing: str) -> Iterator[None]:
    """Raise an error where quit() is called inside, with where and what was printed before.

    Parameters
    ----------
    error : type of StpspecError
    doing : str
        What was being done; begins the message.
    """
    printed, written = _Copy(sys.stdout), _Copy(sys.stderr)
    with (
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(written),
        _another_quit(),
    ):
        try:
            yield
        except (KeyboardInterrupt, StpspecError):
            raise
        except BaseException as cause:
            if _SAID in f"{cause} {written.getvalue()}":
                raise error(_message(doing, written.getvalue(), printed.getvalue())) from cause
            raise
    if _SAID in written.getvalue():  # a Python template ran a line of HOC: that raises nothing
        raise error(_message(doing, written.getvalue(), printed.getvalue()))


def _message(doing: str, written: str, printed: str) -> str:
    calls = [call for call in _CALL.findall(written) if not _OF_HOC.search(call)]
    place = _PLACE.search(written)
    where = f" in {', called by '.join(calls)}" if calls else ""
    where += f" ({place[1]}, line {place[2]})" if place else ""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    before = f"; it had printed: {lines[-1]}" if lines else ""
    return f"{doing}: the template calls quit(){where}, which would end this process{before}"


@contextlib.contextmanager
def _another_quit() -> Iterator[None]:
    entries = _entries()
    if entries is None:  # a NEURON to come
        yield
        return
    quits, raises = entries
    before = quits.type.value, quits.does.value
    quits.type.value, quits.does.value = raises.type.value, raises.does.value
    try:
        yield
    finally:
        quits.type.value, quits.does.value = before


@functools.cache
def _entries() -> tuple[_Entry, _Entry] | None:
    """Return the entries of quit and of our function; None if they are not found as expected."""
    h = nrn.bare_hoc()
    library = ctypes.CDLL(sys.modules["neuron.hoc"].__file__)
    lookup = next((getattr(library, n) for n in _LOOKUPS if hasattr(library, n)), None)
    if lookup is None or not h(_FUNCTION):
        return None
    h("")  # else NEURON would show that line with any later error
    lookup.restype, lookup.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    found = []
    for name in (b"quit", b"stpspec_quit"):
        address = lookup(name)
        if not address or ctypes.string_at(ctypes.c_size_t.from_address(address).value) != name:
            return None
        kind = ctypes.c_short.from_address(address + _TYPE)
        found.append(_Entry(kind, ctypes.c_size_t.from_address(address + _DOES)))
    return found[0], found[1]


class _Copy(io.StringIO):
    """A text that is written to a stream as well."""

    def __init__(self, stream: TextIO | None):
        super().__init__()
        self._stream = stream

    def write(self, text: str) -> int:
        if self._stream is not None:
            self._stream.write(text)
        return super().write(text)

    def flush(self) -> None:
        if self._stream is not None:
            self._stream.flush()
