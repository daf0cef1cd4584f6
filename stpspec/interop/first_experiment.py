"""A first experiment on a mechanism: roles become free parameters, its own answer the targets."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from stpspec import api
from stpspec.engine.survey.record import ParameterRecord, PointProcessRecord, Role
from stpspec.errors import SimulationError
from stpspec.interop.cell_files import CellFile
from stpspec.interop.yaml_text import block, flow
from stpspec.specs.experiment import Experiment

_NEAR_REST = -55.0  # mV; what reverses below it is measured at −50 mV
_PEAK = 1e-3  # uS, of the first response
_SPEC_ROLES: tuple[Role, ...] = ("utilization", "depression", "facilitation", "decay")
# Metric → its protocol, the sd that a first target gets, and whether that is a share of it.
_PLASTIC = {
    "paired_pulse_ratio": ("train", 0.05, False),
    "induction": ("train", 0.05, False),
    "recovery": ("train", 0.05, False),
}
_OF_TRIALS = {"failure_rate": ("train", 0.05, False), "amplitude_cv": ("train", 0.1, False)}
TRIALS = 100
_KINETIC = {"rise_time": ("single", 0.1, True), "decay_time": ("single", 0.1, True)}


@dataclass(frozen=True)
class Draft:
    """An experiment that is to be written.

    Attributes
    ----------
    name : str
    title : str
        The mechanism in a few words.
    data : dict
        Of the whole experiment, its files with absolute paths.
    remarks : dict of str to str
        Dotted path of a field → a remark beside it.
    is_synapse : bool
    """

    name: str
    title: str
    data: dict[str, Any]
    remarks: dict[str, str]
    is_synapse: bool


def draft_of(record: PointProcessRecord, cell: CellFile, inserted: Sequence[str]) -> Draft:
    """Return an experiment without targets for one mechanism.

    Parameters
    ----------
    record : PointProcessRecord
    cell : CellFile
    inserted : sequence of str
        Files of the mechanisms that the cell inserts.
    """
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", record.name).strip("_") or "synapse"
    model: dict[str, Any] = {
        "kind": "synapse" if record.kind == "synapse" else "gap_junction",
        "cell": {"file": str(cell.file), "template": cell.template},
        "mechanism": record.name,
        "mod": [record.file, *inserted],
        "section": cell.section,
        "position": 0.5,
    }
    if cell.file.suffix == ".hoc":
        model["cell"]["arguments"] = []
    data: dict[str, Any] = {"name": name, "model": model}
    if record.random:
        data["trials"] = TRIALS
    if record.kind == "synapse":
        remarks = _add_synapse(data, record)
        title = _title(record)
    else:
        remarks = _add_gap(data, record)
        title = f"gap junction {record.name}"
    data["description"] = title
    return Draft(name, title, data, remarks, record.kind == "synapse")


def _title(record: PointProcessRecord) -> str:
    c = record.calibration
    assert c is not None
    peak = "" if c.peak_conductance is None else (
        f", {c.peak_conductance * 1e3:.3g} nS at weight 1{' on average' if record.random else ''}"
    )  # fmt: skip
    kind = "" if c.reversal is None else (
        "inhibitory " if c.reversal < _NEAR_REST else "excitatory "
    )  # fmt: skip
    stochastic = "stochastic " if record.random else ""
    return f"{stochastic}{kind}synapse {record.name}{peak}"


def _add_synapse(data: dict[str, Any], record: PointProcessRecord) -> dict[str, str]:
    c = record.calibration
    assert c is not None
    model, remarks = data["model"], {}
    weight = 1.0
    if c.peak_conductance and c.weight_exponent and abs(c.weight_exponent - 1) < 0.01:
        weight = float(f"{_PEAK / c.peak_conductance:.3g}")
        remarks["net_con"] = "1 nS at the first response" + (", on average" * bool(record.random))
    if record.to_be_given:  # in the order of NET_RECEIVE
        names = list(record.arguments)[1:]
        given = [1.0 if n in record.to_be_given else 0.0 for n in names]
        model["net_con"] = {"weight": [weight, *given], "delay": "1 ms"}
    else:
        model["net_con"] = {"weight": weight, "delay": "1 ms"}
    roles = {r: [p.name for p in record.with_role(r)] for r in _SPEC_ROLES}
    model["roles"] = roles
    if reversal := record.with_role("reversal"):
        model["reversal"] = reversal[0].name
    if record.conductances:
        names = [n for n in record.conductances if n not in record.states] or list(
            record.conductances
        )
        model["conductance"] = names[0]
    hold = -50.0 if c.reversal is not None and c.reversal < _NEAR_REST else -70.0
    data["recording"] = {"kind": "voltage_clamp", "holding_potential": f"{hold:g} mV"}
    data["protocols"] = {
        "train": {"kind": "train", "frequency": "20 Hz", "recovery_delay": "250 ms"},
        "single": {"kind": "single_event"},
    }
    data["parameters"] = _bounds(record, remarks)
    data["fitter"] = {"kind": "least_squares", "start": "sobol", "n_starts": 4}
    if record.random:  # each evaluation takes a hundred simulations: one search, well begun
        data["fitter"] = {"kind": "least_squares"}
    return remarks


def _bounds(record: PointProcessRecord, remarks: dict[str, str]) -> dict[str, Any]:
    """Return the free parameters: one for each role that is on at the default values."""
    chosen = {r: p for r in (*_SPEC_ROLES, "rise") if (p := _main(record, r)) is not None}
    is_plastic = any(r in chosen for r in ("depression", "facilitation"))
    found: dict[str, Any] = {}
    for role in ("utilization", "depression", "facilitation", "rise", "decay"):
        p = chosen.get(role)
        if p is None or (role == "utilization" and not is_plastic):
            continue
        low, high = _range(role, p, chosen)
        if p.limits is not None:
            low, high = max(low, p.limits[0]), min(high, p.limits[1])
        low, high = _round(low, up=False), _round(high, up=True)
        unit = f" {p.unit}" if p.unit in ("ms", "s") else ""
        found[p.name] = {"min": f"{low:g}{unit}" if unit else low,
                         "max": f"{high:g}{unit}" if unit else high}  # fmt: skip
        if role in ("depression", "facilitation"):
            found[p.name]["scale"] = "log"
        remarks[f"parameters.{p.name}"] = f"{role}, {p.default:g}{unit} by default"
    return found


def _round(value: float, *, up: bool) -> float:
    """Return a bound with two digits, rounded away from what lies between the bounds."""
    if value in (0.0, 0.95):
        return value
    power = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    digits = value / power
    return float(f"{(math.ceil if up else math.floor)(round(digits, 9)) * power:.2g}")


def _main(record: PointProcessRecord, role: str) -> ParameterRecord | None:
    """Return the parameter of a role that counts most: on, and with an effect that was seen."""
    those = [p for p in record.parameters if p.role == role and p.default > 0]
    seen = [p for p in those if any("→" in reason for reason in p.why)]
    return next(iter(seen or those), None)


def _range(
    role: str, p: ParameterRecord, chosen: dict[Any, ParameterRecord]
) -> tuple[float, float]:
    value = p.default
    second = 1e-3 if p.unit == "s" else 1.0
    if role == "utilization":
        return min(0.02, value / 2), 0.95
    if role in ("depression", "facilitation"):
        return min(10 * second, value / 4), max(2000 * second, value * 2)
    rise, decay = chosen.get("rise"), chosen.get("decay")
    if rise is not None and decay is not None and rise.default < decay.default:
        middle = math.sqrt(rise.default * decay.default)  # so that the rise stays below the decay
        return (value / 4, middle * 0.85) if role == "rise" else (middle, value * 4)
    return value / 4, value * 4


def _add_gap(data: dict[str, Any], record: PointProcessRecord) -> dict[str, str]:
    model = data["model"]
    partner = record.pointers[:1] or ("vgap",)
    model["partner_voltage"] = partner[0]
    data["recording"] = {"kind": "current_clamp"}
    data["protocols"] = {"step": {"kind": "gap_step"}}
    strengths = record.with_role("amplitude") or list(record.parameters)
    if strengths:
        p = strengths[0]
        bounds = {"nS": (1e-2, 10.0)}.get(p.unit, (1e-5, 1e-2))
        data["parameters"] = {p.name: {"min": bounds[0], "max": bounds[1], "scale": "log"}}
    data["fitter"] = {"kind": "bounded"}
    return {}


def with_targets(draft: Draft) -> Draft:
    """Return a draft with what the mechanism gives at its default values as targets.

    Raises
    ------
    SimulationError
        If it cannot be simulated, or gives no metric that a target could be of.
    SpecError
        If the experiment is not valid.
    """
    if not draft.is_synapse:
        return _with_coupling(draft)
    free = draft.data["parameters"]
    plain = {**draft.data, "parameters": {}}
    tree, measured = api.run(Experiment.from_data(plain))
    if failed := str(tree.dataset["failure"].values[0]):
        raise SimulationError(failed)
    by_name = {(r.metric, r.protocol): m for r, m in measured.items()}
    parts = draft.data["model"]["roles"]
    is_plastic = any(name in free for role in _SPEC_ROLES[:3] for name in parts[role])
    terms: dict[str, Any] = {}
    wanted = (_PLASTIC if is_plastic else {}) | _KINETIC
    if "trials" in draft.data:
        wanted |= _OF_TRIALS
    for metric, (protocol, sd, is_share) in wanted.items():
        m = by_name.get((metric, protocol))
        value = math.nan if m is None else float(m.value)
        if not math.isfinite(value) or (is_share and value <= 0):
            continue
        target = float(f"{value:.5g}")
        miss = float(f"{sd * abs(target) if is_share else sd:.2g}")
        terms[metric] = {"metric": metric, "protocol": protocol, "target": target, "sd": miss}
    if not terms:
        raise SimulationError("its default values give no metric that could be a target")
    kept = dict(list(free.items())[: len(terms)])
    data = {**draft.data, "parameters": kept, "objective": {"terms": terms}}
    if not kept:
        del data["objective"]
    return replace(draft, data=data)


def _with_coupling(draft: Draft) -> Draft:
    """Return a gap junction with the coupling at the middle of its bounds as the target."""
    _, measured = api.run(Experiment.from_data(draft.data))
    found = next((m for r, m in measured.items() if r.metric == "coupling_coefficient"), None)
    if found is None or found.reason:
        raise SimulationError("it gives no coupling coefficient" if found is None else found.reason)
    value = float(f"{float(found.value):.3g}")
    term = {"metric": "coupling_coefficient", "protocol": "step", "target": value,
            "sd": float(f"{0.1 * value:.2g}")}  # fmt: skip
    return replace(draft, data={**draft.data, "objective": {"terms": {"coupling": term}}})


def yaml_of(draft: Draft) -> str:
    """Return the text of an experiment, its model left to conf/model."""
    data = draft.data
    protocols = [{f"/protocol@protocols.{n}": p["kind"]} for n, p in data["protocols"].items()]
    clamp = data["recording"]["kind"]
    groups = [{"override /model": draft.name}, {"override /recording": clamp},
              {"override /fitter": data["fitter"]["kind"]}]  # fmt: skip
    lines = ["# @package _global_", f"# {draft.title}. The model is conf/model/{draft.name}.yaml.",
             "defaults:", *(f"  - {flow(d)[1:-1]}" for d in (*protocols, *groups)), "  - _self_",
             ""]  # fmt: skip
    body: dict[str, Any] = {"name": draft.name, "description": draft.title}
    recording = {k: v for k, v in data["recording"].items() if k != "kind"}
    if recording:
        body["recording"] = recording
    own = {n: {k: v for k, v in p.items() if k != "kind"} for n, p in data["protocols"].items()}
    if own := {n: p for n, p in own.items() if p}:
        body["protocols"] = own
    fitter = {k: v for k, v in data["fitter"].items() if k != "kind"}
    if data.get("parameters"):
        body["parameters"] = data["parameters"]
    if fitter:
        body["fitter"] = fitter
    if "trials" in data:
        body["trials"] = data["trials"]
    lines.append(block(body, draft.remarks))
    if "objective" in data:
        at = "with its default values" if draft.is_synapse else "in the middle of the bounds"
        lines += ["", f"# What the mechanism gives {at}: write measured values here."]
        lines.append(block({"objective": data["objective"]}))
    return "\n".join(lines) + "\n"


def readme_of(draft: Draft) -> str:
    """Return the page of an experiment."""
    free = ", ".join(f"`{n}`" for n in draft.data.get("parameters", {})) or "nothing yet"
    return (
        f"# {draft.title}\n\nQuestion: which values of {free} give the measured response?\n\n"
        f"Source: the targets are those of the default values; write where yours come from.\n\n"
        f"```bash\nstpspec fit {draft.name}\n```\n"
    )
