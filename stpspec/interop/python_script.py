"""Export to a plain Python script that needs NEURON and nothing else."""

from __future__ import annotations

import pprint
import sys
from pathlib import Path
from typing import Any

from stpspec.interop.preparation import Preparation, write_texts

SCRIPT = "synapse.py"

_CODE = '''

def section_of(cell, name):
    """Return a section of the cell by its name, such as dend[0]."""
    attribute, _, index = name.partition("[")
    found = getattr(cell, attribute)
    if not index and hasattr(found, "nseg"):
        return found
    return list(found)[int(index.rstrip("]") or 0)]


def build_cell():
    """Build the postsynaptic cell, and set what is set of its sections."""
    cell = cell_of_template()
    for section, name, value in SECTION_VALUES:
        setattr(section_of(cell, section), name, value)
    return cell


def cell_of_template():
    """Build the cell as its template does."""
    file, arguments = HERE / "templates" / CELL["file"], CELL["arguments"]
    if file.suffix == ".hoc":
        h.load_file(str(file))
        return getattr(h, CELL["template"])(*arguments)
    sys.path.insert(0, str(file.parent))
    template = getattr(importlib.import_module(file.stem), CELL["template"])
    return template(**arguments) if isinstance(arguments, dict) else template(*arguments)


def simulate(arrivals, stop, recording):
    """Return time (ms) and what was recorded: nA, uS, mV."""
    cell = build_cell()
    site = section_of(cell, SECTION)(POSITION)
    synapse = getattr(h, MECHANISM)(site)
    for name, value in VALUES.items():
        setattr(synapse, name, value)
    for name, value in GLOBAL_VALUES.items():  # shared by all synapses of this mechanism
        setattr(h, f"{name}_{MECHANISM}", value)
    place = section_of(cell, recording["section"])(recording["position"])
    if "holding_potential" in recording:
        electrode = h.SEClamp(place)
        electrode.rs, electrode.dur1 = recording["series_resistance"], 1e9
        electrode.amp1 = recording["holding_potential"]
    else:
        electrode = h.IClamp(place)
        electrode.delay, electrode.dur, electrode.amp = 0, 1e9, recording["holding_current"]
    netcon = h.NetCon(None, synapse)
    netcon.weight[0] = WEIGHT
    recorded = {"time": h.Vector().record(h._ref_t)}
    for name in CURRENTS:
        recorded[f"current {name}"] = h.Vector().record(getattr(synapse, f"_ref_{name}"))
    for name in recording["variables"]:
        recorded[f"variable {name}"] = h.Vector().record(getattr(synapse, f"_ref_{name}"))
    recorded["clamp_current"] = h.Vector().record(electrode._ref_i)
    recorded["somatic_voltage"] = h.Vector().record(place._ref_v)
    recorded["synapse_voltage"] = h.Vector().record(site._ref_v)
    h.celsius, h.dt, h.steps_per_ms = TEMPERATURE, DT, 1 / DT
    h.finitialize(V_INIT)
    for arrival in arrivals:  # at the synapse: the delay is in it
        netcon.event(arrival)
    context = h.ParallelContext()
    context.set_maxstep(1000)
    context.psolve(stop)
    return {name: list(vector) for name, vector in recorded.items()}


def main():
    """Run all protocols and write one file of traces for each."""
    for name, arrivals in ARRIVALS.items():
        lines = []
        for signal, values in simulate(arrivals, STOPS[name], RECORDINGS[name]).items():
            lines += [signal, str(len(values)), *(repr(v) for v in values)]
        (Path.cwd() / f"traces_{name}.txt").write_text("\\n".join(lines) + "\\n")


if __name__ == "__main__":
    main()
'''


def electrode_of(p: Preparation, protocol: str) -> dict[str, Any]:
    """Return the electrode of a protocol as an export writes it."""
    r = p.recordings[protocol]
    place = {"section": r["electrode_section"], "position": r["electrode_position"]}
    if r["kind"] == "voltage_clamp":
        return {**place, "holding_potential": r["holding_potential"],
                "series_resistance": r["series_resistance"]}  # fmt: skip
    return {**place, "holding_current": r["holding_current"]}


def variables_of(p: Preparation, protocol: str) -> list[str]:
    """Return the further variables of the mechanism that are recorded in a protocol."""
    r = p.recordings[protocol]
    more = [p.experiment.model.conductance] if "conductance" in r["signals"] else []
    return list(dict.fromkeys([*more, *r["variables"]]))


def files_of(p: Preparation) -> dict[str, str]:
    """Return name → text of the files of this export."""
    constants = {
        "MECHANISM": p.mechanism,
        "VALUES": p.values,
        "GLOBAL_VALUES": p.global_values,
        "WEIGHT": p.weight,
        "CELL": {"file": p.template_file, "template": p.template, "arguments": p.arguments},
        "SECTION": p.section,
        "POSITION": p.position,
        "SECTION_VALUES": list(p.section_values),
        "RECORDINGS": {
            n: {**electrode_of(p, n), "variables": variables_of(p, n)} for n in p.arrivals
        },
        "CURRENTS": list(p.currents),
        "TEMPERATURE": p.numerics["temperature"],
        "DT": p.numerics["dt"],
        "V_INIT": p.numerics["v_init"],
        "ARRIVALS": p.arrivals,
        "STOPS": p.stops,
    }
    head = [
        f'"""{p.experiment.description or p.name}.',
        "",
        "Compile the mechanisms first, in this folder: nrnivmodl mod. Then: python synapse.py.",
        "In a fixed step NEURON records a current one sample after the voltage that it belongs to.",
        '"""', "", "import importlib", "import sys", "from pathlib import Path", "",
        "from neuron import h", "", 'h.load_file("stdrun.hoc")',
        "HERE = Path(__file__).resolve().parent", "",
    ]  # fmt: skip
    body = [f"{n} = {pprint.pformat(v, width=96, sort_dicts=False)}" for n, v in constants.items()]
    return {**code_of(p), SCRIPT: "\n".join([*head, *body]) + _CODE}


def code_of(p: Preparation) -> dict[str, str]:
    """Return the files that a script needs: no targets, of which it knows nothing."""
    return {n: t for n, t in p.texts.items() if not n.startswith("data/")}


def command(_folder: Path) -> list[str]:
    """Return the command that runs this export in its folder."""
    return [sys.executable, SCRIPT]


def write(p: Preparation, folder: Path) -> list[str]:
    """Write this export into a folder; return remarks."""
    write_texts(folder, files_of(p))
    return []
