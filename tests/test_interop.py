"""Projects of a laboratory's own files, imports from other programs, exports to them."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from commands import run_command

import stpspec
from stpspec.engine.binding.bind import bind
from stpspec.errors import ResultError, SpecError
from stpspec.interop.bmtk import read_bmtk
from stpspec.interop.bmtool import read_bmtool
from stpspec.interop.export import export
from stpspec.interop.export_values import prepare
from stpspec.interop.imported import experiments_of, write_imported
from stpspec.interop.python_data import Computed, read_python
from stpspec.interop.verification import compare

LAB = Path(__file__).parent / "laboratory"
MODS, CELL = LAB / "mod", LAB / "lab_cell.hoc"

SETTINGS = """
import os
os.mkdir("executed")  # would show that the file was run
DELAY = 1.1
general_settings = {"vclamp": True, "rise_interval": (0.1, 0.9), "tstart": 400., "tdur": 120.,
                    "threshold": -15., "delay": DELAY, "weight": 2., "dt": 0.05, "celsius": 32}
conn_type_settings = {
    "Dep2Lab": {
        "spec_settings": {"post_cell": "LabCell", "vclamp_amp": -60., "sec_x": 0.3, "sec_id": 1,
                          "level_of_detail": "LabDepressing"},
        "spec_syn_param": {"initW": 1.5, "Use": 0.5, "Dep": 100., "Fac": 1e-05}},
    "Inh2Lab": dict(
        spec_settings=dict(post_cell="LabCell", level_of_detail="LabInhibitory"),
        spec_syn_param={"U1": 0.2, "tauD": 30}),
}
conn_type_settings["Dep2Lab"]["spec_syn_param"]["Dep"] = 120.
"""


@pytest.fixture
def main(tmp_path, monkeypatch, capsys):
    return lambda *words: run_command(tmp_path, monkeypatch, capsys, *words)


@pytest.fixture
def settings(tmp_path):
    """Return what writes a settings file and reads it."""

    def read(text=SETTINGS, name="settings.py", **options):
        (tmp_path / name).write_text(text)
        return read_bmtool(tmp_path / name, [MODS], CELL, **options)

    return read


# -- init ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a project of foreign mechanisms, one of them broken, on a foreign cell."""
    from stpspec.interop.starter import start_project

    folder = tmp_path_factory.mktemp("init")
    shutil.copytree(MODS, folder / "mods")
    (folder / "mods" / "broken.mod").write_text("NEURON { POINT_PROCESS LabBroken }\nnonsense\n")
    return start_project(folder / "lab", [folder / "mods"], CELL)


@pytest.fixture(scope="module")
def stochastic_project(tmp_path_factory):
    """Return a project of mechanisms that draw random numbers, on the shipped patch."""
    from stpspec.interop.starter import start_project

    folder = tmp_path_factory.mktemp("init")
    mods = [LAB.parent / "mod" / "chance" / f"{name}.mod" for name in ("TwoIds", "LibraryRandom")]
    return start_project(folder / "lab", mods)


def test_a_project_has_an_experiment_for_each_mechanism_that_can_be_used(project):
    assert project.experiments == ("LabDepressing", "LabInhibitory")
    assert any("broken.mod" in name for name in project.left_out)
    names = {p.name for p in project.folder.iterdir()}
    assert {"README.md", "conf", "mod", "templates", "experiments", "connections.csv"} == names
    # Only what the experiments use, the channels of the cell among it.
    assert {p.stem for p in (project.folder / "mod").iterdir()} == {
        "LabDepressing", "LabInhibitory", "LabChannels",
    }  # fmt: skip


@pytest.mark.long
def test_a_stochastic_mechanism_has_trials_its_mean_conductance_and_targets_of_failures(
    stochastic_project, monkeypatch
):
    """It releases with the probability U, so that 1 nS on average is 1 / U of weight."""
    assert stochastic_project.experiments == ("TwoIds",)
    assert "nothing outside of it can seed" in stochastic_project.left_out["LibraryRandom"]
    monkeypatch.chdir(stochastic_project.folder)
    made = stpspec.load("TwoIds")
    assert made.trials == 100
    U, n = 0.3, 100
    share = 1e-3 / made.model.net_con.weight
    assert share == pytest.approx(U, abs=4.5 * (U * (1 - U) / n) ** 0.5)
    terms = made.objective.terms
    failed = terms["failure_rate"].target
    assert failed == pytest.approx(1 - U, abs=4.5 * (U * (1 - U) / n) ** 0.5)
    # Of one site sd / mean is √(q / (1 − q)) with failures q, by n − 1 in the denominator.
    cv = (failed / (1 - failed) * n / (n - 1)) ** 0.5
    assert terms["amplitude_cv"].target == pytest.approx(cv, rel=1e-3)
    assert "decay_time" in terms


def test_every_experiment_of_a_project_is_valid_wherever_it_is_called_from(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    for name in project.experiments:
        assert stpspec.check(stpspec.load(name)) == []
    monkeypatch.chdir(project.folder.parent)
    file = project.folder / "experiments" / "LabInhibitory" / "experiment.yaml"
    assert stpspec.check(stpspec.load(file)) == []


def test_a_project_takes_bounds_weight_and_holding_potential_from_what_was_measured(
    project, monkeypatch
):
    monkeypatch.chdir(project.folder)
    inhibitory = stpspec.load("LabInhibitory")
    assert inhibitory.recording.holding_potential == -50  # far from −75 mV
    assert inhibitory.model.net_con.weight == pytest.approx(1e-3 / 0.3, rel=0.01)  # 1 nS
    assert set(inhibitory.parameters) == {"U1", "tauF", "tau_r_GABA", "tau_d_GABA"}  # tauD is off
    assert inhibitory.model.roles.facilitation == ["tauF"]
    depressing = stpspec.load("LabDepressing").parameters
    for name, value in {"Use": 0.4, "Dep": 150, "Fac": 20, "tau1": 0.5, "tau2": 4}.items():
        p = depressing[name].in_unit("ms" if name != "Use" else "1")
        assert p.min < value < p.max


@pytest.mark.long
def test_the_first_fit_of_a_project_converges_to_its_defaults(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    result = stpspec.fit(stpspec.load("LabDepressing"))
    assert result.parameters == pytest.approx(
        {"Use": 0.4, "Dep": 150, "Fac": 20, "tau1": 0.5, "tau2": 4}, rel=0.05
    )


def test_init_says_how_to_go_on_and_replaces_nothing(main, tmp_path):
    mod = str(MODS / "LabInhibitory.mod")
    done = main("init", "one", "--mod", mod, "--quiet")
    assert done.returncode == 0
    assert "stpspec fit LabInhibitory" in done.stdout
    assert "patch.py" in (tmp_path / "one" / "conf" / "model" / "LabInhibitory.yaml").read_text()
    again = main("init", "one", "--mod", mod)
    assert again.returncode == 1
    assert "exists already; choose another name for the project" in again.stderr


def test_a_template_that_a_file_does_not_define_is_told_with_those_it_does(main):
    done = main("init", "two", "--mod", str(MODS), "--cell", str(CELL), "--template", "LabCel")
    assert done.returncode == 1
    assert "Did you mean 'LabCell'" in done.stderr


# -- Python as data --------------------------------------------------------------------------------


def test_python_is_read_as_data_and_never_executed(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = settings()
    assert not (tmp_path / "executed").exists()
    data = found.connections["Dep2Lab"]
    assert data["model"]["net_con"] == {"weight": 2.0, "delay": 1.1}  # by the name DELAY
    assert data["model"]["fixed"]["Dep"] == 120  # assigned afterwards


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("{'a': [1, (2, -3.5)]}", {"a": [1, [2, -3.5]]}),
        ("dict(a=1, **{'b': 2})", {"a": 1, "b": 2}),
        ("{**base, 'y': base['x']}", {"x": 7, "y": 7}),
        ("1000 * 0.13", 130.0),
        ("9 ** 9 ** 9", Computed("9 ** 9 ** 9", "data.py:2")),
        ("__import__('os').getcwd()", Computed("__import__('os').getcwd()", "data.py:2")),
        ("1 / 0", Computed("1 / 0", "data.py:2")),
    ],
)
def test_literals_names_and_sums_are_values_and_the_rest_is_told_with_its_line(
    tmp_path, code, value
):
    (tmp_path / "data.py").write_text(f"base = {{'x': 7}}\nvalue = {code}\n")
    assert read_python(tmp_path / "data.py").values["value"] == value


def test_a_value_that_a_condition_decides_is_not_known(tmp_path):
    (tmp_path / "data.py").write_text("a = 1\nif a:\n    a = 2\n")
    assert isinstance(read_python(tmp_path / "data.py").values["a"], Computed)


def test_computed_settings_are_refused_all_at_once_each_with_its_line(settings):
    text = SETTINGS.replace('"Use": 0.5', '"Use": np.sqrt(0.25)').replace(
        '"tauD": 30', '"tauD": values[0]'
    )
    with pytest.raises(SpecError) as error:
        settings(text)
    assert len(error.value.problems) == 2
    assert "np.sqrt(0.25) is computed when the file is run" in str(error.value)
    assert "settings.py:" in str(error.value)


# -- bmtool ----------------------------------------------------------------------------------------


def test_the_two_dictionaries_become_the_fields_of_an_experiment(settings):
    found = settings()
    experiments = experiments_of(found)
    assert not found.failures
    depressing = experiments["Dep2Lab"]
    n, model = depressing.numerics, depressing.model
    assert (n.settle, n.dt, n.temperature) == (400, 0.05, 32)
    assert (model.section, model.position) == ("dend", 0.3)  # the second of `all`
    assert depressing.recording.holding_potential == -60
    assert depressing.protocols["single"].duration == 120
    assert model.fixed == {"initW": 1.5, "Use": 0.5, "Dep": 120, "Fac": 1e-05}
    # Their defaults where nothing is said.
    other = experiments["Inh2Lab"]
    assert (other.model.section, other.model.position) == ("soma", 0.5)
    assert other.recording.holding_potential == -70
    assert any("threshold" in note for note in found.notes)
    assert any("rise_interval" in note for note in found.notes)


def test_unknown_keys_are_told_with_the_nearest_and_unknown_parameters_are_errors(settings):
    text = SETTINGS.replace('"sec_id": 1', '"sec_idd": 1').replace('"celsius"', '"celcius"')
    found = settings(text.replace('"U1"', '"U2"'))
    notes = "\n".join(found.notes)
    assert "'sec_idd', which is left out; did you mean 'sec_id'?" in notes
    assert "did you mean 'celsius'?" in notes
    valid = experiments_of(found)
    assert list(valid) == ["Dep2Lab"]  # what is wrong with one connection stops no other
    assert "did you mean 'U1'" in found.failures["Inh2Lab"]


def test_targets_of_the_optimizer_keep_their_meaning(settings):
    text = SETTINGS + (
        "opt.optimize_parameters(target_metrics={'ppr': 0.2, 'simple_ppr': 1.3, 'induction': 0.1,"
        " 'rise_time': 0.5}, param_bounds={'Use': (0.05, 0.9), 'U1': (0.1, 0.8)},"
        " train_frequency=20, train_delay=500)\n"
    )
    data = settings(text).connections["Dep2Lab"]
    terms = data["objective"]["terms"]
    # Their "ppr" is (a2 − a1) / 90th percentile; a2 / a1 is their simple_ppr.
    assert terms["ppr"]["metric"] == "initial"
    assert terms["ppr"]["options"] == {"preset": "percentile_90"}
    assert terms["simple_ppr"]["metric"] == "paired_pulse_ratio"
    assert terms["rise_time"]["options"]["interval"] == [0.1, 0.9]
    assert data["protocols"]["train"]["frequency"] == 20
    assert data["protocols"]["train"]["recovery_delay"] == 500
    assert data["parameters"]["Use"] == {"min": 0.05, "max": 0.9, "start": 0.5}
    assert "Use" not in data["model"]["fixed"]


def test_the_optimizer_works_on_the_connection_that_its_tuner_has(settings):
    text = SETTINGS + (
        "tuner = SynapseTuner(conn_type_settings=conn_type_settings, connection='Dep2Lab')\n"
        "opt.optimize_parameters(target_metrics={'ppr': -0.2}, param_bounds={'Use': (0.05, 0.9)})\n"
    )
    found = settings(text)
    assert set(experiments_of(found)) == {"Dep2Lab", "Inh2Lab"}  # the latter has no Use
    assert set(found.connections["Dep2Lab"]["parameters"]) == {"Use"}
    assert not {"parameters", "objective"} & set(found.connections["Inh2Lab"])
    assert any("works on Dep2Lab alone" in note for note in found.notes)


def test_a_misspelled_mechanism_is_told_with_the_synapses_there_are(settings):
    found = settings(SETTINGS.replace('"LabDepressing"', '"LabDepresing"'))
    said = found.failures["Dep2Lab"]
    assert "Did you mean 'LabDepressing'" in said
    assert "GabaA" in said
    assert "lab_wb" not in said  # a channel, no synapse
    assert "nothing" not in said


def test_the_values_of_a_json_folder_go_before_those_of_the_settings(settings, tmp_path):
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "Dep2Lab.json").write_text('{"Use": 0.33, "comment": "fitted"}')
    (tmp_path / "json" / "Other.json").write_text("{}")
    found = settings(json_folder=tmp_path / "json")
    assert found.connections["Dep2Lab"]["model"]["fixed"]["Use"] == 0.33
    assert found.connections["Dep2Lab"]["model"]["fixed"]["Dep"] == 120
    assert any("no connection is called 'Other'" in note for note in found.notes)


def test_a_folder_of_json_and_a_json_file_are_settings_too(tmp_path):
    (tmp_path / "A2B.json").write_text('{"level_of_detail": "LabInhibitory", "U1": 0.2}')
    alone = read_bmtool(tmp_path, [MODS]).connections["A2B"]
    assert alone["model"]["fixed"] == {"U1": 0.2}
    both = {"general": {"vclamp": False, "weight": 0.01},
            "connections": {"A2B": {"spec_settings": {"level_of_detail": "LabInhibitory"},
                                    "spec_syn_param": {}}}}  # fmt: skip
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "s.json").write_text(json.dumps(both))
    data = read_bmtool(tmp_path / "both" / "s.json", [MODS]).connections["A2B"]
    assert data["recording"]["kind"] == "current_clamp"
    assert data["model"]["net_con"]["weight"] == 0.01


def test_what_was_imported_runs_from_anywhere_and_has_all_digits(settings, main, tmp_path):
    written = write_imported(settings(), tmp_path / "imported")
    text = written.experiments["Dep2Lab"].read_text()
    assert yaml.safe_load(text)["model"]["fixed"]["Fac"] == 1e-05
    done = main("check", "imported/Dep2Lab.yaml", "imported/Inh2Lab.yaml")
    assert done.returncode == 0, done.stderr


# -- BMTK ------------------------------------------------------------------------------------------


@pytest.fixture
def circuit(tmp_path):
    """Return a circuit with manifest variables, three edge types and two node types."""
    root = tmp_path / "circuit"
    for name in ("mechanisms/modfiles", "synaptic_models", "templates", "network"):
        (root / "parts" / name).mkdir(parents=True)
    for file in MODS.iterdir():
        shutil.copy(file, root / "parts" / "mechanisms" / "modfiles")
    shutil.copy(CELL, root / "parts" / "templates")
    config = {
        "manifest": {"$BASE_DIR": "${configdir}", "$PARTS": "$BASE_DIR/parts",
                     "$NET": "${PARTS}/network"},
        "components": {"synaptic_models_dir": "$PARTS/synaptic_models",
                       "mechanisms_dir": "$PARTS/mechanisms", "templates_dir": "$PARTS/templates"},
        "networks": {"nodes": [{"node_types_file": "$NET/node_types.csv"}],
                     "edges": [{"edge_types_file": "$NET/edge_types.csv"}]},
    }  # fmt: skip
    (root / "circuit_config.json").write_text(json.dumps(config))
    network, models = root / "parts" / "network", root / "parts" / "synaptic_models"
    (network / "node_types.csv").write_text(
        "node_type_id pop_name model_type model_template\n"
        "1 Lab biophysical hoc:LabCell\n2 Far biophysical ctdb:Biophys1.hoc\n"
    )
    (network / "edge_types.csv").write_text(
        "edge_type_id target_query source_query syn_weight delay dynamics_params model_template "
        "target_sections oddity\n"
        "10 pop_name=='Lab' pop_name=='Far' 1.2 0.8 Far2Lab.json LabDepressing ['dend'] 5\n"
        "11 pop_name=='Far' pop_name=='Lab' 0.01 1.1 Lab2Far.json LabInhibitory ['somatic'] 5\n"
        "12 pop_name=='Far' pop_name=='Far' 0.005 2.0 Exc.json exp2syn ['somatic'] 5\n"
    )
    (models / "Far2Lab.json").write_text('{"Use": 0.2, "Dep": 20, "Fac": 100}')
    (models / "Lab2Far.json").write_text('{"level_of_detail": "LabInhibitory", "U1": 0.2}')
    (models / "Exc.json").write_text('{"tau1": 0.5, "tau2": 3.0, "erev": -5.0}')
    return root / "circuit_config.json"


def test_each_edge_type_of_a_circuit_becomes_an_experiment(circuit):
    found = read_bmtk(circuit)
    experiments = experiments_of(found)
    assert not found.failures
    lab, far, exc = (experiments[n].model for n in ("Far2Lab", "Lab2Far", "Exc"))
    assert (lab.cell.template, lab.section, far.cell.template) == ("LabCell", "dend", "Patch")
    assert (lab.net_con.weight, lab.net_con.delay) == (1.2, 0.8)
    assert (exc.mechanism, exc.fixed["e"]) == ("Exp2Syn", -5.0)
    notes = "\n".join(found.notes)
    assert "'oddity', which is left out" in notes
    assert "Biophys1.hoc (ctdb)" in notes


def test_a_simulation_config_gives_the_numerics(circuit):
    simulation = {"network": "$HERE/circuit_config.json", "manifest": {"$HERE": "."},
                  "conditions": {"celsius": 30, "v_init": -75}, "run": {"dt": 0.05}}  # fmt: skip
    path = circuit.with_name("simulation_config.json")
    path.write_text(json.dumps(simulation))
    numerics = read_bmtk(path).connections["Exc"]["numerics"]
    assert numerics == {"temperature": 30, "v_init": -75, "dt": 0.05}


def test_connections_that_stand_in_the_file_itself_are_read(tmp_path):
    data = {"connections": {"A2B": {"mechanism": "Exp2Syn", "dynamics_params": {"tau2": 4}}}}
    (tmp_path / "circuit_config.json").write_text(json.dumps(data))
    model = read_bmtk(tmp_path / "circuit_config.json").connections["A2B"]["model"]
    assert (model["mechanism"], model["fixed"]) == ("Exp2Syn", {"tau2": 4.0})


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        ({"$A": "$B/x", "$B": "$A/y"}, "name each other"),
        ({"$BASE_DIR": "."}, "has no variable $A"),
        (
            {"$A": "$B0"} | {f"$B{k}": f"$B{k + 1}/$B{k + 1}" for k in range(60)} | {"$B60": "x"},
            "more than 4096 characters longer",
        ),
        (
            {"$A": "$B0"} | {f"$B{k}": f"$B{k + 1}" for k in range(5000)} | {"$B5000": "x"},
            "too deep",
        ),
    ],
    ids=["circle", "absent", "doubled", "deep"],
)
def test_a_manifest_that_leads_nowhere_is_told(tmp_path, manifest, told):
    (tmp_path / "circuit.json").write_text(json.dumps({"manifest": manifest, "x": "$A"}))
    with pytest.raises(SpecError, match=told.replace("$", r"\$")):
        read_bmtk(tmp_path / "circuit.json")


# -- export ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """Return an imported experiment, and the folder of a run of it."""
    from stpspec import api
    from stpspec.results.provenance import sources_of
    from stpspec.results.simulation import save_run

    folder = tmp_path_factory.mktemp("export")
    (folder / "settings.py").write_text(SETTINGS)
    written = write_imported(read_bmtool(folder / "settings.py", [MODS], CELL), folder / "imported")
    yaml_file = written.experiments["Dep2Lab"]
    experiment = stpspec.load(yaml_file, ["protocols.train.n_recovery=1"])
    tree, _ = api.run(experiment)
    return yaml_file, save_run(folder / "run", experiment, tree, sources_of(experiment))


@pytest.mark.parametrize("form", ["python", "hoc", "bmtk", "sonata", "netpyne"])
def test_an_exported_result_gives_the_same_metrics_when_it_is_simulated_again(
    result, tmp_path, form
):
    if form == "sonata":
        pytest.importorskip("h5py")
    done = export(result[1], tmp_path / "out", form)
    assert len(done.comparison.rows) > 10
    assert done.comparison.largest <= 1e-6
    assert done.comparison.agrees


@pytest.mark.parametrize("form", ["bmtk", "sonata"])
def test_import_run_export_import_gives_equal_specs(result, tmp_path, form):
    if form == "sonata":
        pytest.importorskip("h5py")
    exported = export(result[1], tmp_path / "out", form).folder
    again = write_imported(read_bmtk(exported / "circuit_config.json"), tmp_path / "again")
    (file,) = again.experiments.values()
    first = yaml.safe_load(result[0].read_text())
    first["protocols"]["train"]["n_recovery"] = 1
    assert yaml.safe_load(file.read_text()) == first


def test_what_is_changed_in_an_exported_file_goes_before_what_was_written(result, tmp_path):
    folder = export(result[1], tmp_path / "out", "bmtk").folder
    file = folder / "components" / "synaptic_models" / "Dep2Lab.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "Use": 0.25}))
    model = read_bmtk(folder / "circuit_config.json").connections["Dep2Lab"]["model"]
    assert model["fixed"]["Use"] == 0.25
    assert model["fixed"]["Dep"] == 120


def test_a_synapse_that_is_not_the_same_does_not_agree(result):
    prepared = prepare(stpspec.load(result[1]))
    traces = {
        name: {str(n): v.values[0, 0] * (1 + 1e-5) for n, v in node.to_dataset().data_vars.items()}
        for name, node in prepared.reference.children.items()
    }
    assert not compare(prepared, traces, "nobody").agrees


def test_a_fit_is_exported_at_its_fitted_values_by_the_command(main, tmp_path):
    yaml_text = """
defaults:
  - /protocol@protocols.train: train
  - override /model: tm_patch
  - _self_
name: small
parameters: {U: {min: 0.05, max: 0.9}}
objective:
  terms: {ppr: {metric: paired_pulse_ratio, protocol: train, target: 0.7, sd: 0.05}}
"""
    (tmp_path / "small.yaml").write_text(yaml_text)
    assert main("fit", "small.yaml", "--out", "fitted", "--quiet").returncode == 0
    done = main("export", "fitted", "--format", "python", "--out", "script")
    assert done.returncode == 0, done.stderr
    assert "the largest difference of a metric is" in done.stdout
    fitted = json.loads((tmp_path / "fitted" / "summary.json").read_text())["parameters"]["U"]
    assert f"'U': {fitted['value']!r}" in (tmp_path / "script" / "synapse.py").read_text()
    assert main("export", "fitted", "--format", "hdf").returncode == 2
    assert "exists already" in main("export", "fitted", "--format", "hoc", "--out", "script").stderr


MIXED = """
defaults: [override /model: tm_patch, _self_]
name: mixed
recording: {signals: [synaptic_current, clamp_current, synapse_voltage, conductance]}
protocols:
  stp:
    kind: trains
    frequencies: [10, 40]
    recovery_delays: [100, 150]
    n_induction: 2
    n_recovery: 1
  psp: {kind: train, n_induction: 2, n_recovery: 0, recording: {kind: current_clamp}}
parameters:
  U: {min: 0.05, max: 0.9, start: 0.3}
  weight: {min: 0.1, max: 9, start: 2}
  net_con.delay: {min: 0.5, max: 4, start: 2.0137}
  cell.arguments.resistance: {min: 50, max: 400, start: 310}
  cell.all.cm: {min: 0.5, max: 2, start: 1.4}
  recording.series_resistance: {min: 0.001, max: 20, start: 8}
  protocols.psp.recording.holding_current: {min: -50 pA, max: 50 pA, start: -20 pA}
objective:
  terms:
    sizes: {metric: amplitudes, protocol: stp, target: {source: table, file: sizes.csv}, sd: 2}
"""  # fmt: skip


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Return an experiment of protocols recorded apart, free places and a target in a file."""
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "sizes.csv").write_text("train,a1,a2,a3\n10,30,20,\n40,30,15,18\n")
    (folder / "mixed.yaml").write_text(MIXED)
    return folder / "mixed.yaml"


@pytest.mark.parametrize("form", ["python", "hoc", "bmtk", "netpyne"])
def test_an_export_holds_free_places_and_the_recording_of_each_protocol(mixed, tmp_path, form):
    done = export(mixed, tmp_path / "out", form)
    assert {r[0] for r in done.comparison.rows} >= {"stp", "stp.10Hz", "stp.40Hz", "psp"}
    assert done.comparison.largest <= 1e-6


def test_targets_in_files_and_free_places_survive_export_and_import(mixed, tmp_path):
    circuit = export(mixed, tmp_path / "out", "bmtk").folder / "circuit_config.json"
    edges = circuit.parent / "network" / "edge_types.csv"
    edges.write_text(edges.read_text().replace("2.0137", "1.75"))  # an edit goes before
    (file,) = write_imported(read_bmtk(circuit), tmp_path / "again").experiments.values()
    first, again = stpspec.load(mixed), stpspec.load(file)
    assert again.parameters["net_con.delay"].start == 1.75
    assert again.changed({"parameters.net_con.delay.start": 2.0137}).parameters == first.parameters
    assert again.protocols == first.protocols
    shutil.rmtree(circuit.parent)
    assert stpspec.check(again) == []
    assert bind(again).experiment.objective.terms["sizes"].target == [30, 20, None, 30, 15, 18]


def test_a_synapse_that_draws_random_numbers_is_not_exported_and_says_why(tmp_path):
    data = {"name": "chance", "model": {"cell": {"file": "patch.py", "template": "Patch"},
            "kind": "synapse", "mechanism": "MultiVesicle"}, "recording": {"kind": "voltage_clamp"},
            "protocols": {"one": {"kind": "single_event"}}}  # fmt: skip
    (tmp_path / "chance.yaml").write_text(yaml.safe_dump(data))
    with pytest.raises(ResultError, match="MultiVesicle draws random numbers, which stpspec seeds"):
        export(tmp_path / "chance.yaml", tmp_path / "out", "python")


@pytest.mark.parametrize("form", ["python", "bmtk"])
def test_a_result_of_the_variable_step_is_exported_in_the_fixed_one_and_says_so(tmp_path, form):
    data = {"name": "varied", "model": {"cell": {"file": "patch.py", "template": "Patch"},
            "kind": "synapse", "mechanism": "TsodyksMarkram"},
            "recording": {"kind": "voltage_clamp"}, "numerics": {"integrator": "variable"},
            "protocols": {"one": {"kind": "single_event"}}}  # fmt: skip
    (tmp_path / "varied.yaml").write_text(yaml.safe_dump(data))
    done = export(tmp_path / "varied.yaml", tmp_path / "out", form)
    assert done.comparison.agrees
    assert any("the fixed one of numerics.dt" in note for note in done.notes)


READS = """
from neuron import h

class Reads:
    def __init__(self, sizes, tau):
        with open(sizes) as file, open("sizes/leak.txt") as leak:
            size, g = float(file.read()), float(leak.read())
        self.soma = h.Section(name="soma", cell=self)
        self.soma.L = self.soma.diam = size
        self.soma.insert("pas")
        self.soma.g_pas = g / tau
"""


@pytest.mark.parametrize("form", ["python", "hoc", "bmtk"])
def test_a_cell_reads_its_files_in_an_export_too(tmp_path, monkeypatch, form):
    """An argument names one, the template another: as seen from the folder of the experiment."""
    monkeypatch.chdir(tmp_path)
    for name in ("cells", "sizes", "mods"):
        (tmp_path / name).mkdir()
    (tmp_path / "cells" / "cell.py").write_text(READS)
    (tmp_path / "sizes" / "large.txt").write_text("40")
    (tmp_path / "sizes" / "leak.txt").write_text("0.002")
    mod = (MODS / "LabInhibitory.mod").read_text()
    start, end = mod.index("UNITS {"), mod.index("}", mod.index("UNITS {")) + 1
    (tmp_path / "units.inc").write_text(mod[start:end])
    (tmp_path / "mods" / "LabInhibitory.mod").write_text(
        f'{mod[:start]}INCLUDE "../units.inc"{mod[end:]}'
    )
    data = {"name": "reads", "model": {"kind": "synapse", "mechanism": "LabInhibitory",
            "mod": ["mods"], "cell": {"file": "cells/cell.py", "template": "Reads",
            "arguments": {"sizes": "sizes/large.txt", "tau": 10.0}}},
            "recording": {"kind": "current_clamp"}, "parameters": {
                "cell.arguments.tau": {"min": 5, "max": 40, "start": 20}},
            "protocols": {"one": {"kind": "single_event"}}}  # fmt: skip
    (tmp_path / "reads.yaml").write_text(yaml.safe_dump(data))
    done = export(tmp_path / "reads.yaml", tmp_path / "out", form)
    assert done.comparison.agrees
    assert len(done.comparison.rows) > 3
