"""Values of the cells of an export: arguments of their templates, attributes of their sections."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from stpspec.engine.binding.bound import Bound
from stpspec.interop.preparation import PreparedCell
from stpspec.resources import CURRENT_FOLDER
from stpspec.specs.experiment import Experiment
from stpspec.specs.places import Place, is_place, place_of
from stpspec.specs.result_files import Sources

_TEMPLATES, _SECOND = "templates/", "second/"  # folders of a result


def prepared_cells(
    bound: Bound, free: Mapping[str, float], own: Experiment, files: Sources
) -> tuple[PreparedCell, ...]:
    """Return the cells of an experiment at its values.

    Parameters
    ----------
    bound : Bound
    free : mapping of str to float
        Values of the free parameters.
    own : Experiment
        With its files by the names that the export gives them.
    files : Sources
    """
    model = bound.experiment.model
    data, found = own.to_data()["model"], []
    of_each = zip(model.cells, model.sites, model.heads, ("cell", "cell_2"), strict=False)
    for cell, (section, position), heads, key in of_each:
        field = key if data.get(key) else "cell"  # the second is like the first
        file = files.places[f"model.{field}.file"].removeprefix(_TEMPLATES)
        folder = _folder(field, file, files)
        given = data[field]["arguments"]
        if folder is not None:
            given = _seen_from(folder, given, f"model.{field}.arguments", files)
        found.append(
            PreparedCell(
                file=file,
                template=cell.template,
                arguments=_arguments(given, free, heads),
                section=section,
                position=position,
                section_values=(
                    *_section_values(model.fixed, bound.units, heads),
                    *_section_values(free, bound.units, heads),
                ),
                folder=folder,
            )
        )
    return tuple(found)


def _folder(field: str, file: str, files: Sources) -> str | None:
    """Return the folder from which a template reads files: what was the current one, or all."""
    root = _SECOND if file.startswith(_SECOND) else ""
    current = files.texts.get(f"{_TEMPLATES}{root}{CURRENT_FOLDER}")
    if current is not None:
        return posixpath.normpath(f"{root}{current.strip()}")
    return "." if any(n.startswith(f"model.{field}.arguments.") for n in files.places) else None


def _seen_from(
    folder: str, written: dict[str, Any] | list[Any], field: str, files: Sources
) -> dict[str, Any] | list[Any]:
    """Return the arguments of a cell, those that name files as seen from a folder."""

    def seen(key: object, value: Any) -> Any:
        return posixpath.relpath(value, folder) if f"{field}.{key}" in files.places else value

    if isinstance(written, dict):
        return {k: seen(k, v) for k, v in written.items()}
    return [seen(k, v) for k, v in enumerate(written)]


def _arguments(
    written: dict[str, Any] | list[Any], free: Mapping[str, float], heads: tuple[str, ...]
) -> dict[str, Any] | list[Any]:
    """Return the arguments of a cell with those that are free at their values."""
    named = [(p, v) for n, v in free.items() if (p := place_of(n)) and p.part == "argument"]
    changed = {p.name: v for p, v in named if p.cell in heads}
    if isinstance(written, dict):
        return {**written, **changed}
    return [changed.get(str(k), value) for k, value in enumerate(written)]


def _section_values(
    values: Mapping[str, float], units: Mapping[str, str], heads: tuple[str, ...]
) -> list[tuple[str, str, float]]:
    """Return what is set of single sections; what is said of fewer cells and sections comes last.

    Parameters
    ----------
    values : mapping of str to float
    units : mapping of str to str
        All that may be set, and so all sections that there are.
    heads : tuple of str
        What the cell is called in dotted paths.
    """
    found = []
    for name, value in values.items():
        place = place_of(name) if is_place(name) else None
        if place is not None and place.part == "section" and place.cell in heads:
            sections = _sections(place, units)
            rank = (heads.index(place.cell), place.section != "all", -len(sections))
            found.append((rank, place.name, sections, value))
    found.sort(key=lambda entry: entry[0])
    return [(s, attribute, float(v)) for _, attribute, sections, v in found for s in sections]


def _sections(place: Place, units: Mapping[str, str]) -> list[str]:
    """Return the names of the single sections that a place names."""
    known = [p.section for n in units if (p := place_of(n)) and p.part == "section"
             and p.cell == place.cell and p.name == place.name]  # fmt: skip
    groups = {n.partition("[")[0] for n in known if "[" in n} | {"all"}
    single = [n for n in known if n not in groups and not n.startswith("all[")]
    if place.section == "all":
        return single
    members = [n for n in known if n.startswith(f"{place.section}[")]
    return members or [place.section]
