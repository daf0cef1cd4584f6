"""A journal that is only read tells the same as Optuna's own, and follows what is added."""

import optuna
import pytest
from test_studies import studied, trials

import stpspec
from stpspec.errors import StudyError
from stpspec.sampling import Sampling
from stpspec.storages import open_storage
from stpspec.studies import Study


def as_optuna_tells(journal):
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    return optuna.storages.JournalStorage(backend)


def see_that_both_tell_the_same(mine, journal):
    theirs = as_optuna_tells(journal)
    for study, other in zip(mine.get_all_studies(), theirs.get_all_studies(), strict=True):
        assert vars(study) == vars(other)
        found = mine.get_all_trials(study._study_id)
        assert found == theirs.get_all_trials(study._study_id)
        assert found


def test_journal_of_any_history_is_told_as_optuna_tells_it(tmp_path):
    journal = tmp_path / "s.journal"
    stpspec.fit(studied(tmp_path))
    stpspec.fit(studied(tmp_path, "SLSQP", name="other"))
    spec = studied(tmp_path).study.copy_with(accept_changes=True)
    study = Study(spec, studied(tmp_path))
    study.study.enqueue_trial({"U": 0.3})
    study.study.enqueue_trial({"U": 0.4})
    sampling = Sampling(optuna.samplers.RandomSampler(), studied(tmp_path).parameters, study)
    asked = sampling.ask(1, None)  # one waits, one runs
    reader = open_storage(str(journal), trim=False)
    see_that_both_tell_the_same(reader, journal)
    sampling.drop(asked, "for the test")  # what comes later is followed line by line
    study.study.enqueue_trial({"U": 0.5})
    see_that_both_tell_the_same(reader, journal)
    study.study.optimize(lambda trial: trial.report(1.0, 3) or 0.5, n_trials=2)
    see_that_both_tell_the_same(reader, journal)
    see_that_both_tell_the_same(open_storage(str(journal), trim=False), journal)


def test_journal_with_a_deleted_study_is_told_as_optuna_tells_it(tmp_path):
    stpspec.fit(studied(tmp_path, name="gone"))
    storage = open_storage(str(tmp_path / "s.journal"))
    optuna.delete_study(study_name="gone", storage=storage)
    stpspec.fit(studied(tmp_path))
    reader = open_storage(str(tmp_path / "s.journal"), trim=False)
    see_that_both_tell_the_same(reader, tmp_path / "s.journal")


def test_journal_that_is_only_read_cannot_be_written(tmp_path):
    stpspec.fit(studied(tmp_path))
    before = (tmp_path / "s.journal").read_bytes()
    reader = open_storage(str(tmp_path / "s.journal"), trim=False)
    with pytest.raises(StudyError, match="read only"):
        optuna.load_study(study_name="s", storage=reader).set_user_attr("a", 1)
    assert (tmp_path / "s.journal").read_bytes() == before
    assert len(trials(tmp_path)) == 24
