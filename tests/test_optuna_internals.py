"""What stpspec uses of Optuna beyond its public interface is what the installed version has.

If a release of Optuna moves one of these names, its test fails here, and
`stpspec/studies/optuna_internals.py` is the place to mend.
"""

import ast
import contextlib
import json

import optuna
import pytest
import sqlalchemy
from optuna.storages.journal import (
    JournalFileBackend,
    JournalFileOpenLock,
    JournalFileSymlinkLock,
)
from small import ROOT

from stpspec.studies.optuna_internals import (
    ENQUEUED_VALUES,
    LINE_START,
    LOCK_SUFFIX,
    OPERATION,
    allow_delayed_trials,
    cached_database,
    study_id_of,
    trial_id_of,
    with_study_id,
    with_trial_id,
)
from stpspec.studies.storage import Storage

MODULES = sorted((ROOT / "stpspec").rglob("*.py"))


def test_values_of_an_enqueued_trial_are_in_this_system_attribute():
    study = optuna.create_study()
    study.enqueue_trial({"x": 0.5})
    assert study.trials[0].system_attrs == {ENQUEUED_VALUES: {"x": 0.5}}


def test_every_line_of_a_journal_starts_with_its_operation(tmp_path):
    path = tmp_path / "s.journal"
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    )
    study.set_user_attr("a", 1)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    lines = path.read_bytes().splitlines()
    assert len(lines) > 4
    assert all(line.startswith(LINE_START) and OPERATION in json.loads(line) for line in lines)


@pytest.mark.parametrize("kind", [JournalFileOpenLock, JournalFileSymlinkLock])
def test_lock_of_a_journal_is_a_file_with_this_suffix(kind, tmp_path):
    kind(str(tmp_path / "s.journal")).acquire()
    assert [p.name for p in tmp_path.iterdir()] == [f"s.journal{LOCK_SUFFIX}"]


def test_database_has_a_cache_of_finished_trials_and_an_engine(tmp_path):
    storage, engine = cached_database(f"sqlite:///{tmp_path}/s.db")
    with contextlib.closing(Storage(storage, engine=engine)):
        study = optuna.create_study(storage=storage)
        study.add_trial(optuna.trial.create_trial(value=1.0))
        first, second = (study.get_trials(deepcopy=False) for _ in range(2))
        assert first[0] is second[0]
        with engine.connect() as connection:
            count = connection.execute(sqlalchemy.text("SELECT count(*) FROM trials"))
            assert count.scalar() == 1


class Delayed(JournalFileBackend):
    """A journal whose lines can be kept from being read."""

    is_hidden = False

    def read_logs(self, log_number_from):
        return iter(()) if self.is_hidden else super().read_logs(log_number_from)


def test_trial_whose_line_is_read_later_can_be_created(tmp_path):
    backend = Delayed(str(tmp_path / "s.journal"))
    storage = optuna.storages.JournalStorage(backend)
    study = optuna.create_study(storage=storage)
    number = storage.get_study_id_from_name(study.study_name)
    backend.is_hidden = True
    allow_delayed_trials(storage)
    storage.create_new_trial(number)
    backend.is_hidden = False
    key = storage.create_new_trial(number)
    assert key == storage._replay_result._last_created_trial_id_by_this_process == 1
    assert len(study.trials) == 2


def imported_names(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_module_imports_a_private_name_of_optuna():
    names = [n for path in MODULES for n in imported_names(path) if n.startswith("optuna")]
    assert len(names) > 20
    assert not [n for n in names if "._" in n]


def test_studies_and_trials_have_numbers_that_a_copy_may_change():
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(storage=storage).add_trial(optuna.trial.create_trial(value=1.0))
    (study,) = storage.get_all_studies()
    (trial,) = storage.get_all_trials(study_id_of(study))
    assert storage.get_trial(trial_id_of(trial)).value == 1.0
    assert study_id_of(with_study_id(study, 7)) == trial_id_of(with_trial_id(trial, 7)) == 7
    assert study_id_of(study) == trial_id_of(trial) == 0
