"""Checks of a model against its loaded mechanism and its built cells."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from stpspec.engine.binding.facts import CellFacts
from stpspec.engine.mechanisms import nmodl
from stpspec.engine.mechanisms.description import Mechanism
from stpspec.errors import SpecProblem, nearest
from stpspec.specs.model import Roles

_USUAL = "i"  # the name of a current
_TAKE_EVENTS = ("ExpSyn", "Exp2Syn")  # of the point processes that NEURON brings


def currents_recorded(
    asked: str | None, passed: Sequence[str], recordable: Collection[str]
) -> tuple[str, ...]:
    """Return the variables whose sum is the current of a synapse or junction.

    That is the one asked for, or all that the mechanism passes. Where one of these is no RANGE
    variable, and ``i``, which passes nothing by itself, is one, that is their sum by its name.
    """
    if asked is not None:
        return (asked,)
    if _USUAL in passed:
        return (_USUAL, *(n for n in passed if n != _USUAL))
    known = [n for n in passed if n in recordable]
    if not known or (_USUAL in recordable and len(known) < len(passed)):
        return (_USUAL,)
    return tuple(passed)


def variable_problems(
    model: Any, info: Mechanism, recording: Any, source: Path | None, where: str
) -> list[SpecProblem]:
    """Find variables to record that the mechanism has not, of the recording at a path."""
    problems = []

    def need(path: str, name: str, known: Any, what: str) -> None:
        if name not in known:
            rule = f"{info.name} has no {what} of this name; it has {', '.join(sorted(known))}"
            problems.append(SpecProblem(path, rule, name, nearest(name, known)))

    if model.stimulated_by == "step" or "synaptic_current" in recording.signals:
        passed = nmodl.read(source).membrane_currents if source is not None else ()
        currents = currents_recorded(model.current, passed, info.recordable)
        if not set(currents) & set(info.recordable):
            need("model.current", currents[0], info.recordable, "variable")
    for index, name in enumerate(recording.variables):
        need(f"{where}.variables.{index}", name, info.recordable, "recordable variable")
    if model.stimulated_by == "event" and "conductance" in recording.signals:
        need("model.conductance", model.conductance, info.recordable, "variable")
    return problems


def role_problems(model: Any, info: Mechanism, source: Path | None) -> list[SpecProblem]:
    """Find names given in roles, reversal and partner_voltage that the mechanism has not.

    The defaults are the names of our own mechanisms, and mean nothing to others.
    """
    given: list[tuple[str, str, Any, str]] = []
    if model.stimulated_by == "event":
        usual = Roles()
        for role in Roles.model_fields:
            names = getattr(model.roles, role)
            if names != getattr(usual, role):
                given += [(f"model.roles.{role}.{i}", n, info.parameters, "parameter")
                          for i, n in enumerate(names)]  # fmt: skip
        if model.reversal != type(model).model_fields["reversal"].default:
            given.append(("model.reversal", model.reversal, info.parameters, "parameter"))
    elif source is not None:
        pointers = nmodl.read(source).pointers
        given.append(("model.partner_voltage", model.partner_voltage, pointers, "POINTER"))
    return [
        SpecProblem(path, f"{info.name} has no {what} of this name; it has "
                f"{', '.join(sorted(known)) or 'none'}", name, nearest(name, known))
        for path, name, known, what in given if name not in known
    ]  # fmt: skip


def connection_problems(model: Any, source: Path | None) -> list[SpecProblem]:
    """Find what NEURON would crash on: events nothing receives, POINTERs that nothing sets."""
    name = model.mechanism
    if model.stimulated_by == "event":
        takes = nmodl.read(source).receives_events if source else name in _TAKE_EVENTS
        if not takes:
            rule = f"{name} has no NET_RECEIVE block: presynaptic events cannot reach it"
            return [SpecProblem("model.mechanism", rule)]
    setters = nmodl.read(source).unset_generators if source else ()
    if setters:
        rule = (
            f"{name} draws random numbers from a generator that nothing has set: its "
            f"{' or '.join(setters)} would, and nothing here calls it; take the deterministic "
            f"mechanism of its mean release"
        )
        return [SpecProblem("model.mechanism", rule)]
    read = nmodl.read(source).pointers_read if source else ()
    ours = getattr(model, "partner_voltage", None)
    unset = [pointer for pointer in read if pointer != ours]
    if not unset or (ours is not None and ours not in read):
        return []
    rule = (
        f"{name} reads the POINTER {', '.join(unset)}; only that of a gap junction to the voltage "
        f"of the other side is set (model.partner_voltage)"
    )
    return [SpecProblem("model.mechanism", rule)]


def cell_problems(
    model: Any, recordings: Mapping[str, Any], facts: Sequence[CellFacts]
) -> list[SpecProblem]:
    """Find cells that cannot be built, and sections that they have not, or not for themselves.

    Parameters
    ----------
    model : Synapse or GapJunction
    recordings : mapping of str to recording
        By their paths.
    facts : sequence of CellFacts
    """
    problems: list[SpecProblem] = []

    def tell(problem: SpecProblem) -> None:
        if problem not in problems:  # both cells of a pair may lack the same section
            problems.append(problem)

    def look(cell_path: str, cell: Any, told: CellFacts, section_path: str, section: str) -> None:
        if told.error:
            tell(SpecProblem(cell_path, told.error))
            return
        electrodes = {f"{p}.electrode_section": r.electrode_section for p, r in recordings.items()}
        wanted = {section_path: section, **electrodes}
        for path, name in wanted.items():
            if name in told.absent:
                tell(SpecProblem(path, told.absent[name]))
            elif name in told.shared:
                rule = f"all cells share the section {name!r}: each must make its own when built"
                tell(SpecProblem(cell_path, rule, cell.template))

    look("model.cell", model.cell, facts[0], "model.section", model.section)
    second = getattr(model, "cell_2", None)
    if second is not None:
        look("model.cell_2", second, facts[1], "model.section_2", model.section_2 or model.section)
    return problems
