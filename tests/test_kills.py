"""Kills: whatever ends a command at whatever instant, nothing that was done is lost or doubled."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import optuna
import postgresql
import pytest
import small
from nursery import nursery

from stpspec.campaigns.record import connection_states
from stpspec.results.fit_result import FitResult
from stpspec.studies.storage import open_storage

BUDGET = 16
UNBOUNDED = ["fitter=random", "fitter.batch=4", "numerics.integrator=fixed"]
RANDOM = [*UNBOUNDED, f"fitter.budget.evaluations={BUDGET}"]
FIT = ["fit", "small.yaml", *RANDOM, "--quiet"]
ONE, TWO = (signal.SIGKILL,), (signal.SIGINT, signal.SIGINT)
ENDS = {"SIGKILL": ONE, "SIGTERM": (signal.SIGTERM,), "SIGHUP": (signal.SIGHUP,),
        "Ctrl-C twice": TWO}  # fmt: skip
LONG = [
    pytest.param(ends, 30 if ends == "SIGKILL" else 10, marks=pytest.mark.long) for ends in ENDS
]
# How, and at how many instants.
each_end = pytest.mark.parametrize(("ends", "times"), [("SIGKILL", 2), *LONG])
each_end_at_length = pytest.mark.parametrize(("ends", "times"), LONG)


@pytest.fixture(scope="module")
def warm():
    with nursery(fitted=True) as started:
        yield started


@pytest.fixture
def here(warm, tmp_path):
    """Return what runs a command, and ends it, where small.yaml is."""
    (tmp_path / "small.yaml").write_text(small.YAML)
    return functools.partial(warm.run, cwd=tmp_path)


def instants(here, words, times):
    """Return the seconds after which a command is ended: any of those that it takes."""
    began = time.monotonic()
    done = here(words)
    assert done.returncode in (0, 3), done.stderr
    took = time.monotonic() - began
    return np.random.default_rng(times).uniform(0, took, times)


def ended(here, words, at, ends):
    """Run a command and end it; what it says is no more than a line, its code that of the end."""
    signals = [(at if i == 0 else 0.02, number) for i, number in enumerate(ends)]
    done = here(words, signals=signals)
    code, err = done.returncode, done.stderr
    number = ends[0]
    allowed = {-number} if number == signal.SIGKILL else {128 + number, -number}
    assert code in {0, 3, *allowed}, (code, err)  # it may have ended by itself
    assert "Traceback" not in err, err
    assert "should not happen" not in err, err
    return code, done.stdout


def hidden(folder):
    """Return what was only for the time of writing."""
    return sorted(p.name for p in Path(folder).rglob(".*") if p.name != ".lock")


def children_of_nobody(folder):
    """Return the processes that work in a folder and whose parent has ended."""
    orphans = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = (path / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
            if (path / "cwd").readlink() == Path(folder) and parent == "1":
                orphans.append(path.name)
    return orphans


def trials(place):
    """Return the trials of the study in a storage."""
    storage = open_storage(place)
    try:
        return [t for s in storage.optuna.get_all_studies()
                for t in storage.optuna.get_all_trials(s._study_id)]  # fmt: skip
    finally:
        storage.close()


def evaluated(place):
    return [t for t in trials(place) if "evaluation" in t.user_attrs]


@each_end
def test_a_fit_that_is_ended_leaves_a_whole_result_or_none(here, tmp_path, ends, times):
    words = [*FIT, "--out"]
    saved = 0
    for n, at in enumerate(instants(here, [*words, "first"], times)):
        code, out = ended(here, [*words, f"out{n}"], at, ENDS[ends])
        folder = tmp_path / f"out{n}"
        if folder.exists():
            result = FitResult.load(folder)
            assert json.loads((folder / "summary.json").read_text())["loss"] == result.loss
            assert "U" in (folder / "experiment.yaml").read_text()
            saved += 1
        else:  # nothing is said to be there
            assert f"files in out{n}" not in out
            assert code not in (0, 3)
    last = here([*words, "last"])
    assert last.returncode in (0, 3), last.stderr
    assert hidden(tmp_path) == []
    assert children_of_nobody(tmp_path) == []
    print(f"fit, {ends}: {times} ended, {saved} saved so far, 0 half")  # noqa: T201 - the counts, for pytest -s


@contextlib.contextmanager
def places(kind, folder):
    """Yield the storage of a study."""
    if kind != "PostgreSQL":
        yield {"journal": "s.journal", "SQLite": f"sqlite:///{folder}/s.db"}[kind]
        return
    with postgresql.server() as url:
        yield url


@each_end
@pytest.mark.parametrize(
    "kind",
    ["journal", pytest.param("SQLite", marks=pytest.mark.long),
     pytest.param("PostgreSQL", marks=[pytest.mark.long, pytest.mark.needs("postgresql")])],
)  # fmt: skip
def test_a_study_that_is_ended_loses_and_doubles_nothing(here, tmp_path, kind, ends, times):
    with places(kind, tmp_path) as place:
        at_test = str(tmp_path / place) if kind == "journal" else place
        n = BUDGET * (times + 2)
        study = f"study={{name: s, storage: '{place}'}}"
        words = ["fit", "small.yaml", *UNBOUNDED, "--quiet", study, "--out"]
        first = [*words, "first", f"fitter.budget.evaluations={BUDGET}"]
        seconds = instants(here, first, times)
        kept = {t.number: t.params for t in evaluated(at_test)}
        in_flight = 0
        for number, at in enumerate(seconds):
            budget = f"fitter.budget.evaluations={BUDGET * (number + 2)}"
            ended(here, [*words, f"out{number}", budget], at, ENDS[ends])
            every = trials(at_test)
            now = {t.number: t.params for t in every if "evaluation" in t.user_attrs}
            assert kept.items() <= now.items()  # none is lost
            kept = now
            running = [t for t in every if t.state == optuna.trial.TrialState.RUNNING]
            in_flight += len(running)
            if ends != "SIGKILL":  # all but those whose process was not yet ready for a signal
                assert len(running) <= 4
        last = here([*words, "last", f"fitter.budget.evaluations={n}"])
        assert last.returncode in (0, 3), last.stderr
        every = trials(at_test)
        done = [t for t in every if "evaluation" in t.user_attrs]
        assert len(done) == n
        assert len({tuple(t.params.values()) for t in done}) == n  # none is doubled
        states = {t.state for t in every}
        assert optuna.trial.TrialState.RUNNING not in states
        assert optuna.trial.TrialState.WAITING not in states
        assert FitResult.load(tmp_path / "last").n_evaluations == n
        assert hidden(tmp_path) == []
        assert not (tmp_path / "s.journal.lock").exists()
        assert children_of_nobody(tmp_path) == []
        print(f"study in {kind}, {ends}: {times} ended, 0 lost, 0 double, {in_flight} in flight")  # noqa: T201 - the counts, for pytest -s


@each_end
def test_a_sweep_that_is_ended_leaves_a_whole_table_or_none(here, tmp_path, ends, times):
    words = ["sweep", "small.yaml", "U=[0.1,0.2,0.3,0.4,0.5]", "--quiet", "--out"]
    saved = 0
    for n, at in enumerate(instants(here, [*words, "first"], times)):
        ended(here, [*words, f"out{n}"], at, ENDS[ends])
        folder = tmp_path / f"out{n}"
        if folder.exists():
            saved += 1
            assert (folder / "sweep.csv").read_text() == (tmp_path / "first/sweep.csv").read_text()
            assert (folder / "sweep.nc").stat().st_size > 1000
    here([*words, "last"])
    assert hidden(tmp_path) == []
    print(f"sweep, {ends}: {times} ended, {saved} saved, 0 half")  # noqa: T201 - the counts, for pytest -s


@each_end_at_length
def test_a_campaign_that_is_ended_goes_on_where_it_was(here, tmp_path, ends, times):
    rows = [{"connection": f"c{i}", "size": 30 + i} for i in range(3)]
    (tmp_path / "table.yaml").write_text(json.dumps(rows))
    words = ["campaign", "table.yaml", "small.yaml", *RANDOM, "--quiet", "--out"]
    for n, at in enumerate(instants(here, [*words, "first"], times)):
        out = f"out{n // 5}"  # each campaign is ended some times
        code, _ = ended(here, [*words, out], at, ENDS[ends])
        if not (tmp_path / out / "campaign.json").exists():
            continue
        states = connection_states(tmp_path / out)
        assert not {"running", "failed"} & {c.status for c in states}
        if ends != "SIGKILL" and code > 0:
            assert "stopped" not in {c.status for c in states}
        for state in states:
            assert state.status not in ("done",) or state.summary.get("evaluations") == BUDGET
    for n in range(0, times, 5):
        last = here([*words, f"out{n // 5}"])
        assert last.returncode in (0, 3), last.stderr
        states = connection_states(tmp_path / f"out{n // 5}")
        assert [c.status for c in states] == ["done"] * 3
        for state in states:
            (journal,) = (tmp_path / f"out{n // 5}" / state.name).glob("*.journal")
            done = evaluated(str(journal))
            assert len(done) == state.summary.get("evaluations") == BUDGET
            assert len({tuple(t.params.values()) for t in done}) == BUDGET
    assert hidden(tmp_path) == []
    print(f"campaign, {ends}: {times} ended, all done afterwards, 0 lost, 0 double")  # noqa: T201 - the counts, for pytest -s


@pytest.mark.parametrize("times", [3, pytest.param(30, marks=pytest.mark.long)])
def test_a_result_whose_saving_is_killed_is_whole_or_not_there(here, tmp_path, times):
    assert here([*FIT, "--out", "first"]).returncode in (0, 3)
    result, rng = FitResult.load(tmp_path / "first"), np.random.default_rng(times)
    result.save(tmp_path / "same")
    for n in range(times):
        pid = os.fork()
        if not pid:  # this process is warm itself
            try:
                for k in range(10**6):
                    result.save(tmp_path / "same", overwrite=True)
                    result.save(tmp_path / f"new{n}-{k}")
            finally:
                os._exit(1)
        time.sleep(rng.uniform(0, 0.7))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for folder in [tmp_path / "same", *tmp_path.glob(f"new{n}-*")]:
            assert FitResult.load(folder).loss == result.loss
            assert json.loads((folder / "summary.json").read_text())["loss"] == result.loss
    result.save(tmp_path / "last")
    assert hidden(tmp_path) == []
    print(f"saving, SIGKILL: {times} killed, 0 lost, 0 half, 0 left behind")  # noqa: T201 - the counts, for pytest -s
