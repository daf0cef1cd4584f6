"""Identity: what a number depends on is the bytes that were read, wherever they lie."""

import importlib
import json
import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
import yaml
from helpers import MOD

import stpspec
from stpspec import FitResult, api
from stpspec.campaigns.plan import plan
from stpspec.config import kept_sources
from stpspec.config.compose import compose, load
from stpspec.config.located_files import with_files_located
from stpspec.engine import reading
from stpspec.engine.binding.check import check_parts
from stpspec.errors import MechanismError, ResultError, StudyError
from stpspec.registry import METRICS
from stpspec.resources import path_inside, shipped
from stpspec.resources.trust import trust
from stpspec.results import multirun
from stpspec.results.provenance import sources_of
from stpspec.results.simulation import save_run
from stpspec.specs import result_files
from stpspec.specs.diagnosis import examine
from stpspec.specs.experiment import Experiment
from stpspec.studies import compatibility

EXPERIMENT = {
    "name": "own",
    "model": {"kind": "synapse", "mechanism": "TsodyksMarkram"},
    "recording": {"kind": "current_clamp", "signals": ["somatic_voltage"]},
    "protocols": {"single": {"kind": "single_event", "duration": "30 ms"}},
    "parameters": {"weight": {"min": 0.1, "max": 20}},
    "objective": {"terms": {"amplitude": {
        "metric": "amplitude", "protocol": "single", "target": "5 mV", "sd": "0.1 mV"}}},
    "fitter": {"kind": "optuna", "sampler": "random", "budget": {"evaluations": 4}},
}  # fmt: skip
CLASS = """\
from neuron import h
HEAD
def text(name):
    with open(name) as file:
        return file.read()
class NAME:
    def __init__(self, *given):
        self.soma = h.Section(name="soma", cell=self)
        length = LENGTH
        self.soma.L = self.soma.diam = length
        self.soma.insert("pas")
"""
HOC = """\
HEAD
begintemplate NAME
public soma
create soma
objref f
proc init() { local length
    BODY
    soma { L = length diam = length insert pas }
}
endtemplate NAME
"""
HERE = "from pathlib import Path\nHERE = Path(__file__).parent"


def python(head, length):
    return CLASS.replace("HEAD", head).replace("LENGTH", length)


def hoc(head, body):
    return HOC.replace("HEAD", head).replace("BODY", body)


# What is read → file of the template, its text, the file that it reads, and its arguments.
KINDS = {
    "open": ("cell.py", python(HERE, "float(text(HERE / 'size.txt'))"), "size.txt", "[]"),
    "numpy": ("cell.py", python(HERE + "\nimport numpy", "numpy.loadtxt(HERE / 'a' / 'size.txt')"),
              "a/size.txt", "[]"),
    "at import": ("cell.py", python(HERE + "\nSIZE = float((HERE / 'size.txt').read_text())",
                                    "SIZE"), "size.txt", "[]"),
    "a module beside": ("cell.py", python("from sizes import SIZE", "SIZE"), "sizes.py", "[]"),
    "a module, late": ("cell.py", python("", "__import__('sizes').SIZE"), "sizes.py", "[]"),
    "a made name": ("cell.py", python(HERE, "float(text(HERE / ('si' + 'ze.dat')))"),
                    "size.dat", "[]"),
    "an argument": ("cell.py", python("", "float(text(given[0]))"), "size.txt",
                    "[size.txt]"),
    "the current folder": ("cells/cell.py", python("", "float(text('size.txt'))"),
                           "size.txt", "[]"),
    "the folder above": ("cells/cell.py", python(HERE, "float(text(HERE / '../size.txt'))"),
                         "size.txt", "[]"),
    "a branch": ("cell.py", python(HERE, "float(text(HERE / ('size.txt' if 1 else 'other.txt')))"),
                 "size.txt", "[]"),
    "HOC's File": ("cell.hoc", hoc("", 'f = new File() f.ropen("size.txt") length = f.scanvar() '
                                       'f.close()'), "size.txt", "[]"),
    "load_file": ("cell.hoc", hoc('load_file("lib.hoc")\n', "length = LIB()"), "lib.hoc", "[]"),
    "xopen": ("cell.hoc", hoc('xopen("lib.hoc")\n', "length = LIB()"), "lib.hoc", "[]"),
    "a name made by HOC": ("cell.hoc", hoc('strdef s\nsprint(s, "%s.%s", "lib", "hoc")\n'
                                           "load_file(1, s)\n", "length = LIB()"), "lib.hoc", "[]"),
}  # fmt: skip


def content(file, size, name):
    if file.endswith(".py"):
        return f"SIZE = {size}\n"
    if file.endswith(".hoc"):
        return f"func lib_{name}() {{ return {size} }}\n"
    return f"{size}\n"


def write(folder, kind, size=20):
    """Write an experiment whose cell has a size that stands in another file."""
    file, text, read, arguments = KINDS[kind]
    name = "Cell" + "".join(c for c in kind.title() if c.isalpha())
    for path, body in (
        (file, text.replace("external LIB", "").replace("LIB", f"lib_{name}")),
        (read, content(read, size, name)),
        ("other.txt", "7\n"),
    ):
        body = body.replace("NAME", name)
        if file.endswith(".hoc") and path == file and "lib_" in body:
            body = body.replace("public soma", f"public soma\nexternal lib_{name}")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(body)
    cell = {"file": file, "template": name, "arguments": yaml.safe_load(arguments)}
    data = {**EXPERIMENT, "model": {**EXPERIMENT["model"], "cell": cell}}
    (folder / "e.yaml").write_text("# @package _global_\n" + yaml.safe_dump(data))
    return folder / read, name


def taken(file):
    """Return an experiment that needs no defaults, without Hydra's quarter of a second."""
    data = yaml.safe_load(file.read_text())
    return Experiment.from_data(with_files_located(data, file.resolve()))


def identity(folder, monkeypatch, file="e.yaml"):
    monkeypatch.chdir(folder)
    experiment = taken(folder / file)
    return compatibility.comparable(experiment, sources_of(experiment))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A fit with a mechanism of one's own and a template that reads a file."""
    folder = tmp_path_factory.mktemp("fitted")
    write(folder, "open")
    text = (shipped("mod") / "TsodyksMarkram.mod").read_text()
    (folder / "Own.mod").write_text(text.replace("TsodyksMarkram", "Own") + ": own\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        overrides = ["model.mod=[Own.mod]", "model.mechanism=Own"]
        result = stpspec.fit(load(folder / "e.yaml", overrides))
    return result.save(folder / "result")


@pytest.fixture
def saved(fitted, tmp_path):
    return shutil.copytree(fitted, tmp_path / "saved")


# -- what is read ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_a_cell_reads_is_part_of_the_experiment_and_its_place_is_not(
    kind, tmp_path, monkeypatch
):
    read, _ = write(tmp_path / "first", kind)
    before = identity(tmp_path / "first", monkeypatch)
    assert any(name.endswith(read.name) for name in before["sources"])
    assert not any(name.endswith("other.txt") for name in before["sources"])
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    moved = identity(tmp_path / "second", monkeypatch)
    assert compatibility.is_same(before, moved), compatibility.changes(before, moved)
    changed = tmp_path / "second" / read.relative_to(tmp_path / "first")
    changed.write_text(changed.read_text().replace("20", "40"))
    after = identity(tmp_path / "second", monkeypatch)
    assert compatibility.changes(before, after) == [
        f"{next(n for n in after['sources'] if n.endswith(read.name))}: the file was changed"
    ]
    changed.write_text(changed.read_text().replace("40", "20"))
    assert compatibility.is_same(before, identity(tmp_path / "second", monkeypatch))


def test_a_cell_is_built_from_the_bytes_of_now(tmp_path, monkeypatch):
    """Python would take the bytecode of a module of the same second and size."""
    read, _ = write(tmp_path, "a module beside")
    monkeypatch.chdir(tmp_path)
    small = stpspec.simulate(taken(tmp_path / "e.yaml"), {"weight": 1})
    read.write_text(read.read_text().replace("20", "40"))
    large = stpspec.simulate(taken(tmp_path / "e.yaml"), {"weight": 1})
    sizes = [np.ptp(tree["single"]["somatic_voltage"].values) for tree in (small, large)]
    assert sizes[1] < 0.5 * sizes[0]


def test_a_file_that_is_not_read_may_change(tmp_path, monkeypatch):
    write(tmp_path, "a branch")
    before = identity(tmp_path, monkeypatch)
    (tmp_path / "other.txt").write_text("8\n")
    assert compatibility.is_same(before, identity(tmp_path, monkeypatch))


def test_bytes_count_and_neither_names_nor_times_nor_links(tmp_path, monkeypatch):
    read, _ = write(tmp_path, "an argument")
    before = identity(tmp_path, monkeypatch)
    read.touch()
    shutil.move(tmp_path / "cell.py", tmp_path / "Renamed.py")
    shutil.move(read, tmp_path / "store.bin")
    read.symlink_to("store.bin")
    text = (tmp_path / "e.yaml").read_text().replace("cell.py", "Renamed.py")
    (tmp_path / "e.yaml").write_text(text)
    now = identity(tmp_path, monkeypatch)
    assert compatibility.is_same(before, now), compatibility.changes(before, now)
    read.unlink()
    read.write_bytes(b"20\r\n")
    assert not compatibility.is_same(before, identity(tmp_path, monkeypatch))


def test_two_files_that_change_places_are_a_change(tmp_path, monkeypatch):
    length = "float(text(HERE / 'a.txt')) + 2 * float(text(HERE / 'b.txt'))"
    text = python(HERE, length).replace("NAME", "Two")
    (tmp_path / "cell.py").write_text(text)
    write(tmp_path / "x", "open")
    written = (tmp_path / "x" / "e.yaml").read_text().replace("CellOpen", "Two")
    (tmp_path / "e.yaml").write_text(written)
    for name, size in (("a.txt", 5), ("b.txt", 9)):
        (tmp_path / name).write_text(f"{size}\n")
    before = identity(tmp_path, monkeypatch)
    (tmp_path / "a.txt").write_text("9\n")
    (tmp_path / "b.txt").write_text("5\n")
    assert not compatibility.is_same(before, identity(tmp_path, monkeypatch))


def test_without_a_watch_on_neuron_the_names_in_a_template_are_followed(tmp_path):
    (tmp_path / "cell.hoc").write_text('load_file("lib.hoc")\n')
    (tmp_path / "lib.hoc").write_text('f.ropen("data/size.txt")\n')
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "size.txt").write_text("20\n")  # from the folder of lib.hoc
    (tmp_path / "unread.txt").touch()
    names = {p.name for p in reading.mentioned(tmp_path / "cell.hoc")}
    assert names == {"lib.hoc", "size.txt"}


def test_what_other_threads_of_the_host_open_is_no_part_of_a_cell(tmp_path):
    for name in ("ours.txt", "theirs.txt"):
        (tmp_path / name).touch()
    with reading.files_read() as seen:
        (tmp_path / "ours.txt").read_text()
        other = threading.Thread(target=(tmp_path / "theirs.txt").read_text)
        other.start()
        other.join()
    assert [p.name for p in seen] == ["ours.txt"]


def test_included_files_of_one_name_and_other_bytes_are_refused(tmp_path):
    for folder, factor in (("one", 1), ("two", 2)):
        (tmp_path / folder).mkdir()
        text = (MOD / "GrowingTau.mod").read_text().replace("GrowingTau", f"Including{folder}")
        (tmp_path / folder / f"{folder}.mod").write_text(text + 'INCLUDE "shared.inc"\n')
        shared = f"FUNCTION scaled(x) {{ scaled = {factor}*x }}\n"
        (tmp_path / folder / "shared.inc").write_text(shared)
    from stpspec.engine.mechanisms.compilation import compile_library

    files = [tmp_path / "one" / "one.mod", tmp_path / "two" / "two.mod"]
    with pytest.raises(MechanismError, match=r"two files called 'shared\.inc' are included"):
        compile_library(files)


# -- results, studies, campaigns -------------------------------------------------------------------


def test_results_run_anywhere_with_what_their_cells_read(tmp_path, monkeypatch):
    """All are checked by one process, in which none of these templates has been loaded yet."""
    parts = []
    monkeypatch.setattr("stpspec.results.simulation.write_traces", lambda *_: None)  # figures
    for kind in KINDS:
        write(tmp_path / "original", kind)
        monkeypatch.chdir(tmp_path / "original")
        experiment = taken(tmp_path / "original" / "e.yaml")
        tree = stpspec.simulate(experiment, {"weight": 1})
        saved = save_run(tmp_path / "here" / kind, experiment, tree, sources_of(experiment))
        shutil.rmtree(tmp_path / "original", ignore_errors=True)
        monkeypatch.chdir(tmp_path)
        moved = saved.rename(tmp_path / f"moved {kind}")
        again = taken(moved / "experiment.yaml")
        _, problems, part = examine(again.to_data())
        assert problems == []
        parts.append(part)
        moved_tree = stpspec.simulate(again, {"weight": 1})
        np.testing.assert_array_equal(
            moved_tree["single"]["somatic_voltage"], tree["single"]["somatic_voltage"]
        )
    assert check_parts(parts)[0] == [[] for _ in KINDS]


def test_a_study_goes_on_in_a_copied_folder_and_stops_at_a_changed_file(tmp_path, monkeypatch):
    read, _ = write(tmp_path / "first", "open")
    monkeypatch.chdir(tmp_path / "first")
    overrides = ["study=s"]
    assert stpspec.fit(load("e.yaml", overrides)).n_evaluations == 4
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    monkeypatch.chdir(tmp_path / "second")
    more = [*overrides, "fitter.budget.evaluations=6"]
    result = stpspec.fit(load(tmp_path / "second" / "e.yaml", more))
    assert result.n_evaluations == 6
    (tmp_path / "second" / read.name).write_text("40\n")
    with pytest.raises(StudyError, match=r"templates/size\.txt: the file was changed"):
        stpspec.fit(load(tmp_path / "second" / "e.yaml", more))


def test_a_campaign_fits_anew_what_reads_a_changed_file_and_nothing_else(tmp_path, monkeypatch):
    read, _ = write(tmp_path / "first", "open")
    (tmp_path / "first" / "t.csv").write_text("connection,amplitude [mV]\nPV,5\n")
    monkeypatch.chdir(tmp_path / "first")
    weight = stpspec.campaign("t.csv", "e.yaml", folder="c")["PV"].parameters["weight"]
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    for folder in ("first", "second"):
        monkeypatch.chdir(tmp_path / folder)
        assert plan("t.csv", "e.yaml", [], "c")[2] == []
        assert plan("t.csv", str(tmp_path / folder / "e.yaml"), [], "c")[2] == []
    changed = tmp_path / "second" / read.name
    changed.write_text("40\n")
    campaign = stpspec.campaign("t.csv", "e.yaml", folder="c")
    assert [s.status for s in campaign.connections] == ["done"]
    changed.write_text("20\n")
    assert len(plan("t.csv", "e.yaml", [], "c")[2]) == 1
    assert campaign["PV"].parameters["weight"] != weight


# -- plug-ins --------------------------------------------------------------------------------------

METRIC = """
import pathlib
import stpspec
IMPORT
@stpspec.metric("NAME", unit="1", needs=("pair",))
def NAME(response):
    "Scaled by a file beside it."
    with open("NAME.log", "a") as log:
        log.write("measured")
    IMPORT
    return float((pathlib.Path(__file__).parent / "scale.csv").read_text()) * FACTOR
"""
PLUGINS = {  # plug-in as named → its files beside the scale, and where the scale is
    "lab_module": ({"lab_module.py": "from lab_sizes import FACTOR"}, "scale.csv", "lab_sizes.py"),
    "lab_package": ({"lab_package/__init__.py": "from .inner.sizes import FACTOR",
                     "lab_package/inner/__init__.py": "x = 1"},
                    "lab_package/scale.csv", "lab_package/inner/sizes.py"),
    "lab_late.metrics": ({"lab_late/__init__.py": "", "lab_late/metrics.py":
                          "from lab_late.sizes import FACTOR"},
                         "lab_late/scale.csv", "lab_late/sizes.py"),
}  # fmt: skip


@pytest.fixture(
    params=[
        pytest.param(name, marks=() if name == "lab_package" else pytest.mark.long)
        for name in PLUGINS
    ]
)
def plugged(request, tmp_path, monkeypatch):
    """A folder with an experiment of a plug-in, a helper module and a file of data."""
    files, scale, helper = PLUGINS[request.param]
    folder = tmp_path / "first"
    name = request.param.replace(".", "_")
    for path, line in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        text = METRIC.replace("NAME", name).replace("IMPORT", line, 1).replace("IMPORT", line)
        (folder / path).write_text(text if "FACTOR" in line else line)
    (folder / scale).write_text("2")
    (folder / helper).write_text("FACTOR = 3\n")
    (folder / "unrelated.csv").write_text("1")
    term = {"metric": name, "protocol": "pair", "target": 6, "sd": 1}
    data = {**EXPERIMENT, "plugins": [request.param], "objective": {"terms": {"term": term}}}
    data["model"] = {**data["model"], "cell": {"file": "patch.py", "template": "Patch"}}
    data["protocols"] = {"pair": {"kind": "train"}}
    (folder / "e.yaml").write_text("# @package _global_\n" + yaml.safe_dump(data))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    METRICS.names()  # so that all others are there
    monkeypatch.setattr(
        METRICS, "_things", dict(METRICS._things)
    )  # its metric goes with its module
    yield folder, folder / scale, folder / helper
    top = request.param.partition(".")[0]
    for module in [m for m in sys.modules if m.partition(".")[0] in (top, "lab_sizes")]:
        del sys.modules[module]
    importlib.invalidate_caches()


def test_what_a_plug_in_imports_and_reads_is_part_of_the_experiment(plugged, monkeypatch):
    folder, scale, helper = plugged
    (folder / "lab_module.log").touch()
    before = identity(folder, monkeypatch)
    assert not [n for n in before["sources"] if n.endswith(("unrelated.csv", ".log"))]
    for file in (scale, helper):
        content = file.read_text()
        file.write_text(content.replace("2", "4").replace("3", "5"))
        told = compatibility.changes(before, identity(folder, monkeypatch))
        assert told == [f"plugins/{file.relative_to(folder)}: the file was changed"]
        file.write_text(content)
    for log in folder.glob("*.log"):
        log.write_text("more")
    assert compatibility.is_same(before, identity(folder, monkeypatch))


def test_a_result_takes_its_plug_ins_with_it(plugged, tmp_path, monkeypatch):
    folder, _, helper = plugged
    experiment = taken(folder / "e.yaml")
    monkeypatch.setattr("stpspec.results.simulation.write_traces", lambda *_: None)  # figures
    tree = stpspec.simulate(experiment, {"weight": 1})
    saved = save_run(tmp_path / "saved", experiment, tree, sources_of(experiment))
    folder.rename(tmp_path / "gone")
    monkeypatch.chdir(tmp_path)
    use = (
        "import stpspec, sys\n"
        "experiment = stpspec.load('saved')\n"
        "tree = stpspec.simulate(experiment, {'weight': 1})\n"
        "print(float(stpspec.measure(experiment, tree)['term'][0]))"
    )
    command = [sys.executable, "-P", "-c", use]
    again = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert again.stdout.strip() == "6.0", again.stderr
    copy = saved / "plugins" / helper.relative_to(folder)
    copy.write_text("FACTOR = 4\n")
    again = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert "was changed: the result was made with the file of sha256" in again.stderr


# -- one truth -------------------------------------------------------------------------------------


def test_an_edited_summary_is_told_and_not_believed(saved, caplog):
    summary = json.loads((saved / "summary.json").read_text())
    value = summary["parameters"]["weight"]["value"]
    summary["parameters"]["weight"]["value"] = 17.5
    (saved / "summary.json").write_text(json.dumps(summary))
    told = f"parameters.weight.value: {value!r} in result.nc, 17.5 in summary.json"
    for read in (
        lambda: result_files.fitted_values(saved)["weight"],
        lambda: compose(saved)[0]["parameters"]["weight"]["start"],
        lambda: FitResult.load(saved).parameters["weight"],
        lambda: job_of(saved).summary["parameters"]["weight"]["value"],
    ):
        caplog.clear()
        result_files._told.clear()
        assert read() == value
        assert told in caplog.text
    (saved / "summary.json").unlink()
    assert result_files.fitted_values(saved)["weight"] == value


def test_an_edited_experiment_in_a_result_is_told_field_by_field(saved, caplog):
    path = saved / "experiment.yaml"
    result_files._told.clear()
    compose(saved)
    FitResult.load(saved)
    assert "was changed" not in caplog.text
    path.write_text(path.read_text().replace("target: 5", "target: 7").replace("max: 20", "max: 9"))
    for read in (compose, FitResult.load):
        caplog.clear()
        result_files._told.clear()
        read(saved)
        assert (
            "experiment.yaml was changed; result.nc was made with another experiment" in caplog.text
        )
        assert "objective.terms.amplitude.target: 5.0 in result.nc, 7.0 in experi" in caplog.text
        assert "parameters.weight.max: 20.0 in result.nc, 9.0 in experiment.yaml" in caplog.text


def job_of(saved):
    job = saved.parent / "jobs" / "0"
    shutil.copytree(saved, job / "result", dirs_exist_ok=True)
    multirun.end(job, [])
    return multirun.collect(job.parent)[0]


def test_copies_are_the_bytes_that_were_read(saved):
    sources = json.loads(result_files.attributes(saved)["sources"])
    assert {"mod/Own.mod", "mod/TsodyksMarkram.mod", "templates/size.txt"} <= set(sources)
    for name, sha in sources.items():
        assert result_files.sha256_of(saved / name) == sha


@pytest.mark.parametrize("name", ["mod/Own.mod", "templates/cell.py", "templates/size.txt"])
@pytest.mark.parametrize("gone", [True, False])
def test_a_source_that_is_no_longer_what_was_recorded_is_refused(saved, name, gone):
    (saved / name).unlink() if gone else (saved / name).write_text("other")
    what = "is gone" if gone else "was changed"
    with pytest.raises(ResultError, match=rf"{name} {what}.*nowhere is one with the recorded"):
        load(saved)
    overrides = ["model.mod=[]", "model.mechanism=TsodyksMarkram"]
    if name.startswith("mod"):
        with pytest.raises(ResultError):
            load(saved)
    else:
        overrides = ["model.cell={file: patch.py, template: Patch, arguments: []}"]
    assert load(saved, overrides)


def test_an_edited_copy_of_a_shipped_mechanism_is_told_and_the_shipped_one_taken(saved, caplog):
    (saved / "mod" / "TsodyksMarkram.mod").write_text("other")
    trust(saved)
    kept_sources._told.clear()
    assert api.check(compose(saved)[0]) == []
    assert "mod/TsodyksMarkram.mod was changed: the shipped" in caplog.text
    assert "has the recorded bytes, and is taken" in caplog.text


def test_a_shipped_mechanism_that_has_changed_is_told_and_its_copy_taken(
    saved, tmp_path, caplog, monkeypatch
):
    ours = shutil.copytree(shipped("mod"), tmp_path / "later" / "mod")
    (ours / "GabaA.mod").write_text((ours / "GabaA.mod").read_text() + "\n")
    places = {"mod": ours, "templates": shipped("templates")}
    monkeypatch.setattr(kept_sources, "shipped", places.__getitem__)
    kept_sources._told.clear()
    data, _ = compose(saved)
    assert str(saved / "mod" / "GabaA.mod") in data["model"]["mod"]
    assert "GabaA.mod has changed since" in caplog.text
    assert "its copy mod/GabaA.mod, which has the recorded bytes, is taken" in caplog.text


def test_names_of_sources_stay_in_their_result(tmp_path):
    for name in ("../x.mod", "/x.mod", "mod/../../x.mod", ""):
        with pytest.raises(ResultError, match="must be a file in"):
            path_inside(tmp_path, name)
