"""Facts that only NEURON can tell: of a loaded mechanism, and of cells once they are built.

Nothing here knows specs: the process that loads mechanisms and builds cells for a check imports
NEURON and this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stpspec.engine import cells, nrn
from stpspec.engine.mechanisms import library
from stpspec.engine.mechanisms.description import Mechanism, describe
from stpspec.errors import MechanismError, SpecProblem, TemplateError, TrustError


@dataclass(frozen=True)
class CellQuestion:
    """A cell to be built, and the sections that it should have."""

    file: str
    template: str
    arguments: dict[str, Any] | list[Any]
    sections: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """What is asked of NEURON for one experiment.

    Attributes
    ----------
    mod : tuple of str
        The entries of ``mod`` that hold mechanisms.
    mechanism : str
    cells : tuple of CellQuestion
    """

    mod: tuple[str, ...]
    mechanism: str
    cells: tuple[CellQuestion, ...]


@dataclass(frozen=True)
class CellFacts:
    """What a built cell tells.

    Attributes
    ----------
    error : str
        Why it cannot be built; empty if it can.
    absent : dict of str to str
        Section that it has not → what it has.
    shared : tuple of str
        Sections that were there before it was built.
    """

    error: str = ""
    absent: dict[str, str] = field(default_factory=dict)
    shared: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What NEURON tells of one experiment.

    Attributes
    ----------
    load_error : str
        Why the mechanisms cannot be loaded; then the other fields are empty.
    of_shipped : Facts, optional
        If only the experiment's own mechanisms may be to blame: what is told without them.
    cells : tuple of CellFacts
        In the order of the question.
    mechanism : Mechanism, optional
    mechanism_error : str
        Why there is no description of the mechanism.
    """

    load_error: str = ""
    of_shipped: Facts | None = None
    cells: tuple[CellFacts, ...] = ()
    mechanism: Mechanism | None = None
    mechanism_error: str = ""


def usable_sources(model: Any) -> tuple[list[str], list[SpecProblem]]:
    """Return the entries of ``mod`` that hold mechanisms, and the problems of the others."""
    usable, problems = [], []
    for index, entry in enumerate(model.mod):
        try:
            library.sources([entry])
            usable.append(entry)
        except (MechanismError, TrustError) as error:
            problems.append(SpecProblem(f"model.mod.{index}", str(error)))
    return usable, problems


def question_of(parts: Mapping[str, Any]) -> Question:
    """Return what is to be asked for the valid parts of an experiment; the model is one of them."""
    model, recording = parts["model"], parts.get("recording")
    electrode = () if recording is None else (recording.electrode_section,)

    def question(cell: Any, section: str) -> CellQuestion:
        return CellQuestion(cell.file, cell.template, cell.arguments, (section, *electrode))

    asked = [question(model.cell, model.section)]
    second = getattr(model, "cell_2", None)
    if second is not None:
        asked.append(question(second, model.section_2 or model.section))
    return Question(tuple(usable_sources(model)[0]), model.mechanism, tuple(asked))


def gather(question: Question) -> Facts:
    """Load the mechanisms and build the cells in this process, and return what they tell."""
    with nrn.exclusive():
        return _gathered(question)


def _gathered(question: Question) -> Facts:
    try:
        library.ensure_loaded(question.mod)
    except (MechanismError, TrustError) as error:
        others = gather(replace(question, mod=())) if question.mod else None
        return Facts(load_error=str(error), of_shipped=others)
    built = tuple(_cell(cell) for cell in question.cells)
    try:
        return Facts(cells=built, mechanism=describe(question.mechanism))
    except (MechanismError, TrustError) as error:
        return Facts(cells=built, mechanism_error=str(error))


def _cell(question: CellQuestion) -> CellFacts:
    try:
        cell, before = cells.build_alone(question)
    except (TemplateError, TrustError) as error:
        return CellFacts(error=str(error))
    absent, shared = {}, []
    for name in dict.fromkeys(question.sections):
        try:
            if cells.section(cell, name) in before:
                shared.append(name)
        except (TemplateError, TrustError) as error:
            absent[name] = str(error)
    return CellFacts(absent=absent, shared=tuple(shared))


def question_from(data: Mapping[str, Any]) -> Question:
    """Return a question that was sent as JSON."""
    asked = tuple(CellQuestion(**{**c, "sections": tuple(c["sections"])}) for c in data["cells"])
    return Question(tuple(data["mod"]), data["mechanism"], asked)


def facts_from(data: Mapping[str, Any]) -> Facts:
    """Return facts that were sent as JSON."""
    mechanism, others = data["mechanism"], data["of_shipped"]
    return Facts(
        load_error=data["load_error"],
        of_shipped=None if others is None else facts_from(others),
        cells=tuple(CellFacts(**{**c, "shared": tuple(c["shared"])}) for c in data["cells"]),
        mechanism=None if mechanism is None else Mechanism.from_data(mechanism),
        mechanism_error=data["mechanism_error"],
    )
