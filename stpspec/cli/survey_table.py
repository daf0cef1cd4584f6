"""Tables of a survey of mechanisms: what each point process declares, and how it answers."""

from __future__ import annotations

from pathlib import Path

from stpspec.cli.terminal import shown_path
from stpspec.engine.survey.record import (
    Calibration,
    JunctionCalibration,
    PointProcessRecord,
    Survey,
)
from stpspec.formatting import columns, number, unit_text
from stpspec.formatting.layout import fitted

_PLASTICITY = {
    "NetCon": "each NetCon has plasticity of its own",
    "instance": "all NetCons of one instance share its plasticity",
    "none": "no plasticity at the default values",
    "unknown": "where plasticity is kept is not clear",
}


def survey_text(survey: Survey, width: int | None) -> str:
    """Return a survey as text.

    Parameters
    ----------
    survey : Survey
    width : int, optional
        Of the screen.
    """
    blocks = [_block(p, width) for p in survey.point_processes]
    if survey.others:
        rows = [("file", "what it is"), *survey.others.items()]
        blocks.append(columns(rows, width=width))
    for file, reason in survey.failures.items():
        blocks.append(fitted(f"{file}: not usable\n  {reason}", width))
    n, failed = len(survey.point_processes), len(survey.failures)
    told = f", {failed} file{'s'[: failed != 1]} not usable" if failed else ""
    blocks.append(f"{n} point process{'es'[: 2 * (n != 1)]}{told}")
    return "\n\n".join(blocks)


def _block(p: PointProcessRecord, width: int | None) -> str:
    lines = [f"{p.name}: {p.kind}, {shown_path(Path(p.file))}"]
    rows = [("parameter", "unit", "default", "limits", "scope", "role", "why")]
    for q in p.parameters:
        limits = "" if q.limits is None else f"{q.limits[0]:g} … {q.limits[1]:g}"
        rows.append(
            (q.name, unit_text(q.unit), number(q.default), limits, q.scope, q.role,
             "; ".join(q.why))
        )  # fmt: skip
    if not any(row[3] for row in rows[1:]):
        rows = [(*row[:3], *row[4:]) for row in rows]
    if len(rows) > 1:
        lines.append(columns(rows, width=width))
    lines += [fitted(f"  {line}", width) for line in _facts(p)]
    return "\n".join(lines)


def _facts(p: PointProcessRecord) -> list[str]:
    facts = []
    if p.currents:
        facts.append("currents: " + ", ".join(f"{n} ({what})" for n, what in p.currents.items()))
    if p.conductances:
        facts.append("conductances: " + _with_units(p.conductances))
    if p.arguments:
        facts.append(_arguments(p))
    if p.states:
        facts.append("states: " + _with_units(p.states))
    if p.pointers:
        facts.append("pointers: " + ", ".join(p.pointers))
    facts.append(f"random numbers: {p.random or 'none, deterministic'}")
    return [*facts, *_measured(p)]


def _arguments(p: PointProcessRecord) -> str:
    first, *others = p.arguments
    unit = unit_text(p.arguments[first])
    told = [f"{first} is the weight{f' ({unit})' if unit else ''}"]
    kept = [n for n in others if n not in p.to_be_given]
    if kept:
        told.append(f"{', '.join(kept)}: kept by the mechanism")
    if p.to_be_given:
        given = _with_units({n: p.arguments[n] for n in p.to_be_given})
        told.append(f"{given}: must be given, as net_con.weight: {{{p.to_be_given[0]}: …}}")
    return "NetCon arguments: " + "; ".join(told)


def _measured(p: PointProcessRecord) -> list[str]:
    if p.coupling is not None:
        return _coupling(p.coupling)
    if p.calibration is not None:
        return _calibration(p, p.calibration)
    if p.kind == "synapse":
        return [f"not calibrated: {p.not_calibrated}"]
    if p.kind == "gap junction":
        return ["not calibrated: no parameter couples two passive cells measurably"]
    return []


def _coupling(c: JunctionCalibration) -> list[str]:
    one = f"{c.parameter} = 1 {unit_text(c.unit)}".rstrip()
    lines = [f"voltage of the other side: {c.partner}"]
    if c.coefficient < 0:
        return [*lines, f"two passive cells: {c.parameter} drives their voltages apart, the sign "
                f"of its current is inverted"]  # fmt: skip
    acts = f"{c.parameter} acts as a {c.acts_as}"
    return [*lines, f"two passive cells: {acts}; {one} is {conductance_text(c.conductance_of_one)}"]


def _with_units(names: dict[str, str]) -> str:
    return ", ".join(f"{n} ({unit_text(u)})" if unit_text(u) else n for n, u in names.items())


def conductance_text(value: float) -> str:
    """Return a conductance (uS) in nS and in µS."""
    return f"{number(value * 1e3)} nS ({number(value)} µS)"


def _calibration(p: PointProcessRecord, c: Calibration) -> list[str]:
    if not c.answers:
        zero = [q.name for q in p.parameters if q.default == 0 and q.role in ("amplitude", "")]
        hint = f"; 0 by default: {', '.join(zero)}" if zero else ""
        return [f"calibration: {'; '.join(c.notes)}{hint}"]
    given = "".join(f", {n} 1" for n in p.to_be_given)
    lines = []
    if c.peak_conductance is not None:
        ohmic = "" if c.is_ohmic is not False else ", which follows the voltage"
        lines.append(
            f"one event of weight 1{given}: peak {conductance_text(c.peak_conductance)}{ohmic}"
        )
    if c.reversal is not None:
        lines.append(f"reversal potential: {number(c.reversal)} mV")
    if c.rise is not None and c.rise == c.rise:
        decay = "" if c.decay is None else f", decay to 1/e in {number(c.decay, 3)} ms"
        lines.append(f"kinetics: peak after {number(c.rise, 3)} ms{decay}")
    if c.weight_exponent is not None and abs(c.weight_exponent - 1) > 0.01:
        lines.append(f"weight: not proportional, weight 2 gives {2**c.weight_exponent:.3g} times 1")
    told = _PLASTICITY[c.state]
    if c.paired_pulse is not None:
        told += f"; second / first response {number(c.paired_pulse, 3)}, 50 ms apart"
    lines.append(f"plasticity: {told}")
    lines.append(f"variable step: {c.variable_step}")
    return [*lines, *(f"note: {n}" for n in c.notes)]
