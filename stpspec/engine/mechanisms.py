"""Mechanisms: found, compiled once per content, loaded once a process, asked what they are."""

from __future__ import annotations

import functools
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stpspec.cache import cache_folder
from stpspec.engine import nrn
from stpspec.engine.keys import content_key, file_sha256
from stpspec.errors import MechanismError, unknown_name
from stpspec.resources import find, shipped

_COMMENT = re.compile(r"\bCOMMENT\b.*?\bENDCOMMENT\b|[:?][^\n]*", re.DOTALL)
_NAME = re.compile(r"\b(?:SUFFIX|POINT_PROCESS|ARTIFICIAL_CELL)\s+(\w+)")
_LIMITS = re.compile(r"^\s*(\w+)\s*=[^\n<]*<\s*([-+.\deE]+)\s*,\s*([-+.\deE]+)\s*>", re.MULTILINE)

# mechanism name → sha256 of the source that this process has loaded
_loaded: dict[str, str] = {}


@dataclass(frozen=True)
class Mechanism:
    """What a loaded POINT_PROCESS says of itself.

    Attributes
    ----------
    parameters : dict of str to str
        Name → unit, RANGE and GLOBAL parameters alike.
    global_parameters : frozenset of str
        Those shared by every instance in the process.
    states, assigned : frozenset of str
        STATE and ASSIGNED variables that can be recorded.
    defaults : dict of str to float
    limits : dict of str to (float, float)
        As declared in the source; NEURON does not enforce them.
    """

    name: str
    parameters: dict[str, str]
    global_parameters: frozenset[str]
    states: frozenset[str]
    assigned: frozenset[str]
    defaults: dict[str, float]
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def recordable(self) -> list[str]:
        """Names of the variables that can be recorded."""
        return sorted(self.states | self.assigned)


def sources(mod: Sequence[str]) -> dict[str, Path]:
    """Return mechanism name → .mod file: the shipped ones, and before them those in ``mod``.

    Raises
    ------
    MechanismError
        If a file or folder does not exist, or a .mod file defines no mechanism.
    """
    found = {_name_in(path): path for path in sorted(shipped("mod").glob("*.mod"))}
    for entry in mod:
        try:
            place = find(entry, "mod")
        except FileNotFoundError as error:
            raise MechanismError(f"mod: {error}") from None
        paths = sorted(place.glob("*.mod")) if place.is_dir() else [place]
        if not paths:
            raise MechanismError(f"mod: the folder {place} holds no .mod file")
        found |= {_name_in(path): path for path in paths}
    return found


def code_of(path: Path) -> str:
    """Return the text of a .mod file without its comments."""
    return _without_comments(path.read_text(encoding="utf-8", errors="replace"))


@functools.lru_cache(maxsize=256)
def _without_comments(text: str) -> str:
    return _COMMENT.sub("", text)


def _name_in(path: Path) -> str:
    match = _NAME.search(code_of(path))
    if match is None:
        raise MechanismError(f"{path}: no SUFFIX, POINT_PROCESS or ARTIFICIAL_CELL in this file")
    return match.group(1)


def ensure_loaded(mod: Sequence[str] = ()) -> dict[str, Path]:
    """Compile (unless cached) and load the shipped mechanisms and those in ``mod``.

    Returns
    -------
    dict of str to Path
        Mechanism name → source.

    Raises
    ------
    MechanismError
        If a source does not compile, or its name is loaded already from another source.
    """
    h = nrn.hoc()
    wanted = sources(mod)
    shas = {name: file_sha256(path) for name, path in wanted.items()}
    present = set(_loaded_names())
    for name, path in wanted.items():
        if name in present and _loaded.get(name) != shas[name]:
            raise MechanismError(
                f"the mechanism {name!r} of {path} is already loaded in this process from another "
                f"source; a mechanism cannot be unloaded: start a new Python process, or rename it"
            )
    missing = {name: path for name, path in wanted.items() if name not in present}
    # The shipped ones are one library, so that its cached build serves every experiment.
    own = {n: p for n, p in missing.items() if p.parent == shipped("mod").resolve() or
           p.parent == shipped("mod")}  # fmt: skip
    for group in (own, {n: p for n, p in missing.items() if n not in own}):
        if not group:
            continue
        library = compile_library(list(group.values()))
        with nrn.border(MechanismError, f"loading {library}"):
            h.nrn_load_dll(str(library))
        _loaded.update({name: shas[name] for name in group})
        absent = set(group) - set(_loaded_names())
        if absent:
            raise MechanismError(f"{library} was loaded but lacks {', '.join(sorted(absent))}")
    return wanted


def _loaded_names() -> list[str]:
    h = nrn.hoc()
    names, text = [], h.ref("")
    for sort in (0, 1):
        types = h.MechanismType(sort)
        for index in range(int(types.count())):
            types.select(index)
            types.selected(text)
            names.append(text[0])
    return names


def compile_library(paths: Sequence[Path]) -> Path:
    """Compile .mod files into a shared library, or return the cached one of the same content.

    Raises
    ------
    MechanismError
        With the compiler's own message, file and line.
    """
    from filelock import FileLock

    paths = sorted(paths, key=lambda p: p.name)
    parts = [part for p in paths for part in (p.name, p.read_bytes())]
    key = content_key(*parts, nrn.version(), platform.platform(), platform.python_version())
    root = cache_folder("mechanisms")
    final = root / key
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f"{key}.lock"):
            if not final.exists():
                build = Path(tempfile.mkdtemp(dir=root, prefix="build-"))
                try:
                    _nrnivmodl(build, paths)
                    build.replace(final)
                finally:
                    shutil.rmtree(build, ignore_errors=True)
    except OSError as error:
        raise MechanismError(
            f"compiled mechanisms cannot be kept in {root}: {error.strerror or error}; name a "
            f"folder that can be written in the environment variable STPSPEC_CACHE"
        ) from error
    return _library_in(final)


def _library_in(folder: Path) -> Path:
    # NEURON 9 puts it into x86_64/, NEURON 8.2 into x86_64/.libs/; arm64 on other machines.
    for pattern in ("*/libnrnmech.*", "*/.libs/libnrnmech.*"):
        hits = [p for p in sorted(folder.glob(pattern)) if p.suffix in (".so", ".dylib")]
        if hits:
            return hits[0]
    raise MechanismError(f"{folder} holds no compiled library; delete this folder and try again")


def _nrnivmodl(build: Path, paths: Sequence[Path]) -> None:
    for path in paths:
        shutil.copy2(path, build / path.name)
    tool = Path(sys.executable).with_name("nrnivmodl")
    command = str(tool) if tool.exists() else shutil.which("nrnivmodl")
    if command is None:
        raise MechanismError("nrnivmodl was not found; install NEURON again: pip install neuron")
    for needed in ("g++", "make"):
        if shutil.which(needed) is None:
            raise MechanismError(
                f"compiling mechanisms needs {needed}, which is not installed "
                f"(Debian and Ubuntu: apt-get install g++ make)"
            )
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [command, "."], cwd=build, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": path}, check=False,
    )  # fmt: skip
    if done.returncode != 0 or not any(build.rglob("libnrnmech.*")):
        raise MechanismError(_compiler_message(done.stdout + "\n" + done.stderr, paths))


def _compiler_message(output: str, paths: Sequence[Path]) -> str:
    telling = [
        line.strip()
        for line in output.splitlines()
        if re.search(r"error|at line|illegal|undefined|\.mod:", line, re.IGNORECASE)
        and not re.match(r"\s*(make|g\+\+|\(cd|NOTE:|raise |subprocess\.)", line)
    ]
    text = "\n    ".join(dict.fromkeys(telling)) or output.strip()[-1500:]
    return f"the mechanisms do not compile: {_place(output, paths)}\n    {text}".replace(
        ": \n", ":\n"
    )


def _place(output: str, paths: Sequence[Path]) -> str:
    """Return file:line of the user's own source, as far as the compilers tell."""
    nmodl = re.search(r"at line (\d+) in file (\S+)\.mod|(\w+)\.mod:(\d+)", output)
    if nmodl:
        stem, line = Path(nmodl[2] or nmodl[3]).stem, nmodl[1] or nmodl[4]
        return next((f"{p}:{line}" for p in paths if p.stem == stem), "")
    # g++ counts lines of the translation; what it quotes stands in the source too (VERBATIM).
    cpp = re.search(r"(\w+)\.(?:cpp|c):\d+:.*error.*(?:\n\s*\d+ \|(.*))?", output)
    path = next((p for p in paths if cpp and p.stem == cpp[1]), None)
    if cpp is None or path is None:
        return ""
    quoted = (cpp[2] or "").strip()
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    found = [n for n, line in enumerate(lines, 1) if quoted and line.strip() == quoted]
    return f"{path}:{found[0]}" if found else str(path)


@functools.cache
def describe(name: str) -> Mechanism:
    """Return what a loaded POINT_PROCESS says of itself.

    Raises
    ------
    MechanismError
        If no point process of this name is loaded.
    """
    h = nrn.hoc()
    if name not in _point_processes():
        own = [n for n in _point_processes() if n in _loaded] + ["ExpSyn", "Exp2Syn"]
        raise MechanismError(str(unknown_name("mechanism (POINT_PROCESS)", name, own)))
    values = {kind: _variables(name, kind) for kind in (1, 2, 3, -1)}
    shared = {n.removesuffix(f"_{name}"): v for n, v in values[-1].items()}
    units = {n: str(h.units(f"{name}.{n}")) for n in values[1]}
    units |= {n: str(h.units(f"{n}_{name}")) for n in shared}
    return Mechanism(
        name,
        units,
        frozenset(shared),
        frozenset(values[3]),
        frozenset(values[2]),
        values[1] | {n: float(getattr(h, f"{n}_{name}")) for n in shared},
    )


def limits_in(path: Path) -> dict[str, tuple[float, float]]:
    """Return parameter → (low, high) as declared with ``<low, high>`` in a .mod file."""
    return {n: (float(low), float(high)) for n, low, high in _LIMITS.findall(code_of(path))}


def pointers_in(path: Path) -> list[str]:
    """Return the names that a .mod file declares as POINTER."""
    found = re.findall(r"\b(?:BBCORE)?POINTER\s+(\w+(?:\s*,\s*\w+)*)", code_of(path))
    return [name.strip() for group in found for name in group.split(",")]


def _point_processes() -> list[str]:
    h = nrn.hoc()
    types, text, names = h.MechanismType(1), h.ref(""), []
    for index in range(int(types.count())):
        types.select(index)
        types.selected(text)
        if not types.is_artificial(index):
            names.append(text[0])
    return names


def _variables(name: str, kind: int) -> dict[str, float]:
    h: Any = nrn.hoc()
    standard, text = h.MechanismStandard(name, kind), h.ref("")
    found = {}
    for index in range(int(standard.count())):
        size = int(standard.name(text, index))
        if size == 1:
            found[text[0]] = float(standard.get(text[0])) if kind != -1 else 0.0
    return found
