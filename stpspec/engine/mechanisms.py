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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stpspec.cache import cache_folder
from stpspec.engine import nmodl, nrn
from stpspec.engine.keys import content_key
from stpspec.errors import MechanismError, unknown_name
from stpspec.resources import find, shipped

# mechanism name → key of the content that this process has loaded
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
    found = {nmodl.declaration_in(path)[1]: path for path in sorted(shipped("mod").glob("*.mod"))}
    for entry in mod:
        try:
            place = find(entry, "mod")
        except FileNotFoundError as error:
            raise MechanismError(f"mod: {error}") from None
        paths = sorted(place.glob("*.mod")) if place.is_dir() else [place]
        if not paths:
            raise MechanismError(f"mod: the folder {place} holds no .mod file")
        found |= {nmodl.declaration_in(path)[1]: path for path in paths}
    return found


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
    shas = {name: content_key(*_contents(path)) for name, path in wanted.items()}
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


def _loaded_names(*sorts: int) -> list[str]:
    """Return the names of density mechanisms (0) and of point processes (1); both by default."""
    h = nrn.hoc()
    names, text = [], h.ref("")
    for sort in sorts or (0, 1):
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

    # Compiled under the name of the mechanism: that of a file may be one that C++ cannot take, and
    # two folders may hold files of one name.
    named = dict(sorted((nmodl.declaration_in(p)[1], p) for p in paths))
    parts = [part for name, p in named.items() for part in (name, *_contents(p))]
    key = content_key(*parts, nrn.version(), platform.platform(), platform.python_version())
    root = cache_folder("mechanisms")
    final = root / key
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f"{key}.lock"):
            if not final.exists():
                build = Path(tempfile.mkdtemp(dir=root, prefix="build-"))
                try:
                    _nrnivmodl(build, named)
                    build.replace(final)
                finally:
                    shutil.rmtree(build, ignore_errors=True)
    except OSError as error:
        raise MechanismError(
            f"compiled mechanisms cannot be kept in {root}: {error.strerror or error}; name a "
            f"folder that can be written in the environment variable STPSPEC_CACHE"
        ) from error
    return _library_in(final)


def _contents(path: Path) -> list[bytes]:
    """Return the bytes of a .mod file and of what it includes."""
    return [p.read_bytes() for p in (path, *nmodl.included_in(path).values())]


def _library_in(folder: Path) -> Path:
    # NEURON 9 puts it into x86_64/, NEURON 8.2 into x86_64/.libs/; arm64 on other machines.
    for pattern in ("*/libnrnmech.*", "*/.libs/libnrnmech.*"):
        hits = [p for p in sorted(folder.glob(pattern)) if p.suffix in (".so", ".dylib")]
        if hits:
            return hits[0]
    raise MechanismError(f"{folder} holds no compiled library; delete this folder and try again")


def _nrnivmodl(build: Path, named: Mapping[str, Path]) -> None:
    for name, path in named.items():
        shutil.copy2(path, build / f"{name}.mod")
        for written, included in nmodl.included_in(path).items():
            (build / written).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(included, build / written)
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
        env={**os.environ, "PATH": path, "MAKEFLAGS": "k"},  # all that is wrong, not the first
        check=False,
    )  # fmt: skip
    if done.returncode != 0 or not any(build.rglob("libnrnmech.*")):
        raise MechanismError(_compiler_message(done.stdout + "\n" + done.stderr, named))


def _compiler_message(output: str, named: Mapping[str, Path]) -> str:
    telling = [
        line.strip()
        for line in output.splitlines()
        if re.search(r"error|at line|illegal|undefined|\.mod:", line, re.IGNORECASE)
        and not re.match(r"\s*(make|g\+\+|\(cd|NOTE:|raise |subprocess\.)", line)
    ]
    text = "\n    ".join(dict.fromkeys(telling)) or output.strip()[-1500:]
    places = ", ".join(nmodl.places_in(output, named))
    return f"the mechanisms do not compile:{' ' if places else ''}{places}\n    {text}"


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
        for sort, what in enumerate(("a density mechanism", "an artificial cell")):
            if name in _loaded_names(sort):  # point processes are not among those of sort 1 here
                raise MechanismError(
                    f"{name} is {what}; a synapse or a gap junction is a POINT_PROCESS on a cell. "
                    f"Known: {', '.join(sorted(own))}."
                )
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
