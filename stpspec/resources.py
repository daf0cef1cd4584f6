"""Resources: shipped files, named files, cached files and their keys."""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stpspec.errors import StpspecError, nearest

# The groups in conf/ that every experiment chooses one file of; protocols are any number.
GROUPS = ("model", "recording", "numerics", "fitter", "objective")
ALL_GROUPS = (*GROUPS, "protocol")

# The file in the templates of a result that names the folder in which they were read.
CURRENT_FOLDER = ".current_folder"

_HERE = Path(__file__).resolve().parent
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
    return [*places, shipped(folder) / path]


def find_file(name: str, folder: str) -> Path:
    """Return the first existing file or folder called ``name``.

    Parameters
    ----------
    name : str
        File name, relative or absolute path.
    folder : str
        Shipped folder that comes last in the search: ``"mod"`` or ``"templates"``.

    Raises
    ------
    FileNotFoundError
        If there is none; the message names the nearest shipped file and where it was looked for.
    """
    places = candidates(name, folder)
    for place in places:
        if place.exists():
            return place.resolve()
    known = [p.name for p in shipped(folder).iterdir() if not p.name.startswith(("_", "."))]
    guess = nearest(name, known)
    hint = f" Did you mean {guess!r}?" if guess else ""
    looked = ", ".join(sorted({str(p.parent) for p in places}))
    raise FileNotFoundError(f"no file {name!r} in {looked}.{hint}")


def reach_plugins(names: Any, *folders: Path) -> None:
    """Let Python find the modules that an experiment names in ``plugins``.

    What can be imported goes first; else a module is looked for in ``folders``, the current one
    and those that :func:`search_in` has added, and in ``plugins/`` in each: an installed command
    does not look into the current folder by itself, and a result keeps its plug-ins there.
    """
    for name in names if isinstance(names, list) else []:
        top = str(name).partition(".")[0]
        if not top.isidentifier() or top in sys.modules or importlib.util.find_spec(top):
            continue
        places = [p for f in (*folders, Path.cwd(), *_EXTRA.get()) for p in (f, f / "plugins")]
        for place in places:
            if (place / f"{top}.py").is_file() or (place / top / "__init__.py").is_file():
                sys.path.append(str(place.resolve()))
                importlib.invalidate_caches()
                break


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
