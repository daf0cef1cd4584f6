"""Resources: shipped files, named files, files of results, cached files and their keys."""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath, PureWindowsPath

from stpspec.errors import ResultError, StpspecError, nearest

# The groups in conf/ that every experiment chooses one file of; protocols are any number.
GROUPS = ("model", "recording", "numerics", "fitter", "objective")
ALL_GROUPS = (*GROUPS, "protocol")

# Where a saved result has code that can be run, and data beside it.
CODE_FOLDERS = ("mod", "templates", "plugins")
SOURCE_FOLDERS = (*CODE_FOLDERS, "data")
# The file in the templates of a result that names the folder in which they were read.
CURRENT_FOLDER = ".current_folder"

_PACKAGE = Path(__file__).resolve().parent.parent
_EXTRA: contextvars.ContextVar[tuple[Path, ...]] = contextvars.ContextVar("extra", default=())


def shipped(folder: str) -> Path:
    """Return the path of a shipped folder, in a wheel, an editable install or a checkout.

    Raises
    ------
    StpspecError
        If the installation holds no such folder.
    """
    for parent in (_PACKAGE / "_data", _PACKAGE.parent):
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


def expanded(path: str | Path) -> Path:
    """Return a path with the home folder in the place of a leading ``~``, as shells put it.

    Of a user that there is not, it is a name like others.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111  # of pathlib raises for such a user


def candidates(name: str, folder: str) -> list[Path]:
    """Return the places where the file ``name`` of the kind ``folder`` is looked for, in order."""
    path = expanded(name)
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


def cache_folder(content: str) -> Path:
    """Return the folder for what can be made again; ``STPSPEC_CACHE`` replaces the user's cache.

    Parameters
    ----------
    content : str
        Name of the subfolder.
    """
    import platformdirs

    root = os.environ.get("STPSPEC_CACHE") or platformdirs.user_cache_dir("stpspec")
    return expanded(root) / content


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
