"""Files that are read while something runs: by Python, and by NEURON underneath it.

Python tells of each file that it opens by an audit event. NEURON opens files by the C function
``fopen``; on Linux its library finds that in a table, where ours stands in its place for as long
as anybody wants to know. Where there is no such table, what a template mentions is taken instead.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.util
import os
import re
import site
import struct
import sys
import sysconfig
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from stpspec.resources import CURRENT_FOLDER, file_sha256

_IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t]+\.?(\w+)", re.MULTILINE)
_LITERAL = re.compile(r"""(["'])([^"'\n]+)\1""")
_WRITES = os.O_WRONLY | os.O_RDWR
_JUMP_TABLE, _SIZE, _SYMBOLS, _STRINGS = 23, 2, 6, 5  # DT_JMPREL, DT_PLTRELSZ, DT_SYMTAB, DT_STRTAB


@dataclass(frozen=True)
class Reading:
    """What was read of one file.

    Attributes
    ----------
    sha256 : str
        Of its bytes, hexadecimal.
    from_here : bool
        Whether it was opened by a name relative to the current folder.
    """

    sha256: str
    from_here: bool = False


Readings = dict[Path, Reading]


@dataclass
class _Watch:
    """The files that were opened since it began."""

    here: Path = field(default_factory=Path.cwd)
    read: dict[Path, bool] = field(default_factory=dict)
    written: set[Path] = field(default_factory=set)
    thread: int = field(default_factory=threading.get_ident)

    def note(self, name: str, *, writes: bool) -> None:
        if threading.get_ident() != self.thread:  # of the host, not of what is watched
            return
        path = _absolute(name)
        if writes:
            self.written.add(path)
        else:
            relative = not Path(name).is_absolute() and Path.cwd() == self.here
            self.read[path] = self.read.get(path, False) or relative

    def readings(self) -> Readings:
        """Return what was read of the user's own files that were there before."""
        return {
            path: Reading(file_sha256(path), from_here)
            for path, from_here in sorted(self.read.items())
            if path not in self.written and is_own(path) and path.is_file()
            if path.name != CURRENT_FOLDER
        }


_watch: _Watch | None = None


@contextlib.contextmanager
def files_read() -> Iterator[Readings]:
    """Give the files of the user that are read inside; filled at its end."""
    global _watch
    found: Readings = {}
    _install_audit()
    before, _watch = _watch, _Watch()
    watch = _watch
    try:
        with _native_opens():
            yield found
    finally:
        _watch = before
        found |= watch.readings()


def is_own(path: Path) -> bool:
    """Tell whether a file is the user's: of no installation, and no device."""
    if {"site-packages", "dist-packages"} & set(path.parts):
        return False
    return not str(path).startswith(_installed())


def mentioned(path: Path, seen: set[Path] | None = None) -> set[Path]:
    """Return the files whose names stand in a template, and in what it mentions, in quotes.

    Of a Python template also the modules beside it that it imports.
    """
    seen = set() if seen is None else seen
    text = path.read_text(encoding="utf-8", errors="replace")
    names = [name for _, name in _LITERAL.findall(text)]
    names += [f"{n}.py" for n in _IMPORT.findall(text)] if path.suffix == ".py" else []
    for name in names:
        for folder in (path.parent, Path.cwd()):
            file = _absolute(str(folder / name))
            with contextlib.suppress(OSError, ValueError):  # a text, no name
                if file.is_file() and file != path and file not in seen:
                    seen.add(file)
                    if file.suffix in (".hoc", ".py", ".ses"):
                        mentioned(file, seen)
    return seen


def modules_used(module: ModuleType) -> set[Path]:
    """Return the files of the user's modules that a module, or one that it uses, has names of."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        for value in list(vars(waiting.pop()).values()):
            named = value if isinstance(value, type | FunctionType) else type(value)
            name = named.__module__
            other = value if isinstance(value, ModuleType) else sys.modules.get(str(name))
            file = getattr(other, "__file__", None)
            if other is None or not isinstance(file, str) or not is_own(path := _absolute(file)):
                continue
            if path not in found and path.is_file():
                found.add(path)
                waiting.append(other)
    return found


def is_watched() -> bool:
    """Tell whether what NEURON opens is seen here; else only what templates mention is known."""
    return bool(_slots())


def _absolute(name: str) -> Path:
    """Return the place of a file: its folder without links, its own name as it was asked for."""
    folder, base = os.path.split(os.path.abspath(name))  # noqa: PTH100  # keeps a link's own name
    return Path(os.path.realpath(folder)) / base


@functools.cache
def _installed() -> tuple[str, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    places = {sysconfig.get_path(n) for n in names} | {sys.prefix, sys.base_prefix, sys.exec_prefix}
    places |= {*site.getsitepackages(), "/proc", "/sys", "/dev", "/etc", "/usr/share"}
    places |= {str(Path(__file__).parents[1])}
    return tuple(
        {f"{end}{os.sep}" for p in places if p and p != os.sep for end in (p, os.path.realpath(p))}
    )


@functools.cache
def _install_audit() -> None:
    sys.addaudithook(_on_event)


def _on_event(event: str, arguments: tuple[Any, ...]) -> None:
    if _watch is None or event != "open":
        return
    name, mode, flags = arguments
    if isinstance(name, int) or name is None:
        return
    with contextlib.suppress(OSError, ValueError, UnicodeError):
        text = os.fsdecode(name)
        if text.endswith(".pyc"):
            text = importlib.util.source_from_cache(text)
        writes = bool(set(mode) & set("wax")) if isinstance(mode, str) else bool(flags & _WRITES)
        _watch.note(text, writes=writes)


# -- NEURON's own ----------------------------------------------------------------------------------


@contextlib.contextmanager
def _native_opens() -> Iterator[None]:
    """Let NEURON's library call our ``fopen``."""
    slots = _slots()
    before = [slot.value for slot in slots]
    try:
        for slot in slots:
            slot.value = _address(_ours()[0])
        yield
    finally:
        for slot, value in zip(slots, before, strict=True):
            slot.value = value


@functools.cache
def _ours() -> tuple[Any, Any]:
    """Return the function that stands in for ``fopen``, and the true one."""
    kind = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, use_errno=True)
    fopen = kind(("fopen", ctypes.CDLL(None, use_errno=True)))

    def noting(name: bytes, mode: bytes) -> int | None:
        if _watch is not None:
            with contextlib.suppress(OSError, ValueError):
                _watch.note(os.fsdecode(name), writes=bool(set(mode) & set(b"wa")))
        return fopen(name, mode)

    return kind(noting), fopen


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


@functools.cache
def _slots() -> tuple[Any, ...]:
    """Return where NEURON's library keeps the address of ``fopen``; nothing if that is not known.

    It is what the linker of Linux writes there, and it is taken only where it is what we expect.
    """
    if not sys.platform.startswith("linux") or ctypes.sizeof(ctypes.c_void_p) != 8:
        return ()
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
        name = next(
            w for line in maps.splitlines() if "libnrniv" in (w := line.split(maxsplit=5)[-1])
        )
        handle = ctypes.CDLL(name, os.RTLD_NOLOAD | os.RTLD_NOW)._handle  # its link_map
        places = [p for p in _fopen_places(handle) if _word(p).value == _address(_ours()[1])]
    except (OSError, StopIteration, KeyError, AttributeError, MemoryError):
        return ()
    page = os.sysconf("SC_PAGE_SIZE")
    protect = ctypes.CDLL(None).mprotect
    protect.argtypes = (ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int)
    writable = [p for p in places if protect(p - p % page, page, 1 | 2) == 0]
    return tuple(_word(p) for p in writable)


def _fopen_places(handle: int) -> Iterator[int]:
    base, _, dynamic = (_word(handle + 8 * n).value for n in range(3))
    entries: dict[int, int] = {}
    while tag := _word(dynamic).value:
        entries.setdefault(tag, _word(dynamic + 8).value)
        dynamic += 16
    table = ctypes.string_at(entries[_JUMP_TABLE], entries[_SIZE])
    for offset, info, _ in struct.iter_unpack("<QQq", table):
        symbol = entries[_SYMBOLS] + 24 * (info >> 32)
        name = ctypes.string_at(entries[_STRINGS] + ctypes.c_uint32.from_address(symbol).value)
        if name in (b"fopen", b"fopen64"):
            yield base + offset


def _word(address: int) -> ctypes.c_size_t:
    return ctypes.c_size_t.from_address(address)
