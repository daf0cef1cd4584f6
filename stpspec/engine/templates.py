"""Templates of cells: HOC templates and Python classes, each loaded once with what it reads."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from stpspec.engine import nrn
from stpspec.engine.quitting import quit_refused
from stpspec.engine.reading import (
    Reading,
    Readings,
    files_read,
    is_own,
    is_watched,
    mentioned,
    modules_used,
)
from stpspec.errors import TemplateError, nearest
from stpspec.resources import CURRENT_FOLDER, content_key, file_sha256, find_file, shipped

_READABLE = 1_000_000  # bytes


class CellTemplate(Protocol):
    """What names a cell, as :class:`stpspec.specs.model.Cell` does."""

    @property
    def file(self) -> str: ...
    @property
    def template(self) -> str: ...
    @property
    def arguments(self) -> dict[str, Any] | list[Any]: ...


@dataclass(frozen=True)
class _Definition:
    """A template file as this process has read it, and what else was read for it."""

    path: Path
    sha256: str
    readings: Readings
    module: ModuleType | None = None

    def at(self, path: Path) -> Readings:
        """Return what was read, as it lies beside an equal file in another folder."""
        if path == self.path:
            return self.readings
        moved: Readings = {}
        for file, reading in self.readings.items():
            there = Path(os.path.normpath(path.parent / os.path.relpath(file, self.path.parent)))
            moved[there if there.is_file() else file] = reading
        return moved

    def change_at(self, path: Path) -> Path | None:
        """Return the first file that has other bytes than those that were read."""
        if file_sha256(path) != self.sha256:
            return path
        return next((f for f, r in self.at(path).items() if _differs(f, r)), None)


# HOC template name → what defined it; Python file → its module
_hoc_templates: dict[str, _Definition] = {}
_modules: dict[Path, _Definition] = {}
# What HOC has loaded it does not load again.
_hoc_files: Readings = {}


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


def is_shipped(path: Path) -> bool:
    """Tell whether a template is one of ours, which read nothing but themselves."""
    return path.parent == _shipped_templates()


@functools.cache
def _shipped_templates() -> Path:
    return shipped("templates").resolve()


def hoc_template(cell: CellTemplate, path: Path) -> Any:
    """Return the HOC template of a cell, its file loaded."""
    h = nrn.hoc()
    known = _hoc_templates.get(cell.template)
    changed = known.change_at(path) if known is not None else None
    if known is not None and changed == path:
        raise TemplateError(
            f"the HOC template {cell.template!r} of {path} is already defined in this process from "
            f"another file ({known.path}); a HOC template cannot be redefined: start a new Python "
            f"process, or rename it"
        )
    if changed is not None:
        raise _loaded_before(changed, path)
    if known is None:
        with (
            surroundings(path),
            _readings_of_definition(path) as readings,
            entered(f"loading the template file {path}"),
        ):
            if h.load_file(1, os.fsencode(path)) != 1.0:  # a text must be ASCII, bytes need not
                raise RuntimeError("HOC could not read it")
        if not hasattr(h, cell.template):
            names = re.findall(r"begintemplate\s+(\w+)", path.read_text(errors="replace"))
            raise TemplateError(_absent(cell.template, path, "HOC template", names))
        sha = readings.pop(path, None) or Reading(file_sha256(path))
        _hoc_templates[cell.template] = _Definition(path, sha.sha256, readings)
    return getattr(h, cell.template)


def contradicts(cell: CellTemplate) -> bool:
    """Tell whether this process knows a HOC template of this name from other bytes.

    Raises
    ------
    TemplateError
        As :func:`template_path`.
    """
    path = template_path(cell)
    if path.suffix != ".hoc":
        return False
    known = _hoc_templates.get(cell.template)
    if known is not None:
        return known.change_at(path) is not None
    return hasattr(nrn.bare_hoc(), cell.template)


def content_of(cell: CellTemplate) -> str:
    """Return a key of the bytes of a template, and of what it mentions by name.

    Raises
    ------
    TemplateError
        As :func:`template_path`.
    """
    path = template_path(cell)
    files = [path] if is_shipped(path) else [path, *sorted(mentioned(path))]
    return content_key(*(file_sha256(file) for file in files))


def words_of(cell: CellTemplate) -> frozenset[str]:
    """Return all words in the template of a cell and in what it, or its arguments, mention.

    Raises
    ------
    TemplateError
        As :func:`template_path`.
    """
    path = template_path(cell)
    given = cell.arguments.values() if isinstance(cell.arguments, dict) else cell.arguments
    files = {path, *mentioned(path)}
    for value in (v for v in given if isinstance(v, str) and v and "\0" not in v):
        files |= {p for f in (path.parent, Path()) if (p := f / value).is_file()}
    found = set[str]()
    for file in files:
        with contextlib.suppress(OSError):
            if file.stat().st_size <= _READABLE:  # no morphology of that size names mechanisms
                found |= set(re.findall(r"\w+", file.read_text(encoding="utf-8", errors="replace")))
    return frozenset(found)


def python_class(cell: CellTemplate, path: Path) -> Any:
    """Return the Python class of a cell, its file and what that reads loaded as they are now."""
    known = _modules.get(path)
    if known is None or known.change_at(path) is not None:
        _modules[path] = known = _executed(path)
    module = known.module
    if not callable(getattr(module, cell.template, None)):
        names = [n for n, v in vars(module).items() if isinstance(v, type)]
        raise TemplateError(_absent(cell.template, path, "class", names))
    return getattr(module, cell.template)


def readings_of(cell: CellTemplate) -> Readings:
    """Return what was read of the user's files while the template of a cell was loaded."""
    path = template_path(cell)
    known = _hoc_templates.get(cell.template) if path.suffix == ".hoc" else _modules.get(path)
    return {} if known is None else known.at(path)


@contextlib.contextmanager
def entered(doing: str) -> Iterator[None]:
    """Run the code of a template: whatever fails is a :class:`TemplateError`, and so is quit().

    Parameters
    ----------
    doing : str
        What was being done; begins the message.
    """
    with nrn.border(TemplateError, doing), quit_refused(TemplateError, doing):
        yield


@contextlib.contextmanager
def surroundings(path: Path) -> Iterator[None]:
    """Let a template find the modules beside it; in a result, what lay in the current folder.

    The modules are its own: another template may have others of the same name beside it.
    """
    if is_shipped(path):
        yield
        return
    here, before = current_folder(path), set(sys.modules)
    folder, keeps_bytecode = str(path.parent), sys.dont_write_bytecode
    sys.path.insert(0, folder)
    # Bytecode is taken for the source of the same second and size, whatever that says.
    sys.dont_write_bytecode = True
    try:
        with contextlib.chdir(here) if here is not None else contextlib.nullcontext():
            yield
    finally:
        sys.dont_write_bytecode = keeps_bytecode
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(folder) and is_own(Path(file)):
                del sys.modules[name]


def current_folder(path: Path) -> Path | None:
    """Return the folder in a result that stands for the one that was the current one."""
    root = next((p for p in path.parents if p.name == "templates"), None)
    if root is None or not (root / CURRENT_FOLDER).is_file():
        return None
    folder = (root / (root / CURRENT_FOLDER).read_text(encoding="utf-8").strip()).resolve()
    return folder if folder.is_dir() and folder.is_relative_to(root) else None


def _executed(path: Path) -> _Definition:
    sha = file_sha256(path)
    name = f"stpspec_template_{path.stem}_{sha[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TemplateError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    importlib.invalidate_caches()
    with (
        surroundings(path),
        _readings_of_definition(path) as readings,
        entered(f"importing the template file {path}"),
    ):
        # From the bytes: an import may take bytecode that an earlier version left.
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    if not is_shipped(path):
        readings |= {f: Reading(file_sha256(f)) for f in modules_used(module) - {*readings, path}}
    readings.pop(path, None)
    return _Definition(path, sha, readings, module)


@contextlib.contextmanager
def _readings_of_definition(path: Path) -> Iterator[Readings]:
    """Give what is read of the user's files while a template is loaded; filled at its end."""
    readings: Readings = {}
    if is_shipped(path):
        yield readings
        return
    with files_read() as seen:
        yield readings
    readings |= seen
    named = mentioned(path)
    if not is_watched():
        readings |= {file: Reading(file_sha256(file)) for file in named - set(readings)}
    readings |= {f: _hoc_files[f] for f in named & set(_hoc_files) if f not in seen}
    changed = next((f for f, r in readings.items() if _differs(f, r)), None)
    if changed is not None:
        raise _loaded_before(changed, path)
    _hoc_files.update({f: r for f, r in seen.items() if f.suffix == ".hoc"})


def _differs(file: Path, reading: Reading) -> bool:
    return not file.is_file() or file_sha256(file) != reading.sha256


def _loaded_before(changed: Path, path: Path) -> TemplateError:
    return TemplateError(
        f"{path} loads {changed}, which HOC has loaded in this process with other content; what is "
        f"loaded cannot be redefined: start a new Python process"
    )


def _absent(name: str, path: Path, what: str, names: list[str]) -> str:
    guess = nearest(name, names)
    hint = f" Did you mean {guess!r}?" if guess else ""
    return f"{path} defines no {what} {name!r}.{hint} Defined: {', '.join(names) or 'none'}."
