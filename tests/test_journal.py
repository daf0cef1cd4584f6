"""A journal that is only read tells the same as Optuna's own, and follows what is added."""

import json
import socket
import subprocess
import threading
import time

import optuna
import pytest
from test_studies import studied, trials

import stpspec
from stpspec.errors import StudyError
from stpspec.studies.journal_lock import JournalLock
from stpspec.studies.sampling import Sampling
from stpspec.studies.storage import open_storage
from stpspec.studies.study import Study


def as_optuna_tells(journal):
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    return optuna.storages.JournalStorage(backend)


def see_that_both_tell_the_same(mine, journal):
    theirs = as_optuna_tells(journal)
    for study, other in zip(mine.get_all_studies(), theirs.get_all_studies(), strict=True):
        assert vars(study) == vars(other)
        number = mine.get_study_id_from_name(study.study_name)
        trials = mine.get_all_trials(number)
        assert trials == theirs.get_all_trials(number)
        assert trials


def test_journal_of_any_history_is_told_as_optuna_tells_it(tmp_path):
    journal = tmp_path / "s.journal"
    stpspec.fit(studied(tmp_path))
    stpspec.fit(studied(tmp_path, "SLSQP", name="other"))
    spec = studied(tmp_path).study.copy_with(accept_changes=True)
    study = Study(spec, studied(tmp_path))
    study.study.enqueue_trial({"U": 0.3})
    study.study.enqueue_trial({"U": 0.4})
    sampling = Sampling(optuna.samplers.RandomSampler(), studied(tmp_path).parameters, study)
    points = sampling.ask(1, None)  # one waits, one runs
    reader = open_storage(str(journal), read_only=True).optuna
    see_that_both_tell_the_same(reader, journal)
    sampling.drop(points, "for the test")  # what comes later is followed line by line
    study.study.enqueue_trial({"U": 0.5})
    see_that_both_tell_the_same(reader, journal)
    study.study.optimize(lambda trial: trial.report(1.0, 3) or 0.5, n_trials=2)
    see_that_both_tell_the_same(reader, journal)
    see_that_both_tell_the_same(open_storage(str(journal), read_only=True).optuna, journal)


def test_journal_with_a_deleted_study_is_told_as_optuna_tells_it(tmp_path):
    stpspec.fit(studied(tmp_path, name="gone"))
    storage = open_storage(str(tmp_path / "s.journal")).optuna
    optuna.delete_study(study_name="gone", storage=storage)
    stpspec.fit(studied(tmp_path))
    reader = open_storage(str(tmp_path / "s.journal"), read_only=True).optuna
    see_that_both_tell_the_same(reader, tmp_path / "s.journal")


def test_journal_that_is_only_read_cannot_be_written(tmp_path):
    stpspec.fit(studied(tmp_path))
    before = (tmp_path / "s.journal").read_bytes()
    reader = open_storage(str(tmp_path / "s.journal"), read_only=True).optuna
    with pytest.raises(StudyError, match="read only"):
        optuna.load_study(study_name="s", storage=reader).set_user_attr("a", 1)
    assert (tmp_path / "s.journal").read_bytes() == before
    assert len(trials(tmp_path)) == 24


def test_lock_of_a_killed_process_holds_nobody_up(tmp_path):
    stpspec.fit(studied(tmp_path))
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / "s.journal.lock").write_text(f"{socket.gethostname()}:{gone.pid}")
    began = time.monotonic()
    assert trials(tmp_path)
    assert time.monotonic() - began < 5  # Optuna's is broken after 30 s


def test_lock_of_a_living_process_is_waited_for(tmp_path):
    first, second = (JournalLock(str(tmp_path / "s.journal")) for _ in range(2))
    first.acquire()
    waits = threading.Thread(target=second.acquire, daemon=True)
    waits.start()
    waits.join(0.3)
    assert waits.is_alive()
    first.release()
    waits.join(5)
    assert not waits.is_alive()


def test_line_torn_by_another_process_is_cut_off_before_the_next_is_written(tmp_path):
    stpspec.fit(studied(tmp_path))
    journal = tmp_path / "s.journal"
    study = Study(studied(tmp_path).study.copy_with(accept_changes=True), studied(tmp_path))
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker_id":"died in its wri')
    study.study.enqueue_trial({"U": 0.3})
    see_that_both_tell_the_same(open_storage(str(journal), read_only=True).optuna, journal)
    assert all(json.loads(line) for line in journal.read_text().splitlines())


@pytest.mark.parametrize(
    "text", ["my notes, without an end of line", "a,b\n1,2\n", '{"x": 1}\n[2]\n']
)
def test_file_of_something_else_is_refused_and_left_as_it_is(text, tmp_path):
    (tmp_path / "s.journal").write_text(text)
    with pytest.raises(StudyError, match="is no journal of a study"):
        stpspec.fit(studied(tmp_path))
    assert (tmp_path / "s.journal").read_text() == text


def test_journal_with_a_damaged_line_is_told_as_such(tmp_path):
    stpspec.fit(studied(tmp_path))
    journal = tmp_path / "s.journal"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([*lines[:9], '{"op_code":4, torn\n', *lines[10:]]))
    with pytest.raises(StudyError, match="or a damaged one"):
        stpspec.fit(studied(tmp_path))
