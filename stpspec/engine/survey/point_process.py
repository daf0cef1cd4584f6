"""Survey of one .mod file, in the process that loads it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stpspec.engine import nrn
from stpspec.engine.mechanisms import library, nmodl, partner_voltage
from stpspec.engine.mechanisms.coupling import measure_coupling
from stpspec.engine.mechanisms.description import Mechanism, describe
from stpspec.engine.mechanisms.mod_file import ModFile
from stpspec.engine.settings import settings_restored
from stpspec.engine.survey.calibration import better_holding, calibrate
from stpspec.engine.survey.patch import ClampedPatch
from stpspec.engine.survey.record import (
    Calibration,
    JunctionCalibration,
    Kind,
    ParameterRecord,
    PointProcessRecord,
)
from stpspec.engine.survey.roles import guess
from stpspec.engine.survey.usage import uses
from stpspec.errors import MechanismError, SimulationError
from stpspec.units import UnitError, convert


def survey_file(path: Path) -> PointProcessRecord:
    """Compile and load a .mod file that declares a point process, and return what it is.

    Raises
    ------
    MechanismError
        If it does not compile or load.
    """
    with nrn.exclusive(), settings_restored():
        return _survey(path)


def _survey(path: Path) -> PointProcessRecord:
    source = nmodl.read(path)
    library.load_file(path)
    mechanism = describe(source.name)
    record = _declared(path, source, mechanism)
    if record.kind == "gap junction":
        return replace(record, coupling=_coupling(path, mechanism))
    reason = _why_not_calibrated(source, record)
    patch = None
    if not reason:
        patch = ClampedPatch(source.name, _arguments(record), mechanism.global_parameters)
        try:
            calibration = calibrate(patch, source)
        except SimulationError as error:
            reason, patch = str(error), None
        else:
            record = replace(record, calibration=calibration)
            if not calibration.answers:
                patch = None
    parameters = guess(list(record.parameters), uses(path), patch)
    record = replace(record, parameters=tuple(parameters), not_calibrated=reason)
    return _with_chord(record, patch)


def _declared(path: Path, source: ModFile, mechanism: Mechanism) -> PointProcessRecord:
    """Return what the file and the loaded mechanism declare."""
    parameters = tuple(
        ParameterRecord(
            name,
            unit,
            mechanism.defaults[name],
            source.limits.get(name),
            "GLOBAL" if name in mechanism.global_parameters else "RANGE",
        )
        for name, unit in mechanism.parameters.items()
        if name in mechanism.defaults and name != "usetable"
    )
    currents = dict.fromkeys(source.nonspecific_currents, "nonspecific")
    currents |= dict.fromkeys(source.electrode_currents, "electrode")
    currents |= {n: ion for ion, written in source.ions.items() for n in written if n == f"i{ion}"}
    units = mechanism.variable_units
    conductances = {n: u for n, u in units.items() if n not in currents and _is_conductance(u)}
    states = {n: units.get(n, "") for n in sorted(mechanism.states)}
    given = tuple(
        a for a in list(source.event_arguments)[1:] if a not in source.stream_states
    )  # fmt: skip
    return PointProcessRecord(
        name=mechanism.name,
        file=str(path),
        kind=_kind(source),
        parameters=parameters,
        currents=currents,
        conductances=conductances,
        arguments=dict(source.event_arguments),
        to_be_given=given,
        states=states,
        pointers=source.pointers,
        random=_random(source),
    )


def _coupling(path: Path, mechanism: Mechanism) -> JunctionCalibration | None:
    """Return what a gap junction does to two passive cells; None where that cannot be measured."""
    partner = partner_voltage.chosen(mechanism, path, _USUAL_PARTNER, _USUAL_PARTNER)
    try:
        found = measure_coupling(mechanism.name, partner)
    except MechanismError:
        return None
    if found is None:
        return None
    return JunctionCalibration(
        found.parameter, found.unit, partner, found.value, found.coefficient,
        found.conductance_at(1.0), "resistance" if found.exponent < -0.5 else "conductance",
    )  # fmt: skip


def _is_conductance(unit: str) -> bool:
    try:
        convert(f"1 {unit}", "uS")
    except UnitError:
        return False
    return bool(unit)


def _kind(source: ModFile) -> Kind:
    if source.receives_events:
        return "synapse"
    partner = {*source.pointers, *source.range_variables}
    is_gap = any(n.lower() in _PARTNERS for n in partner)
    return "gap junction" if is_gap else "point process"


_USUAL_PARTNER = "vgap"
_PARTNERS = frozenset({"vgap", "vpeer", "vpre", "v_pre", "vpartner", "vother", "v2", "vgj"})


def _random(source: ModFile) -> str:
    if not source.draws_random:
        return ""
    if source.unseedable:
        return f"by {', '.join(source.unseedable)}, which nothing outside of it can seed"
    if source.seeders:
        return f"by the generator that {', '.join(source.seeders)} is given"
    return "by a generator of NEURON" if source.of_neuron or source.random_variables else (
        "by a generator of its own"
    )  # fmt: skip


def _why_not_calibrated(source: ModFile, record: PointProcessRecord) -> str:
    if record.kind != "synapse":
        return "it receives no events"
    if source.pointers_read:
        return f"its equations read {', '.join(source.pointers_read)}, which must point somewhere"
    if not source.draws_random:
        return ""
    mean = "" if source.unseedable else "; stpspec init measures its mean over trials"
    return f"it draws random numbers {record.random}{mean}"


def _arguments(record: PointProcessRecord) -> list[float]:
    """Return what a NetCon gives: weight 1, and 1 for what else the mechanism only reads."""
    given = {next(iter(record.arguments), ""), *record.to_be_given}
    return [1.0 if name in given else 0.0 for name in record.arguments] or [1.0]


def _with_chord(record: PointProcessRecord, patch: ClampedPatch | None) -> PointProcessRecord:
    """Return the record with the conductance from the reversal potential that a parameter gives.

    The line through two currents finds it only where the conductance does not follow the voltage.
    """
    found = record.calibration
    reversals = record.with_role("reversal")
    if found is None or not found.answers or found.reversal is None or patch is None:
        return record
    if any(abs(p.default - found.reversal) < 0.5 for p in reversals):
        exact = min((p.default for p in reversals), key=lambda e: abs(e - found.reversal))  # pyright: ignore
        return replace(record, calibration=replace(found, is_ohmic=True, reversal=exact))
    if len(reversals) != 1:
        return record
    holding = better_holding(patch)
    _, current = patch.current([(0, 0)], holding=holding)
    chord = float(max(abs(current)) / max(abs(holding - reversals[0].default), 1e-9))
    return replace(record, calibration=_chord(found, chord, reversals[0].default))


def _chord(found: Calibration, conductance: float, reversal: float) -> Calibration:
    return replace(found, is_ohmic=False, peak_conductance=conductance, reversal=reversal)
