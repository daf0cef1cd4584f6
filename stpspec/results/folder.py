"""Folders written in one piece or not at all; netCDF and YAML files in them."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from stpspec.errors import ResultError, StpspecError
from stpspec.formatting import masked
from stpspec.registry import without_plugins
from stpspec.resources import expanded, shipped
from stpspec.resources.drafts import draft_of, remove_drafts
from stpspec.specs.experiment import Experiment
from stpspec.specs.result_files import (
    as_written,
    field_in,
    in_their_folders,
    is_result,
    text_of,
    with_values,
)

# HDF5 is not to be called by two threads, and xarray has a lock for some of its calls only.
netcdf_lock = threading.RLock()

_SCHEMA_LINE = "# Resolved by stpspec; run it again with: stpspec fit THIS_FOLDER\n"


class TakenError(ResultError):
    """A folder that holds something already."""


def write_folder(
    folder: str | Path,
    write: Callable[[Path], None],
    *,
    overwrite: bool = False,
) -> Path:
    """Let ``write`` fill a temporary folder, then give it its name.

    What a result can do without, as figures, is added to it afterwards.

    Parameters
    ----------
    folder : path
    write : callable
        Writes what the result consists of.
    overwrite : bool
        Replace a result of that name.

    Raises
    ------
    TakenError
        If the name is taken, perhaps in the meantime.
    ResultError
        If anything cannot be written; nothing half-written stays.
    """
    target = writable(Path(folder), overwrite=overwrite)
    with as_result_error(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_drafts(target.parent)
        temporary = draft_of(target)
        try:
            temporary.mkdir(0o755)
            write(temporary)
            _give_name(temporary, target, overwrite=overwrite)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return target


def _give_name(temporary: Path, target: Path, *, overwrite: bool) -> None:
    """Give a finished folder its name, unless there is something of that name."""
    try:
        temporary.rename(target)  # it fails where a folder is that is not empty
    except OSError:
        if not target.exists():
            raise
        if not overwrite:
            raise _taken(target) from None
        if not _exchange(temporary, target):
            before = next(p for p in numbered(target.with_name(f"{target.name}-before"))
                          if not p.exists())  # fmt: skip
            target.rename(before)
            temporary.rename(target)
            shutil.rmtree(before, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Exchange the names of two folders in one step; False where the system cannot."""
    import ctypes

    rename = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    paths = os.fsencode(first), os.fsencode(second)
    return rename is not None and rename(here, paths[0], here, paths[1], exchange) == 0


def numbered(folder: Path) -> Iterator[Path]:
    """Yield a path, and then with -2, -3 … after its name."""
    yield folder
    for n in range(2, 1000):
        yield folder.with_name(f"{folder.name}-{n}")


def identity(folder: Path) -> tuple[int, int] | None:
    """Return what tells a folder from another that has taken its name; None if there is none."""
    with contextlib.suppress(OSError):
        status = folder.stat()
        return status.st_dev, status.st_ino
    return None


def _taken(target: Path) -> TakenError:
    return TakenError(
        f"{target} exists already; choose another name, or overwrite it (--overwrite)"
    )


def writable(folder: Path, *, overwrite: bool = False) -> Path:
    """Return the absolute path of a result folder that can be written.

    Raises
    ------
    ResultError
        If the name is taken, or the folder it would stand in cannot be written.
    """
    target = expanded(folder).resolve()
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        if not overwrite:
            raise _taken(target)
        # An overwrite replaces the whole folder: never one that holds something else.
        if not is_result(target):
            raise ResultError(f"{target} is no result of stpspec and is not overwritten")
    existing = next(p for p in (target.parent, *target.parent.parents) if p.exists())
    if not existing.is_dir():
        raise ResultError(f"{target} cannot be written: {existing} is not a folder")
    if not os.access(existing, os.W_OK):
        raise ResultError(f"{target} cannot be written: no permission in {existing}")
    return target


@contextlib.contextmanager
def as_result_error(target: Path) -> Iterator[None]:
    """Raise what the file system says as a ResultError that names the target."""
    try:
        yield
    except OSError as error:
        raise ResultError(f"{target} cannot be written: {error.strerror or error}") from error
    except RuntimeError as error:
        if "NetCDF" not in str(error):
            raise
        # What netCDF says of a full disk; HDF5 does not pass on why it could not write.
        free = shutil.disk_usage(next(p for p in target.parents if p.exists())).free
        raise ResultError(
            f"{target} cannot be written: {error} ({free / 1e6:.3g} MB are free on this disk)"
        ) from error


def write_netcdf(tree: Any, path: Path) -> None:
    """Write a DataTree as netCDF4: traces as float32, everything compressed."""
    encoding: dict[str, dict[str, Any]] = {}
    for node in tree.subtree:
        here = encoding.setdefault(node.path, {})
        for name, variable in node.dataset.data_vars.items():
            if variable.dtype.kind == "f" and variable.ndim:
                here[str(name)] = {"zlib": True, "complevel": 4, "shuffle": True}
                if {"time", "sample"} & set(variable.dims) and _fits_float32(variable.values):
                    here[str(name)]["dtype"] = "float32"
    with netcdf_lock:
        tree.to_netcdf(path, engine="netcdf4", encoding=encoding)


@contextlib.contextmanager
def read_netcdf(path: Path) -> Iterator[Any]:
    """Yield the DataTree of a netCDF file while it is open.

    Raises
    ------
    ResultError
        If it cannot be read, at any depth: HDF5, netCDF and xarray have errors of many kinds.
    """
    import xarray as xr

    try:
        with netcdf_lock, xr.open_datatree(path, engine="netcdf4") as opened:
            yield opened
    except StpspecError:
        raise
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        raise ResultError(
            f"{path} is damaged, or no netCDF file of stpspec: {type(error).__name__}: {error}"
        ) from error


def _fits_float32(values: Any) -> bool:
    """Tell whether nothing becomes infinite, or 0, in four bytes."""
    largest = np.nanmax(np.abs(values), initial=0.0)
    return largest == 0 or 1e-30 < largest < 1e30


def nodes(tree: Any) -> dict[str, Any]:
    """Return the Datasets of a tree by path, relative to the tree itself."""
    children = {f"/{n}": c.to_dataset(inherit=False) for n, c in tree.children.items()}
    return {"/": tree.to_dataset(inherit=False), **children}


def with_own_files(
    experiment: Experiment, files: Mapping[str, str], places: Mapping[str, str]
) -> Experiment:
    """Return the experiment with its mechanisms and templates as the files that are kept of it.

    A result can then be run again in another place, or after the originals have changed.

    Parameters
    ----------
    experiment : Experiment
    files : mapping of str to str
        Text of each, by its name in the result.
    places : mapping of str to str
        Field of the experiment that names a file → its name in the result.
    """
    kept = {*files, *(str(folder) for name in files for folder in PurePosixPath(name).parents)}
    data = experiment.to_data()
    own = in_their_folders((field_in(data, p), n) for p, n in places.items() if n in kept)
    data = with_values(data, own)
    if data["model"]["mod"]:
        data["model"]["mod"] = [
            name.removeprefix("mod/") for name, text in files.items()
            if name.startswith("mod/") and name.endswith(".mod") and text != _shipped_text(name)
        ]  # fmt: skip
    with without_plugins():  # what was loaded to be looked at is saved without running them, too
        return experiment.copy_with(model=data["model"], objective=data["objective"])


def _shipped_text(name: str) -> str | None:
    folder, _, file = name.partition("/")
    path = shipped(folder) / file
    return text_of(path.read_bytes()) if path.is_file() else None


def to_yaml(experiment: Experiment | Mapping[str, Any]) -> str:
    """Return the resolved experiment, or its data, as YAML that can be run again.

    Targets that were read from a source are written as that source, to be read again.
    """
    import yaml

    data = as_written(experiment.to_data() if isinstance(experiment, Experiment) else experiment)
    body = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    return "# @package _global_\n" + _SCHEMA_LINE + masked(body)
