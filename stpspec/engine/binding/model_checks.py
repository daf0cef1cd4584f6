"""Checks of a model against its loaded mechanism and its built cells."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from stpspec.engine.binding.facts import CellFacts
from stpspec.engine.mechanisms import nmodl, partner_voltage
from stpspec.engine.mechanisms.coupling import RESISTANCE, Coupling
from stpspec.engine.mechanisms.description import Mechanism
from stpspec.errors import SpecProblem, nearest
from stpspec.formatting import number
from stpspec.specs.model import Roles

# A coupling may differ from what is declared by other factors of the equation, such as a gain.
_FAR, _THOUSAND = 200.0, (200.0, 5000.0)
_WEAKEST, _STRONGEST = 0.02, 50.0  # nS; no fit of a gap junction lies beyond

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


def currents_passed(model: Any, source: Path | None) -> tuple[str, ...]:
    """Return the currents that a mechanism passes, by its source; none if that is not known."""
    if source is None:
        return ()
    content = nmodl.read(source)
    electrode = content.electrode_currents if model.stimulated_by == "step" else ()
    return (*electrode, *content.membrane_currents)


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
        passed = currents_passed(model, source)
        currents = currents_recorded(model.current, passed, info.recordable)
        needed = model.stimulated_by == "event" or model.current is not None
        if needed and not set(currents) & set(info.recordable):
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
            if not set(names) <= set(getattr(usual, role)):
                given += [(f"model.roles.{role}.{i}", n, info.parameters, "parameter")
                          for i, n in enumerate(names)]  # fmt: skip
        if model.reversal != type(model).model_fields["reversal"].default:
            given.append(("model.reversal", model.reversal, info.parameters, "parameter"))
    elif source is not None:
        holders = partner_voltage.holders(info, source, model.partner_voltage)
        what = "POINTER or unset RANGE variable"
        given.append(("model.partner_voltage", model.partner_voltage, holders, what))
    return [
        SpecProblem(path, f"{info.name} has no {what} of this name; it has "
                f"{', '.join(sorted(known)) or 'none'}", name, nearest(name, known))
        for path, name, known, what in given if name not in known
    ]  # fmt: skip


def connection_problems(model: Any, info: Mechanism, source: Path | None) -> list[SpecProblem]:
    """Find what NEURON would crash on: events nothing receives, POINTERs that nothing sets."""
    name = model.mechanism
    if model.stimulated_by == "event":
        takes = nmodl.read(source).receives_events if source else name in _TAKE_EVENTS
        if not takes:
            rule = f"{name} has no NET_RECEIVE block: presynaptic events cannot reach it"
            return [SpecProblem("model.mechanism", rule)]
    read = nmodl.read(source).pointers_read if source else ()
    ours = getattr(model, "partner_voltage", None)
    unset = [pointer for pointer in read if pointer != ours]
    if not unset or source is None:
        return []
    if ours is not None and ours not in partner_voltage.holders(info, source, ours):
        return []  # that is told as such
    rule = (
        f"{name} reads the POINTER {', '.join(unset)}; only that of a gap junction to the voltage "
        f"of the other side is set (model.partner_voltage)"
    )
    return [SpecProblem("model.mechanism", rule)]


def coupling_problems(
    parts: Mapping[str, Any], coupling: Coupling | None, parameters: Mapping[str, Any]
) -> list[SpecProblem]:
    """Find junctions that do not do to two passive cells what their parameter says.

    Parameters
    ----------
    parts : mapping
        Of the experiment; the model has numbers in the units of the mechanism.
    coupling : Coupling or None
    parameters : mapping
        The free parameters, in the units of the mechanism.
    """
    if coupling is None:
        return []
    model, name, unit = parts["model"], coupling.parameter, coupling.unit
    mechanism, value = model.mechanism, f"{name} = {number(coupling.value)} {unit}".rstrip()
    measured = (
        f"two passive cells of {RESISTANCE:g} MΩ that {mechanism} joins with {value} have a "
        f"coupling coefficient of {number(coupling.coefficient, 3)}"
    )

    def refused(reason: str) -> list[SpecProblem]:
        return [SpecProblem("model.mechanism", f"{measured}; {reason}", mechanism)]

    if coupling.coefficient < 0:
        before, after = ("", f"/{name}") if coupling.exponent < -0.5 else (f"{name}·", "")
        return refused(
            f"below 0: the sign of its current is inverted. ELECTRODE_CURRENT i needs "
            f"i = {before}({model.partner_voltage} − v){after}, NONSPECIFIC_CURRENT i needs "
            f"i = {before}(v − {model.partner_voltage}){after}; change one of the two in the file"
        )
    resists, declared = coupling.exponent < -0.5, coupling.declared
    if declared is None:
        return _extent_problems(coupling, model, parameters, measured)
    due = declared / (declared + 1 / RESISTANCE)
    closed = f"CC = G / (G + 1/R2) is {number(due, 3)}"
    if resists != coupling.is_resistance:
        acts, says = ("resistance", "conductance")[:: 1 if resists else -1]
        example = "MOhm" if resists else "uS"
        return refused(
            f"{closed}: {name} is declared in {unit}, a {says}, and acts as a {acts}. Declare it "
            f"in ({example}) in the file, and give it as such"
        )
    ratio = coupling.conductance / declared
    if 1 / _FAR < ratio < _FAR:
        return []
    times = ratio if ratio > 1 else 1 / ratio
    size = f"{number(times, 3)} times too {'large' if ratio > 1 else 'small'}"
    wrong = "" if not _THOUSAND[0] < times < _THOUSAND[1] else (
        f": its equation takes {name} in {_other_unit(coupling, ratio)}. Declare it so in the "
        f"file, or correct the factor in the equation (µS · mV = nA, nS · mV = 0.001 nA)"
    )  # fmt: skip
    return refused(f"{closed}: the coupling is {size}{wrong}")


def _other_unit(coupling: Coupling, ratio: float) -> str:
    """Return the unit in which the equation takes a parameter, rather than in that declared."""
    if coupling.is_resistance:
        return "(GOhm)" if ratio < 1 else "(kOhm)"
    in_siemens = coupling.conductance / coupling.value  # µS
    names = {1e6: "S", 1e3: "mS", 1.0: "uS", 1e-3: "nS", 1e-6: "pS"}
    return f"({names[min(names, key=lambda u: abs(math.log(in_siemens / u)))]})"


def _extent_problems(
    coupling: Coupling, model: Any, parameters: Mapping[str, Any], measured: str
) -> list[SpecProblem]:
    """Find values of a parameter without a unit that couple as no gap junction does."""
    name = coupling.parameter
    if name in parameters:
        path, given = f"parameters.{name}", [parameters[name].min, parameters[name].max]
    elif name in model.fixed:
        path, given = f"model.fixed.{name}", [model.fixed[name]]
    else:
        return []
    low, high = sorted(1e3 * coupling.conductance_at(float(v)) for v in (given[0], given[-1]))
    if high == 0 or (high > _WEAKEST and low < _STRONGEST):
        return []
    acts = "acts as a resistance" if coupling.exponent < -0.5 else "acts as a conductance"
    one = 1e3 * coupling.conductance_at(1.0)
    rule = (
        f"{name} declares no unit, and {acts}: {measured}, so that {name} = 1 is "
        f"{number(one, 3)} nS and these values are {number(low, 3)} to {number(high, 3)} nS. Gap "
        f"junctions have 0.1 to 10 nS: give values for that, or the unit in the file"
    )
    return [SpecProblem(path, rule, " … ".join(f"{v:g}" for v in given))]


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
