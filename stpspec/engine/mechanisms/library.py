"""The mechanisms of this process: found, loaded once, and asked what they are."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from pathlib import Path

from stpspec.engine import nrn
from stpspec.engine.mechanisms import nmodl
from stpspec.engine.mechanisms.compilation import compile_library
from stpspec.errors import MechanismError
from stpspec.resources import find_file, shipped
from stpspec.resources.trust import require_trust

_OF_NEURON = frozenset({
    "morphology", "capacitance", "pas", "extracellular", "fastpas", "hh", "IClamp", "AlphaSynapse",
    "ExpSyn", "Exp2Syn", "SEClamp", "VClamp", "OClamp", "APCount", "NetStim", "IntFire1",
    "IntFire2", "IntFire4", "PointProcessMark", "PatternStim",
})  # fmt: skip

_LACKS = "undefined symbol"  # as the loader of Linux says
_TAKEN = re.compile(r"The user defined name already exists: (\w+)")

# mechanism name → key of the content that this process has loaded, and the file it was read from
_loaded: dict[str, tuple[str, Path]] = {}


def sources(mod: Sequence[str]) -> dict[str, Path]:
    """Return mechanism name → .mod file: the shipped ones, and before them those in ``mod``.

    Raises
    ------
    MechanismError
        If a file or folder does not exist, a .mod file defines no mechanism, or two files in
        ``mod`` define one name differently.
    """
    paths: list[Path] = []
    in_folders = set[Path]()
    for entry in mod:
        try:
            place = find_file(entry, "mod")
        except FileNotFoundError as error:
            raise MechanismError(f"mod: {error}") from None
        own = _mod_files(place) if place.is_dir() else [place]
        if not own:
            raise MechanismError(f"mod: the folder {place} holds no .mod file")
        in_folders |= set(own) if place.is_dir() else set()
        paths += [p for p in own if p not in paths]
    parts = _parts(paths, in_folders)
    paths = [p for p in paths if p not in parts]
    ours = [p for p in _mod_files(shipped("mod")) if p not in paths]
    return nmodl.declared_in(ours) | nmodl.declared_in(paths)


def _parts(paths: Sequence[Path], in_folders: Set[Path]) -> set[Path]:
    """Return the files that declare no mechanism and need not: others include them, say.

    A folder may hold others, too, as long as it holds a mechanism.
    """
    read = nmodl.read_all(paths)
    nameless = {p for p in paths if not read[p].name}
    if not nameless or len(nameless) == len(paths):
        return set()
    included = {f.resolve() for p in paths for f in nmodl.included_in(p).values()}
    return {p for p in nameless if p in in_folders or p.resolve() in included}


def _mod_files(folder: Path) -> list[Path]:
    """Return the .mod files of a folder, without what editors and macOS put beside them."""
    return sorted(p for p in folder.glob("*.mod") if p.is_file() and not p.name.startswith("."))


def used_sources(mod: Sequence[str], mechanism: str, words: Collection[str]) -> dict[str, Path]:
    """Return the shipped mechanisms, and those in ``mod`` that a model uses as far as names tell.

    That is its synapse or junction, and what the files of its cells name. Files of functions for
    HOC, ``SUFFIX nothing``, have no name that could be looked for.

    Parameters
    ----------
    mod : sequence of str
    mechanism : str
    words : collection of str
        All words in the files of the cells.

    Raises
    ------
    MechanismError
        As :func:`sources`.
    """
    return {
        name: path for name, path in sources(mod).items()
        if name == mechanism or (name in words and name not in _OF_NEURON)
        or path.parent == shipped("mod") or not nmodl.is_mechanism(path)
    }  # fmt: skip


def ensure_loaded(
    mod: Sequence[str] = (), wanted: Mapping[str, Path] | None = None, needed: str | None = None
) -> dict[str, str]:
    """Compile (unless cached) and load the shipped mechanisms and those in ``mod``.

    Parameters
    ----------
    mod : sequence of str
    wanted : mapping of str to Path, optional
        Those of them that are loaded; all by default.
    needed : str, optional
        The one that has to be loaded; all by default. The others that do not compile are told.

    Returns
    -------
    dict of str to str
        Name of a mechanism that could not be loaded → why.

    Raises
    ------
    MechanismError
        If a source that is needed does not compile, or its name is loaded already from another
        source.
    """
    wanted = sources(mod) if wanted is None else wanted
    shas = {name: nmodl.content_of(path) for name, path in wanted.items()}
    present = {*loaded_names(), *_loaded}
    for name, path in wanted.items():
        if name in present and (name not in _loaded or _loaded[name][0] != shas[name]):
            raise MechanismError(_why_present(name, path))
    require_trust(*(p for p in wanted.values() if p.parent != shipped("mod")))
    missing = {name: path for name, path in wanted.items() if name not in present}
    # The shipped ones are one library, so that its cached build serves every experiment; those of
    # the cells another, which serves each mechanism that is tried on them.
    ours = (shipped("mod"), shipped("mod").resolve())
    own = {n: p for n, p in missing.items() if p.parent in ours}
    the_one = {n: p for n, p in missing.items() if n == needed and n not in own}
    others = {n: p for n, p in missing.items() if n not in own and n not in the_one}
    _load(own, shas)
    try:
        _load(the_one, shas)
    except MechanismError as error:
        beside = {n: p for n, p in sources(mod).items() if n not in {*loaded_names(), *_loaded}}
        if _LACKS not in str(error) or len(beside) < 2:
            raise
        with contextlib.suppress(MechanismError):  # its C code may call that of another file
            _load(beside, {n: nmodl.content_of(p) for n, p in beside.items()})
            return {}
        raise
    try:
        _load(others, shas)
    except MechanismError:
        if needed is None:
            raise
        return _load_each(others, shas)
    return {}


def _why_present(name: str, path: Path) -> str:
    if name in _OF_NEURON:
        return _why_taken(name, path)
    first = f" ({_loaded[name][1]})" if name in _loaded else ""
    return (
        f"the mechanism {name!r} of {path} is already loaded in this process from another "
        f"source{first}; a mechanism cannot be unloaded: start a new Python process, or rename it"
    )


def _why_taken(name: str, path: Path) -> str:
    return (
        f"{path} defines {name!r}, a name that NEURON itself has and that no file can take: give "
        f"the mechanism another one, in the file and in the experiment"
    )


def _load(group: Mapping[str, Path], shas: Mapping[str, str]) -> None:
    if not group:
        return
    library = compile_library(list(group.values()))
    with nrn.border(MechanismError, f"loading {library}"):
        try:  # a text must be ASCII, bytes need not
            nrn.hoc().nrn_load_dll(os.fsencode(library))
        except RuntimeError as error:
            taken = _TAKEN.search(str(error))
            if taken is None or taken[1] not in group:
                raise
            raise MechanismError(_why_taken(taken[1], group[taken[1]])) from error
    absent = {n for n, p in group.items() if nmodl.is_mechanism(p)} - set(loaded_names())
    if absent:
        raise MechanismError(_why_not_loaded(library, sorted(absent)))
    _loaded.update({name: (shas[name], path) for name, path in group.items()})


def _load_each(group: Mapping[str, Path], shas: Mapping[str, str]) -> dict[str, str]:
    """Load mechanisms one by one; return name → why of those that cannot be."""
    failed = {}
    for name, path in group.items():
        try:
            _load({name: path}, shas)
        except MechanismError as error:
            failed[name] = str(error)
    return failed


def load_file(path: Path) -> None:
    """Compile (unless cached) and load one .mod file, and no other.

    Raises
    ------
    MechanismError
        If it does not compile or load.
    """
    ((name, _),) = nmodl.declared_in([path]).items()
    if name in _loaded:
        return
    if name in loaded_names():
        raise MechanismError(
            f"{path}: NEURON has a mechanism called {name!r} of its own, and takes no second one; "
            f"rename it"
        )
    require_trust(path)
    built = compile_library([path])
    with nrn.border(MechanismError, f"loading {built}"):
        nrn.hoc().nrn_load_dll(os.fsencode(built))
    if name not in loaded_names():
        raise MechanismError(_why_not_loaded(built, [name]))
    _loaded[name] = nmodl.content_of(path), path


def loaded_names(*sorts: int) -> list[str]:
    """Return the names of density mechanisms (0) and of point processes (1); both by default."""
    return [name for sort in sorts or (0, 1) for name, _ in _loaded_types(sort)]


def artificial_cells() -> list[str]:
    """Return the names of the loaded artificial cells."""
    return [name for name, is_artificial in _loaded_types(1) if is_artificial]


def _loaded_types(sort: int) -> Iterator[tuple[str, bool]]:
    h = nrn.bare_hoc()
    types, text = h.MechanismType(sort), h.ref("")
    for index in range(int(types.count())):
        types.select(index)
        types.selected(text)
        yield text[0], bool(sort and types.is_artificial(index))


def contradicts(mod: Sequence[str]) -> bool:
    """Tell whether this process has loaded a mechanism of some name from another source.

    Raises
    ------
    MechanismError
        As :func:`sources`.
    """
    names = {*loaded_names(), *_loaded}
    return any(
        name in names and (name not in _loaded or _loaded[name][0] != nmodl.content_of(path))
        for name, path in sources(mod).items()
    )


def foreign(mod: Sequence[str]) -> dict[str, str]:
    """Return mechanism name → key of its content, of all in ``mod`` that are not shipped ones.

    Raises
    ------
    MechanismError
        As :func:`sources`.
    """
    if not mod:
        return {}
    ours = {name: nmodl.content_of(path) for name, path in sources(()).items()}
    given = {name: nmodl.content_of(path) for name, path in sources(mod).items()}
    return {name: key for name, key in given.items() if ours.get(name) != key}


def _why_not_loaded(library: Path, names: Sequence[str]) -> str:
    """Return why a library that was compiled has not brought its mechanisms: NEURON only prints."""
    if os.statvfs(library).f_flag & getattr(os, "ST_NOEXEC", 0):
        return (
            f"compiled mechanisms cannot be loaded from {library.parents[2]}: nothing is executed "
            f"on its file system (noexec); name another folder in the environment variable "
            f"STPSPEC_CACHE"
        )
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        reason = str(error).removeprefix(f"{library}: ")
        return f"the compiled mechanisms cannot be loaded: {reason} ({', '.join(names)})"
    return f"{library} was loaded but lacks {', '.join(names)}"


def is_ours(name: str) -> bool:
    """Tell whether this process has loaded a mechanism from a .mod file that it was given."""
    return name in _loaded


def without_source() -> frozenset[str]:
    """Return the loaded mechanisms of which no source is known: compiled by somebody else."""
    types = nrn.hoc().MechanismType
    return _without_source(int(types(0).count()) + int(types(1).count()), len(_loaded))


@functools.cache  # no mechanism is ever unloaded, and each batch asks
def _without_source(_n_loaded: int, _n_ours: int) -> frozenset[str]:
    return frozenset(
        name for name in loaded_names()
        if name not in _OF_NEURON and not name.endswith("_ion") and not is_ours(name)
    )  # fmt: skip
