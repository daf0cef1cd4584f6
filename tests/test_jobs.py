"""A multirun leaves one table and one figure, whatever became of its jobs."""

import csv
import json

import pytest
import small

from stpspec import jobs
from stpspec.errors import ResultError
from stpspec.view.jobs import jobs_table, plot_jobs


@pytest.fixture(scope="module")
def multirun(tmp_path_factory):
    folder = tmp_path_factory.mktemp("multirun")
    (folder / "small.yaml").write_text(small.YAML)
    done = small.cli(
        "fit", "small.yaml", "-m", "fitter=least_squares,tpe", "parameters.U.max=0.9,0.05",
        "++fitter.budget.evaluations=20", "--out", "jobs", cwd=folder,
    )  # fmt: skip
    return folder / "jobs", done


def test_the_table_has_a_row_for_each_job_with_what_varied_loss_cost_and_status(multirun):
    folder, done = multirun
    assert done.returncode == 1  # two of the four are not valid
    found = jobs.collect(folder)
    assert [j.status for j in found] == ["done", "failed", "done", "failed"]
    assert jobs.varied(found) == ["fitter", "parameters.U.max"]
    assert jobs_table(found, jobs.varied(found)) in done.stdout
    assert "min must be below max" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_the_figure_and_the_csv_are_written_beside_the_jobs(multirun):
    folder, _ = multirun
    assert (folder / "jobs.png").stat().st_size > 10_000
    with (folder / "jobs.csv").open() as file:
        rows = list(csv.reader(file))
    assert len(rows) == 5
    assert rows[0][:3] == ["job", "fitter", "parameters.U.max"]


def test_the_figure_shows_the_loss_against_simulations_and_seconds_per_fitter(multirun):
    axes = plot_jobs(jobs.collect(multirun[0]))
    assert [ax.get_xlabel() for ax in axes] == ["Simulations", "Time (s)"]
    labels = [t.get_text() for t in axes[0].get_legend().get_texts()]
    assert labels == ["least_squares", "tpe"]
    for line in axes[0].lines:  # the best so far never gets worse
        assert (line.get_ydata()[1:] <= line.get_ydata()[:-1]).all()


def test_collect_gives_the_same_afterwards_also_while_a_job_is_running(multirun, tmp_path):
    folder, _ = multirun
    jobs.begin(folder / "4", ["fitter=slsqp", "parameters.U.max=0.9"])
    again = small.cli("collect", str(folder), cwd=tmp_path)
    assert "running" in again.stdout
    assert "2 done, 2 failed, 1 running" in again.stdout
    (folder / "4" / jobs.JOB_FILE).unlink()


def test_a_folder_without_jobs_is_refused(tmp_path):
    with pytest.raises(ResultError, match="no job in"):
        jobs.collect(tmp_path)


def test_a_second_multirun_does_not_mix_with_the_first(multirun):
    folder, _ = multirun
    done = small.cli("fit", "small.yaml", "-m", "seed=1,2", "--out", "jobs", cwd=folder.parent)
    assert done.returncode == 1
    assert "another multirun" in done.stderr


@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param(["joblib", "hydra.launcher.n_jobs=2"], marks=pytest.mark.long),
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
    found = jobs.collect(tmp_path / "jobs")
    assert [j.overrides["fitter"] for j in found] == ["least_squares", "slsqp"]
    for job in found:
        assert job.summary["parameters"]["U"]["value"] == pytest.approx(0.6, rel=1e-4)
        path = tmp_path / "jobs" / job.name / jobs.JOB_FILE
        assert json.loads(path.read_text())["status"] == "done"
