"""The dashboard shows a study while it is written, with its spec and figures, and only reads."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request

import optuna
import pytest
from programs import page_in_browser
from small import data
from test_studies import n_stored, studied, trials

import stpspec
from stpspec.dashboard.server import application, find_study, serve
from stpspec.errors import DashboardError, StudyError
from stpspec.specs.experiment import Experiment
from stpspec.studies.storage import open_storage


@contextlib.contextmanager
def dashboard(study, *flags, **where):
    """Run the command; yield the address of the page that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stpspec.cli", "dashboard", str(study), "--port", "0", *flags],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **where,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate()


def api(page, path=""):
    """Return what the page asks the server for."""
    base, number = re.fullmatch(r"(http://[\d.:]+)/dashboard/studies/(\d+)", page).groups()
    with urllib.request.urlopen(f"{base}/api/studies/{number}{path}", timeout=30) as answer:
        return json.loads(answer.read())


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    with pytest.MonkeyPatch.context() as patch:  # as for a fit so long that figures cost nothing
        patch.setattr("stpspec.fitters.trial_figures._SHARE", 1e9)
        return folder, stpspec.fit(studied(folder))


def test_short_fit_draws_its_best_trial_alone(tmp_path):
    experiment = studied(tmp_path, fitter={"kind": "optuna", "budget": {"evaluations": 8}})
    stpspec.fit(experiment)
    best = min((t for t in trials(tmp_path) if t.value is not None), key=lambda t: t.value)
    study = optuna.load_study(
        study_name="s", storage=open_storage(str(tmp_path / "s.journal")).optuna
    )
    drawn = [meta.filename for meta in optuna.artifacts.get_all_artifact_meta(study)]
    assert drawn == [f"trial_{best.number}.png"]


@pytest.mark.long
@pytest.mark.needs("chromium")
def test_study_is_watched_in_a_browser_while_it_is_written(started, tmp_path):
    fitter = {"kind": "optuna", "budget": {"evaluations": 2000, "seconds": 60}}
    fit = started(studied(tmp_path, fitter=fitter, name="watched"))
    while n_stored(tmp_path) < 30 and fit.poll() is None:
        time.sleep(0.05)
    with dashboard(tmp_path / "s.journal") as page:
        assert page.startswith("http://127.0.0.1:")
        before = len(api(page)["trials"])
        shown = page_in_browser(page)
        assert "watched" in shown
        assert "Best Trial" in shown
        assert fit.poll() is None, "the fit ended before it was looked at"
        time.sleep(6)  # the page's own cache
        assert len(api(page)["trials"]) > before >= 30
    fit.terminate()
    fit.wait()
    evaluated = [t for t in trials(tmp_path, "watched") if "evaluation" in t.user_attrs]
    assert len(evaluated) == n_stored(tmp_path)


@pytest.mark.needs("chromium")
def test_page_shows_spec_targets_and_figures_of_the_best_trials(fitted):
    folder, result = fitted
    with dashboard(folder / "s.journal") as page:
        detail = api(page)
        note = page_in_browser(f"{page}/note")
        front = page_in_browser(page)
        base = page.partition("/dashboard")[0]
        images = [f"{base}/artifacts/0/{a['artifact_id']}" for a in detail["artifacts"]]
        pictures = [urllib.request.urlopen(i, timeout=30).read() for i in images]
    for text in ("TsodyksMarkram", "amplitude", "42", "pA", "tau_decay"):
        assert text in note
    assert len(pictures) == 3
    assert all(p.startswith(b"\x89PNG") for p in pictures)
    best = int(result.history["loss"].values.argmin())
    names = {a["filename"] for a in detail["artifacts"]}
    assert f"trial_{best}.png" in names
    assert all(name in front for name in names)
    facts = {a["key"] for a in detail["trials"][0]["user_attrs"]}
    assert "size" in facts  # each metric by its name


def test_request_that_could_write_is_refused_and_changes_nothing(fitted):
    folder, _ = fitted
    before = (folder / "s.journal").read_bytes()
    with dashboard(folder / "s.journal") as page:
        study = page.replace("/dashboard", "/api")
        for method in ("DELETE", "POST", "PUT"):
            for path in ("", "/rename", "/note"):
                request = urllib.request.Request(study + path, method=method, data=b"{}")
                with pytest.raises(urllib.error.HTTPError) as refused:
                    urllib.request.urlopen(request, timeout=30)
                assert refused.value.code == 403
                assert "only reads" in refused.value.read().decode()
    assert (folder / "s.journal").read_bytes() == before


def test_torn_journal_is_shown_and_left_as_it_is(fitted, tmp_path):
    whole = (fitted[0] / "s.journal").read_bytes()
    journal = tmp_path / "torn.journal"
    journal.write_bytes(whole[:-20])
    with dashboard(journal) as page:
        assert api(page)["trials"]
    assert journal.read_bytes() == whole[:-20]


def test_study_is_found_by_name_by_file_and_by_the_folder_of_a_fit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DashboardError, match="which study"):
        find_study(None)
    result = stpspec.fit(Experiment.from_data(data(study="mine")))
    result.save("folder")
    journal = "stpspec-studies/mine.journal"
    assert find_study(None) == (journal, None)
    assert find_study("mine") == (journal, "mine")
    assert find_study(journal) == (journal, None)
    assert find_study("folder") == (journal, "mine")
    assert find_study("sqlite:///x.db") == ("sqlite:///x.db", None)
    with pytest.raises(DashboardError, match="did you mean 'mine'"):
        find_study("mime")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DashboardError, match="no result of a fit with a study"):
        find_study("empty")
    with pytest.raises(StudyError, match="holds mine, not other"):
        application(journal, "other")


def test_name_of_a_study_whose_changes_were_accepted_means_the_latest(tmp_path):
    accepting = {"name": "s", "storage": str(tmp_path / "s.journal"), "accept_changes": True}
    first = studied(tmp_path, study=accepting).changed({"fitter.budget.evaluations": 2})
    stpspec.fit(first)
    stpspec.fit(first.changed({"objective.terms.size.target": 40.0}))
    assert application(str(tmp_path / "s.journal"), "s")[1] == "/dashboard/studies/1"


def test_missing_package_is_named_with_its_cure(fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(DashboardError, match=r"pip install 'stpspec\[dashboard\]'"):
        application(str(fitted[0] / "s.journal"))


def test_figure_that_is_drawn_later_or_moved_with_its_journal_is_shown(tmp_path):
    stpspec.fit(studied(tmp_path).changed({"fitter.budget.evaluations": 4}))
    (tmp_path / "s.artifacts").rename(tmp_path / "not yet")
    with dashboard(tmp_path / "s.journal") as page:
        figure = api(page)["artifacts"][0]["artifact_id"]
        address = f"{page.partition('/dashboard')[0]}/artifacts/0/{figure}"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(address, timeout=30)
        (tmp_path / "not yet").rename(tmp_path / "s.artifacts")
        assert urllib.request.urlopen(address, timeout=30).read().startswith(b"\x89PNG")
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("s.journal", "s.artifacts"):
        (tmp_path / name).rename(moved / name)
    with dashboard(moved / "s.journal") as page:
        address = f"{page.partition('/dashboard')[0]}/artifacts/0/{figure}"
        assert urllib.request.urlopen(address, timeout=30).read().startswith(b"\x89PNG")


def test_file_that_is_no_journal_is_told(tmp_path):
    (tmp_path / "targets.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(StudyError, match="no journal of a study"):
        application(str(tmp_path / "targets.csv"))
    (tmp_path / "empty.journal").touch()
    with pytest.raises(StudyError, match="holds no study"):
        application(str(tmp_path / "empty.journal"))


def test_taken_port_is_told(fitted):
    with dashboard(fitted[0] / "s.journal") as page:
        port = re.search(r":(\d+)/", page)[1]
        done = subprocess.run(
            [sys.executable, "-m", "stpspec.cli", "dashboard", str(fitted[0] / "s.journal"),
             "--port", port], capture_output=True, text=True, check=False, env=os.environ,
        )  # fmt: skip
    assert done.returncode == 1
    assert f"127.0.0.1:{port} cannot be listened on" in done.stderr


def test_port_that_there_is_not_is_told(fitted):
    with pytest.raises(DashboardError, match="cannot be listened on"):
        serve(str(fitted[0] / "s.journal"), "127.0.0.1", 99999)


def test_study_in_a_database_is_shown_like_one_in_a_journal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the figures go beside it
    place = f"sqlite:///{tmp_path}/s.db"
    stpspec.fit(Experiment.from_data(data(study={"name": "d", "storage": place})))
    assert optuna.load_study(study_name="d", storage=open_storage(place).optuna).trials
    with dashboard(place) as page:
        assert api(page)["name"] == "d"
