"""A study reads its storage again only where others may have written, and still misses nothing."""

import contextlib
import random
import re
import socket
import subprocess
import time
from pathlib import Path

import optuna
import pytest
from optuna.artifacts import get_all_artifact_meta
from test_studies import accepting, studied

import stpspec
from stpspec.engine.binding.bind import bind
from stpspec.engine.binding.numerics import for_search
from stpspec.engine.binding.source_files import sources_of_bound
from stpspec.errors import StudyError
from stpspec.resources.processes import has_ended, process_name
from stpspec.specs.study import StudySpec
from stpspec.studies.journal_lock import JournalLock
from stpspec.studies.retry import is_abandoned, retry
from stpspec.studies.sampling import Sampling
from stpspec.studies.storage import open_storage
from stpspec.studies.study import Study, study_for
from stpspec.studies.trials import EVALUATION


def entered(tmp_path, **options):
    experiment = studied(tmp_path, **options)
    return Study(experiment.study.copy_with(accept_changes=True), experiment)


def entered_by_a_fit(experiment):
    bound = bind(experiment)
    study = study_for(for_search(bound).experiment, sources_of_bound(bound))
    assert study is not None
    return study


def evaluation(study, batch, x):
    values = {n: d.low + x * (d.high - d.low) for n, d in study.space.items()}
    return {
        "batch": batch, "index": 0, "point": [x] * len(values), "values": values, "loss": x,
        "residuals": [x], "metrics": {"m": x}, "reason": "", "seconds": 0.0, "start": 0,
    }  # fmt: skip


def stored(tmp_path, name="s"):
    storage = open_storage(str(tmp_path / "s.journal"), read_only=True).optuna
    return optuna.load_study(study_name=name, storage=storage).get_trials()


def sampling_of(study, tmp_path, seed=0):
    return Sampling(
        optuna.samplers.RandomSampler(seed=seed), studied(tmp_path).parameters, study
    )  # fmt: skip


class Worker:
    """What one process does with a study, as a number in (0, 1) says."""

    def __init__(self, tmp_path, seed, name):
        self.folder, self.name = tmp_path, name
        self.study = entered(tmp_path, name=name)
        self.sampling = sampling_of(self.study, tmp_path, seed)
        self.running, self.losses = [], {}

    def ask(self, x):
        self.running += self.sampling.ask(1 + int(3 * x), None)

    def tell(self, x):
        for point in self.running[:1]:
            record = evaluation(self.study, f"trial {point.number}", x) | {"values": point.params}
            self.sampling.tell([(point, record)])
            self.losses[self.name, point.number] = x
        del self.running[:1]

    def drop(self, _):
        self.sampling.drop(self.running[:1], "for the test")
        del self.running[:1]

    def record(self, x):
        record = evaluation(self.study, f"b{x}", x)
        self.study.record([record])
        self.losses[self.name, self.study.number_of(record["values"])] = x

    def lose(self, _):
        lost = {point.number for point in self.running}
        assert retry(self.study, lambda trial: trial.number in lost) == len(lost)
        self.running.clear()

    def enqueue(self, x):
        self.study.study.enqueue_trial(evaluation(self.study, "", x)["values"])

    def enqueue_what_fits_nowhere(self, x):
        self.study.study.enqueue_trial({"U": 2.0, "tau_rec": x})

    def attach(self, _):
        (self.folder / "a.txt").write_text("a")
        self.study.artifacts.add(self.folder / "a.txt")


DOES = (
    "ask", "tell", "drop", "lose", "record", "enqueue", "enqueue_what_fits_nowhere", "attach",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_whatever_processes_do_in_whatever_order_each_trial_is_theirs_alone(seed, tmp_path):
    """Three studies under two names in one journal."""
    rng = random.Random(seed)
    workers = [Worker(tmp_path, i, name) for i, name in enumerate(("s", "s", "other"))]
    for _ in range(120):
        getattr(rng.choice(workers), rng.choice(DOES))(rng.random())
    losses = {place: x for worker in workers for place, x in worker.losses.items()}
    assert len(losses) == sum(len(worker.losses) for worker in workers)
    for worker in workers:
        expected = {n: x for (name, n), x in losses.items() if name == worker.name}
        trials = {t.number: t for t in stored(tmp_path, worker.name)}
        assert {n: t.value for n, t in trials.items() if EVALUATION in t.user_attrs} == expected
        assert [k["loss"] for k in worker.study.records()] == [
            expected[n] for n in sorted(expected)
        ]


def test_sampler_takes_a_point_that_waits_whoever_has_put_it_there(tmp_path):
    study = entered(tmp_path)
    sampling = sampling_of(study, tmp_path)
    sampling.ask(1, None)
    point = evaluation(study, "", 0.25)["values"]
    for put in (study.study.enqueue_trial, entered(tmp_path).study.enqueue_trial):
        put(point)
        (asked,) = sampling.ask(1, None)
        assert asked.params == point
        (drawn,) = sampling.ask(1, None)
        assert drawn.params != point


def test_file_that_another_process_has_attached_is_known(tmp_path):
    one, other = entered(tmp_path), entered(tmp_path)
    for study, name in ((one, "1.txt"), (other, "2.txt")):
        (tmp_path / name).write_text("")
        study.artifacts.add(tmp_path / name)
    assert one.artifacts.names() == other.artifacts.names() == {"1.txt", "2.txt"}


def test_a_fit_alone_on_its_journal_reads_it_once(tmp_path, monkeypatch):
    study = entered(tmp_path)
    sampling = sampling_of(study, tmp_path)
    sampling.ask(2, None)
    read, read_logs = [], study.storage.journal.read_logs
    count = lambda start: (read.append(line) or line for line in read_logs(start))  # noqa: E731
    monkeypatch.setattr(study.storage.journal, "read_logs", count)
    for x in range(20):
        study.record([evaluation(study, f"b{x}", x / 20)])
        done = sampling.ask(2, None)
        sampling.tell([(a, evaluation(study, f"trial {a.number}", x / 20)) for a in done])
    assert len(study.records()) == 60
    assert not read
    assert len(stored(tmp_path)) == 62


def test_trials_are_known_although_another_process_has_broken_the_lock(tmp_path, monkeypatch):
    """As it does when a process is suspended, or its disk hangs, for half a minute."""
    study, other = entered(tmp_path), entered(tmp_path)
    sampling = sampling_of(study, tmp_path)
    sampling.ask(1, None)
    storage = study.storage.optuna
    create, losses = storage.create_new_trial, iter([0.5, 0.625])

    def interrupted(*args, **options):
        create(*args, **options)
        (tmp_path / "s.journal.lock").unlink()
        loss = next(losses)
        other.record([evaluation(other, f"others at {loss}", loss)])

    monkeypatch.setattr(storage, "create_new_trial", interrupted)
    study.record([evaluation(study, "mine", 0.25)])
    (asked,) = sampling.ask(1, None)
    monkeypatch.undo()
    sampling.tell([(asked, {**evaluation(study, "asked", 0.75), "values": asked.params})])
    trials = {t.value: t for t in stored(tmp_path) if EVALUATION in t.user_attrs}
    assert sorted(trials) == sorted(k["loss"] for k in study.records()) == [0.25, 0.5, 0.625, 0.75]
    for trial in trials.values():
        assert trial.params == trial.user_attrs[EVALUATION]["values"]
    mine = evaluation(study, "", 0.25)["values"]
    assert study.number_of(mine) == trials[0.25].number


@pytest.mark.parametrize(
    "values", [{"U": 2.0}, {"U": "a"}, {"U": True}, {}, {"U": 0.3, "tau_rec": 500.0}]
)
def test_point_that_the_fit_cannot_simulate_fails_with_its_reason_and_costs_no_budget(
    values, tmp_path
):
    experiment = studied(tmp_path, budgeted(6))
    entered_by_a_fit(experiment).study.enqueue_trial(values)
    result = stpspec.fit(experiment)
    assert result.n_evaluations == 6
    (failed,) = (t for t in stored(tmp_path) if "not_simulated" in t.user_attrs)
    assert failed.state == optuna.trial.TrialState.FAIL
    assert re.search("within|sets", failed.user_attrs["not_simulated"])


def test_trial_of_others_that_fits_nowhere_does_not_end_the_study(tmp_path):
    stpspec.fit(studied(tmp_path, budgeted(4)))
    study = entered_by_a_fit(studied(tmp_path, budgeted(4))).study
    study.add_trial(
        optuna.trial.create_trial(
            params={"U": 2.0}, value=1.0,
            distributions={"U": optuna.distributions.FloatDistribution(0, 3)},
        )
    )  # fmt: skip
    study.add_trial(optuna.trial.create_trial(value=1.0))
    assert stpspec.fit(studied(tmp_path, budgeted(8))).n_evaluations == 8


def budgeted(n):
    return {"kind": "optuna", "batch": 2, "budget": {"evaluations": n}}


def test_processes_that_go_on_at_once_retry_what_has_died_once(tmp_path):
    """As the tasks of a job array do that is submitted again."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    study = entered(tmp_path)
    points = [evaluation(study, "", x / 40)["values"] for x in range(20)]
    study.begin(points, {"worker": f"{socket.gethostname()}:{gone.pid}"})
    assert sum(retry(entered(tmp_path), is_abandoned) for _ in range(3)) == 20
    trials = stored(tmp_path)
    waiting = [t.system_attrs["fixed_params"] for t in trials if t.state.name == "WAITING"]
    assert waiting == points
    assert [t.state.name for t in trials[:20]] == ["FAIL"] * 20


def test_what_dies_while_others_go_on_is_retried_before_they_say_that_the_budget_is_spent(tmp_path):
    sleeper = subprocess.Popen(["sleep", "60"])
    experiment = studied(tmp_path, budgeted(6))
    study = entered_by_a_fit(experiment)
    study.begin([{"U": 0.25}], {"worker": f"{socket.gethostname()}:{sleeper.pid}"})

    def observe(*_):
        sleeper.kill()
        sleeper.wait()

    result = stpspec.fit(experiment, progress=observe)
    assert result.n_evaluations == 6
    assert 0.25 in result.history["parameter_U"]


def test_process_of_the_same_number_is_another(monkeypatch):
    assert not has_ended(process_name())
    *name, start = process_name().split(":")
    assert has_ended(":".join([*name, str(int(start) - 1)]))
    assert not has_ended(":".join(name))  # of an earlier version: when it began is not known


def test_starts_that_a_killed_process_did_not_come_to_put_there_are_tried(tmp_path):
    entered_by_a_fit(studied(tmp_path, budgeted(4)))  # and nothing else happened
    fresh = stpspec.fit(studied(tmp_path, budgeted(4), study=None))
    result = stpspec.fit(studied(tmp_path, budgeted(4)))
    assert (
        result.history["parameter_U"].values.tolist()
        == fresh.history["parameter_U"].values.tolist()
    )


def test_change_that_was_accepted_by_a_killed_process_takes_over_what_is_true(
    tmp_path, monkeypatch
):
    changes = {"parameters": {"U": {"min": 0.05, "max": 0.9}}, "study": accepting(tmp_path)}
    before = stpspec.fit(studied(tmp_path, budgeted(8)))
    experiment = studied(tmp_path, budgeted(8), **changes)
    with monkeypatch.context() as patch:
        patch.setattr(Study, "record", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            entered_by_a_fit(experiment)
    again = stpspec.fit(experiment)
    assert set(before.history["loss"].values) <= set(again.history["loss"].values)
    assert again.n_evaluations == 8


def test_figure_is_attached_once_and_a_fit_goes_on_without(tmp_path, caplog):
    study = entered(tmp_path)
    (tmp_path / "trial_1.png").write_text("")
    for one in (study, entered(tmp_path), study):
        one.artifacts.add(tmp_path / "trial_1.png")
    assert len(get_all_artifact_meta(study.study)) == 1
    (tmp_path / "t.artifacts").write_text("no folder")
    place = {"name": "t", "storage": str(tmp_path / "t.journal")}
    result = stpspec.fit(studied(tmp_path, budgeted(4), study=place))
    assert result.n_evaluations == 4
    assert "the figures of the study cannot be kept" in caplog.text


def test_seconds_of_a_budget_are_those_of_all_runs(tmp_path):
    fitter = {"kind": "optuna", "budget": {"seconds": 1.0, "evaluations": None}}
    n = stpspec.fit(studied(tmp_path, fitter)).n_evaluations
    again = stpspec.fit(studied(tmp_path, fitter))
    assert again.n_evaluations <= n + 16  # a batch ends a little before the second
    assert again.history["seconds"].values.max() < 1.5


def test_lock_of_optuna_itself_is_broken_when_it_is_old(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("s.journal").touch()
    Path("s.journal.lock").symlink_to("s.journal")  # as Optuna makes it, here to nowhere
    lock = JournalLock("s.journal")
    lock.grace_period = 1
    lock.acquire()
    assert not Path("s.journal.lock").is_symlink()


def test_lock_that_has_become_that_of_another_process_is_left_to_it(tmp_path, monkeypatch):
    lock = JournalLock(str(tmp_path / "s.journal"))
    lock.acquire()
    (tmp_path / "s.journal.lock").write_text("elsewhere:1")
    later = time.time() + 40
    monkeypatch.setattr("stpspec.studies.journal_lock.time.time", lambda: later)
    lock.release()
    assert (tmp_path / "s.journal.lock").exists()


def test_points_that_come_to_wait_at_the_last_moment_are_still_tried(tmp_path, monkeypatch):
    experiment, late = studied(tmp_path, budgeted(6)), []
    begin = Study.begin

    def overtaken(study, points, attributes):
        if study._count == 4 and not late:
            late.extend(evaluation(study, "", x)["values"] for x in (0.1, 0.2))
            other = entered_by_a_fit(experiment).study
            for point in late:
                other.enqueue_trial(point)
        return begin(study, points, attributes)

    monkeypatch.setattr(Study, "begin", overtaken)
    result = stpspec.fit(experiment)
    assert result.n_evaluations == 6
    assert {p["U"] for p in late} <= set(result.history["parameter_U"].values.tolist())


@pytest.mark.parametrize("what", [KeyboardInterrupt, ZeroDivisionError])
def test_whatever_ends_a_fit_after_a_batch_its_evaluations_are_kept(what, tmp_path):
    def progress(n, *_):
        if n == 4:
            raise what

    with contextlib.suppress(ZeroDivisionError):
        assert stpspec.fit(studied(tmp_path, budgeted(8)), progress=progress).n_evaluations == 4
    assert sum(EVALUATION in t.user_attrs for t in stored(tmp_path)) == 4
    assert stpspec.fit(studied(tmp_path, budgeted(8))).n_evaluations == 8


@pytest.mark.parametrize("at", ["_append", "revision"])
def test_study_that_was_interrupted_while_it_wrote_counts_again(at, tmp_path, monkeypatch):
    study = entered(tmp_path)
    study.record([evaluation(study, "before", 0.1)])
    journal = study.storage.journal
    original = getattr(journal, at)

    def interrupted(*args):
        original(*args)
        if at == "_append" or study._revision is None:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(journal, at, interrupted)
        with pytest.raises(KeyboardInterrupt):
            study.record([evaluation(study, "interrupted", 0.2)])
    study.record([evaluation(study, "after", 0.3)])
    assert [k["loss"] for k in study.records()] == [0.1, 0.2, 0.3]
    assert study.number_of(evaluation(study, "", 0.3)["values"]) == 2


@pytest.mark.parametrize("done", range(4))
def test_start_that_a_process_did_not_come_to_enqueue_is_enqueued_by_the_next(done, tmp_path):
    study = entered(tmp_path)
    points = [evaluation(study, "", x / 4)["values"] for x in range(3)]
    for point in points[:done]:
        study.study.enqueue_trial(point)
    assert entered(tmp_path).enqueue_first(points) is (done == 0)
    assert not entered(tmp_path).enqueue_first(points)
    assert [t.system_attrs["fixed_params"] for t in stored(tmp_path)] == points


def test_point_of_a_dead_worker_waits_once_although_who_retried_it_died_too(tmp_path, monkeypatch):
    place = {"name": "s", "storage": f"sqlite:///{tmp_path}/s.db"}
    with Study(StudySpec(**place), studied(tmp_path)) as study:
        points = [evaluation(study, "", x)["values"] for x in (0.25, 0.5)]
        study.begin(points, {"worker": "dead"})
        with monkeypatch.context() as patch:
            patch.setattr(study.storage.optuna, "set_trial_state_values", interrupt)
            with pytest.raises(KeyboardInterrupt):
                retry(study, lambda _: True)
        retry(study, lambda t: t.user_attrs.get("worker") == "dead")
        trials = study.study.get_trials(deepcopy=False)
        waiting = [t.system_attrs["fixed_params"] for t in trials if t.state.name == "WAITING"]
        assert sorted(p["U"] for p in waiting) == [p["U"] for p in points]
        assert [t.state.name for t in trials[:2]] == ["FAIL", "FAIL"]


def interrupt(*_):
    raise KeyboardInterrupt


def test_lock_that_could_not_be_written_is_not_left_behind(tmp_path, monkeypatch):
    study = entered(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("stpspec.studies.journal_lock.os.write", full)
        with pytest.raises(StudyError, match="cannot be written"):
            study.record([evaluation(study, "b", 0.5)])
    assert not (tmp_path / "s.journal.lock").exists()
    study.record([evaluation(study, "b", 0.5)])
    assert len(study.records()) == 1


def full(*_):
    raise OSError(28, "No space left on device")
