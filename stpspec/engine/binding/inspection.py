"""Inspection of mechanisms and cells in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stpspec.engine import templates
from stpspec.engine.binding.facts import Facts, Question, gather
from stpspec.engine.child import Child, ChildEndedError, kept_child
from stpspec.errors import SpecProblem
from stpspec.resources import content_key, shipped

_PATIENCE = 300  # s; compiling a folder of mechanisms takes a minute or two


def inspect(questions: Sequence[Question], child: Child | None = None) -> list[Facts | SpecProblem]:
    """Ask NEURON in a process of its own, which ends with the last answer.

    What is asked about shipped files alone is asked of a process that stays for the next check.

    Parameters
    ----------
    questions : sequence of Question
    child : Child, optional
        A process that is there already.

    Returns
    -------
    list of Facts or SpecProblem
        A problem in the place of the facts of a question that ends the process.
    """
    own = Child()
    ours = _of_shipped() if child is None and any(map(_is_shipped, questions)) else own
    try:
        return [_told(child or (ours if _is_shipped(q) else own), q) for q in questions]
    finally:
        own.close()


def _of_shipped() -> Child:
    """Return the process that is kept for the shipped files, as they are by now."""
    folders = (shipped("mod"), shipped("templates"))
    files = sorted(p for folder in folders for p in folder.iterdir() if p.is_file())
    key = content_key(*(p.read_bytes() for p in files))
    return kept_child(f"shipped {key}", hands_on=False)


def _is_shipped(question: Question) -> bool:
    """Tell whether a question is about none of the user's files."""
    files = (Path(cell.file) for cell in question.cells)
    return not question.mod and all(map(templates.is_shipped, files))


def _told(child: Child, question: Question) -> Facts | SpecProblem:
    try:
        return child.ask(gather, question, limit=_PATIENCE)
    except ChildEndedError as error:
        ended, said = f"ended with code {error.code}", error.written or "no message"
    except TimeoutError:
        ended, said = f"was stopped after {_PATIENCE} s", "does a template never end?"
    rule = f"the process that loads the mechanisms and builds the cell {ended}: {said}"
    return SpecProblem("model.cell", rule)  # or the mechanism: that is not known
