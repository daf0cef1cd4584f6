"""Export to NetPyNE: netParams and simConfig as JSON, and a script that runs them."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from stpspec.errors import ResultError
from stpspec.interop import python_script
from stpspec.interop.preparation import SynapsePreparation, write_texts
from stpspec.interop.verification import Comparison, compare, run_script

SCRIPT = "run_netpyne.py"

_CODE = '''"""Run the exported synapse in NetPyNE.

Compile the mechanisms first, in this folder: nrnivmodl mod. Then: python run_netpyne.py.
"""

import json
import os
import sys
from pathlib import Path

from netpyne import sim, specs
from neuron import h

HERE = Path(__file__).resolve().parent
DATA = json.loads((HERE / "netparams.json").read_text())


def simulate(protocol, arrivals, stop):
    """Return time (ms) and what was recorded: nA, uS, mV."""
    net, cell = specs.NetParams(), DATA["cell"]
    sys.path.insert(0, str(HERE / "templates"))
    before = Path.cwd()
    os.chdir(HERE / "templates" / cell["folder"])  # from where a template reads its files
    net.importCellParams(
        label="post", fileName=str(HERE / "templates" / cell["file"]), cellName=cell["template"],
        cellArgs=cell["arguments"], importSynMechs=False,
    )
    os.chdir(before)
    net.cellParams["post"]["conds"] = {}
    for name, value in DATA["popParams"].items():
        net.popParams[name] = dict(value)
    net.synMechParams["synapse"] = dict(DATA["synMechParams"]["synapse"])
    net.connParams["pre->post"] = dict(DATA["connParams"]["pre->post"])
    net.stimSourceParams[protocol] = dict(DATA["stimSourceParams"][protocol])
    target = DATA["stimTargetParams"][f"{protocol}->post"]
    net.stimTargetParams[f"{protocol}->post"] = dict(target)
    config = specs.SimConfig()
    config.duration, config.dt, config.verbose = stop, DATA["simConfig"]["dt"], False
    config.hParams = dict(DATA["simConfig"]["hParams"])
    config.cvode_active, config.recordStep = False, config.dt
    sim.initialize(net, config)
    for step in ("createPops", "createCells", "connectCells", "addStims"):
        getattr(sim.net, step)()
    for name, value in DATA["globals"].items():
        setattr(h, name, value)
    post = next(c for c in sim.net.cells if c.tags["pop"] == "post")
    for section, name, value in DATA["section_values"]:
        setattr(post.secs[section]["hObj"], name, value)
    synapse = post.secs[DATA["section"]]["synMechs"][0]["hObj"]
    netcon = post.conns[0]["hObj"]

    def deliver():
        for arrival in arrivals:  # at the synapse: the delay is in it
            netcon.event(arrival)

    handler = h.FInitializeHandler(1, deliver)
    electrode = post.stims[0]["hObj"]
    place = post.secs[target["sec"]]["hObj"](target["loc"])
    site = post.secs[DATA["section"]]["hObj"](DATA["connParams"]["pre->post"]["loc"])
    recorded = {"time": h.Vector().record(h._ref_t)}
    for name in DATA["currents"]:
        recorded[f"current {name}"] = h.Vector().record(getattr(synapse, f"_ref_{name}"))
    for name in DATA["variables"][protocol]:
        recorded[f"variable {name}"] = h.Vector().record(getattr(synapse, f"_ref_{name}"))
    recorded["clamp_current"] = h.Vector().record(electrode._ref_i)
    recorded["somatic_voltage"] = h.Vector().record(place._ref_v)
    recorded["synapse_voltage"] = h.Vector().record(site._ref_v)
    sim.runSim()
    del handler
    found = {name: list(vector) for name, vector in recorded.items()}
    sim.clearAll()
    return found


for protocol, times in DATA["arrivals"].items():
    lines = []
    for signal, values in simulate(protocol, times, DATA["stops"][protocol]).items():
        lines += [signal, str(len(values)), *(repr(v) for v in values)]
    (Path.cwd() / f"traces_{protocol}.txt").write_text("\\n".join(lines) + "\\n")
'''


def data_of(p: SynapsePreparation) -> dict[str, Any]:
    """Return the dictionaries of NetPyNE, and what the script needs beside them."""
    electrodes = {n: p.electrode(n) for n in p.arrivals}
    section = _section(p.cell.section)
    return {
        "cell": {
            "file": p.cell.file, "template": p.cell.template, "arguments": p.cell.arguments,
            "folder": p.cell.folder or ".",
        },
        "popParams": {
            # Silent: the script hands the events to the NetCon that NetPyNE makes of it.
            "pre": {"cellModel": "NetStim", "numCells": 1, "rate": 1, "number": 0, "start": 1e9},
            "post": {"cellType": "post", "numCells": 1},
        },
        "synMechParams": {"synapse": {"mod": p.mechanism, **p.values}},
        "connParams": {"pre->post": {
            "preConds": {"pop": "pre"}, "postConds": {"pop": "post"}, "weight": p.weight,
            "delay": p.delay, "synMech": "synapse", "sec": section, "loc": p.cell.position,
        }},
        "stimSourceParams": {n: _source(e) for n, e in electrodes.items()},  # by protocol
        "stimTargetParams": {f"{n}->post": {
            "source": n, "conds": {"pop": "post"}, "sec": _section(e["section"]),
            "loc": e["position"],
        } for n, e in electrodes.items()},
        "simConfig": {"dt": p.numerics["dt"], "hParams": {
            "celsius": p.numerics["temperature"], "v_init": p.numerics["v_init"],
        }},
        "globals": {f"{n}_{p.mechanism}": v for n, v in p.global_values.items()},
        "section": section,
        "section_values": [[_section(s), n, v] for s, n, v in p.cell.section_values],
        "currents": list(p.currents),
        "variables": {n: p.variables(n) for n in p.arrivals},
        "arrivals": p.arrivals,
        "stops": p.stops,
    }  # fmt: skip


def _source(electrode: dict[str, Any]) -> dict[str, Any]:
    """Return an electrode as a source of stimulation."""
    if "holding_potential" in electrode:
        return {"type": "SEClamp", "rs": electrode["series_resistance"], "dur1": 1e9, "dur2": 0,
                "dur3": 0, "amp1": electrode["holding_potential"], "amp2": 0,
                "amp3": 0}  # fmt: skip
    return {"type": "IClamp", "del": 0, "dur": 1e9, "amp": electrode["holding_current"]}


def _section(name: str) -> str:
    """Return a section's name as NetPyNE has it."""
    return name.replace("[", "_").replace("]", "")


def write(p: SynapsePreparation, folder: Path) -> list[str]:
    """Write this export into a folder; return remarks."""
    name = python_script.script_name(p)
    script = python_script.files_of(p)[name]
    texts = {SCRIPT: _CODE, "netparams.json": json.dumps(data_of(p), indent=2)}
    write_texts(folder, {**p.code, **texts})
    if importlib.util.find_spec("netpyne") is not None:
        return []
    write_texts(folder, {name: script})
    return ["NetPyNE is not installed: the values were simulated by the plain script beside them, "
            "and how NetPyNE reads netparams.json was not tried"]  # fmt: skip


def verify(p: SynapsePreparation, folder: Path) -> Comparison:
    """Run what was written in NetPyNE where it is installed, else the plain script; compare.

    Raises
    ------
    ResultError
        If the dictionaries hold other values than the result.
    """
    if importlib.util.find_spec("netpyne") is not None:
        traces = run_script(p, folder, [sys.executable, SCRIPT])
        return compare(p, traces, "NetPyNE, in a fresh process")
    data = json.loads((folder / "netparams.json").read_text(encoding="utf-8"))
    if data != json.loads(json.dumps(data_of(p))):
        raise ResultError("netparams.json does not hold the values of the result")
    traces = run_script(p, folder, python_script.command(p))
    return compare(p, traces, "Python and NEURON alone; NetPyNE is not installed")
