"""Places of the files that an experiment names: its mechanisms, templates, and their arguments."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from stpspec.config.kept_sources import as_recorded
from stpspec.config.overrides import at
from stpspec.resources import CODE_FOLDERS, extra_folders, shipped
from stpspec.resources.plugin_folders import reach_plugins
from stpspec.specs.result_files import EXPERIMENT, is_result, tell_changed_experiment, with_values
from stpspec.specs.target_source import named_files


def with_files_located(data: dict[str, object], file: Path | None = None) -> dict[str, object]:
    """Return the data with the places of mod and template files that lie in folders of their own.

    They then mean the same files from Python, from any folder and in any process, and the sources
    of a saved result go before files of the same name elsewhere. Plug-ins are located, too.

    Parameters
    ----------
    data : dict
    file : Path, optional
        The experiment file: what lies next to it goes first, then come the current folder, the
        configuration folders, and the shipped files.
    """
    near = [file.parent, *project_of(file)] if file is not None else []
    reach_plugins(data.get("plugins"), *near)
    if file is not None:
        if file.name == EXPERIMENT and is_result(file.parent):
            tell_changed_experiment(file.parent)
        data = as_recorded(data, file.parent)
    data = _with_data_located(data, near)
    model = data.get("model")
    if not isinstance(model, dict):
        return data

    changed = dict(model)
    if isinstance(model.get("mod"), list):
        changed["mod"] = [_located(m, "mod", near) for m in model["mod"]]
    for key in ("cell", "cell_2"):
        if isinstance(model.get(key), dict):
            changed[key] = {
                **model[key],
                "file": _located(model[key].get("file"), "templates", near),
            }
            if "arguments" in model[key]:
                changed[key]["arguments"] = _arguments_located(model[key]["arguments"], near)
    return {**data, "model": changed}


def project_of(file: Path | None) -> list[Path]:
    """Return the project of ``PROJECT/experiments/NAME/experiment.yaml``; nothing for others."""
    if file is None or file.name != EXPERIMENT or file.parent.parent.name != "experiments":
        return []
    return [file.parent.parent.parent]


def _with_data_located(data: dict[str, object], near: Sequence[Path]) -> dict[str, object]:
    """Return the data with the places of the files that targets are read from."""
    terms = at(data, "objective.terms")
    places: dict[str, object] = {}
    for name, term in terms.items() if isinstance(terms, dict) else ():
        for field, file in named_files(at(term, "target")) if isinstance(term, dict) else ():
            places[f"objective.terms.{name}.target.{field}"] = _located(file, "data", near)
    return with_values(data, places) if places else data


def _arguments_located(given: object, near: Sequence[Path]) -> object:
    """Return the arguments of a cell with the places of files and folders that they name."""
    if isinstance(given, Mapping):
        return {name: _path_located(value, near) for name, value in given.items()}
    return [_path_located(value, near) for value in given] if isinstance(given, list) else given


def _path_located(value: object, near: Sequence[Path]) -> object:
    if not isinstance(value, str) or not value or "\0" in value or Path(value).is_absolute():
        return value
    looks_so = "/" in value or bool(Path(value).suffix)
    for base in (*near, Path.cwd(), *extra_folders()):
        for place in (base / value, base / "templates" / value):
            with contextlib.suppress(OSError):  # a text, no name
                if place.is_dir() or (looks_so and place.is_file()):
                    here = base == Path.cwd() and base not in near and place == base / value
                    return value if here else str(place)
    return value


def _located(name: object, folder: str, near: Sequence[Path]) -> object:
    """Return the place of a file that lies in a folder of its own; else the name as it is."""
    if not isinstance(name, str) or not name:
        return name
    for base in (*near, Path.cwd(), *extra_folders()):
        for place in (base / name, base / folder / name):
            if place.exists():
                ours = shipped(folder) / name if folder in CODE_FOLDERS else None
                same = ours and ours.is_file() and ours.read_bytes() == place.read_bytes()
                here = base == Path.cwd() and base not in near
                return name if same or here else str(place)
    return name
