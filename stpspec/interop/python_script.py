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
    return found if not index and hasattr(found, "nseg") else found[int(index.rstrip("]") or 0)]


def build_cell():
    """Build the postsynaptic cell."""
    file, arguments = HERE / "templates" / CELL["file"], CELL["arguments"]
    if file.suffix == ".hoc":
        h.load_file(str(file))
        return getattr(h, CELL["template"])(*arguments)
    sys.path.insert(0, str(file.parent))
    template = getattr(importlib.import_module(file.stem), CELL["template"])
    return template(**arguments) if isinstance(arguments, dict) else template(*arguments)


def simulate(arrivals, stop):
    """Return time (ms) and what was recorded: nA, uS, mV."""
    cell = build_cell()
    synapse = getattr(h, MECHANISM)(section_of(cell, SECTION)(POSITION))
    for name, value in VALUES.items():
        setattr(synapse, name, value)
    for name, value in GLOBAL_VALUES.items():  # shared by all synapses of this mechanism
        setattr(h, f"{name}_{MECHANISM}", value)
    place = section_of(cell, ELECTRODE["section"])(ELECTRODE["position"])
    if "holding_potential" in ELECTRODE:
        electrode = h.SEClamp(place)
        electrode.rs, electrode.dur1 = ELECTRODE["series_resistance"], 1e9
        electrode.amp1 = ELECTRODE["holding_potential"]
    else:
        electrode = h.IClamp(place)
        electrode.delay, electrode.dur, electrode.amp = 0, 1e9, ELECTRODE["holding_current"]
    netcon = h.NetCon(None, synapse)
    netcon.weight[0] = WEIGHT
    recorded = {"time": h.Vector().record(h._ref_t)}
    for name in CURRENTS:
        recorded[f"current {name}"] = h.Vector().record(getattr(synapse, f"_ref_{name}"))
    for name in VARIABLES:
        recorded[f"variable {name}"] = h.Vector().record(getattr(synapse, f"_ref_{name}"))
    recorded["clamp_current"] = h.Vector().record(electrode._ref_i)
    recorded["somatic_voltage"] = h.Vector().record(place._ref_v)
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
        for signal, values in simulate(arrivals, STOPS[name]).items():
            lines += [signal, str(len(values)), *(repr(v) for v in values)]
        (Path.cwd() / f"traces_{name}.txt").write_text("\\n".join(lines) + "\\n")


if __name__ == "__main__":
    main()
'''


def electrode_of(p: Preparation) -> dict[str, Any]:
    """Return the electrode as an export writes it."""
    r = p.recording
    place = {"section": r["electrode_section"], "position": r["electrode_position"]}
    if r["kind"] == "voltage_clamp":
        return {**place, "holding_potential": r["holding_potential"],
                "series_resistance": r["series_resistance"]}  # fmt: skip
    return {**place, "holding_current": r["holding_current"]}


def variables_of(p: Preparation) -> list[str]:
    """Return the further variables of the mechanism that are recorded."""
    more = [p.experiment.model.conductance] if "conductance" in p.recording["signals"] else []
    return list(dict.fromkeys([*more, *p.recording["variables"]]))


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
        "ELECTRODE": electrode_of(p),
        "CURRENTS": list(p.currents),
        "VARIABLES": variables_of(p),
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
    return {**p.texts, SCRIPT: "\n".join([*head, *body]) + _CODE}


def command(_folder: Path) -> list[str]:
    """Return the command that runs this export in its folder."""
    return [sys.executable, SCRIPT]


def write(p: Preparation, folder: Path) -> list[str]:
    """Write this export into a folder; return remarks."""
    write_texts(folder, files_of(p))
    return []
