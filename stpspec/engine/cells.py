"""Cells built from HOC templates and Python classes, and the sections in them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from stpspec.engine import nrn, templates
from stpspec.engine.reading import Readings, files_read
from stpspec.engine.templates import CellTemplate, template_path
from stpspec.errors import TemplateError, nearest
from stpspec.resources import require_trust

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


def builder(cell: CellTemplate) -> Callable[[], Any]:
    """Return what builds a cell any number of times, its file read once.

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

    def build_one() -> Any:
        with (
            templates.entered(f"building a cell from {cell.template!r} in {path}"),
            templates.surroundings(path),
        ):
            if isinstance(arguments, dict):
                return factory(**arguments)
            return factory(*arguments)

    return build_one


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
    h = nrn.hoc()
    prefix = f"{cell}."
    names = [s.name() for s in h.allsec()]
    own = [n.removeprefix(prefix) for n in names if n.startswith(prefix)]
    return own[:30]
