"""Cells in a HOC script: how they are built, and statements in their sections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
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
    lines += [f'load_file("templates/{file}")' for file in _files(cells, is_hoc=True)]
    classes = _files(cells, is_hoc=False)
    if classes:
        lines += [
            "// A Python class: HOC asks Python for it.",
            "objref python",
            "python = new PythonObject()",
            'nrnpython("import importlib.util, sys")',
        ]
    for k, file in enumerate(classes):
        folder = (PurePosixPath("templates") / file).parent.as_posix()
        lines += [
            f"nrnpython(\"sys.path.insert(0, '{folder}')\")",
            f"nrnpython(\"spec = importlib.util.spec_from_file_location('template_{k}', "
            f"'templates/{file}')\")",
            f'nrnpython("template_{k} = importlib.util.module_from_spec(spec)")',
            f'nrnpython("sys.modules[spec.name] = template_{k}")',
            f'nrnpython("spec.loader.exec_module(template_{k})")',
        ]
    for k, cell in enumerate(cells):
        if cell.is_hoc:
            given = ", ".join(_argument(a) for a in cell.arguments)
            lines.append(f"cells[{k}] = new {cell.template}({given})")
            continue
        module = f"template_{classes.index(cell.file)}"
        lines += [
            f'nrnpython("cell_{k} = {module}.{cell.template}({_python_arguments(cell)})")',
            f"cells[{k}] = python.cell_{k}",
        ]
    return lines


def _files(cells: Sequence[PreparedCell], *, is_hoc: bool) -> list[str]:
    return list(dict.fromkeys(c.file for c in cells if c.is_hoc == is_hoc))


def _python_arguments(cell: PreparedCell) -> str:
    given = cell.arguments
    is_named = isinstance(given, dict)
    written = ", ".join([f"{k}={v!r}" for k, v in given.items()] if is_named else map(repr, given))
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
