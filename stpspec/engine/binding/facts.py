"""Facts that only NEURON can tell: of a loaded mechanism, and of cells once they are built.

Nothing here knows specs: the process that loads mechanisms and builds cells for a check imports
NEURON and this.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stpspec.engine import cells, nrn, templates
from stpspec.engine.mechanisms import library, partner_voltage
from stpspec.engine.mechanisms.coupling import Coupling, measure_coupling
from stpspec.engine.mechanisms.description import Mechanism, describe
from stpspec.engine.mechanisms.state_variables import mechanisms_in
from stpspec.engine.reading import Readings
from stpspec.errors import MechanismError, SpecProblem, TemplateError, TrustError
from stpspec.resources import find_file
from stpspec.units import UnitError, convert


@dataclass(frozen=True)
class CellQuestion:
    """A cell to be built, and the sections that it should have."""

    file: str
    template: str
    arguments: dict[str, Any] | list[Any]
    sections: tuple[str, ...]


@dataclass(frozen=True)
class GapQuestion:
    """A gap junction whose coupling is to be measured.

    Attributes
    ----------
    partner_voltage, usual : str
        The variable for the voltage of the other side, and its usual name.
    free : tuple of str
        Free parameters of the experiment.
    fixed : dict of str to number or str
        Values of parameters, possibly with units.
    """

    partner_voltage: str
    usual: str
    free: tuple[str, ...]
    fixed: dict[str, Any]


@dataclass(frozen=True)
class Question:
    """What is asked of NEURON for one experiment.

    Attributes
    ----------
    mod : tuple of str
        The entries of ``mod`` that hold mechanisms.
    mechanism : str
    cells : tuple of CellQuestion
    gap : GapQuestion, optional
        If it is a gap junction.
    """

    mod: tuple[str, ...]
    mechanism: str
    cells: tuple[CellQuestion, ...]
    gap: GapQuestion | None = None


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
    compartments : int
    readings : Readings
        What was read of the user's files for it.
    mechanisms : frozenset of str
        That sit in its sections.
    """

    error: str = ""
    absent: dict[str, str] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)
    compartments: int = 1
    readings: Readings = field(default_factory=dict)
    mechanisms: frozenset[str] = frozenset()


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
    coupling : Coupling, optional
        Of a gap junction between two passive cells, where it can be measured.
    """

    load_error: str = ""
    of_shipped: Facts | None = None
    cells: tuple[CellFacts, ...] = ()
    mechanism: Mechanism | None = None
    mechanism_error: str = ""
    coupling: Coupling | None = None

    @property
    def in_cells(self) -> frozenset[str]:
        """The mechanisms that sit in the cells once they are built."""
        return frozenset[str]().union(*(cell.mechanisms for cell in self.cells))


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
    return Question(usable, model.mechanism, tuple(asked), _gap_question(parts))


def _gap_question(parts: Mapping[str, Any]) -> GapQuestion | None:
    model = parts["model"]
    if model.stimulated_by != "step":
        return None
    usual = type(model).model_fields["partner_voltage"].default
    return GapQuestion(
        model.partner_voltage, usual, tuple(parts.get("parameters", {})), dict(model.fixed)
    )


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
        used = sources_used(question)
        failed = library.ensure_loaded(question.mod, used, question.mechanism)
    except (MechanismError, TrustError) as error:
        others = gather(replace(question, mod=())) if question.mod else None
        return Facts(load_error=str(error), of_shipped=others)
    built = tuple(_cell(cell, question, failed) for cell in question.cells)
    try:
        mechanism = describe(question.mechanism)
    except (MechanismError, TrustError) as error:
        return Facts(cells=built, mechanism_error=str(error))
    source = library.sources(question.mod).get(question.mechanism)
    return Facts(
        cells=built, mechanism=mechanism, coupling=_coupling(mechanism, question.gap, source)
    )


def _coupling(
    mechanism: Mechanism, question: GapQuestion | None, source: Path | None
) -> Coupling | None:
    """Measure the coupling of a gap junction; None where what it lacks is told elsewhere."""
    if question is None:
        return None
    fixed = []
    for name, value in question.fixed.items():
        if name in mechanism.parameters and name not in question.free:
            with contextlib.suppress(UnitError):
                fixed.append((name, convert(value, mechanism.parameters[name])))
    asked, usual = question.partner_voltage, question.usual
    partner = partner_voltage.chosen(mechanism, source, asked, usual)
    with contextlib.suppress(MechanismError):
        return measure_coupling(mechanism.name, partner, question.free, tuple(fixed))
    return None


def sources_used(question: Question) -> dict[str, Path]:
    """Return mechanism → .mod file, of the shipped ones and those that the model uses.

    Raises
    ------
    MechanismError
        As :func:`stpspec.engine.mechanisms.library.sources`.
    """
    words: set[str] = set()
    for cell in question.cells if question.mod else ():
        with contextlib.suppress(TemplateError):  # told where it is built
            words |= templates.words_of(cell)
    return library.used_sources(question.mod, question.mechanism, words)


def _cell(cell: CellQuestion, question: Question, failed: Mapping[str, str]) -> CellFacts:
    facts = _built(cell)
    # Names that a Python template puts together stand in no file. HOC reads all of its names when
    # it loads a template, and must not load it twice.
    if facts.error and Path(cell.file).suffix == ".py":
        everything = library.sources(question.mod)
        if set(everything) - set(library.loaded_names()):
            failed = library.ensure_loaded(question.mod, everything, question.mechanism)
            facts = _built(cell)
    named = [f"{n}: {why}" for n, why in failed.items()]
    return replace(facts, error="; ".join([facts.error, *named])) if facts.error else facts


def _built(question: CellQuestion) -> CellFacts:
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
    groups = cells.section_groups(cell)
    own = [s for s in nrn.hoc().allsec() if s not in before]
    return CellFacts(
        "",
        absent,
        tuple(shared),
        cells.settable_arguments(question),
        _attributes(groups),
        sum(int(section.nseg) for section in groups["all"]),
        cells.readings_of(question),
        frozenset(mechanisms_in(own)),
    )


def _attributes(groups: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, str]]:
    known: dict[str, dict[str, str]] = {}
    of_one = {s.name(): cells.attributes(s, known) for s in groups["all"]}
    return {
        name: {attribute: unit for s in sections for attribute, unit in of_one[s.name()].items()}
        for name, sections in groups.items()
    }
