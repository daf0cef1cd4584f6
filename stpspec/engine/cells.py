"""Cells built from HOC templates and Python classes, and the sections in them."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from stpspec.engine import nrn
from stpspec.errors import TemplateError, nearest
from stpspec.resources import file_sha256, find_file, require_trust, result_around

_SECTION = re.compile(r"^(\w+)(?:\[(\d+)\])?$")

_HOC_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_QUITS = re.compile(r"\bquit\s*\(")
_LOADS = re.compile(r"\b(?:load_file|xopen)\s*\((?:\s*\d+\s*,)?\s*\"([^\"]+)\"")


class CellTemplate(Protocol):
    """What names a cell, as :class:`stpspec.specs.model.Cell` does."""

    @property
    def file(self) -> str: ...
    @property
    def template(self) -> str: ...
    @property
    def arguments(self) -> dict[str, Any] | list[Any]: ...


# HOC template name → sha256 and path of the file that defined it; (path, sha256) → Python module
_hoc_templates: dict[str, tuple[str, Path]] = {}
_modules: dict[tuple[Path, str], Any] = {}


def template_path(cell: CellTemplate) -> Path:
    """Return the file of a template.

    Raises
    ------
    TemplateError
        If there is none of that name, or it is neither HOC nor Python.
    """
    try:
        path = find_file(cell.file, "templates")
    except FileNotFoundError as error:
        raise TemplateError(f"template: {error}") from None
    if path.suffix not in (".hoc", ".py"):
        raise TemplateError(f"{path}: a template file ends in .hoc or .py")
    return path


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
    make = builder(cell)
    before = list(nrn.hoc().allsec())
    return make(), before


def builder(cell: CellTemplate) -> Callable[[], Any]:
    """Return what builds a cell any number of times, its file read once.

    Raises
    ------
    TemplateError
        As :func:`build`; what is returned raises it too.
    """
    path = template_path(cell)
    require_trust(path)
    factory = _hoc_template(cell, path) if path.suffix == ".hoc" else _python_class(cell, path)
    arguments = cell.arguments
    if path.suffix == ".hoc" and isinstance(arguments, dict):
        if arguments:
            raise TemplateError(f"{path}: a HOC template takes a list of arguments, not a mapping")
        arguments = []

    def build_one() -> Any:
        with nrn.border(TemplateError, f"building a cell from {cell.template!r} in {path}"):
            if isinstance(arguments, dict):
                return factory(**arguments)
            return factory(*arguments)

    return build_one


def _hoc_template(cell: CellTemplate, path: Path) -> Any:
    h = nrn.hoc()
    sha = file_sha256(path)
    known = _hoc_templates.get(cell.template)
    if known is not None and known[0] != sha:
        raise TemplateError(
            f"the HOC template {cell.template!r} of {path} is already defined in this process from "
            f"another file ({known[1]}); a HOC template cannot be redefined: start a new Python "
            f"process, or rename it"
        )
    if known is None:
        if quitter := _quitter(path, set()):
            raise TemplateError(f"{quitter} calls quit(), which would end this Python process")
        with nrn.border(TemplateError, f"loading the template file {path}"):
            if h.load_file(1, str(path)) != 1.0:
                raise RuntimeError("HOC could not read it")
        if not hasattr(h, cell.template):
            names = re.findall(r"begintemplate\s+(\w+)", path.read_text(errors="replace"))
            raise TemplateError(_absent(cell.template, path, "HOC template", names))
        _hoc_templates[cell.template] = (sha, path)
    return getattr(h, cell.template)


def _quitter(path: Path, seen: set[Path]) -> Path | None:
    """Return the first file, of this one and those that it loads, that calls quit()."""
    seen.add(path)
    code = _HOC_COMMENT.sub("", path.read_text(errors="replace"))
    if _QUITS.search(code):
        return path
    loaded = (folder / name for name in _LOADS.findall(code) for folder in (Path(), path.parent))
    new = (file.resolve() for file in loaded if file.is_file() and file.resolve() not in seen)
    return next(filter(None, (_quitter(file, seen) for file in new)), None)


def _python_class(cell: CellTemplate, path: Path) -> Any:
    key = (path, file_sha256(path))
    if key not in _modules:
        name = f"stpspec_template_{path.stem}_{key[1][:8]}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise TemplateError(f"{path} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        if result_around(path) is not None:
            sys.dont_write_bytecode = True  # a result stays as it is
        with nrn.border(TemplateError, f"importing the template file {path}"):
            spec.loader.exec_module(module)
        _modules[key] = module
    module = _modules[key]
    if not callable(getattr(module, cell.template, None)):
        names = [n for n, v in vars(module).items() if isinstance(v, type)]
        raise TemplateError(_absent(cell.template, path, "class", names))
    return getattr(module, cell.template)


def _absent(name: str, path: Path, what: str, names: list[str]) -> str:
    guess = nearest(name, names)
    hint = f" Did you mean {guess!r}?" if guess else ""
    return f"{path} defines no {what} {name!r}.{hint} Defined: {', '.join(names) or 'none'}."


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
