"""A multirun leaves one table and one figure, whatever became of its jobs."""

import csv
import json
import shutil

import numpy as np
import pytest
import small

import stpspec
from stpspec.errors import ResultError, SpecError, SpecProblem
from stpspec.results import multirun
from stpspec.view.multirun import jobs_table, plot_jobs


@pytest.fixture(scope="module")
def ended_multirun(tmp_path_factory):
    folder = tmp_path_factory.mktemp("multirun")
    (folder / "small.yaml").write_text(small.YAML)
    done = small.cli(
        "fit", "small.yaml", "-m", "fitter=least_squares,tpe", "parameters.U.max=0.9,0.05",
        "++fitter.budget.evaluations=20", "--out", "jobs", cwd=folder,
    )  # fmt: skip
    return folder / "jobs", done


def test_the_table_has_a_row_for_each_job_with_what_varied_loss_cost_and_status(ended_multirun):
    folder, done = ended_multirun
    assert done.returncode == 1  # two of the four are not valid
    found = multirun.collect(folder)
    assert [j.status for j in found] == ["done", "failed", "done", "failed"]
    assert multirun.varied(found) == ["fitter", "parameters.U.max"]
    assert jobs_table(found, multirun.varied(found)) in done.stdout
    assert "min must be below max" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_the_figure_and_the_csv_are_written_beside_the_jobs(ended_multirun):
    folder, _ = ended_multirun
    assert (folder / "jobs.png").stat().st_size > 10_000
    with (folder / "jobs.csv").open() as file:
        rows = list(csv.reader(file))
    assert len(rows) == 5
    assert rows[0][:3] == ["job", "fitter", "parameters.U.max"]


def test_the_figure_shows_the_loss_against_simulations_and_seconds_per_fitter(ended_multirun):
    axes = plot_jobs(multirun.collect(ended_multirun[0]))
    assert [ax.get_xlabel() for ax in axes] == ["Simulations", "Time (s)"]
    labels = [t.get_text() for t in axes[0].get_legend().get_texts()]
    assert labels == ["least_squares", "tpe", "Result"]
    for line in axes[0].lines:  # the best so far never gets worse
        assert (line.get_ydata()[1:] <= line.get_ydata()[:-1]).all()


def test_collect_gives_the_same_afterwards_also_while_a_job_is_running(ended_multirun, tmp_path):
    folder, _ = ended_multirun
    multirun.begin(folder / "4", ["fitter=slsqp", "parameters.U.max=0.9"])
    again = small.cli("collect", str(folder), cwd=tmp_path)
    assert "running" in again.stdout
    assert "2 done, 2 failed, 1 running" in again.stdout
    (folder / "4" / multirun.JOB_FILE).unlink()


def test_collect_tells_which_jobs_are_damaged_and_shows_the_others(ended_multirun, tmp_path):
    folder = tmp_path / "jobs"
    shutil.copytree(ended_multirun[0], folder)
    (folder / "0/result/result.nc").write_bytes(b"cut short")
    (folder / "1" / multirun.JOB_FILE).write_text("{")
    shutil.rmtree(folder / "2/result")
    found = multirun.collect(folder)
    assert [j.status for j in found] == ["failed"] * 4
    told = ("result cannot be read", "job.json cannot be read", "result is gone", "min must be")
    for job, reason in zip(found, told, strict=True):
        assert reason in job.reason


def test_in_python_the_jobs_show_themselves_as_their_table(ended_multirun):
    found = stpspec.collect(ended_multirun[0])
    assert repr(found) == jobs_table(found, multirun.varied(found))
    assert "<table" in found._repr_html_()
    assert "least_squares" in found._repr_html_()
    assert len(repr(found[0])) < 300
    assert "failed" in repr(found[1])


def test_the_csv_of_the_jobs_has_every_digit(ended_multirun):
    with (ended_multirun[0] / "jobs.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = stpspec.collect(ended_multirun[0])
    assert float(rows[0]["loss"]) == found[0].summary["loss"]
    assert float(rows[0]["U"]) == found[0].summary["parameters"]["U"]["value"]


def test_the_first_problem_of_a_failed_job_is_told_as_others_may_follow_from_it(tmp_path):
    problems = [
        SpecProblem("plugins.0", "cannot", where="a.yaml:1"),
        SpecProblem("objective.terms.t.metric", "no metric", where="a.yaml:2"),
    ]
    multirun.end(tmp_path / "0", ["seed=1"], SpecError(problems))
    jobs = multirun.collect(tmp_path)
    assert "failed: a.yaml:1 | plugins.0: cannot (and 1 more)" in repr(jobs)
    assert "a.yaml:2 | objective.terms.t.metric: no metric" in jobs[0].reason


def test_a_failed_job_of_an_earlier_version_shows_the_last_line_of_its_reason(tmp_path):
    content = {"overrides": ["seed=1"], "status": "failed", "reason": "FitError: no\n  not at all"}
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / multirun.JOB_FILE).write_text(json.dumps(content))
    assert "failed: not at all" in repr(multirun.collect(tmp_path))


def test_experiments_have_dashes_of_their_own_in_the_figure():
    curve = np.array([2.0, 1.0])
    made = [
        multirun.Job("0", {"fitter": "tpe"}, "done", "", {"name": name}, curve, curve)
        for name in ("first", "second")
    ]
    axes = plot_jobs(made)
    assert axes[0].lines[0].get_linestyle() != axes[0].lines[1].get_linestyle()
    assert axes[0].lines[0].get_color() == axes[0].lines[1].get_color()
    labels = [t.get_text() for t in axes[0].get_legend().get_texts()]
    assert labels == ["tpe", "first", "second"]


def test_a_job_of_one_simulation_is_seen_in_the_figure_as_a_point():
    one = np.array([1.0])
    axes = plot_jobs([multirun.Job("0", {"fitter": "tpe"}, "done", "", {"name": "a"}, one, one)])
    assert axes[0].lines[0].get_marker() == "o"
    assert all(float(tick).is_integer() for tick in axes[0].get_xticks())


def test_a_job_is_called_by_the_file_that_it_fits(ended_multirun):
    content = json.loads((ended_multirun[0] / "0" / multirun.JOB_FILE).read_text(encoding="utf-8"))
    assert content["overrides"][0] == "experiment=small.yaml"


def test_a_launcher_that_cannot_start_is_told_in_one_line(tmp_path):
    (tmp_path / "small.yaml").write_text(small.YAML)
    done = small.cli(
        "fit", "small.yaml", "-m", "seed=1,2", "hydra/launcher=submitit_slurm", "--out", "jobs",
        cwd=tmp_path, PATH=str(tmp_path),  # no Slurm there
    )  # fmt: skip
    assert done.returncode == 1
    assert "the launcher could not run the jobs" in done.stderr
    assert "should not happen" not in done.stderr


def test_a_folder_without_jobs_is_refused(tmp_path):
    with pytest.raises(ResultError, match="no job in"):
        multirun.collect(tmp_path)


def test_a_second_multirun_does_not_mix_with_the_first(ended_multirun):
    folder, _ = ended_multirun
    done = small.cli("fit", "small.yaml", "-m", "seed=1,2", "--out", "jobs", cwd=folder.parent)
    assert done.returncode == 1
    assert "another multirun" in done.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    "launcher",
    [
        ["joblib", "hydra.launcher.n_jobs=2"],
        ["submitit_local"],
    ],
    ids=lambda w: w[0],
)
def test_other_launchers_give_the_same_table(tmp_path, launcher):
    (tmp_path / "small.yaml").write_text(small.YAML)
    done = small.cli(
        "fit", "small.yaml", "-m", "fitter=least_squares,slsqp",
        f"hydra/launcher={launcher[0]}", *launcher[1:], "--out", "jobs", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = multirun.collect(tmp_path / "jobs")
    assert [j.overrides["fitter"] for j in found] == ["least_squares", "slsqp"]
    for job in found:
        assert job.summary["parameters"]["U"]["value"] == pytest.approx(0.6, rel=1e-4)
        path = tmp_path / "jobs" / job.name / multirun.JOB_FILE
        assert json.loads(path.read_text())["status"] == "done"
