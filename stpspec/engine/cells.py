"""Cells built from HOC templates and Python classes, and the sections in them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from stpspec.engine import nrn, templates
from stpspec.engine.hoc_types import Section
from stpspec.engine.reading import Readings, files_read
from stpspec.engine.templates import CellTemplate, template_path
from stpspec.errors import TemplateError, nearest
from stpspec.resources.trust import require_trust

_SECTION = re.compile(r"^(\w+)(?:\[(\d+)\])?$")

# What was read when a cell was built last, by its file and arguments.
_built: dict[tuple[str, str], Readings] = {}


def build(cell: CellTemplate) -> Any:
    """Build one cell.

    Raises
    ------
    TemplateError
        With NEURON's own words, if the file or the template in it fails.
    """
    return builder(cell)()


def build_alone(cell: CellTemplate) -> tuple[Any, list[Any]]:
    """Build one cell; return it, and the sections that were there before.

    Raises
    ------
    TemplateError
        As :func:`build`.
    """
    make, path = builder(cell), template_path(cell)
    before = list(nrn.hoc().allsec())
    if templates.is_shipped(path):
        return make(), before
    with templates.surroundings(path), files_read() as readings:
        made = make()
    _built[_key(cell)] = readings
    return made, before


def readings_of(cell: CellTemplate) -> Readings:
    """Return what was read of the user's files while a template was loaded, and a cell built."""
    return templates.readings_of(cell) | _built.get(_key(cell), {})


def _key(cell: CellTemplate) -> tuple[str, str]:
    return str(template_path(cell)), repr(cell.arguments)


def builder(cell: CellTemplate) -> Callable[..., Any]:
    """Return what builds a cell any number of times, its file read once.

    It takes arguments that differ from those of the cell, by name or by place.

    Raises
    ------
    TemplateError
        As :func:`build`; what is returned raises it too.
    """
    path = template_path(cell)
    require_trust(path)
    factory = (
        templates.hoc_template(cell, path)
        if path.suffix == ".hoc"
        else templates.python_class(cell, path)
    )
    arguments = cell.arguments
    if path.suffix == ".hoc" and isinstance(arguments, dict):
        if arguments:
            raise TemplateError(f"{path}: a HOC template takes a list of arguments, not a mapping")
        arguments = []

    def build_one(changed: Mapping[str, float] | None = None) -> Any:
        given = _with_changes(arguments, changed or {})
        with (
            templates.entered(f"building a cell from {cell.template!r} in {path}"),
            templates.surroundings(path),
        ):
            if isinstance(given, dict):
                return factory(**given)
            return factory(*given)

    return build_one


def _with_changes(
    arguments: dict[str, Any] | list[Any], changed: Mapping[str, float]
) -> dict[str, Any] | list[Any]:
    if isinstance(arguments, dict):
        return {**arguments, **changed}
    return [changed.get(str(k), value) for k, value in enumerate(arguments)]


def settable_arguments(cell: CellTemplate) -> tuple[str, ...]:
    """Return the arguments of a template that can be numbers: by name, or by place in a list.

    Raises
    ------
    TemplateError
        As :func:`build`.
    """
    path = template_path(cell)
    if isinstance(cell.arguments, list):
        return tuple(str(k) for k, v in enumerate(cell.arguments) if _is_number(v))
    if path.suffix == ".hoc":
        return ()
    signature = inspect.signature(templates.python_class(cell, path))
    given = {
        name: cell.arguments.get(name, parameter.default)
        for name, parameter in signature.parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    return tuple(n for n, v in {**given, **cell.arguments}.items() if _is_number(v))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def section_groups(cell: Any) -> dict[str, list[Section]]:
    """Return name → sections: each by its own, arrays and lists by theirs, and ``all``."""
    own = {name: [s] for name, s in _own_sections(cell).items()}
    groups = dict(own)
    members = vars(cell) if hasattr(cell, "__dict__") else dir(cell)
    for name in members:
        if not name.startswith("_") and name not in groups:
            found = _sections_in(cell, name)
            if found is None:
                continue
            groups[name] = found
            if len(found) != 1 or not _is_section(getattr(cell, name)):
                groups |= {f"{name}[{k}]": [s] for k, s in enumerate(found)
                           if f"{name}[{k}]" not in groups}  # fmt: skip
    for name in own:
        array = name.partition("[")[0]
        if array != name and array not in groups:
            groups[array] = [s for n, ss in own.items() if n.partition("[")[0] == array for s in ss]
    every = {s.name(): s for sections in (*own.values(), *groups.values()) for s in sections}
    return {"all": list(every.values()), **groups}


def _sections_in(cell: Any, name: str) -> list[Section] | None:
    """Return the sections that a member of a cell is or holds; None if it holds other things."""
    try:
        value = getattr(cell, name)
        if _is_section(value):
            return [value]
        if isinstance(value, str | dict) or callable(getattr(value, "items", None)):
            return None
        members = list(value)
    except Exception:  # of a procedure, a number or a string, HOC raises its own types
        return None
    return members if members and all(map(_is_section, members)) else None


# Geometry and passive properties, which every section has, and their units.
_OF_SECTIONS = {"L": "um", "diam": "um", "Ra": "ohm-cm", "cm": "uF/cm2"}


def attributes(section: Section, known: dict[str, dict[str, str]] | None = None) -> dict[str, str]:
    """Return attribute → unit of what can be set of a section: parameters of what is inserted.

    Parameters
    ----------
    section : Section
    known : dict, optional
        Mechanism → its parameters, filled in by each call: many sections have the same.
    """
    found, known = dict(_OF_SECTIONS), {} if known is None else known
    for mechanism in section(0.5):
        name = mechanism.name()
        if name not in known:
            known[name] = _parameters_of(name)
        found |= known[name]
    return found


def _parameters_of(mechanism: str) -> dict[str, str]:
    h = nrn.hoc()
    if mechanism.endswith("_ion"):
        ion = mechanism.removesuffix("_ion")
        return {f"e{ion}": "mV", f"{ion}i": "mM", f"{ion}o": "mM"}
    standard, text, found = h.MechanismStandard(mechanism, 1), h.ref(""), {}
    for index in range(int(standard.count())):
        if int(standard.name(text, index)) == 1:
            found[text[0]] = str(h.units(text[0])) or "1"
    return found


def section(cell: Any, name: str) -> Any:
    """Return the section of a cell called ``soma``, ``dend[0]`` …

    Raises
    ------
    TemplateError
        If the cell has no such section; the message names those it has.
    """
    match = _SECTION.match(name.strip())
    found = None
    if match:
        try:
            found = getattr(cell, match.group(1), None)
        except Exception:  # HOC raises its own types for a name that is not public
            found = None
        if found is not None and not _is_section(found):
            try:
                found = found[int(match.group(2) or 0)]
            except (IndexError, TypeError, KeyError, RuntimeError):
                found = None
        elif found is not None and int(match.group(2) or 0) != 0:
            found = None
    if found is None or not _is_section(found):
        # A Python class may keep the section under another name than NEURON does.
        full = f"{cell}.{name.strip()}"
        found = next((s for s in nrn.hoc().allsec() if s.name() == full), None)
    if found is None:
        names = _section_names(cell)
        guess = nearest(name, names)
        hint = f" Did you mean {guess!r}?" if guess else ""
        raise TemplateError(
            f"the cell has no section {name!r}.{hint} It has: {', '.join(names) or 'none'}."
        )
    return found


def _is_section(thing: Any) -> bool:
    return type(thing).__name__ == "Section" and hasattr(thing, "nseg")


def _section_names(cell: Any) -> list[str]:
    return list(_own_sections(cell))[:30]


def _own_sections(cell: Any) -> dict[str, Section]:
    """Return the sections that belong to a cell, by their names in it."""
    prefix = f"{cell}."
    named = ((s.name(), s) for s in nrn.hoc().allsec())
    return {n.removeprefix(prefix): s for n, s in named if n.startswith(prefix)}
