"""Inspection of mechanisms and cells in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stpspec.engine import templates
from stpspec.engine.binding.facts import Facts, Question, gather
from stpspec.engine.child import Child, ChildEndedError, kept_child
from stpspec.errors import SpecProblem

_PATIENCE = 300  # s; compiling a folder of mechanisms takes a minute or two


def inspect(questions: Sequence[Question], child: Child | None = None) -> list[Facts | SpecProblem]:
    """Ask NEURON in a process of its own; one is enough for a campaign.

    It ends with the answers, unless nothing but shipped files was asked for: they are the same at
    the next check, and its process is kept for it.

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
    try:
        return [_told(child or (_of_shipped() if _is_shipped(q) else own), q) for q in questions]
    finally:
        own.close()


def _of_shipped() -> Child:
    return kept_child("shipped", hands_on=False)


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
