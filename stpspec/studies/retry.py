"""Retry of dead workers: their trials fail, and their points wait for the next process."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING

from stpspec.resources.processes import has_ended, process_name
from stpspec.studies.optuna_internals import ENQUEUED_VALUES
from stpspec.studies.study import Study
from stpspec.studies.trials import EVALUATION, RETRY_OF, WORKER, waiting_trial

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_NAMELESS = 60.0  # s after which a running trial without a worker is given up


def is_abandoned(trial: FrozenTrial) -> bool:
    """Tell whether the worker of a running trial has ended (False for one on another machine)."""
    worker = trial.user_attrs.get(WORKER)
    if worker is None:  # it was asked for just now, or its worker died between two lines
        start = trial.datetime_start
        now = datetime.datetime.now()
        return start is not None and (now - start).total_seconds() > _NAMELESS
    # An earlier fit of this process is over, too.
    return worker == process_name() or has_ended(worker)


def retry(study: Study, is_dead: Callable[[FrozenTrial], bool] = is_abandoned) -> int:
    """Fail the running trials whose workers are dead, and have their points wait again.

    Parameters
    ----------
    study : Study
    is_dead : callable
        Tells of a trial whether its worker is.

    Returns
    -------
    int
        How many trials there were.
    """
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    storage = study.storage.optuna
    with study.lock():
        trials = study.trials()
        dead = [t for t in trials if t.state == TrialState.RUNNING and is_dead(t)]
        retries = {t.system_attrs.get(RETRY_OF) for t in trials}
        keys = [study.key_of(t.number) for t in dead]
        with study.storage.single_write():
            for key, trial in zip(keys, dead, strict=True):
                record = trial.user_attrs.get(EVALUATION)
                if record is not None and not record["reason"]:  # all but its end was written
                    storage.set_trial_state_values(key, TrialState.COMPLETE, [record["loss"]])
                    continue
                values = trial.system_attrs.get(ENQUEUED_VALUES) or trial.params
                if record is None and values and trial.number not in retries:
                    again = waiting_trial(values, trial.number)
                    storage.create_new_trial(study.id, template_trial=again)
                with contextlib.suppress(UpdateFinishedTrialError):  # a database without a lock
                    storage.set_trial_state_values(key, TrialState.FAIL)
        if dead:
            study.invalidate()
    return len(dead)
