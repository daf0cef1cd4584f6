"""The files that an experiment is made of: named by it, or read by what it names."""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.facts import question_of, sources_used
from stpspec.engine.binding.plugin_files import plugin_files
from stpspec.engine.mechanisms.nmodl import flat_name, included_in
from stpspec.engine.reading import Readings
from stpspec.engine.templates import current_folder, is_shipped, template_path
from stpspec.errors import StpspecError
from stpspec.resources import CURRENT_FOLDER, find_file
from stpspec.resources.trust import remember_code
from stpspec.specs.experiment import Experiment
from stpspec.specs.objective import target_files
from stpspec.specs.result_files import Sources, sha256_of, text_of

log = logging.getLogger("stpspec")

_NEAR = 3  # levels above a template in which a file still moves together with it
_HERE, _ELSEWHERE = "current", "elsewhere"


@dataclass
class _Files:
    """Files by their names in a result, and what they are to the experiment.

    Attributes
    ----------
    paths : dict of str to Path
    places : dict of str to str
        Field of the experiment → name of the file that it names.
    names : dict of str to str
        Name → how the files themselves call it; it is then part of what the experiment is.
    texts : dict of str to str
        What is no copy of a file.
    """

    paths: dict[str, Path] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def read(self) -> Sources:
        contents = {name: path.read_bytes() for name, path in self.paths.items()}
        contents |= {name: text.encode() for name, text in self.texts.items()}
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        identity = sorted(f"{self.names.get(n, '')} {hashes[n]}".strip() for n in self.paths)
        texts = {name: text_of(content) for name, content in contents.items()}
        return Sources(texts, hashes, self.places, tuple(identity))


def named_sources(experiment: Experiment) -> Sources:
    """Return the files that an experiment names.

    Nothing is loaded or compiled: what is wrong with them :func:`stpspec.check` tells.

    Raises
    ------
    StpspecError
        If one is not there.
    """
    used = sources_used(question_of({"model": experiment.model}))
    return _files(used, experiment).read()


def sources_of_bound(bound: Bound) -> Sources:
    """Return the files of a bound experiment, those that were read for its cells among them."""
    sources = _files(bound.sources, bound.experiment, bound.readings).read()
    code = [sha for name, sha in sources.sha256.items() if not name.startswith("data/")]
    remember_code(code)  # it was run: a result that holds it may run it again
    return sources


def _files(
    mechanisms: Mapping[str, Path], experiment: Experiment, readings: Sequence[Readings] = ()
) -> _Files:
    files = _Files()
    names = [p.name.casefold() for p in mechanisms.values()]  # two folders may hold one name
    for mechanism, path in mechanisms.items():
        name = path.name if names.count(path.name.casefold()) == 1 else f"{mechanism}.mod"
        files.paths[f"mod/{name}"] = path
    for source in mechanisms.values():
        for written, path in included_in(source).items():
            name = f"mod/{flat_name(written)}"
            files.paths[name] = path
            files.names[name] = written
    for (key, cell), read in itertools.zip_longest(_cells(experiment), readings, fillvalue={}):
        _add_cell(files, f"model.{key}", cell, read)
    _add_data(files, experiment)
    for name, path in plugin_files(experiment.plugins).items():
        files.paths[f"plugins/{name}"] = path
        files.names[f"plugins/{name}"] = f"plugins/{name}"
    return files


def _add_data(files: _Files, experiment: Experiment) -> None:
    """Add the files that the targets were, or will be, read from."""
    for place, written in target_files(experiment.objective):
        path = find_file(written, "data")
        name = f"data/{path.name}"
        for k in itertools.count(2):
            if files.paths.get(name, path) == path:
                break
            name = f"data/{path.stem}-{k}{path.suffix}"  # two folders may hold one name
        files.paths[name] = path
        files.places[place] = name


def _cells(experiment: Experiment) -> list[tuple[str, Any]]:
    """Return the cells that an experiment names, by their fields in the model."""
    both = ((key, getattr(experiment.model, key, None)) for key in ("cell", "cell_2"))
    return [(key, cell) for key, cell in both if cell is not None]


def _add_cell(files: _Files, place: str, cell: Any, readings: Readings) -> None:
    path = template_path(cell)
    tree, current = _tree(path, readings)
    taken = files.paths
    same = all(n not in taken or _same_bytes(taken[n], p) for n, p in tree.items())
    mark = f"templates/{CURRENT_FOLDER}"
    texts = {} if current is None else {mark: f"{current}\n"}
    same = same and all(files.texts.get(n, t) == t for n, t in texts.items())
    within = "templates/" if same else "templates/second/"
    tree = {n.replace("templates/", within, 1): p for n, p in tree.items()}
    files.paths |= tree
    files.texts |= {n.replace("templates/", within, 1): t for n, t in texts.items()}
    by_path = {p: n for n, p in tree.items()}
    files.places[f"{place}.file"] = by_path[path]
    given = cell.arguments
    pairs = given.items() if isinstance(given, dict) else enumerate(given)
    in_arguments: set[Path] = set()
    for key, value in pairs:
        file = _named(value, path)
        if file in by_path and file != path and "." not in str(key):
            files.places[f"{place}.arguments.{key}"] = by_path[file]
            in_arguments.add(file)
        elif file is not None and "." not in str(key) and (within := _folder_in(tree, file)):
            files.places[f"{place}.arguments.{key}"] = within
    for name, file in tree.items():
        if file != path and file not in in_arguments:
            files.names[name] = f"{place}: {_asked_for(file, path, name)}"


def _folder_in(tree: Mapping[str, Path], folder: Path) -> str:
    """Return the name of a folder in a result, from which something was read; empty if nothing."""
    for name, path in tree.items():
        if path != folder and path.is_relative_to(folder):
            inner = path.relative_to(folder).as_posix()
            above = name.removesuffix(f"/{inner}")
            if above != name and "/" in above:
                return above
    return ""


def _named(value: object, template: Path) -> Path | None:
    """Return the file that an argument of a template names, if there is one."""
    if not isinstance(value, str) or not value or "\0" in value:
        return None
    file = Path(os.path.normpath((current_folder(template) or Path.cwd()) / value))
    return Path(os.path.realpath(file.parent)) / file.name


def _asked_for(file: Path, template: Path, name: str) -> str:
    """Return by which name a template knows a file, wherever both lie."""
    in_result = name.removeprefix("templates/").removeprefix("second/")
    if in_result.startswith((f"{_HERE}/", f"{_ELSEWHERE}/")):
        return in_result
    return Path(os.path.relpath(file, template.parent)).as_posix()


def _tree(path: Path, readings: Readings) -> tuple[dict[str, Path], str | None]:
    """Return a template and what was read for it by names that keep their places to each other.

    Returns
    -------
    tree : dict of str to Path
    current : str or None
        The folder in it that stands for the current one, if something was read from there.
    """
    if is_shipped(path) or not readings:
        return {f"templates/{path.name}": path}, None
    here = current_folder(path) or Path.cwd()
    near = [f for f in readings if _is_near(f, path.parent)]
    folders = [path.parent, *(f.parent for f in near)]
    from_here = any(r.from_here for r in readings.values())
    here_is_near = from_here and _is_near(here / "file", path.parent)
    root = Path(os.path.commonpath([*folders, *([here] if here_is_near else [])]))
    tree = {f"templates/{p.relative_to(root).as_posix()}": p for p in (path, *near)}
    current = here.relative_to(root).as_posix() if here_is_near else None
    for file in (f for f in readings if f not in near):
        if readings[file].from_here and file.is_relative_to(here) and not here_is_near:
            name, current = f"{_HERE}/{file.relative_to(here).as_posix()}", _HERE
        else:
            name = f"{_ELSEWHERE}/{file.name}"
            _tell_elsewhere(path, file)
        tree[f"templates/{name}"] = file
    return tree, current


_told: set[Path] = set()


def _tell_elsewhere(path: Path, file: Path) -> None:
    if file not in _told:
        _told.add(file)
        log.warning("%s reads %s, far from it: a result keeps its bytes, but runs only where it "
                    "is found there", path, file)  # fmt: skip


def _is_near(file: Path, folder: Path) -> bool:
    common = Path(os.path.commonpath([folder, file.parent]))
    return len(folder.relative_to(common).parts) <= _NEAR and common != Path(common.anchor)


def _same_bytes(one: Path, other: Path) -> bool:
    return one == other or one.read_bytes() == other.read_bytes()


def readings_of(bound: Bound) -> list[tuple[str, str, str]]:
    """Return what was read for the cells of an experiment.

    Returns
    -------
    list of (str, str, str)
        Template as ``cell`` or ``cell_2``, file as seen from it, and sha256 of its bytes.
    """
    found = []
    for (key, cell), readings in zip(_cells(bound.experiment), bound.readings, strict=True):
        folder = template_path(cell).parent
        for file, reading in readings.items():
            name = os.path.relpath(file, folder) if _is_near(file, folder) else str(file)
            found.append((key, Path(name).as_posix(), reading.sha256))
    return found


def is_as_read(experiment: Experiment, readings: Iterable[Sequence[str]]) -> bool:
    """Tell whether the files that were read for the cells of an experiment are as they were."""
    try:
        folders = {key: template_path(cell).parent for key, cell in _cells(experiment)}
        return all(sha256_of(folders[key] / name) == sha for key, name, sha in readings)
    except (StpspecError, OSError, KeyError):  # what is not there is told as such
        return False
