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
    arguments : tuple of str
        Those of its template that can be numbers.
    attributes : dict of str to dict of str to str
        Section, or array or list of them → attribute that can be set → its unit.
    readings : Readings
        What was read of the user's files for it.
    """

    error: str = ""
    absent: dict[str, str] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)
    readings: Readings = field(default_factory=dict)


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
    from stpspec.specs.consistency import recordings_of  # not where a process only answers

    model, recording = parts["model"], parts.get("recording")
    recordings = [*([] if recording is None else [recording]), *recordings_of(parts).values()]
    electrode = tuple(dict.fromkeys(r.electrode_section for r in recordings))

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
    return CellFacts(
        "", absent, tuple(shared), cells.settable_arguments(question), _attributes(cell),
        cells.readings_of(question),
    )  # fmt: skip


def _attributes(cell: Any) -> dict[str, dict[str, str]]:
    known: dict[str, dict[str, str]] = {}
    groups = cells.section_groups(cell)
    of_one = {s.name(): cells.attributes(s, known) for s in groups["all"]}
    return {
        name: {attribute: unit for s in sections for attribute, unit in of_one[s.name()].items()}
        for name, sections in groups.items()
    }
