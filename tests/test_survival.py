"""Survival: a finished fit outlives its terminal, its disk, its database and its neighbors."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import optuna
import pytest
import small

import stpspec
from stpspec.cli import saving
from stpspec.errors import ResultError, StudyError
from stpspec.fitters import interrupts
from stpspec.log import LogRecorder
from stpspec.resources import processes
from stpspec.resources.drafts import draft_of
from stpspec.resources.processes import has_ended, process_name
from stpspec.results import folder as folders
from stpspec.results.fit_result import FitResult
from stpspec.studies import patience
from stpspec.studies.journal_lock import JournalLock
from stpspec.studies.storage import open_storage

RANDOM = ("fitter=random", "fitter.budget.evaluations=8")


@pytest.fixture
def here(tmp_path):
    (tmp_path / "small.yaml").write_text(small.YAML)
    return tmp_path


# -- the least step does not veto the most important ----------------------------------------------


def in_shell(line, here, **environment):
    """Run a line of a shell in which `stpspec` is the command."""
    with_command = f'stpspec() {{ "{sys.executable}" -m stpspec.cli "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", with_command], cwd=here, text=True, capture_output=True,
        errors="replace", env=os.environ | environment, timeout=300, check=False,
    )  # fmt: skip


FIT = "stpspec fit small.yaml fitter=random fitter.budget.evaluations=4 --out out"


@pytest.mark.parametrize(
    ("line", "environment"),
    [
        pytest.param(FIT, {"PYTHONIOENCODING": "ascii"}, marks=pytest.mark.long),
        pytest.param(
            FIT,
            {"PYTHONIOENCODING": "latin-1", "MPLBACKEND": "no_such_backend"},
            marks=pytest.mark.long,
        ),
        pytest.param(f"{FIT} | head -n 1", {}, marks=pytest.mark.long),
        pytest.param(f"{FIT} >&- 2>&- <&-", {}, marks=pytest.mark.long),
        (f"{FIT} > /dev/full 2> /dev/full", {}),
    ],
)
def test_a_fit_is_saved_whatever_becomes_of_its_output(here, line, environment):
    done = in_shell(line, here, **environment)
    assert done.returncode == 0, done.stderr
    assert FitResult.load(here / "out").n_evaluations == 4
    assert "Traceback" not in done.stderr
    assert (here / "out" / "path.png").exists() == ("MPLBACKEND" not in environment)


@pytest.mark.parametrize(
    "settings",
    [
        "text.usetex: True",
        *(
            pytest.param(s, marks=pytest.mark.long)
            for s in ("axes.prop_cycle: nonsense", "\x00\xff not a file of settings")
        ),
    ],
)
def test_a_figure_that_cannot_be_drawn_is_left_out_with_a_warning(here, settings):
    (here / "mpl").mkdir()
    (here / "mpl" / "matplotlibrc").write_text(settings, encoding="latin-1")
    done = in_shell(FIT, here, MPLCONFIGDIR=str(here / "mpl"))
    assert done.returncode == 0, done.stderr
    assert FitResult.load(here / "out").n_evaluations == 4
    if "usetex" in settings and shutil.which("latex") is None:
        assert "path.png is left out: Failed to process string with tex" in done.stderr
    if "usetex" not in settings:
        assert "should not happen" not in done.stderr


@pytest.mark.long
def test_a_report_and_a_summary_do_without_a_figure_that_cannot_be_drawn(here):
    (here / "table.csv").write_text("connection,size,size_sd\na,42,1\n")
    line = "stpspec campaign table.csv small.yaml --out c --quiet && stpspec report c"
    done = in_shell(line, here, MPLBACKEND="no_such_backend")
    assert done.returncode == 0, done.stderr
    assert "1 done; summary.csv in c\n" in done.stdout
    assert "a figure of the report is left out: " in done.stderr
    page = (here / "c" / "report.html").read_text(encoding="utf-8")
    assert "The figure is left out: " in page
    assert "Asked and achieved" in page


def test_output_that_is_the_product_and_cannot_be_written_is_a_failure(here):
    done = in_shell("stpspec schema fitter > /dev/full", here)
    assert done.returncode == 1
    assert "standard output cannot be written: No space left on device" in done.stderr
    assert in_shell("stpspec schema fitter | head -n 1", here).returncode == 0


def test_a_figure_on_a_full_disk_leaves_the_numbers(here, monkeypatch):
    result = stpspec.fit(small.experiment())
    before = Path.write_bytes

    def full(path, content):
        if path.suffix == ".png":
            before(path, content[:100])
            raise OSError(28, "No space left on device")
        return before(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    result.save(here / "out")
    assert FitResult.load(here / "out").loss == result.loss
    assert not list((here / "out").rglob("*.png"))


# -- two results, one folder ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def result():
    return stpspec.fit(small.experiment())


def test_of_two_results_that_end_at_once_each_has_a_folder_of_its_own(result, tmp_path):
    places = []

    def save():
        place = saving.Place(tmp_path / "same")
        places.append(place.save(result.save, LogRecorder()))

    threads = [threading.Thread(target=save) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(p.name for p in places) == ["same", "same-2", "same-3", "same-4"]
    for place in places:
        assert FitResult.load(place).loss == result.loss
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in places)


def test_a_result_that_came_in_the_meantime_is_not_overwritten(result, tmp_path):
    result.save(tmp_path / "same")
    place = saving.Place(tmp_path / "same", folders.identity(tmp_path / "same"))
    late = saving.Place(tmp_path / "same", folders.identity(tmp_path / "same"))
    assert place.save(result.save, LogRecorder()).name == "same"  # --overwrite, of what was there
    assert late.save(result.save, LogRecorder()).name == "same-2"  # not of what is there by now


def test_a_folder_is_not_replaced_by_one_that_was_checked_before_it_came(result, tmp_path):
    def write(temporary):
        (temporary / "mine").touch()
        (tmp_path / "same").mkdir()
        (tmp_path / "same" / "theirs").touch()

    with pytest.raises(ResultError, match="exists already"):
        folders.write_folder(tmp_path / "same", write)
    assert [p.name for p in (tmp_path / "same").iterdir()] == ["theirs"]
    assert [p.name for p in tmp_path.iterdir()] == ["same"]


def test_a_result_whose_place_is_lost_is_saved_elsewhere_and_says_where(
    result, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").write_text("a file where the folder of results was to be")
    place = saving.Place(tmp_path / "gone" / "out")
    with pytest.raises(ResultError, match=r"is not a folder; the result is in .*elsewhere/out"):
        place.save(result.save, LogRecorder())
    assert FitResult.load("stpspec-results/saved-elsewhere/out").loss == result.loss


def test_a_killed_process_leaves_nothing_that_the_next_does_not_remove(result, tmp_path):
    code = (
        "from pathlib import Path\nfrom stpspec.resources.drafts import draft_of\n"
        "folder = draft_of(Path('out'))\nfolder.mkdir()\n"
        "(folder / 'result.nc').write_bytes(b'half')\n"
        "draft_of(Path('before/trace.png')).write_bytes(b'half')\n"
    )
    (tmp_path / "before").mkdir()
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert len(list(tmp_path.rglob(".*~*"))) == 2
    alive = draft_of(tmp_path / "out")
    alive.mkdir()
    result.save(tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([alive.name, "before", "out"])
    assert list((tmp_path / "before").iterdir()) == []


# -- signals --------------------------------------------------------------------------------------


class Dying:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


def test_an_interrupt_that_a_callback_swallows_is_raised_anew_without_a_traceback(capsys):
    with interrupts.caught():
        Dying()
        assert capsys.readouterr().err == ""
        with pytest.raises(interrupts.Interrupted):
            interrupts.raise_lost()
        interrupts.note()


WORDS = ["fitter=random", "fitter.batch=2", "numerics.integrator=fixed", "--quiet"]
ENDLESS = [*WORDS, "fitter.budget.evaluations=1000000"]


@contextlib.contextmanager
def running(here, *words):
    """Start a command; it ends with the test, also a failed one."""
    with subprocess.Popen(
        [sys.executable, "-m", "stpspec.cli", *words], cwd=here, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def wait_for(journal, process, n=5):
    """Wait until some evaluations are in a journal."""
    end = time.monotonic() + 200
    while not (journal.exists() and journal.read_bytes().count(b'"evaluation"') >= n):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    "numbers",
    [(signal.SIGTERM,),
     *(pytest.param(n, marks=pytest.mark.long)
       for n in ((signal.SIGINT,) * 3, (signal.SIGHUP,), (signal.SIGXCPU,),
                 (signal.SIGTERM, signal.SIGINT)))],
)  # fmt: skip
def test_a_signal_ends_a_fit_with_its_result_saved_and_its_study_in_order(here, numbers):
    study = "study={name: s, storage: s.journal}"
    with running(here, "fit", "small.yaml", *ENDLESS, study, "--out", "out") as process:
        wait_for(here / "s.journal", process)
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.05)
        out, err = process.communicate(timeout=200)
    assert process.returncode == 128 + numbers[0]
    assert "Traceback" not in err
    assert "files in out" in out
    result = FitResult.load(here / "out")
    assert result.status == "interrupted"
    who = "the user" if numbers[0] == signal.SIGINT else signal.Signals(numbers[0]).name
    assert f"interrupted by {who}" in result.message
    storage = open_storage(str(here / "s.journal")).optuna
    trials = storage.get_all_trials(storage.get_all_studies()[0]._study_id)
    assert optuna.trial.TrialState.RUNNING not in {t.state for t in trials}
    assert len([t for t in trials if "evaluation" in t.user_attrs]) == result.n_evaluations
    assert not list(here.glob("*.lock"))


@pytest.mark.parametrize("launcher", ["basic", pytest.param("joblib", marks=pytest.mark.long)])
def test_a_signal_ends_the_jobs_of_a_multirun_as_interrupted(here, launcher):
    study = "study={name: 's${seed}', storage: 's${seed}.journal'}"
    words = ["seed=1,2,3", f"hydra/launcher={launcher}"]
    words += ["hydra.launcher.n_jobs=2"] if launcher == "joblib" else []
    with running(here, "fit", "-m", "small.yaml", *ENDLESS, study, *words, "--out", "j") as process:
        wait_for(here / "s1.journal", process)
        if launcher == "joblib":
            wait_for(here / "s2.journal", process)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=200)
    assert process.returncode == 143, err
    assert "interrupted; the jobs so far are kept" in err
    jobs = stpspec.collect(here / "j")
    assert {j.status for j in jobs} == {"interrupted"}
    assert [j.name for j in jobs] == (["0"] if launcher == "basic" else ["0", "1"])
    for job in jobs:
        assert FitResult.load(here / "j" / job.name / "result").status == "interrupted"


def test_a_job_that_was_killed_does_not_run_for_ever(here):
    study = "study={name: s, storage: s.journal}"
    words = ["fit", "-m", "small.yaml", *ENDLESS, study, "seed=1,2", "--out", "j"]
    with running(here, *words) as process:
        wait_for(here / "s.journal", process)
        assert [j.status for j in stpspec.collect(here / "j")] == ["running"]
        process.kill()
        process.wait()
    assert [j.status for j in stpspec.collect(here / "j")] == ["stopped"]


@pytest.mark.parametrize(
    "seconds", [0.6, *(pytest.param(s, marks=pytest.mark.long) for s in (1.2, 2.4))]
)
def test_an_interrupt_while_the_command_begins_is_one_line(here, seconds):
    with running(here, "fit", "small.yaml", *RANDOM, "--out", "out") as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=200)
    assert "Traceback" not in err
    assert "should not happen" not in err
    assert process.returncode in (130, 0, 3)


@pytest.mark.long
def test_a_signal_that_its_parent_has_turned_off_stays_off(here):
    study = "study={name: s, storage: s.journal}"
    words = ["fit", "small.yaml", *WORDS, "fitter.budget.evaluations=60", study, "--out", "out"]
    with subprocess.Popen(
        ["nohup", sys.executable, "-m", "stpspec.cli", *words], cwd=here, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        wait_for(here / "s.journal", process)
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=200)
    assert process.returncode in (0, 3)
    assert FitResult.load(here / "out").n_evaluations == 60


# -- a storage that is locked or gone -------------------------------------------------------------


def studied(place, n=40):
    fitter = {"kind": "optuna", "sampler": "random", "batch": 2, "budget": {"evaluations": n}}
    study = {"name": "s", "storage": place}
    return small.experiment(fitter=fitter, study=study, numerics__integrator="fixed")


def fit_and(experiment, act, at=10):
    """Fit, and do something once there are so many evaluations."""
    done = []

    def progress(n, *_):
        if n >= at and not done:
            done.append(n)
            act()

    return stpspec.fit(experiment, progress=progress)


@pytest.mark.parametrize("damage", ["text that is no text", "no database"])
def test_a_damaged_database_is_not_waited_for(tmp_path, monkeypatch, damage):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "s.db"
    study = {"name": "s", "storage": f"sqlite:///{file}"}
    made = small.experiment(
        study=study, fitter={"kind": "optuna", "sampler": "random", "budget": {"evaluations": 2}}
    )
    stpspec.fit(made)
    if damage == "no database":
        file.write_bytes(b"no database" * 1000)
    else:
        with contextlib.closing(sqlite3.connect(file)) as database:
            database.execute("update study_user_attributes set value_json = cast(x'ff' as text)")
            database.commit()
    monkeypatch.setattr(patience.time, "sleep", lambda _: pytest.fail("it is waited for"))
    with pytest.raises(StudyError):
        stpspec.fit(made)


@pytest.mark.parametrize("tables", [(), ("theirs",)])
def test_a_database_that_is_only_read_is_neither_made_nor_changed(tmp_path, tables):
    file = tmp_path / "gone.db"
    for table in tables:
        with contextlib.closing(sqlite3.connect(file)) as database:
            database.execute(f"create table {table} (x)")
            database.commit()
    with pytest.raises(StudyError, match=r"gone\.db holds no study"):
        open_storage(f"sqlite:///{file}", read_only=True)
    assert file.exists() == bool(tables)
    if tables:
        with contextlib.closing(sqlite3.connect(file)) as database:
            assert database.execute("select name from sqlite_master").fetchall() == [tables]


@pytest.mark.long
def test_a_locked_database_is_waited_for(tmp_path):
    path = tmp_path / "s.db"
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def lock():
        connection.execute("BEGIN EXCLUSIVE")
        threading.Timer(7, connection.execute, ("COMMIT",)).start()  # SQLite itself waits for 5 s

    result = fit_and(studied(f"sqlite:///{path}"), lock)
    connection.close()
    assert result.n_evaluations == 40
    study = optuna.load_study(study_name="s", storage=f"sqlite:///{path}")
    assert len({t.params["U"] for t in study.trials}) == len(study.trials) == 40


@pytest.mark.long
def test_a_database_that_stays_away_ends_the_fit_with_its_best_point(tmp_path, monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE", 1.0)
    path = tmp_path / "s.db"
    connection = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(StudyError, match=r"cannot be written: .*locked; it was waited for") as held:
        fit_and(studied(f"sqlite:///{path}"), lambda: connection.execute("BEGIN EXCLUSIVE"))
    connection.close()
    result = held.value.result
    assert result.status == "interrupted"
    assert result.n_evaluations >= 10
    assert result.save(tmp_path / "kept").is_dir()


def test_a_journal_that_comes_back_is_waited_for(tmp_path):
    path = tmp_path / "s.journal"

    def move():
        path.rename(tmp_path / "away")
        threading.Timer(2, (tmp_path / "away").rename, (path,)).start()

    assert fit_and(studied(str(path)), move).n_evaluations == 40
    assert path.read_bytes().count(b'"evaluation"') == 40


@pytest.mark.parametrize("replaced", [False, True])
def test_a_deleted_journal_ends_the_fit_with_its_best_point(tmp_path, monkeypatch, replaced):
    monkeypatch.setattr(patience, "PATIENCE", 1.0)
    path = tmp_path / "s.journal"

    def delete():
        path.rename(tmp_path / "deleted")  # so that its inode is not given to another file
        if replaced:
            path.write_text("")

    told = "was replaced by another file" if replaced else "No such file or directory; it was wait"
    with pytest.raises(StudyError, match=told) as held:
        fit_and(studied(str(path)), delete)
    assert held.value.result.n_evaluations >= 10
    assert path.exists() == replaced
    assert not replaced or path.read_text() == ""


def delete_study(url, path):
    storage = optuna.storages.RDBStorage(url) if "://" in url else journal_of(path)
    optuna.delete_study(study_name="s", storage=storage)
    if "://" in url:
        storage.remove_session()
        storage.engine.dispose()


def journal_of(path):
    backend = optuna.storages.journal.JournalFileBackend(str(path), lock_obj=JournalLock(str(path)))
    return optuna.storages.JournalStorage(backend)


@pytest.mark.parametrize(
    ("place", "act", "told"),
    [
        ("s.journal", lambda _, path: os.truncate(path, 1000), "was shortened by another program"),
        ("s.journal", lambda _, path: os.truncate(path, 0), "was shortened by another program"),
        ("s.journal", delete_study, "no longer holds what was written to it"),
        (
            "s.journal",
            lambda _, path: path.write_bytes(path.read_bytes() + b"[]\n"),
            "is no journal of a study",
        ),
        ("s.db", delete_study, "no longer holds what was written to it"),
    ],
    ids=["shortened", "emptied", "study deleted", "a foreign line", "study deleted in SQLite"],
)
def test_a_study_that_others_damage_ends_the_fit_with_its_best_point(tmp_path, place, act, told):
    path = tmp_path / place
    url = f"sqlite:///{path}" if place.endswith(".db") else str(path)
    with pytest.raises(StudyError, match=told) as held:
        fit_and(studied(url), lambda: act(url, path))
    assert held.value.result.status == "interrupted"
    assert held.value.result.n_evaluations >= 10


def test_a_deleted_journal_ends_the_command_with_a_saved_result(here):
    (here / "says.py").write_text(
        "import os, stpspec\nfrom stpspec.studies import patience\npatience.PATIENCE = 1.0\n"
        "seen = []\n\n@stpspec.cost('deletes')\ndef deletes(metrics, targets):\n"
        "    seen.append(1)\n    if len(seen) == 20:\n        os.remove('s.journal')\n"
        "    return (metrics['size'] - targets['size']) ** 2\n"
    )
    study = "study={name: s, storage: s.journal}"
    done = small.cli(
        "fit", "small.yaml", *ENDLESS, study, "plugins=[says]", "objective.cost=deletes",
        "--out", "out", cwd=here, PYTHONPATH=str(here),
    )  # fmt: skip
    assert done.returncode == 1
    assert "s.journal cannot be written: No such file or directory" in done.stderr
    assert "files in out" in done.stdout
    assert "Traceback" not in done.stderr


# -- live processes -------------------------------------------------------------------------------


def renamed(**changes):
    """Return the name of this process as one elsewhere, or of another boot, would have it."""
    host, rest = process_name().split("@")
    place, _, start = rest.split(":")
    parts = dict(zip(("machine", "boot", "namespace"), place.split("."), strict=True)) | changes
    return f"{host}@{'.'.join(parts.values())}:{2**22 + 1}:{start}"


@pytest.mark.skipif(not Path("/proc/self/ns/pid").is_symlink(), reason="no PID namespaces here")
def test_a_process_of_another_namespace_is_not_taken_for_dead(monkeypatch, tmp_path):
    assert has_ended(renamed())
    assert not has_ended(renamed(namespace="4026599999"))
    assert not has_ended(renamed(boot="deadbeef", namespace="4026599999"))
    # A machine that has started anew has ended all; of a container nobody knows where it ran.
    first = processes._OF_THE_MACHINE
    monkeypatch.setattr(processes, "_space", lambda: f"abc.def.{first}")
    host = process_name().split("@")[0].split(":")[0]
    assert has_ended(f"{host}@abc.old.{first}:1:1")
    assert not has_ended(f"{host}@xyz.old.{first}:1:1")
    assert not has_ended(f"{host}@.old.{first}:1:1")
    lock = JournalLock(str(tmp_path / "j"))
    (tmp_path / "j.lock").write_text(f"{host}@abc.def.4026599999:1:1:99")
    lock._break(old=False)
    assert (tmp_path / "j.lock").exists()
    (tmp_path / "j.lock").write_text(f"{host}@abc.def.{first}:{2**22 + 1}:1:99")
    lock._break(old=False)
    assert not (tmp_path / "j.lock").exists()


def can_unshare():
    words = ["unshare", "--pid", "--fork", "true"]
    found = shutil.which("unshare") is not None
    return found and subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.mark.long
@pytest.mark.parametrize("own_proc", [True, False])
def test_two_containers_on_one_host_share_a_study_and_its_budget(here, own_proc):
    if not can_unshare():
        pytest.skip("no PID namespace can be made here (unshare --pid)")
    # Neither begins before both are there: a slow one would find the whole budget spent.
    (here / "meets.py").write_text(
        "import os, pathlib, secrets, time, stpspec\nhere = []\n\n"
        "@stpspec.cost('meets')\ndef meets(metrics, targets):\n    if not here:\n"
        "        here.append(pathlib.Path(f'arrived-{secrets.token_hex(8)}'))\n"
        "        here[0].touch()\n    end = time.monotonic() + 200\n"
        "    while len(list(pathlib.Path().glob('arrived-*'))) < 2 and time.monotonic() < end:\n"
        "        time.sleep(0.02)\n    return (metrics['size'] - targets['size']) ** 2\n"
    )
    n, study = 200, "study={name: s, storage: s.journal}"
    words = ["fit", "small.yaml", *WORDS, f"fitter.budget.evaluations={n}", study]
    words += ["plugins=[meets]", "objective.cost=meets"]
    inside = ["unshare", "--pid", "--fork", *["--mount-proc"] * own_proc]
    with contextlib.ExitStack() as both:
        started = [
            both.enter_context(subprocess.Popen(
                [*inside, sys.executable, "-m", "stpspec.cli", *words, "--out", f"out{i}"],
                cwd=here, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )) for i in range(2)
        ]  # fmt: skip
        for process in started:
            _, err = process.communicate(timeout=300)
            assert process.returncode in (0, 3), err
    storage = open_storage(str(here / "s.journal")).optuna
    trials = storage.get_all_trials(storage.get_all_studies()[0]._study_id)
    done = [t for t in trials if "evaluation" in t.user_attrs]
    assert len(done) == len({t.params["U"] for t in done}) == n
    assert b"stpspec:retry_of" not in (here / "s.journal").read_bytes()
    assert len({t.user_attrs["worker"].split(":")[0] for t in done}) == 2
