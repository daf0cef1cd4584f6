"""Code inside saved results: which of it this user has run before or trusts."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from stpspec.errors import TrustError
from stpspec.resources import CODE_FOLDERS, SOURCE_FOLDERS, cache_folder, file_sha256, shipped

# What a saved result is known by, and what of it can be run.
_SAVED = ("result.nc", "simulation.nc", "sweep.nc")
_RUN = (".mod", ".py", ".hoc")


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
