"""Imported experiments: what the importers return, and the folder that is written of it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stpspec import api
from stpspec.engine.mechanisms import nmodl
from stpspec.engine.survey.folder import mod_files
from stpspec.errors import MechanismError, SpecError, SpecProblem, StpspecError, unknown_name
from stpspec.interop.cell_files import words_of
from stpspec.interop.yaml_text import block
from stpspec.resources import shipped
from stpspec.results.folder import with_own_files, write_folder
from stpspec.results.provenance import sources_of
from stpspec.specs.experiment import Experiment
from stpspec.specs.result_files import write_sources


@dataclass
class Imported:
    """What an importer has read.

    Attributes
    ----------
    connections : dict of str to dict
        Name → data of an experiment, its files with absolute paths.
    notes : list of str
        What has no place in an experiment, and what was assumed.
    failures : dict of str to str
        Name of a connection → why it is no experiment.
    """

    connections: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def note(self, text: str) -> None:
        """Add a remark, once."""
        if text not in self.notes:
            self.notes.append(text)


@dataclass(frozen=True)
class Written:
    """The folder of an import.

    Attributes
    ----------
    folder : Path
    experiments : dict of str to Path
        Name → YAML file.
    notes : tuple of str
    failures : dict of str to str
    """

    folder: Path
    experiments: dict[str, Path]
    notes: tuple[str, ...]
    failures: dict[str, str]


class Mechanisms:
    """The .mod files of some folders, by the mechanisms that they declare."""

    def __init__(self, paths: Sequence[Path]):
        files = mod_files(paths) if paths else []
        contents = nmodl.read_all(files)
        self._files: dict[str, Path] = {}
        for path, content in contents.items():
            self._files.setdefault(content.name, path)
        self._points = [c.name for c in contents.values() if c.kind == "POINT_PROCESS"]
        ours = nmodl.read_all(sorted(shipped("mod").glob("*.mod")))
        self._shipped = {c.name for c in ours.values() if c.kind == "POINT_PROCESS"}

    def entry(self, name: str) -> list[str]:
        """Return the entries of ``mod`` for a mechanism: its file, or none for a shipped one.

        Raises
        ------
        MechanismError
            If no file declares it.
        """
        if name in self._files:
            return [str(self._files[name].resolve())]
        if name in self._shipped or name in ("ExpSyn", "Exp2Syn"):
            return []
        known = [*self._points, *sorted(self._shipped)]
        raise MechanismError(str(unknown_name("mechanism", name, known)))

    def inserted_by(self, cell: Path) -> list[str]:
        """Return the files of the mechanisms whose names stand in a template."""
        words = words_of(cell) if cell.is_file() else set()
        return [str(p.resolve()) for n, p in self._files.items() if n in words]


@contextlib.contextmanager
def understood(where: str) -> Iterator[None]:
    """Tell of a value that has another form than the importer of a program expects.

    Raises
    ------
    SpecError
        In the place of Python's own error.
    """
    try:
        yield
    except OSError as error:
        rule = f"a file cannot be read: {error}"
        raise SpecError([SpecProblem(where, rule)]) from error
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        rule = f"a value has an unexpected form: {type(error).__name__}: {error}"
        raise SpecError([SpecProblem(where, rule)]) from error


def file_name(connection: str) -> str:
    """Return a connection's name as one that an experiment and its file can have."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", connection).strip("_.-")
    return name[:100] or "connection"


def experiments_of(found: Imported) -> dict[str, Experiment]:
    """Return the experiments that are valid; why others are not goes to the failures."""
    valid: dict[str, Experiment] = {}
    for name, data in found.connections.items():
        try:
            problems = api.check(data)
            if problems:
                raise SpecError(problems)
            valid[name] = Experiment.from_data(data)
        except StpspecError as error:
            found.failures[name] = str(error)
    return valid


def write_imported(found: Imported, folder: Path) -> Written:
    """Write an experiment file for each connection, with mod/ and templates/ beside them.

    Parameters
    ----------
    found : Imported
    folder : Path
        Must not exist, or be empty.

    Raises
    ------
    SpecError
        If not one connection gives an experiment.
    ResultError
        If the folder is taken or cannot be written.
    """
    experiments = experiments_of(found)
    if not experiments:
        told = [SpecProblem(n, reason) for n, reason in found.failures.items()]
        raise SpecError(told or [SpecProblem("", "there is no connection in it")])
    own: dict[str, Experiment] = {}
    texts: dict[str, str] = {}
    for name, experiment in experiments.items():
        files = sources_of(experiment)
        own[name] = with_own_files(experiment, files.texts, files.places)
        texts |= {n: t for n, t in files.texts.items() if not is_shipped(n, t)}

    def write(temporary: Path) -> None:
        write_sources(temporary, texts)
        for name, experiment in own.items():
            text = yaml_of(experiment)
            (temporary / f"{file_name(name)}.yaml").write_text(text, encoding="utf-8")

    target = write_folder(folder, write)
    paths = {name: target / f"{file_name(name)}.yaml" for name in own}
    return Written(target, paths, tuple(found.notes), found.failures)


def is_shipped(name: str, text: str) -> bool:
    """Tell whether a source of a result is one of ours, unchanged."""
    folder, _, file = name.partition("/")
    if folder not in ("mod", "templates"):
        return False
    ours = shipped(folder) / file
    return ours.is_file() and ours.read_text(encoding="utf-8", errors="replace") == text


def minimal(experiment: Experiment) -> dict[str, Any]:
    """Return the data of an experiment without what is as by default; kinds are named anyway."""
    return _minimal(experiment.to_data(), experiment.model_dump(mode="json", exclude_defaults=True))


def _minimal(full: Mapping[str, Any], own: Mapping[str, Any], tag: str = "kind") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in sorted(full.items(), key=lambda item: item[0] != tag):
        if isinstance(value, dict) and isinstance(own.get(key), dict):
            found[key] = _minimal(value, own[key], "source" if key == "target" else "kind")
        elif key in own or key == tag:
            found[key] = own.get(key, value)
    return found


def yaml_of(experiment: Experiment) -> str:
    """Return the text of an experiment that is complete by itself."""
    head = "# @package _global_\n# Imported by stpspec; it names files in mod/ and templates/.\n"
    return f"{head}{block(minimal(experiment))}\n"
