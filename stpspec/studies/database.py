"""Databases as storages of studies: one that is locked or gone in mid-fit is waited for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from stpspec.studies.optuna_internals import cached_database
from stpspec.studies.patience import Patience
from stpspec.studies.storage_methods import Method, exchange_methods
from stpspec.studies.trials import identity_of

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial
    from sqlalchemy import Engine

_NEVER_WAIT = ("remove_session", "check_trial_is_updatable")


def open_database(place: str, shown: str) -> tuple[BaseStorage, Engine, Patience]:
    """Return the storage on a database, its engine, and the patience with which it is used.

    Parameters
    ----------
    place : str
        Its URL.
    shown : str
        The URL as messages show it.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    storage, engine = cached_database(place)
    passing = (StorageInternalError, SQLAlchemyError, OSError)
    patience = Patience(f"the storage {shown}", passing)
    _make_patient(storage, patience)
    return storage, engine, patience


def _make_patient(storage: BaseStorage, patience: Patience) -> None:
    """Have each method of Optuna's interface repeat what fails."""

    def patient(name: str, method: Method) -> Method:
        again = _AGAIN.get(name)
        repeat = functools.partial(again, storage, method) if again else method
        return _patient(method, repeat, patience)

    exchange_methods(storage, patient, _NEVER_WAIT)


def _patient(method: Method, repeat: Method, patience: Patience) -> Method:
    @functools.wraps(method)
    def call(*args: Any, **options: Any) -> Any:
        return patience(lambda: method(*args, **options), lambda: repeat(*args, **options))

    return call


def _create_again(
    storage: BaseStorage,
    create: Callable[..., int],
    study_id: int,
    template_trial: FrozenTrial | None = None,
) -> int:
    """Create a trial, unless it was created before the connection broke."""
    if template_trial is not None:
        identity = identity_of(template_trial)
        for trial in storage.get_all_trials(study_id, deepcopy=False):
            if identity_of(trial) == identity:
                return storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
    return create(study_id, template_trial=template_trial)


def _finish_again(
    _storage: BaseStorage, finish: Callable[..., bool], *args: Any, **options: Any
) -> bool:
    """Set the state of a trial, unless it was finished before the connection broke."""
    from optuna.exceptions import UpdateFinishedTrialError

    try:
        return finish(*args, **options)
    except UpdateFinishedTrialError:
        return True


_AGAIN: dict[str, Callable[..., Any]] = {
    "create_new_trial": _create_again,
    "set_trial_state_values": _finish_again,
}
