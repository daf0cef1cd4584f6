"""Cells in template files: the names of their templates, and whether they can be built."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stpspec.engine.binding.facts import CellQuestion
from stpspec.engine.child import Child, ChildEndedError
from stpspec.engine.reading import mentioned
from stpspec.engine.survey.cell_sections import sections_of
from stpspec.errors import MechanismError, TemplateError, nearest

_PATIENCE = 100.0  # s


@dataclass(frozen=True)
class CellFile:
    """A cell that a template file builds.

    Attributes
    ----------
    file : Path
    template : str
    sections : tuple of str
        In the order of its list ``all``, if it has one.
    """

    file: Path
    template: str
    sections: tuple[str, ...]

    @property
    def section(self) -> str:
        """Where a synapse is put first: the soma, if there is one."""
        return next((s for s in self.sections if s.startswith("soma")), self.sections[0])


PATCH = CellFile(Path("patch.py"), "Patch", ("soma",))
"""The shipped patch."""


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
    file: Path,
    template: str | None,
    mod: Sequence[str],
    arguments: Sequence[object] | Mapping[str, object] = (),
) -> CellFile:
    """Build a cell in a process of its own, and return its template and section.

    Parameters
    ----------
    file : Path
    template : str, optional
        By default the last of the file that can be built.
    mod : sequence of str
        The mechanisms that it inserts.
    arguments : sequence of object, or mapping of str to object

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
    given = dict(arguments) if isinstance(arguments, Mapping) else list(arguments)
    reasons = []
    for name in [template] if template is not None else reversed(names):
        question = CellQuestion(str(file), name, given, ())
        child = Child()
        try:
            found = child.ask(sections_of, question, list(mod), limit=_PATIENCE)
        except (TemplateError, MechanismError) as error:
            reasons.append(str(error))
        except ChildEndedError as error:
            reasons.append(f"{file}: the process that builds a {name} ended: {error}")
        except TimeoutError:
            reasons.append(f"{file}: no {name} is built within {_PATIENCE:g} s")
        else:
            if found:
                return CellFile(file, name, tuple(found))
            reasons.append(f"{file}: the template {name!r} builds a cell without sections")
        finally:
            child.close()
    raise TemplateError("; ".join(dict.fromkeys(reasons)))
