"""Cells in template files: the names of their templates, and whether they can be built."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stpspec.engine.binding.facts import CellQuestion, Facts, Question
from stpspec.engine.binding.inspection import inspect
from stpspec.engine.child import Child
from stpspec.engine.reading import mentioned
from stpspec.errors import SpecProblem, TemplateError, nearest

_SECTIONS = ("soma", "soma[0]", "axon", "dend", "dend[0]")


@dataclass(frozen=True)
class CellFile:
    """A cell that a template file builds.

    Attributes
    ----------
    file : Path
    template : str
    section : str
        Where a synapse is put first: the soma, if there is one.
    """

    file: Path
    template: str
    section: str


def template_names(file: Path) -> list[str]:
    """Return the HOC templates or the Python classes of a file; the last is likely the cell.

    Raises
    ------
    TemplateError
        If the file is neither HOC nor Python, or cannot be read.
    """
    if file.suffix not in (".hoc", ".py"):
        raise TemplateError(f"{file}: a template file ends in .hoc or .py")
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise TemplateError(f"{file} cannot be read: {error.strerror or error}") from None
    if file.suffix == ".hoc":
        return re.findall(r"^\s*begintemplate\s+(\w+)", text, re.MULTILINE)
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise TemplateError(f"{file}:{error.lineno}: {error.msg}") from None
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


def words_of(file: Path) -> set[str]:
    """Return all words of a template file and of what it loads: among them what it inserts."""
    files = [file, *mentioned(file)]
    texts = (f.read_text(encoding="utf-8", errors="replace") for f in files)
    return {word for text in texts for word in re.findall(r"\w+", text)}


def find_cell(
    file: Path, template: str | None, mod: Sequence[str], arguments: Sequence[object] = ()
) -> CellFile:
    """Build a cell in a process of its own, and return its template and section.

    Parameters
    ----------
    file : Path
    template : str, optional
        By default the last of the file that can be built.
    mod : sequence of str
        The mechanisms that it inserts.
    arguments : sequence of object

    Raises
    ------
    TemplateError
        If there is no such template, or none that can be built.
    """
    names = template_names(file)
    if not names:
        what = "template" if file.suffix == ".hoc" else "class"
        raise TemplateError(f"{file} defines no {what}")
    if template is not None and template not in names:
        guess = nearest(template, names)
        hint = f" Did you mean {guess!r}?" if guess else ""
        raise TemplateError(
            f"{file} defines no template {template!r}.{hint} Defined: {', '.join(names)}."
        )
    reasons = []
    for name in [template] if template is not None else reversed(names):
        section = _section_of(file, name, mod, arguments)
        if isinstance(section, str):
            return CellFile(file, name, section)
        reasons.append(section.text)
    raise TemplateError("; ".join(dict.fromkeys(reasons)))


@dataclass(frozen=True)
class _Reason:
    text: str


def _section_of(
    file: Path, template: str, mod: Sequence[str], arguments: Sequence[object]
) -> str | _Reason:
    given = list(arguments)
    cell = CellQuestion(str(file), template, given, _SECTIONS)
    child = Child()
    try:
        answer = inspect([Question(tuple(mod), "ExpSyn", (cell,))], child)[0]
    finally:
        child.close()
    if isinstance(answer, SpecProblem):
        return _Reason(answer.rule)
    if isinstance(answer, Facts) and answer.load_error:
        return _Reason(answer.load_error)
    facts = answer.cells[0]
    if facts.error:
        return _Reason(facts.error)
    there = [name for name in _SECTIONS if name not in facts.absent]
    if there:
        return there[0]
    listed = re.search(r"It has: ([^,.]+(?:\[\d+\])?)", next(iter(facts.absent.values()), ""))
    if listed is None or listed[1] == "none":
        return _Reason(f"{file}: the template {template!r} builds a cell without sections")
    return listed[1].strip()
