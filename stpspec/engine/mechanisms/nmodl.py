"""What the text of a .mod file says, which a loaded mechanism does not tell."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path

from stpspec.errors import MechanismError

_COMMENT = re.compile(r"\bCOMMENT\b.*?\bENDCOMMENT\b|[:?][^\n]*", re.DOTALL)
_NAME = re.compile(r"\b(SUFFIX|POINT_PROCESS|ARTIFICIAL_CELL)\s+(\w+)")
_INCLUDE = re.compile(r'\bINCLUDE\s+"([^"]+)"')
_LIMITS = re.compile(r"^\s*(\w+)\s*=[^\n<]*<\s*([-+.\deE]+)\s*,\s*([-+.\deE]+)\s*>", re.MULTILINE)
_POINTERS = re.compile(r"\b(?:BBCORE)?POINTER\s+(\w+(?:\s*,\s*\w+)*)")
# How random numbers are drawn in NMODL, and in the C of a VERBATIM block.
_DRAWS = re.compile(
    r"\b(RANDOM|scop_random|normrand|exprand|poisrand|nrnran123_\w+|nrn_random_\w+|\w*rand48|"
    r"rand|random|random_\w+|sample_\w+|set_seed)\b"
)
# Declarations, and C code: there a null pointer can be tested for, and usually is.
_NOT_NMODL = re.compile(
    r"\bVERBATIM\b.*?\bENDVERBATIM\b|\b(?:NEURON|ASSIGNED|PARAMETER)\s*\{[^{}]*\}", re.DOTALL
)


def code_of(path: Path) -> str:
    """Return the text of a .mod file without its comments."""
    now = path.stat()  # a fit asks again and again, and to read takes twenty times as long
    return _code_of(path, now.st_mtime_ns, now.st_ctime_ns, now.st_size)


@functools.lru_cache(maxsize=256)
def _code_of(path: Path, *_of_what_version: int) -> str:
    return _COMMENT.sub("", path.read_text(encoding="utf-8", errors="replace"))


def declaration_in(path: Path) -> tuple[str, str]:
    """Return what a .mod file declares, such as POINT_PROCESS, and the name of the mechanism.

    Raises
    ------
    MechanismError
        If it declares no mechanism.
    """
    match = _NAME.search(code_of(path))
    if match is None:
        raise MechanismError(f"{path}: no SUFFIX, POINT_PROCESS or ARTIFICIAL_CELL in this file")
    return match.group(1), match.group(2)


def included_in(path: Path) -> dict[str, Path]:
    """Return what a .mod file includes, by the name it writes, and what that includes in turn.

    Only what lies beside it or below: it is kept with results under the same name.
    """
    found: dict[str, Path] = {}
    waiting = [path]
    while waiting:
        for name in _INCLUDE.findall(code_of(waiting.pop())):
            file = path.parent / name
            beside = not Path(name).is_absolute() and ".." not in Path(name).parts
            if beside and name not in found and file.is_file():
                found[name] = file
                waiting.append(file)
    return found


def limits_in(path: Path) -> dict[str, tuple[float, float]]:
    """Return parameter → (low, high) as declared with ``<low, high>`` in a .mod file."""
    return {n: (float(low), float(high)) for n, low, high in _LIMITS.findall(code_of(path))}


def receives_events(path: Path) -> bool:
    """Tell whether a .mod file has a NET_RECEIVE block."""
    return re.search(r"\bNET_RECEIVE\b", code_of(path)) is not None


def draws_random(path: Path) -> bool:
    """Tell whether a .mod file speaks of random numbers."""
    return _speaks_of_chance(code_of(path))


@functools.lru_cache(maxsize=256)
def _speaks_of_chance(code: str) -> bool:
    return _DRAWS.search(code) is not None


def pointers_in(path: Path) -> list[str]:
    """Return the names that a .mod file declares as POINTER."""
    found = _POINTERS.findall(code_of(path))
    return [name.strip() for group in found for name in group.split(",")]


def pointers_read(path: Path) -> list[str]:
    """Return the POINTERs that the equations of a .mod file use: unset, they end the process."""
    equations = _NOT_NMODL.sub("", code_of(path))
    return [n for n in pointers_in(path) if re.search(rf"\b{n}\b", equations)]


def places_in(output: str, named: Mapping[str, Path]) -> list[str]:
    """Return file:line of the user's own sources, as far as the compilers' output tells.

    Parameters
    ----------
    output : str
        Of nmodl and of g++.
    named : mapping of str to Path
        Name under which each was compiled → .mod file.
    """
    found: dict[Path, str] = {}
    for told in re.finditer(r"at line (\d+) in file (\S+)\.mod|(\w+)\.mod:(\d+)", output):
        path = named.get(Path(told[2] or told[3]).stem)
        if path is not None:
            line = told[1] or told[4]
            if "Non-Ascii" in output:  # nocmodl counts the lines before it
                line = _not_ascii(path) or line
            found.setdefault(path, f"{path}:{line}")
    # g++ counts lines of the translation; what it quotes stands in the source too (VERBATIM),
    # and so does a name that it does not know.
    for said in re.finditer(r"(\w+)\.(?:cpp|c):\d+:.*error(.*)(?:\n\s*\d+ \|(.*))?", output):
        path = named.get(said[1])
        if path is not None:
            line = _line_of(path, said[2], (said[3] or "").strip())
            found.setdefault(path, f"{path}:{line}" if line else str(path))
    return list(found.values())


def _not_ascii(path: Path) -> int:
    """Return the first line that holds anything but ASCII; 0 if there is none."""
    lines = path.read_bytes().splitlines()
    return next((n for n, line in enumerate(lines, 1) if not line.isascii()), 0)


def _line_of(path: Path, message: str, quoted: str) -> int | None:
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        if quoted and line.strip() == quoted:
            return number
    unknown = re.search(r"[‘'](\w+)[’'] (?:was not declared|undeclared)", message)
    if unknown is None:
        return None
    blank = _COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)  # keeps the lines in place
    use = re.search(rf"\b{unknown[1]}\b", blank)
    return blank.count("\n", 0, use.start()) + 1 if use else None
