"""Results: saved in one piece or not at all, loaded as they were, runnable again."""

import contextlib
import dataclasses
import hashlib
import json
import resource
import shutil

import numpy as np
import pytest
import xarray as xr
import yaml
from small import ROOT, experiment

import stpspec
from stpspec import FitResult, api
from stpspec.config.compose import load
from stpspec.dataset import protocol_dataset
from stpspec.errors import ResultError
from stpspec.resources import search_in
from stpspec.results import fit_result
from stpspec.results.folder import write_netcdf
from stpspec.results.provenance import sources_of
from stpspec.results.simulation import draw_run, save_run


@pytest.fixture(scope="module")
def result():
    made = experiment(
        parameters={"U": {"min": 0.1, "max": 0.9}, "tau_rec": {"min": "20 ms", "max": "1 s"}},
        protocols={
            "train": {"kind": "train", "n_induction": 6, "n_recovery": 1},
            "single": {"kind": "single_event", "duration": "20 ms"},
        },
        objective={"terms": {
            "size": {"metric": "amplitude", "protocol": "single", "target": 42.0, "sd": 1.0},
            "all": {"metric": "amplitudes", "protocol": "train",
                    "target": [40, 30, 25, 22, 20, 19, 35]},
            "ratio": {"metric": "paired_pulse_ratio", "protocol": "train", "target": 0.8},
        }},
        source="made up – µS, °C",
    )  # fmt: skip
    return api.fit(made)


@pytest.fixture(scope="module")
def saved_once(result, tmp_path_factory):
    return result.save(tmp_path_factory.mktemp("saved") / "out")


@pytest.fixture
def saved(saved_once, tmp_path):
    return shutil.copytree(saved_once, tmp_path / "out")


def nodes(tree):
    return {"/": tree.to_dataset(), **{n: c.to_dataset() for n, c in tree.children.items()}}


# -- there and back ---------------------------------------------------------------------------


def test_everything_is_given_back_as_it_was(result, saved):
    loaded = FitResult.load(saved)
    assert loaded.experiment == result.experiment
    plain = ("parameters", "units", "errors", "undetermined", "at_bound", "loss", "loss_start",
             "loss_search", "metric_units", "status", "message", "seconds", "notes", "versions",
             "sources", "files", "log", "degrees_of_freedom", "scales")  # fmt: skip
    for name in plain:
        assert getattr(loaded, name) == getattr(result, name), name
    assert set(loaded.metrics) == set(result.metrics) == {"size", "all", "ratio"}
    for name, value in result.metrics.items():
        assert np.array_equal(loaded.metrics[name], value)
    assert str(loaded) == str(result)
    assert loaded.summary() == result.summary()


def test_every_field_of_a_result_is_compared_by_these_tests():
    fields = {f.name for f in dataclasses.fields(FitResult)}
    assert fields == {
        "experiment", "parameters", "units", "errors", "undetermined", "at_bound", "loss",
        "loss_start", "loss_search", "metrics", "metric_units", "history", "traces", "status",
        "message", "seconds", "notes", "versions", "sources", "files", "places", "log",
        "degrees_of_freedom", "scales",
    }  # fmt: skip


def test_the_history_is_given_back_exactly(result, saved):
    loaded = FitResult.load(saved).history
    assert loaded.identical(result.history)
    assert loaded.sizes["evaluation"] == result.n_evaluations
    assert {"parameter_U", "parameter_tau_rec", "loss", "reason"} <= set(loaded.data_vars)
    assert loaded["parameter_tau_rec"].attrs["units"] == "ms"


def test_the_traces_are_given_back_in_single_precision(result, saved):
    before, after = nodes(result.traces), nodes(FitResult.load(saved).traces)
    assert set(before) == set(after) == {"/", "train", "single"}
    for name, dataset in before.items():
        assert set(dataset.variables) == set(after[name].variables)
        for key, variable in dataset.variables.items():
            other = after[name].variables[key]
            assert variable.dims == other.dims
            assert variable.attrs == other.attrs
            if variable.dtype.kind == "f" and "time" in variable.dims and key != "time":
                assert other.dtype == np.float32
                assert np.array_equal(other.values, variable.values.astype(np.float32))
            else:
                assert np.array_equal(other.values, variable.values)
        assert dataset.attrs == after[name].attrs


def test_loaded_traces_are_measured_like_those_of_the_fit(result, saved):
    loaded = FitResult.load(saved)
    values = stpspec.measure(loaded.experiment, loaded.traces)
    for name, achieved in result.metrics.items():
        assert values[name][0].values == pytest.approx(achieved, rel=1e-4)


def test_a_result_saved_again_is_the_same_result(result, saved, tmp_path):
    again = FitResult.load(FitResult.load(saved).save(tmp_path / "again"))
    assert again.summary() == result.summary()
    assert again.history.identical(result.history)


def test_a_result_is_loaded_from_its_folder_or_its_file(saved):
    one, two = FitResult.load(saved), FitResult.load(saved / "result.nc")
    assert one.summary() == FitResult.load(str(saved)).summary() == two.summary()


def test_a_fit_that_has_failures_and_no_first_loss_comes_back_too(result, tmp_path):
    history = result.history.copy(deep=True)
    history["reason"][0] = "it broke – µ"
    history["loss"][0] = np.nan
    broken = dataclasses.replace(result, history=history, loss_start=float("nan"))
    loaded = FitResult.load(broken.save(tmp_path / "broken"))
    assert np.isnan(loaded.loss_start)
    assert loaded.history.identical(history)
    assert loaded.summary()["failed_evaluations"] == 1
    assert json.loads((tmp_path / "broken" / "summary.json").read_text())["loss_start"] is None


# -- what is in the folder --------------------------------------------------------------------


def test_the_folder_holds_values_spec_summary_sources_and_figures(saved):
    files = {str(p.relative_to(saved)) for p in saved.rglob("*") if p.is_file()}
    assert {"result.nc", "experiment.yaml", "summary.json", "mod/TsodyksMarkram.mod",
            "templates/patch.py", "traces_train.png", "traces_single.png", "path.png",
            "targets.png"} <= files  # fmt: skip
    for path in saved.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size > 5000


def test_the_sources_are_those_that_were_compiled_with_their_sha256(result, saved):
    assert "mod/TsodyksMarkram.mod" in result.sources
    assert "templates/patch.py" in result.sources
    for name, sha in result.sources.items():
        assert hashlib.sha256((saved / name).read_bytes()).hexdigest() == sha
        assert (saved / name).read_bytes() == (ROOT / name).read_bytes()


def test_the_summary_says_what_was_fitted_with_units_errors_and_versions(result, saved):
    summary = json.loads((saved / "summary.json").read_text())
    assert summary["format"] == 1
    assert summary["seed"] == 0
    assert summary["evaluations"] == result.n_evaluations
    assert summary["parameters"]["tau_rec"]["unit"] == "ms"
    assert summary["parameters"]["tau_rec"]["max"] == 1000.0
    assert summary["metrics"]["size"]["target"] == 42.0
    assert len(summary["metrics"]["all"]["achieved"]) == 7
    assert summary["versions"]["stpspec"] == stpspec.__version__
    assert {"python", "neuron", "numpy", "scipy"} <= set(summary["versions"])


def test_the_history_holds_each_value_of_a_vector(result):
    best = int(np.nanargmin(result.history["loss"].values))
    assert result.history["metric_all"].dims == ("evaluation", "all_element")
    found = result.history["metric_all"].values[best]
    assert found == pytest.approx(result.metrics["all"], rel=1e-3)


def test_the_reported_values_are_those_of_the_best_point_seen_but_for_a_last_step(result):
    best = int(np.nanargmin(result.history["loss"].values))
    for name, value in result.parameters.items():
        searched = float(result.history[f"parameter_{name}"][best])
        assert value == pytest.approx(searched, rel=1e-3)
    assert result.loss_search == float(result.history["loss"][best])
    assert result.loss == pytest.approx(result.loss_search, rel=1e-3)  # confirmed, fixed step
    assert result.loss <= result.loss_start


# -- run it again -----------------------------------------------------------------------------


def test_the_saved_experiment_is_the_one_that_was_run_and_gives_the_same_again(result, saved):
    again = load(saved, ["fitter.start=auto"])  # without it, the fit begins at the result
    assert again == result.experiment
    repeated = api.fit(again)
    assert repeated.parameters == result.parameters
    assert repeated.loss == result.loss
    assert repeated.history["loss"].equals(result.history["loss"])


def test_a_result_runs_again_far_from_the_files_it_was_made_of(tmp_path, monkeypatch):
    work, far = tmp_path / "work", tmp_path / "far"
    for folder in (work / "mechanisms", work / "cells", far):
        folder.mkdir(parents=True)
    source = (ROOT / "mod" / "TsodyksMarkram.mod").read_text()
    (work / "mechanisms" / "Own.mod").write_text(source.replace("TsodyksMarkram", "Own"))
    shutil.copy(ROOT / "templates" / "patch.py", work / "cells" / "own_patch.py")
    monkeypatch.chdir(work)
    made = experiment(
        model__mod=["mechanisms"], model__mechanism="Own", model__cell__file="cells/own_patch.py",
        fitter={"kind": "bounded", "budget": {"evaluations": 3}},
    )  # fmt: skip
    first = api.fit(made)
    saved = first.save(work / "out")
    saved.rename(far / "out")
    shutil.rmtree(work)
    monkeypatch.chdir(far)
    with search_in([far / "out"]):
        again = api.fit(load("out"))
    assert again.loss == first.loss
    assert again.sources == first.sources
    assert FitResult.load("out").experiment == first.experiment


def test_the_yaml_says_how_to_run_it_and_holds_plain_data_only(saved):
    text = (saved / "experiment.yaml").read_text(encoding="utf-8")
    assert text.startswith("# @package _global_\n")
    assert "!!" not in text
    assert "made up – µS, °C" in text
    data = yaml.safe_load(text)
    assert data["format"] == 1
    assert data["parameters"]["tau_rec"]["max"] == 1000.0


# -- one piece or nothing ---------------------------------------------------------------------


def left_over(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("no")])
def test_a_failure_half_way_leaves_neither_a_folder_nor_a_temporary_one(
    result, tmp_path, monkeypatch, error
):
    def fail(*_):
        raise error

    monkeypatch.setattr(fit_result, "write_log", fail)
    with pytest.raises(ResultError if isinstance(error, OSError) else RuntimeError, match=r"[Nn]o"):
        result.save(tmp_path / "out")
    assert left_over(tmp_path) == []


def test_a_failure_half_way_keeps_the_result_that_was_to_be_replaced(
    result, saved, tmp_path, monkeypatch
):
    def fail(*_):
        raise OSError(28, "No space left on device")

    before = {p.name: p.read_bytes() for p in saved.iterdir() if p.is_file()}
    monkeypatch.setattr(fit_result, "write_log", fail)
    with pytest.raises(ResultError, match="No space left"):
        result.save(saved, overwrite=True)
    assert {p.name: p.read_bytes() for p in saved.iterdir() if p.is_file()} == before
    assert left_over(tmp_path) == ["out"]


@contextlib.contextmanager
def files_of_at_most(n_bytes):
    """Let the kernel refuse to write beyond this size, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("n_bytes", [0, 20_000])
def test_a_disk_that_is_full_is_an_error_that_names_the_folder(result, tmp_path, n_bytes):
    with files_of_at_most(n_bytes), pytest.raises(ResultError, match=r"out cannot be written: .*"):
        result.save(tmp_path / "out")
    assert left_over(tmp_path) == []


def test_an_existing_folder_is_only_replaced_when_it_is_a_result_and_on_request(
    result, saved, tmp_path
):
    with pytest.raises(ResultError, match="exists already"):
        result.save(saved)
    (saved / "notes.txt").write_text("mine")
    result.save(saved, overwrite=True)
    assert not (saved / "notes.txt").exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(ResultError):
            result.save(other, overwrite=overwrite)
    with pytest.raises(ResultError):
        result.save(other / "notes.txt", overwrite=True)
    assert (other / "notes.txt").read_text() == "mine"


def test_an_empty_folder_is_filled_and_missing_ones_above_are_made(result, tmp_path):
    (tmp_path / "empty").mkdir()
    assert FitResult.load(result.save(tmp_path / "empty")).loss == result.loss
    assert result.save(tmp_path / "a" / "b" / "c").is_dir()


def test_a_place_that_cannot_be_written_is_an_error_that_names_it(result, tmp_path):
    (tmp_path / "file").write_text("a file")
    for place in ("file/out", "file/below/out"):
        with pytest.raises(ResultError, match="not a folder"):
            result.save(tmp_path / place)
    assert left_over(tmp_path) == ["file"]


def test_what_is_saved_can_be_read_by_others(saved):
    assert saved.stat().st_mode & 0o755 == 0o755


# -- what cannot be loaded --------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"not a netCDF file", b"\x89HDF\r\n\x1a\n" + b"x" * 99])
def test_a_corrupt_file_is_a_result_error_that_names_it(saved, content):
    (saved / "result.nc").write_bytes(content)
    with pytest.raises(ResultError, match=r"result\.nc"):
        FitResult.load(saved)


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.95])
def test_a_truncated_file_is_a_result_error_that_names_it(saved, fraction):
    content = (saved / "result.nc").read_bytes()
    (saved / "result.nc").write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(ResultError, match=r"result\.nc"):
        FitResult.load(saved)


def test_a_netcdf_file_that_is_no_result_is_refused(result, tmp_path):
    result.history.drop_vars("reason").to_netcdf(tmp_path / "result.nc")
    with pytest.raises(ResultError, match=r"result\.nc"):
        FitResult.load(tmp_path)


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_a_folder_without_a_result_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ResultError, match="no result"):
        FitResult.load(tmp_path / name)


@pytest.mark.parametrize("attribute", ["spec", "summary"])
def test_a_result_of_a_newer_format_is_refused_with_what_to_do(saved, attribute):
    import netCDF4

    with netCDF4.Dataset(saved / "result.nc", "a") as file:
        content = json.loads(getattr(file, attribute))
        content["format"] = 2
        setattr(file, attribute, json.dumps(content))
    with pytest.raises(ResultError, match=r"newer stpspec.*upgrade"):
        FitResult.load(saved)


# -- a run ------------------------------------------------------------------------------------


def test_a_run_is_saved_with_its_sources_and_gives_the_same_again(tmp_path):
    made = experiment(objective=None)
    given = {"U": 0.3, "tau_rec": 123.0, "weight": 2.0}
    tree = stpspec.simulate(made, given)
    saved = save_run(tmp_path / "run", made, tree, sources_of(made))
    assert {"simulation.nc", "experiment.yaml"} < set(left_over(saved))
    draw_run(tree, saved, made)
    assert (saved / "traces_single.png").is_file()
    assert (saved / "mod" / "TsodyksMarkram.mod").is_file()
    assert (saved / "templates" / "patch.py").is_file()
    with xr.open_datatree(saved / "simulation.nc", engine="netcdf4") as kept:
        hashes = json.loads(kept.attrs["sources"])
    assert {"mod/TsodyksMarkram.mod", "templates/patch.py"} <= set(hashes)
    for name, sha in hashes.items():
        assert hashlib.sha256((saved / name).read_bytes()).hexdigest() == sha
    again = load(saved)
    assert again.parameters["U"].start == 0.3
    assert again.model.fixed["tau_rec"] == 123.0
    xr.testing.assert_identical(
        stpspec.simulate(again)["single"].to_dataset(), tree["single"].to_dataset()
    )


@pytest.mark.parametrize("value", [0.5, 30.0])
def test_a_run_beyond_the_bounds_of_a_free_parameter_is_saved_as_it_was(tmp_path, value):
    # The bounds of a decay set the length of the run, and CMA-ES needs both parameters.
    free = {"tau_decay": {"min": "1 ms", "max": "20 ms", "scale": "log"},
            "U": {"min": 0.1, "max": 0.9}}  # fmt: skip
    made = experiment(parameters=free, fitter={"kind": "optuna", "sampler": "cmaes"})
    tree = stpspec.simulate(made, {"tau_decay": value})
    again = load(save_run(tmp_path / "run", made, tree, sources_of(made)))
    assert again.parameters["tau_decay"].start == value
    assert again.parameters["tau_decay"].scale == "log"
    xr.testing.assert_identical(
        stpspec.simulate(again)["single"].to_dataset(), tree["single"].to_dataset()
    )


def test_mechanisms_in_files_of_one_name_are_both_kept(tmp_path):
    text = (ROOT / "mod" / "TsodyksMarkram.mod").read_text(encoding="utf-8")
    for name in ("KeptOne", "KeptTwo"):
        (tmp_path / name).mkdir()
        made = text.replace("POINT_PROCESS TsodyksMarkram", f"POINT_PROCESS {name}")
        (tmp_path / name / "syn.mod").write_text(made, encoding="utf-8")
    mod = [str(tmp_path / name / "syn.mod") for name in ("KeptOne", "KeptTwo")]
    # Only what is in use is kept: the second one sits in the cell.
    cell = tmp_path / "two.py"
    cell.write_text(
        "from neuron import h\n\n\nclass Two:\n    def __init__(self):\n"
        "        self.soma = h.Section(name='soma', cell=self)\n        self.soma.insert('pas')\n"
        "        self.other = h.KeptTwo(self.soma(0.5))\n"
    )
    made = experiment(
        model__mod=mod, model__mechanism="KeptOne",
        model__cell={"file": str(cell), "template": "Two"},
    )  # fmt: skip
    assert {"mod/KeptOne.mod", "mod/KeptTwo.mod"} <= set(sources_of(made).texts)


def test_what_a_mechanism_includes_is_compiled_and_kept_with_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "mod" / "TsodyksMarkram.mod").read_text(encoding="utf-8")
    start, stop = text.index("STATE {"), text.index("INITIAL {")
    (tmp_path / "states.inc").write_text(text[start:stop], encoding="utf-8")
    made = text[:start] + 'INCLUDE "states.inc"\n' + text[stop:]
    made = made.replace("POINT_PROCESS TsodyksMarkram", "POINT_PROCESS Including")
    (tmp_path / "including.mod").write_text(made, encoding="utf-8")
    own = experiment(model__mod=["including.mod"], model__mechanism="Including")
    tree, _ = api.run(own)
    saved = save_run(tmp_path / "kept", own, tree, sources_of(own))
    assert (saved / "mod" / "states.inc").is_file()
    assert load(saved).model.mechanism == "Including"
    assert load(saved).model.mod == [str(saved / "mod" / "including.mod")]


@pytest.mark.parametrize("size", [1e-40, 1e40])
def test_traces_beyond_four_bytes_are_kept_in_eight(size, tmp_path):
    time = np.arange(5.0)
    values = size * np.ones((1, 1, 5))
    root = xr.Dataset({"failure": ("candidate", np.array([""], dtype=object))})
    child = protocol_dataset(time, {"synaptic_current": values}, {}, {"spikes": []})
    write_netcdf(xr.DataTree.from_dict({"/": root, "/p": child}), tmp_path / "t.nc")
    with xr.open_datatree(tmp_path / "t.nc", engine="netcdf4") as kept:
        np.testing.assert_array_equal(kept["p"]["synaptic_current"].values, values)
