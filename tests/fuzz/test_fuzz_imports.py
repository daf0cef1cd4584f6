"""Settings of other programs, mutated: experiments of each connection, or errors of our own."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from grammars import documents, texts
from watch import fuzz

from stpspec.errors import SpecError
from stpspec.interop.bmtk import read_bmtk
from stpspec.interop.bmtool import read_bmtool
from stpspec.specs.experiment import Experiment

LENGTHS = [
    pytest.param(1, id="fast"),
    pytest.param(50, id="long", marks=pytest.mark.long),
]
MODS = Path(__file__).parent.parent / "laboratory" / "mod"
SETTINGS = {
    "general_settings": {
        "vclamp": True, "rise_interval": [0.1, 0.9], "tstart": 400.0, "tdur": 120.0,
        "threshold": -15.0, "delay": 1.1, "weight": 2.0, "dt": 0.05, "celsius": 32,
    },
    "conn_type_settings": {
        "Dep2Lab": {
            "spec_settings": {"post_cell": "LabCell", "vclamp_amp": -60.0, "sec_x": 0.3,
                              "sec_id": 0, "level_of_detail": "LabDepressing"},
            "spec_syn_param": {"initW": 1.5, "Use": 0.5, "Dep": 100.0, "Fac": 1e-05},
        },
        "Inh2Lab": {
            "spec_settings": {"post_cell": "LabCell", "level_of_detail": "LabInhibitory"},
            "spec_syn_param": {"U1": 0.2, "tauD": 30},
        },
    },
}  # fmt: skip
PYTHON = f"""import os
general_settings = {SETTINGS["general_settings"]!r}
conn_type_settings = {SETTINGS["conn_type_settings"]!r}
conn_type_settings["Dep2Lab"]["spec_syn_param"]["Dep"] = 120.0 * 2
"""
CIRCUIT = {
    "manifest": {"$HERE": ".", "$PARTS": "$HERE/parts"},
    "components": {"synaptic_models_dir": "$PARTS", "mechanisms_dir": str(MODS)},
    "networks": {
        "nodes": [{"node_types_file": "$PARTS/node_types.csv"}],
        "edges": [{"edge_types_file": "$PARTS/edge_types.csv"}],
    },
    "connections": {"A2B": {"mechanism": "Exp2Syn", "dynamics_params": {"tau2": 4}}},
    "conditions": {"celsius": 30, "v_init": -75},
    "run": {"dt": 0.05},
}
NODES = """node_type_id pop_name model_type model_template
1 Lab biophysical hoc:LabCell
2 Far biophysical ctdb:Biophys1.hoc
"""
EDGES = """edge_type_id target_query source_query syn_weight delay dynamics_params model_template
10 pop_name=='Lab' pop_name=='Far' 1.2 0.8 Far2Lab.json LabDepressing
12 pop_name=='Far' pop_name=='Far' 0.005 2.0 Exc.json exp2syn
"""
MODEL = '{"Use": 0.2, "Dep": 20, "Fac": 100, "level_of_detail": "LabDepressing"}'
DOCUMENTS: tuple = ()
CODES: tuple = ()
CIRCUITS: tuple = (
    CIRCUIT | {"connections": 6},
    CIRCUIT | {"connections": {"a": {"dynamics_params": "1" * 300}}},  # too long for a file's name
)
TABLES: tuple = ()


def understood(found):
    """Make the experiment of each connection; what is wrong with one is a problem of its own."""
    for data in found.connections.values():
        with contextlib.suppress(SpecError):
            Experiment.from_data(data)


def reader(file, read):
    """Return what writes data into a JSON file, and reads it."""

    def call(data: object) -> None:
        file.write_text(json.dumps(data), encoding="utf-8", errors="surrogatepass")
        understood(read(file))

    return call


@pytest.fixture
def circuit(tmp_path):
    """Return a folder with a circuit; the mechanisms are read once before anything is watched."""
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "node_types.csv").write_text(NODES)
    (parts / "edge_types.csv").write_text(EDGES)
    (parts / "Far2Lab.json").write_text(MODEL)
    (parts / "Exc.json").write_text('{"tau1": 0.5, "tau2": 3.0, "erev": -5.0}')
    (tmp_path / "circuit.json").write_text(json.dumps(CIRCUIT))
    found = read_bmtk(tmp_path / "circuit.json")
    assert (set(found.connections), found.failures) == ({"Far2Lab", "Exc", "A2B"}, {})
    return tmp_path


@pytest.mark.parametrize("times", LENGTHS)
def test_any_settings_in_json_give_experiments_or_problems(circuit, times):
    call = reader(circuit / "settings.json", lambda file: read_bmtool(file, [MODS]))
    fuzz(documents(SETTINGS), call, 60 * times, found=DOCUMENTS, folders=(circuit,))


@pytest.mark.parametrize("times", LENGTHS)
def test_any_settings_in_python_give_experiments_or_problems(circuit, times):
    file = circuit / "settings.py"

    def call(text: str) -> None:
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        understood(read_bmtool(file, [MODS]))

    fuzz(texts(PYTHON), call, 60 * times, found=CODES, folders=(circuit,))


@pytest.mark.parametrize("times", LENGTHS)
def test_any_circuit_gives_experiments_or_problems(circuit, times):
    call = reader(circuit / "circuit.json", read_bmtk)
    fuzz(documents(CIRCUIT), call, 60 * times, found=CIRCUITS, folders=(circuit,))


@pytest.mark.parametrize("times", LENGTHS)
@pytest.mark.parametrize(
    ("name", "text"),
    [("edge_types.csv", EDGES), ("node_types.csv", NODES), ("Far2Lab.json", MODEL)],
)
def test_any_table_of_a_circuit_gives_experiments_or_problems(circuit, name, text, times):
    def call(written: str) -> None:
        (circuit / "parts" / name).write_bytes(written.encode("utf-8", "surrogatepass"))
        understood(read_bmtk(circuit / "circuit.json"))

    fuzz(texts(text), call, 20 * times, found=TABLES, folders=(circuit,))
