"""Cells in a HOC script: how they are built, and statements in their sections."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import Any

from stpspec.errors import ResultError
from stpspec.interop.preparation import PreparedCell


def number(value: float) -> str:
    """Return a number with all its digits."""
    return repr(float(value))


def built(cells: Sequence[PreparedCell]) -> list[str]:
    """Return the lines that load the templates and build ``cells[0]`` and so on.

    Raises
    ------
    ResultError
        If an argument cannot be written in HOC.
    """
    lines = [f"objref cells[{len(cells)}]"]
    if not all(cell.is_hoc for cell in cells):
        lines += [
            "// A Python class: HOC asks Python for it.",
            "objref python",
            "python = new PythonObject()",
            'nrnpython("import importlib.util, sys")',
        ]
    files = list(dict.fromkeys(cell.file for cell in cells))
    for k, file in enumerate(files):
        cell = next(c for c in cells if c.file == file)
        path = _seen_from(cell, file)
        load = [f'load_file("{path}")'] if cell.is_hoc else _imported(f"template_{k}", path)
        lines += _within(cell, load)
    for k, cell in enumerate(cells):
        module = f"template_{files.index(cell.file)}"
        lines += _within(cell, _new(f"cell_{k}", f"cells[{k}]", module, cell))
    return lines


def _within(cell: PreparedCell, lines: list[str]) -> list[str]:
    """Return lines that are executed in the folder from which a template reads."""
    if cell.folder is None:
        return lines
    folder = posixpath.normpath(f"templates/{cell.folder}")
    back = posixpath.relpath(".", folder)
    return [f'{{chdir("{folder}")}}', *lines, f'{{chdir("{back}")}}']


def _seen_from(cell: PreparedCell, file: str) -> str:
    """Return the path of a file in ``templates/`` where a template is loaded."""
    path = f"templates/{file}"
    if cell.folder is None:
        return path
    return posixpath.relpath(path, f"templates/{cell.folder}")


def _imported(module: str, path: str) -> list[str]:
    """Return the lines that import a Python file, of whatever name."""
    statements = [
        f"sys.path.insert(0, '{posixpath.dirname(path) or '.'}')",
        f"spec = importlib.util.spec_from_file_location('{module}', '{path}')",
        f"{module} = importlib.util.module_from_spec(spec)",
        f"sys.modules[spec.name] = {module}",
        f"spec.loader.exec_module({module})",
    ]
    return [f'nrnpython("{statement}")' for statement in statements]


def _new(name: str, target: str, module: str, cell: PreparedCell) -> list[str]:
    """Return the lines that build a cell; a Python class gives it the name first."""
    if cell.is_hoc:
        given = ", ".join(_argument(a) for a in cell.arguments)
        return [f"{target} = new {cell.template}({given})"]
    return [
        f'nrnpython("{name} = {module}.{cell.template}({_python_arguments(cell)})")',
        f"{target} = python.{name}",
    ]


def _python_arguments(cell: PreparedCell) -> str:
    given = cell.arguments
    if isinstance(given, dict):
        written = ", ".join(f"{k}={v!r}" for k, v in given.items())
    else:
        written = ", ".join(map(repr, given))
    if '"' in written:
        raise ResultError(
            "an argument of the cell holds a quotation mark, which HOC cannot pass on"
        )
    return written


def _argument(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ResultError(f"an argument of the cell cannot be written in HOC: {value!r}")
    return f'"{value}"' if isinstance(value, str) else number(value)


def in_section(cells: Sequence[PreparedCell], k: int, section: str, statement: str) -> list[str]:
    """Return a statement in a section of ``cells[k]``."""
    if cells[k].is_hoc:
        return [f"cells[{k}].{section} {statement}"]
    return [f"{{cells[{k}].{section}.push()}}", statement, "{pop_section()}"]
