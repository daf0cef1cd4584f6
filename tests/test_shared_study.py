"""A study reads its storage again only where others may have written, and still misses nothing."""

import random

import optuna
import pytest
from test_studies import studied

from stpspec.sampling import Sampling
from stpspec.storages import open_storage
from stpspec.studies import EVALUATION, Study


def entered(tmp_path, **options):
    experiment = studied(tmp_path, **options)
    return Study(experiment.study.copy_with(accept_changes=True), experiment)


def evaluation(study, batch, x):
    values = {n: d.low + x * (d.high - d.low) for n, d in study.space.items()}
    return {
        "batch": batch, "index": 0, "point": [x] * len(values), "values": values, "loss": x,
        "residuals": [x], "metrics": {"m": x}, "reason": "", "seconds": 0.0, "start": 0,
    }  # fmt: skip


def stored(tmp_path, name="s"):
    storage = open_storage(str(tmp_path / "s.journal"), trim=False)
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
        self.running, self.told = [], {}

    def ask(self, x):
        self.running += self.sampling.ask(1 + int(3 * x), None)

    def tell(self, x):
        for asked in self.running[:1]:
            kept = evaluation(self.study, f"trial {asked.number}", x) | {"values": asked.params}
            self.sampling.tell([(asked, kept)])
            self.told[self.name, asked.number] = x
        del self.running[:1]

    def drop(self, _):
        self.sampling.drop(self.running[:1], "for the test")
        del self.running[:1]

    def record(self, x):
        kept = evaluation(self.study, f"b{x}", x)
        self.study.record([kept])
        self.told[self.name, self.study.number_of(kept["values"])] = x

    def enqueue(self, x):
        self.sampling.enqueue(evaluation(self.study, "", x)["values"])

    def enqueue_as_optuna_does(self, x):
        self.study.study.enqueue_trial(evaluation(self.study, "", x)["values"])

    def attach(self, _):
        (self.folder / "a.txt").write_text("a")
        self.study.attachments.add(self.folder / "a.txt")


DOES = ("ask", "tell", "drop", "record", "enqueue", "enqueue_as_optuna_does", "attach")


@pytest.mark.parametrize("seed", range(5))
def test_whatever_processes_do_in_whatever_order_each_trial_is_theirs_alone(seed, tmp_path):
    """Three studies under two names in one journal."""
    rng = random.Random(seed)
    workers = [Worker(tmp_path, i, name) for i, name in enumerate(("s", "s", "other"))]
    for _ in range(120):
        getattr(rng.choice(workers), rng.choice(DOES))(rng.random())
    told = {place: x for worker in workers for place, x in worker.told.items()}
    assert len(told) == sum(len(worker.told) for worker in workers)
    for worker in workers:
        expected = {n: x for (name, n), x in told.items() if name == worker.name}
        found = {t.number: t for t in stored(tmp_path, worker.name)}
        assert {n: t.value for n, t in found.items() if EVALUATION in t.user_attrs} == expected
        assert [k["loss"] for k in worker.study.kept()] == [expected[n] for n in sorted(expected)]


def test_sampler_takes_a_point_that_waits_whoever_has_put_it_there(tmp_path):
    study = entered(tmp_path)
    sampling = sampling_of(study, tmp_path)
    sampling.ask(1, None)
    point = evaluation(study, "", 0.25)["values"]
    for put in (study.study.enqueue_trial, entered(tmp_path).study.enqueue_trial, sampling.enqueue):
        put(point)
        (asked,) = sampling.ask(1, None)
        assert asked.params == point
        (drawn,) = sampling.ask(1, None)
        assert drawn.params != point


def test_file_that_another_process_has_attached_is_known(tmp_path):
    one, other = entered(tmp_path), entered(tmp_path)
    for study, name in ((one, "1.txt"), (other, "2.txt")):
        (tmp_path / name).write_text("")
        study.attachments.add(tmp_path / name)
    assert one.attachments.names() == other.attachments.names() == {"1.txt", "2.txt"}


def test_a_fit_alone_on_its_journal_reads_it_once(tmp_path):
    study = entered(tmp_path)
    sampling = sampling_of(study, tmp_path)
    sampling.ask(2, None)
    before = study.study._storage._replay_result.log_number_read
    for x in range(20):
        study.record([evaluation(study, f"b{x}", x / 20)])
        done = sampling.ask(2, None)
        sampling.tell([(a, evaluation(study, f"trial {a.number}", x / 20)) for a in done])
    assert len(study.kept()) == 60
    assert study.study._storage._replay_result.log_number_read == before
    assert len(stored(tmp_path)) == 62


def test_trials_are_known_although_another_process_has_broken_the_lock(tmp_path, monkeypatch):
    """As it does when a process is suspended, or its disk hangs, for half a minute."""
    study, other = entered(tmp_path), entered(tmp_path)
    sampling = sampling_of(study, tmp_path)
    sampling.ask(1, None)
    storage = study.study._storage
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
    found = {t.value: t for t in stored(tmp_path) if EVALUATION in t.user_attrs}
    assert sorted(found) == sorted(k["loss"] for k in study.kept()) == [0.25, 0.5, 0.625, 0.75]
    for trial in found.values():
        assert trial.params == trial.user_attrs[EVALUATION]["values"]
    mine = evaluation(study, "", 0.25)["values"]
    assert study.number_of(mine) == found[0.25].number
