"""Many processes on one study: none of its trials is lost, none is made twice."""

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import optuna
import pages
import postgresql
import pytest
from programs import postgresql_folder
from small import ROOT
from test_shared_study import entered_by_a_fit
from test_studies import SEVERAL_STARTS, see_that_each_was_recorded_once, studied

import stpspec
from stpspec.errors import StudyError
from stpspec.studies.storage import open_storage


@pytest.fixture(scope="module")
def database():
    with postgresql.server() as url:
        yield url


@contextlib.contextmanager
def opened(place):
    """Open a storage, and close its connections: warnings of open ones are errors."""
    storage = open_storage(place)
    yield storage.optuna
    storage.close()


def share(place, name, n, started, tmp_path):
    """Fit with four processes that were given the same command; return the trials."""
    fitter = {"kind": "optuna", "batch": 4, "budget": {"evaluations": n}}
    experiment = studied(tmp_path, fitter=fitter, study={"name": name, "storage": place})
    processes = [started(experiment, cwd=tmp_path) for _ in range(4)]
    for process in processes:
        _, err = process.communicate(timeout=900)
        assert process.returncode == 0, err
    with opened(place) as storage:
        return optuna.load_study(study_name=name, storage=storage).trials


def see_that_each_counts_once(trials, n):
    """See that there are n evaluations, of n points, by several workers, and no loose end."""
    done = [t for t in trials if "evaluation" in t.user_attrs]
    assert len(done) == n
    assert len({tuple(t.params.values()) for t in done}) == n
    assert [t.number for t in trials] == list(range(len(trials)))
    assert len({t.user_attrs["worker"] for t in done}) > 1
    states = optuna.trial.TrialState
    assert not [t for t in trials if t.state in (states.RUNNING, states.WAITING)]


@pytest.mark.needs("postgresql")
@pytest.mark.long
def test_400_trials_of_four_processes_in_postgresql(database, started, tmp_path):
    see_that_each_counts_once(share(database, "many", 400, started, tmp_path), 400)


@pytest.mark.long
def test_400_trials_of_four_processes_in_a_journal(started, tmp_path):
    place = str(tmp_path / "s.journal")
    see_that_each_counts_once(share(place, "many", 400, started, tmp_path), 400)


@pytest.mark.needs("postgresql")
def test_fit_in_postgresql_goes_on_where_it_stopped(database, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the figures of a study in a database are kept here

    def fit(n):
        fitter = {"kind": "optuna", "budget": {"evaluations": n}}
        study = {"name": "resumed", "storage": database}
        return stpspec.fit(studied(tmp_path, fitter=fitter, study=study))

    first, again = fit(12), fit(20)
    assert again.n_evaluations == 20
    assert again.history["loss"].values[:12].tolist() == first.history["loss"].values.tolist()


def fitted_at_once(experiment, n, started, tmp_path):
    """Fit in n processes at once; return the trials."""
    for process in [started(experiment, cwd=tmp_path) for _ in range(n)]:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    with opened(experiment.study.storage) as storage:
        return optuna.load_study(study_name=experiment.study.name, storage=storage).trials


@pytest.mark.long
@pytest.mark.needs("postgresql")
def test_local_fits_at_once_in_postgresql_log_each_evaluation_once(database, started, tmp_path):
    study = {"name": "local", "storage": database}
    experiment = studied(tmp_path, SEVERAL_STARTS, study=study)
    see_that_each_was_recorded_once(
        fitted_at_once(experiment, 3, started, tmp_path), experiment, tmp_path
    )


@pytest.mark.long
@pytest.mark.needs("postgresql")
def test_processes_that_go_on_at_once_in_postgresql_retry_what_has_died(
    database, started, tmp_path
):
    fitter = {"kind": "optuna", "batch": 4, "budget": {"evaluations": 24}}
    experiment = studied(tmp_path, fitter, study={"name": "died", "storage": database})
    gone = subprocess.Popen(["true"])
    gone.wait()
    points = [{"U": 0.2 + x / 40} for x in range(12)]
    with entered_by_a_fit(experiment) as study:
        study.begin(points, {"worker": f"{socket.gethostname()}:{gone.pid}"})
    trials = fitted_at_once(experiment, 3, started, tmp_path)
    done = [t.params for t in trials if "evaluation" in t.user_attrs]
    assert len(done) == 24
    assert all(point in done for point in points)
    assert [t.state.name for t in trials[:12]] == ["FAIL"] * 12


@pytest.mark.needs("postgresql")
@pytest.mark.long
def test_recipe_of_the_manual_fits_and_shows_a_study_in_a_database(database, tmp_path):
    from test_dashboard import api, dashboard

    page = pages.blocks((ROOT / "docs/studies.md").read_text(encoding="utf-8"))
    (tmp_path / "depressing.yaml").write_text(next(b for b in page if b.language == "yaml").body)
    recipe = next(b.body for b in page if b.body.startswith("createdb"))
    there = database.partition("//")[2].partition("/")[0]
    host, _, port = there.partition("@")[2].partition(":")
    recipe = recipe.replace("USER@SERVER", there).replace("SERVER", host)
    *commands, show = recipe.splitlines()
    path = f"{Path(sys.executable).parent}:{postgresql_folder()}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", "\n".join(commands)], cwd=tmp_path, text=True, capture_output=True,
        check=False, env=os.environ | {"PATH": path, "PGPORT": port, "PGUSER": "stpspec"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "8 simulations in" in done.stdout
    with dashboard(show.split()[-1], cwd=tmp_path) as url:
        detail = api(url)
    assert [t["state"] for t in detail["trials"]] == ["Complete"] * 8
    assert detail["artifacts"]


@pytest.mark.needs("postgresql")
def test_database_that_is_not_there_is_named(database, tmp_path):
    place = database.replace("/postgres", "/nowhere")
    with pytest.raises(StudyError, match=r"cannot be opened: .*\"nowhere\" does not exist"):
        stpspec.fit(studied(tmp_path, study={"name": "s", "storage": place}))
