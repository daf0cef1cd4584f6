"""A long study is shown by some thousands of its trials: the telling ones, and true numbers."""

import csv
import io
import json
from wsgiref.util import setup_testing_defaults

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState, create_trial
from test_dashboard import api, dashboard
from test_studies import studied

from stpspec.dashboard.server import application
from stpspec.dashboard.storage_view import WHOLE, thinned
from stpspec.studies.study import Study

N = 3 * WHOLE
SOON = 100  # more than are among the best of their time by chance


def finished(losses):
    """Trials with these losses; those with nan have failed."""
    return [
        create_trial(state=TrialState.FAIL) if np.isnan(loss) else create_trial(value=float(loss))
        for loss in losses
    ]


def numbers_shown(losses):
    trials = finished(losses)
    for number, trial in enumerate(trials):
        trial.number = number
    return [t.number for t in thinned(trials)]


def test_trials_shown_are_the_first_ever_fewer_later_and_the_best_of_their_time():
    losses = np.random.default_rng(0).random(10 * WHOLE)
    losses[7 * WHOLE + 1 : 7 * WHOLE + 4] = -1.0, -3.0, -2.0
    shown = numbers_shown(losses)
    assert shown == sorted(set(shown))
    assert shown[:WHOLE] == list(range(WHOLE))
    assert set(np.argsort(losses)[:3]) <= set(shown)
    assert WHOLE / 4 <= len([n for n in shown if WHOLE <= n < 2 * WHOLE]) < WHOLE / 4 + SOON
    assert WHOLE / 4 <= len([n for n in shown if 4 * WHOLE <= n < 8 * WHOLE]) < WHOLE / 4 + SOON
    record = np.minimum.accumulate(losses)
    assert set(np.flatnonzero(record[1:] < record[:-1]) + 1) <= set(shown)


def test_what_a_page_has_loaded_stays_as_the_study_grows():
    losses = np.random.default_rng(1).random(3 * WHOLE)
    losses[::5] = np.nan
    whole = numbers_shown(losses)
    for n in (10, WHOLE, WHOLE + 1, 2 * WHOLE + 77):
        part = numbers_shown(losses[:n])
        assert part == whole[: len(part)]


def test_every_failure_among_few_is_shown_and_every_trial_that_runs():
    losses = np.random.default_rng(2).random(4 * WHOLE)
    losses[3 * WHOLE :: 50] = np.nan
    failed = set(np.flatnonzero(np.isnan(losses)))
    assert failed <= set(numbers_shown(losses))
    trials = finished(losses)
    for trial in trials[-9:]:
        trial.state = TrialState.RUNNING
    assert thinned(trials)[-9:] == trials[-9:]


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A study of N trials whose best one came last but one, and its journal."""
    folder = tmp_path_factory.mktemp("long")
    study = Study(studied(folder).study, studied(folder))
    journal = folder / "s.journal"
    keep(study, "first", np.random.default_rng(0).random(64) + 1.0)
    trials = journal.read_text().splitlines(keepends=True)[-64:]
    with journal.open("a") as file:
        file.writelines((trials * N)[: N - 2 - 64])
    keep(study, "last", [0.25, 3.0])
    return journal, study


def keep(study, batch, losses):
    values = {n: d.high for n, d in study.space.items()}
    study.record([
        {"batch": batch, "index": i, "point": [0.5], "values": values, "loss": float(loss),
         "residuals": [float(loss)], "metrics": {"size": 42.0}, "reason": "", "seconds": 0.1,
         "start": 0}
        for i, loss in enumerate(losses)
    ])  # fmt: skip


def told(app, path, query=""):
    """Return what the application answers."""
    environ = {}
    setup_testing_defaults(environ)
    environ |= {"PATH_INFO": path, "QUERY_STRING": query}
    return b"".join(app(environ, lambda *_: None)).decode()


def test_long_study_is_shown_by_a_sample_with_true_numbers_and_says_so(long):
    journal, study = long
    app, page = application(str(journal))
    detail = json.loads(told(app, page.replace("/dashboard", "/api"), "after=0"))
    shown = len(detail["trials"])
    assert WHOLE < shown < 2 * WHOLE
    assert f"**{shown:,} of {N:,} trials are shown:**" in detail["note"]["body"].splitlines()[0]
    assert detail["best_trials"][0]["values"] == [0.25]
    assert detail["best_trials"][0]["number"] == N - 2
    assert detail["trials"][-1]["number"] == N - 2
    rows = list(csv.reader(io.StringIO(told(app, "/csv/0"))))
    assert len(rows) == 1 + N
    keep(study, "more", [0.125])  # what comes is followed
    followed, _ = application(str(journal))
    later = json.loads(told(followed, page.replace("/dashboard", "/api"), f"after={shown}"))
    assert [t["values"] for t in later["trials"]] == [[0.125]]


def test_every_trial_of_a_long_study_is_shown_when_asked_for(long):
    with dashboard(long[0], "--all") as page:
        detail = api(page)
    assert len(detail["trials"]) >= N
    assert "trials are shown" not in detail["note"]["body"]


def test_study_of_another_program_is_shown_whole(tmp_path):
    place = str(tmp_path / "other.journal")
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(place))
    study = optuna.create_study(storage=storage, directions=["maximize", "minimize"])
    lines = [create_trial(values=[float(i), 0.0]) for i in range(2)]
    study.add_trials(lines)
    text = (tmp_path / "other.journal").read_text().splitlines(keepends=True)
    (tmp_path / "other.journal").write_text("".join(text + text[-1:] * (WHOLE + 8)))
    app, page = application(place)
    detail = json.loads(told(app, page.replace("/dashboard", "/api")))
    assert len(detail["trials"]) == WHOLE + 10
