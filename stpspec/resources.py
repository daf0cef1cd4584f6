"""Resources: shipped files, named files, files of results, cached files and their keys."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import hashlib
import importlib.util
import os
import secrets
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any

from stpspec.errors import ResultError, StpspecError, TrustError, nearest

# The groups in conf/ that every experiment chooses one file of; protocols are any number.
GROUPS = ("model", "recording", "numerics", "fitter", "objective")
ALL_GROUPS = (*GROUPS, "protocol")

# What a saved result is known by, and where it has code that can be run, and data beside it.
_SAVED = ("result.nc", "simulation.nc", "sweep.nc")
_RUN = (".mod", ".py", ".hoc")
CODE_FOLDERS = ("mod", "templates", "plugins")
SOURCE_FOLDERS = (*CODE_FOLDERS, "data")
# The file in the templates of a result that names the folder in which they were read.
CURRENT_FOLDER = ".current_folder"

_HERE = Path(__file__).resolve().parent
_plugin_folders: list[Path] = []  # of the results that this process has loaded
_EXTRA: contextvars.ContextVar[tuple[Path, ...]] = contextvars.ContextVar("extra", default=())


def shipped(folder: str) -> Path:
    """Return the path of a shipped folder, in a wheel, an editable install or a checkout.

    Raises
    ------
    StpspecError
        If the installation holds no such folder.
    """
    for parent in (_HERE / "_data", _HERE.parent):
        if (parent / folder).is_dir():
            return parent / folder
    raise StpspecError(f"this installation of stpspec has no {folder!r} folder; install it again")


@contextlib.contextmanager
def search_in(folders: Sequence[Path | str]) -> Iterator[None]:
    """Look for files in ``folders`` too, between the current and the shipped one."""
    token = _EXTRA.set((*_EXTRA.get(), *(Path(f).resolve() for f in folders)))
    try:
        yield
    finally:
        _EXTRA.reset(token)


def extra_folders() -> tuple[Path, ...]:
    """Return the folders that :func:`search_in` has added."""
    return _EXTRA.get()


def experiment_folders() -> list[Path]:
    """Return the folders of experiments: the current one's first, then the shipped ones."""
    places = [Path.cwd() / "experiments", *(f / "experiments" for f in extra_folders())]
    found = [p.resolve() for p in places if p.is_dir()]
    return list(dict.fromkeys([*found, shipped("experiments").resolve()]))


def experiments() -> dict[str, Path]:
    """Return name → file of every experiment that can be found."""
    found: dict[str, Path] = {}
    for folder in experiment_folders():
        for path in sorted(folder.glob("*/experiment.yaml")):
            found.setdefault(path.parent.name, path)
    return found


def candidates(name: str, folder: str) -> list[Path]:
    """Return the places where the file ``name`` of the kind ``folder`` is looked for, in order."""
    path = Path(name).expanduser()
    if path.is_absolute():
        return [path]
    places = []
    for base in (Path.cwd(), *_EXTRA.get()):
        places += [base / path, base / folder / path]
    return [*places, shipped(folder) / path] if folder in CODE_FOLDERS else places


def find_file(name: str, folder: str) -> Path:
    """Return the first existing file or folder called ``name``.

    Parameters
    ----------
    name : str
        File name, relative or absolute path.
    folder : str
        ``"mod"`` or ``"templates"``, where the shipped ones come last in the search, or
        ``"data"``: of users only.

    Raises
    ------
    FileNotFoundError
        If there is none; the message names the nearest shipped file and where it was looked for.
    """
    places = candidates(name, folder)
    for place in places:
        if place.is_file() or place.is_dir():
            return place.resolve()
        if place.exists():  # a pipe: reading it would wait for whoever writes into it
            raise FileNotFoundError(f"{place} is neither a file nor a folder")
    known = _beside(places, folder)
    guess = nearest(Path(name).name, known)
    hint = f" Did you mean {guess!r}?" if guess else ""
    looked = ", ".join(sorted({str(p.parent) for p in places}))
    raise FileNotFoundError(f"no file {name!r} in {looked}.{hint}")


def _beside(places: Sequence[Path], folder: str) -> list[str]:
    """Return the names of files that a misspelled one may mean: shipped, or where data lie."""
    if folder in CODE_FOLDERS:
        folders = [shipped(folder)]
    else:
        folders = [f for f in dict.fromkeys(p.parent for p in places) if f.is_dir()]
    names = (p.name for f in folders for p in f.iterdir())
    return [n for n in names if not n.startswith(("_", "."))]


def reach_plugins(names: Any, *folders: Path, trusted: bool = False) -> None:
    """Let Python find the modules that an experiment names in ``plugins``.

    What can be imported goes first; else a module is looked for in ``folders``, the current one
    and those that :func:`search_in` has added, and in ``plugins/`` in each: an installed command
    does not look into the current folder by itself, and a result keeps its plug-ins there. Those
    of a result come onto the path of Python only when they are about to be imported (``trusted``):
    there they could take the place of a module that is not installed.

    Raises
    ------
    TrustError
        If one is in a result that was neither run before nor trusted, and is to be imported.
    """
    for name in names if isinstance(names, list) else []:
        top = str(name).partition(".")[0]
        if not top.isidentifier() or top in sys.modules or importlib.util.find_spec(top):
            continue
        places = [p for f in (*folders, Path.cwd(), *_EXTRA.get()) for p in (f, f / "plugins")]
        for place in places:
            if (place / f"{top}.py").is_file() or (place / top / "__init__.py").is_file():
                folder = result_around(place / f"{top}.py")
                if folder is not None:  # asked for where it is imported, if it ever is
                    note_plugins(folder)
                    if not trusted:
                        break
                    require_trust(place / f"{top}.py")
                sys.path.append(str(place.resolve()))
                importlib.invalidate_caches()
                break


def note_plugins(folder: Path) -> None:
    """Note the folder of a result, so that its plug-ins are found if they are imported at all.

    It does not come onto the path of Python yet.
    """
    if folder not in _plugin_folders:
        _plugin_folders.append(folder)


def reach_noted_plugins(names: Sequence[str]) -> None:
    """Let Python find modules also in the results that :func:`note_plugins` was told of."""
    if _plugin_folders:
        reach_plugins(list(names), *_plugin_folders, trusted=True)


# -- files of others ------------------------------------------------------------------------------


def path_inside(folder: Path, name: object, *, of: Sequence[str] = ()) -> Path:
    """Return the path of a file that another file names, which must lie inside a folder.

    Parameters
    ----------
    folder : Path
    name : object
        Relative, with slashes.
    of : sequence of str
        If given, the subfolders that it may be in.

    Raises
    ------
    ResultError
        If it is no such name: it is absolute, goes up, follows a link out, or is no text at all.
    """
    parts = PurePath(name).parts if isinstance(name, str) else ()
    harmless = (
        isinstance(name, str)
        and parts
        and name.isprintable()
        and "\\" not in name
        and ".." not in parts
        and not (PurePath(name).is_absolute() or PureWindowsPath(name).drive)
        and (not of or (len(parts) > 1 and parts[0] in of))
    )
    if not harmless or not (folder / str(name)).resolve().is_relative_to(folder.resolve()):
        inside = f"{folder} ({', '.join(f'{n}/' for n in of)})" if of else str(folder)
        raise ResultError(f"a file of {folder} names {name!r}, which must be a file in {inside}")
    return folder / str(name)


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield the path of a new file, which takes the place of another in one piece.

    A folder of others may hold a link where a file is to be written: it is replaced, not followed.
    """
    temporary = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def result_around(path: Path) -> Path | None:
    """Return the folder of the saved result that a source file lies in; None if it is in none."""
    path = Path(os.path.abspath(path))  # noqa: PTH100 (no link is followed: it may lead out)
    for folder in path.parents:
        inner = path.relative_to(folder).parts
        near = len(inner) == 1 or inner[0] in SOURCE_FOLDERS
        if near and any((folder / name).is_file() for name in _SAVED):
            return folder
    return None


def require_trust(*paths: Path) -> None:
    """Refuse to run code inside a result that this user has neither run before nor trusted.

    Raises
    ------
    TrustError
        With the files.
    """
    for folder in dict.fromkeys(result_around(path) for path in paths):
        if folder is None:
            continue
        sys.dont_write_bytecode = True  # a result stays as it is
        if unknown := _untrusted(folder, paths):
            files = ", ".join(str(p.relative_to(folder)) for p in unknown)
            raise TrustError(
                f"{folder} holds code that was not run on this machine before: {files}; it can do "
                f"all that you can, so read it, then trust it once with --trust (in Python: "
                f"stpspec.load(FOLDER, trust=True))"
            )


def trust(folder: Path) -> list[Path]:
    """Trust all code inside a result from now on; return what was not trusted before."""
    unknown = _untrusted(folder)
    remember_code(file_sha256(path) for path in unknown)
    return unknown


def remember_code(hashes: Iterable[str]) -> None:
    """Note that code was run, so that it may be run inside a result, too.

    Parameters
    ----------
    hashes : iterable of str
        sha256 of the bytes of each file, hexadecimal.
    """
    known = cache_folder("trusted")
    with contextlib.suppress(OSError):  # without a cache, it is asked again
        known.mkdir(parents=True, exist_ok=True, mode=0o700)
        for sha in hashes:
            (known / sha).touch()


def _untrusted(folder: Path, named: Sequence[Path] = ()) -> list[Path]:
    """Return the files inside a result that may be run and are neither trusted nor shipped."""
    known, ours = cache_folder("trusted"), _shipped_hashes()
    files = {p for n in CODE_FOLDERS for p in (folder / n).rglob("*") if p.is_file()}
    named = [p for p in named if p.suffix in _RUN]
    files |= {Path(os.path.abspath(p)) for p in named if result_around(p) == folder and p.is_file()}  # noqa: PTH100
    shas = {path: file_sha256(path) for path in sorted(files)}
    return [p for p, sha in shas.items() if sha not in ours and not (known / sha).is_file()]


@functools.cache
def _shipped_hashes() -> frozenset[str]:
    files = [p for n in ("mod", "templates") for p in shipped(n).iterdir() if p.is_file()]
    return frozenset(file_sha256(p) for p in files)


def cache_folder(content: str) -> Path:
    """Return the folder for what can be made again; ``STPSPEC_CACHE`` replaces the user's cache.

    Parameters
    ----------
    content : str
        Name of the subfolder.
    """
    import platformdirs

    root = os.environ.get("STPSPEC_CACHE") or platformdirs.user_cache_dir("stpspec")
    return Path(root).expanduser() / content


def content_key(*parts: str | bytes) -> str:
    """Return the sha256 (hexadecimal) of some texts or bytes, in order, unambiguously joined."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Return the sha256 (hexadecimal) of the bytes of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
