"""Export to BMTK: configurations, tables of node and edge types, and ``dynamics_params``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stpspec import api
from stpspec.dataset import signals_of
from stpspec.errors import ResultError
from stpspec.interop import extension
from stpspec.interop.bmtk import read_bmtk
from stpspec.interop.export_values import in_fixed_steps
from stpspec.interop.preparation import SynapsePreparation, write_texts
from stpspec.interop.verification import Comparison, Traces, compare
from stpspec.specs.experiment import Experiment

CIRCUIT = "circuit_config.json"
_MANIFEST = {"$BASE_DIR": ".", "$COMPONENTS_DIR": "$BASE_DIR/components",
             "$NETWORK_DIR": "$BASE_DIR/network"}  # fmt: skip
_COMPONENTS = {"mod": "components/mechanisms/modfiles", "templates": "components/templates"}
_TYPE = 100  # id of the only type of nodes, and of edges
POPULATIONS = ("presynaptic", "postsynaptic")


def write(p: SynapsePreparation, folder: Path) -> list[str]:
    """Write this export into a folder; return remarks."""
    write_texts(folder, files_of(p))
    return remarks(p)


def remarks(p: SynapsePreparation) -> list[str]:
    """Return what other readers of these files have to know."""
    found = []
    if p.global_values:
        names = ", ".join(p.global_values)
        found.append(
            f"{names}: GLOBAL, so set as h.NAME_{p.mechanism}; a loader that sets them on the "
            f"synapse fails (key global_parameters)"
        )
    if not p.cell.is_hoc:
        found.append("the cell is a Python class: BMTK needs a loader for it (model_template)")
    return found


def files_of(p: SynapsePreparation, *, with_edges: bool = False) -> dict[str, str]:
    """Return name → text of the files of this export.

    Parameters
    ----------
    p : SynapsePreparation
    with_edges : bool
        Whether nodes_file and edges_file are named, too.
    """
    network: dict[str, Any] = {
        "nodes": [{"node_types_file": "$NETWORK_DIR/node_types.csv"}],
        "edges": [{"edge_types_file": "$NETWORK_DIR/edge_types.csv"}],
    }
    if with_edges:
        network["nodes"][0]["nodes_file"] = "$NETWORK_DIR/nodes.h5"
        network["edges"][0]["edges_file"] = "$NETWORK_DIR/edges.h5"
    named = {field: _place_of(name) for field, name in p.named_files.items()}
    circuit = {
        "manifest": _MANIFEST,
        "components": {
            "synaptic_models_dir": "$COMPONENTS_DIR/synaptic_models",
            "mechanisms_dir": "$COMPONENTS_DIR/mechanisms",
            "templates_dir": "$COMPONENTS_DIR/templates",
        },
        "networks": network,
        extension.KEY: {p.name: extension.extension_of(p.data, p.units, named)},
    }
    stop = max(p.stops.values())
    simulation = {
        "manifest": {"$BASE_DIR": "."},
        "network": f"$BASE_DIR/{CIRCUIT}",
        "run": {"tstart": 0.0, "tstop": stop, "dt": p.numerics["dt"]},
        "conditions": {"celsius": p.numerics["temperature"], "v_init": p.numerics["v_init"]},
        "inputs": _inputs(p),
    }
    dynamics = {"level_of_detail": p.mechanism, **p.values}
    if p.global_values:
        dynamics["global_parameters"] = p.global_values
    return {_place_of(n): t for n, t in p.texts.items()} | {
        CIRCUIT: json.dumps(circuit, indent=2),
        "simulation_config.json": json.dumps(simulation, indent=2),
        f"components/synaptic_models/{p.name}.json": json.dumps(dynamics, indent=2),
        "network/node_types.csv": _node_types(p),
        "network/edge_types.csv": _edge_types(p),
    }


def _place_of(name: str) -> str:
    """Return where a file of a result lies in this export."""
    folder, _, inner = name.partition("/")
    return f"{_COMPONENTS.get(folder, folder)}/{inner}"


def _inputs(p: SynapsePreparation) -> dict[str, Any]:
    """Return the spikes of each protocol and the electrode, as BMTK's modules take them."""
    spikes = {
        name: {"input_type": "spikes", "module": "function", "node_set": POPULATIONS[0],
               "spike_times": [t - p.delay for t in arrivals]}
        for name, arrivals in p.arrivals.items()
    }  # fmt: skip
    clamps = {name: _clamp(r) for name, r in p.recordings.items()}
    first = next(iter(clamps.values()))
    if all(clamp == first for clamp in clamps.values()):
        return {**spikes, "electrode": first}
    return {**spikes, **{f"electrode_{name}": clamp for name, clamp in clamps.items()}}


def _clamp(recording: dict[str, Any]) -> dict[str, Any]:
    """Return the electrode of a recording as a module of BMTK takes it."""
    r = recording
    if r["kind"] == "voltage_clamp":
        return {"input_type": "voltage_clamp", "module": "SEClamp", "node_set": POPULATIONS[1],
                "durations": [1e9, 0, 0], "amplitudes": [r["holding_potential"], 0, 0],
                "rs": r["series_resistance"]}  # fmt: skip
    return {"input_type": "current_clamp", "module": "IClamp", "node_set": POPULATIONS[1],
            "amp": r["holding_current"], "delay": 0.0, "duration": 1e9}  # fmt: skip


def _node_types(p: SynapsePreparation) -> str:
    kind = "hoc" if p.cell.is_hoc else "python"
    head = "node_type_id pop_name model_type model_template"
    cell = f"{_TYPE} {POPULATIONS[1]} biophysical {kind}:{p.cell.template}"
    return f"{head}\n{cell}\n{_TYPE + 1} {POPULATIONS[0]} virtual NULL\n"


def _edge_types(p: SynapsePreparation) -> str:
    fields = {
        "edge_type_id": _TYPE,
        "target_query": f"pop_name=='{POPULATIONS[1]}'",
        "source_query": f"pop_name=='{POPULATIONS[0]}'",
        "model_template": p.mechanism,
        "dynamics_params": f"{p.name}.json",
        "syn_weight": repr(p.weight),
        "delay": repr(p.delay),
        "section": p.cell.section,
        "position": repr(p.cell.position),
    }
    return f"{' '.join(fields)}\n{' '.join(map(str, fields.values()))}\n"


def verify(p: SynapsePreparation, folder: Path) -> Comparison:
    """Read what was written as an import does, simulate it, and compare.

    Raises
    ------
    ResultError
        If it cannot be read again.
    """
    found = read_bmtk(folder / "simulation_config.json")
    if found.failures or p.name not in found.connections:
        told = "; ".join(found.failures.values()) or f"it holds no connection {p.name!r}"
        raise ResultError(f"what was exported cannot be read again: {told}")
    again = Experiment.from_data(found.connections[p.name])
    return compare(p, _simulated(again), "stpspec, from the files that were written")


def _simulated(experiment: Experiment) -> Traces:
    tree = api.simulate(in_fixed_steps(experiment))
    if failed := str(tree.dataset["failure"].values[0]):
        raise ResultError(f"what was exported does not run: {failed}")
    return {
        name: {n: d[n].values[0, 0] for n in signals_of(d)}
        for name, d in ((n, c.to_dataset(inherit=False)) for n, c in tree.children.items())
    }
