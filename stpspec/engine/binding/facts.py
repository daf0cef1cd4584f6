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
from stpspec.engine.mechanisms.state_variables import mechanisms_in_use
from stpspec.engine.reading import Readings
from stpspec.errors import MechanismError, SpecProblem, TemplateError, TrustError
from stpspec.resources import find_file


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
    readings : Readings
        What was read of the user's files for it.
    mechanisms : tuple of str
        Those that sit in any section once it is built.
    """

    error: str = ""
    absent: dict[str, str] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    readings: Readings = field(default_factory=dict)
    mechanisms: tuple[str, ...] = ()


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
        file = _located(cell.file, "templates")
        return CellQuestion(file, cell.template, cell.arguments, (section, *electrode))

    asked = [question(model.cell, model.section)]
    second = getattr(model, "cell_2", None)
    if second is not None:
        asked.append(question(second, model.section_2 or model.section))
    usable = tuple(_located(entry, "mod") for entry in usable_sources(model)[0])
    return Question(usable, model.mechanism, tuple(asked))


def _located(name: str, folder: str) -> str:
    """Return the path of a file for a process with another current folder; the name without one."""
    try:
        return str(find_file(name, folder))
    except FileNotFoundError:
        return name


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
    used = tuple(sorted(mechanisms_in_use(before)))
    return CellFacts("", absent, tuple(shared), cells.readings_of(question), used)
