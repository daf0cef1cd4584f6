"""Exports of gap junctions: plain scripts that give the coupling of the result."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from commands import run_command
from helpers import MOD, PATCH

import stpspec
from stpspec.dataset import signals_of
from stpspec.errors import ResultError
from stpspec.interop import hoc_script, python_script
from stpspec.interop.export import export
from stpspec.interop.export_values import prepare
from stpspec.interop.verification import compare, run_script
from stpspec.specs.experiment import Experiment

FORMS = {"python": python_script, "hoc": hoc_script}
FAST_SPIKING = {"file": "fast_spiking.hoc", "template": "FastSpikingInterneuron"}
PYRAMIDAL = {"file": "pyramidal.py", "template": "PyramidalCell"}
STEP = {"kind": "gap_step", "duration": 60}  # ms: the traces are compared, not the steady state


@pytest.fixture
def main(tmp_path, monkeypatch, capsys):
    return lambda *words: run_command(tmp_path, monkeypatch, capsys, *words)


def data(mechanism="GapJunction", *, model=None, recording=None, **more):
    first = {**PATCH, "arguments": {"resistance": 200}}
    return {
        "name": "pair",
        "model": {"kind": "gap_junction", "cell": first, "mechanism": mechanism,
                  "mod": [str(MOD / "gaps")], "fixed": {"g": "2 nS"}} | (model or {}),
        "recording": {"kind": "current_clamp"} | (recording or {}),
        "protocols": {"forth": STEP, "back": {**STEP, "cell": 2}},
        "numerics": {"settle": 120},
        **more,
    }  # fmt: skip


def written(experiment_data, form, folder):
    """Return the preparation of an experiment, and the script that was written of it."""
    p = prepare(Experiment.from_data(experiment_data))
    FORMS[form].write(p, folder)
    return p, folder / FORMS[form].script_name(p)


def traces_of(p, script):
    return run_script(
        p, script.parent, FORMS[{".py": "python", ".hoc": "hoc"}[script.suffix]].command(p)
    )


def assert_same_traces(p, traces):
    for protocol, node in p.reference.children.items():
        dataset = node.to_dataset(inherit=False)
        names = signals_of(dataset)
        assert {"somatic_voltage_1", "somatic_voltage_2", "junctional_current"} <= set(names)
        for name in names:
            expected = dataset[name].values[0, 0]
            assert np.ptp(expected) > 0
            np.testing.assert_allclose(traces[protocol][name], expected, rtol=1e-9, atol=1e-12)


UNLIKE = {
    "GapJunction": {"cell_2": FAST_SPIKING},
    "RangeGap": {"cell_2": PYRAMIDAL, "section_2": "basal[1]", "position_2": 0.7},
    "RangeNonspecific": {"cell_2": PATCH, "fixed": {"g": 2.0}},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "mechanism",
    [
        "GapJunction",
        *(pytest.param(n, marks=pytest.mark.long) for n in UNLIKE if n != "GapJunction"),
    ],
)
def test_a_script_gives_both_voltages_and_the_current_of_two_unlike_cells(
    mechanism, form, tmp_path
):
    """With a POINTER, with a transferred RANGE variable, and with a current across the membrane."""
    p, script = written(data(mechanism, model=UNLIKE[mechanism]), form, tmp_path)
    assert p.is_transferred == (mechanism != "GapJunction")
    assert_same_traces(p, traces_of(p, script))


@pytest.mark.parametrize("form", FORMS)
def test_what_is_free_and_fixed_of_either_cell_stands_in_the_script(form, tmp_path):
    model = {"cell_2": {**PATCH, "arguments": {"resistance": 90}},
             "fixed": {"cell.all.cm": 1.5, "cell_2.soma.e_pas": -64}}  # fmt: skip
    free = {
        "g": {"min": "0.1 nS", "max": "10 nS", "start": "3 nS"},
        "cell_2.arguments.resistance": {"min": 50, "max": 400, "start": 110},
        "recording.holding_current": {"min": "-50 pA", "max": "50 pA", "start": "-20 pA"},
    }
    changed = {**STEP, "cell": 2, "amplitude": "-25 pA"}
    experiment = data(model=model, parameters=free, recording={"variables": ["vgap"]},
                      protocols={"forth": STEP, "back": changed})  # fmt: skip
    p, script = written({**experiment, "model": {**experiment["model"], "mechanism": "RangeGap"}},
                        form, tmp_path)  # fmt: skip
    assert p.values == {"g": pytest.approx(0.003)}
    assert [c.arguments["resistance"] for c in p.cells] == [200, 110]
    assert [c.section_values for c in p.cells] == [
        (("soma", "cm", 1.5),),
        (("soma", "e_pas", -64.0),),
    ]
    assert_same_traces(p, traces_of(p, script))


def test_what_is_set_of_the_first_cell_is_set_of_a_second_that_is_like_it():
    free = {"cell.arguments.resistance": {"min": 50, "max": 400, "start": 110}}
    model = {"fixed": {"g": "1 nS", "cell.soma.cm": 1.5}, "position_2": 0.25}
    p = prepare(Experiment.from_data(data(model=model, parameters=free)))
    first, second = p.cells
    assert (first.position, second.position) == (0.5, 0.25)
    assert first.arguments == second.arguments == {"resistance": 110}
    assert first.section_values == second.section_values == (("soma", "cm", 1.5),)


@pytest.mark.parametrize("form", FORMS)
def test_cells_of_two_files_of_one_name_stay_two_cells(form, tmp_path):
    shipped = (Path(stpspec.__file__).parents[1] / "templates" / "patch.py").read_text()
    cells = []
    for folder, tau in (("slow", 20.0), ("fast", 5.0)):
        file = tmp_path / folder / "cell.py"
        file.parent.mkdir()
        file.write_text(shipped.replace("tau: float = 10.0", f"tau: float = {tau}"))
        cells.append({"file": str(file), "template": "Patch"})
    p, script = written(data(model={"cell": cells[0], "cell_2": cells[1]}), form, tmp_path / "out")
    assert len({c.file for c in p.cells}) == 2
    assert_same_traces(p, traces_of(p, script))


@pytest.mark.parametrize("form", FORMS)
def test_each_cell_reads_the_file_that_its_argument_names(form, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cell.hoc").write_text(
        "begintemplate Sized\npublic soma\nobjref file\ncreate soma\n"
        "proc init() {\n file = new File()\n file.ropen($s1)\n create soma\n"
        " soma { insert pas L = file.scanvar() diam = L }\n}\nendtemplate Sized\n"
    )
    cells = []
    for name, size in (("small", 20), ("large", 45)):
        (tmp_path / f"{name}.txt").write_text(f"{size}\n")
        cells.append({"file": "cell.hoc", "template": "Sized", "arguments": [f"{name}.txt"]})
    p, script = written(data(model={"cell": cells[0], "cell_2": cells[1]}), form, tmp_path / "out")
    assert_same_traces(p, traces_of(p, script))


def test_a_script_imports_neuron_and_the_standard_library_alone(tmp_path):
    _, script = written(data("RangeGap"), "python", tmp_path)
    imports = [n for n in ast.walk(ast.parse(script.read_text()))
               if isinstance(n, ast.Import | ast.ImportFrom)]  # fmt: skip
    names = {
        n.module if isinstance(n, ast.ImportFrom) else a.name for n in imports for a in n.names
    }
    assert {n.partition(".")[0] for n in names} - sys.stdlib_module_names == {"neuron"}


def test_a_script_of_another_conductance_does_not_agree(tmp_path):
    experiment = data(protocols={"forth": {**STEP, "duration": 200}})
    p, script = written(experiment, "python", tmp_path)
    assert compare(p, traces_of(p, script), "the script").agrees
    script.write_text(script.read_text().replace("'g': 0.002", "'g': 0.00200001"))
    assert not compare(p, traces_of(p, script), "the script").agrees


@pytest.mark.parametrize("form", FORMS)
def test_a_fitted_gap_junction_is_exported_at_its_conductance_by_the_command(form, main, tmp_path):
    experiment = {
        "defaults": [
            {"/protocol@protocols.step": "gap_step"}, {"override /model": "gap_patches"},
            {"override /recording": "current_clamp"}, {"override /fitter": "bounded"}, "_self_",
        ],
        "name": "pair",
        "description": 'A pair, "coupled"\nby C:\\gap\n',  # as no text of a script may hold it
        "parameters": {"g": {"min": "0.01 nS", "max": "10 nS", "scale": "log"}},
        "objective": {"terms": {"coupling": {
            "metric": "coupling_coefficient", "protocol": "step", "target": 0.05, "sd": 0.002,
        }}},
    }  # fmt: skip
    (tmp_path / "pair.yaml").write_text(yaml.safe_dump(experiment))
    assert main("fit", "pair.yaml", "--out", "fitted", "--quiet").returncode == 0
    done = main("export", "fitted", "--format", form, "--out", "script")
    assert done.returncode == 0, done.stderr
    metrics = {line.split()[1]: line.split()[2:] for line in done.stdout.splitlines()
               if line.startswith("step ")}  # fmt: skip
    assert set(metrics) >= {"coupling", "input_resistance", "transfer_resistance"}
    assert all(result == exported for result, exported in metrics.values())
    summary = yaml.safe_load((tmp_path / "fitted" / "summary.json").read_text())
    g = summary["parameters"]["g"]["value"]
    (script,) = (tmp_path / "script").glob("gap_junction.*")
    assert repr(g) in script.read_text()


@pytest.mark.parametrize("form", ["bmtk", "sonata", "netpyne"])
def test_formats_of_events_refuse_a_gap_junction_and_name_those_that_take_it(form, tmp_path):
    (tmp_path / "pair.yaml").write_text(yaml.safe_dump(data()))
    with pytest.raises(ResultError) as refused:
        export(tmp_path / "pair.yaml", tmp_path / "out", form)
    message = str(refused.value)
    assert message.startswith(f"a gap junction is not exported as {form}: ")
    assert "NetCon" in message
    assert message.endswith("take --format python or --format hoc")
    assert not (tmp_path / "out").exists()
