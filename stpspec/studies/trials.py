"""Trials of Optuna as a fit writes them: finished, running, or waiting for the next process."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING

from stpspec.errors import StudyError
from stpspec.formatting import hide
from stpspec.specs.parameters import Parameter
from stpspec.specs.records import checked_record
from stpspec.studies.optuna_internals import ENQUEUED_VALUES
from stpspec.studies.records import EvaluationRecord

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import FloatDistribution
    from optuna.trial import FrozenTrial, TrialState

# User attributes of a trial.
EVALUATION = "evaluation"  # its record
WORKER = "worker"  # the process that simulates it
NOT_SIMULATED = "not_simulated"  # why it never was

RETRY_OF = "stpspec:retry_of"  # system attribute: number of the trial that it takes the place of


def space_of(parameters: Mapping[str, Parameter]) -> dict[str, FloatDistribution]:
    """Return the bounds of free parameters as Optuna's distributions."""
    from optuna.distributions import FloatDistribution

    return {
        n: FloatDistribution(float(p.min), float(p.max), log=p.scale == "log")
        for n, p in parameters.items()
    }


def finished_trial(record: EvaluationRecord, space: Mapping[str, FloatDistribution]) -> FrozenTrial:
    """Return the finished trial of an evaluation, a failed one if it gives no loss."""
    from optuna.trial import TrialState

    failed = bool(record["reason"])
    state = TrialState.FAIL if failed else TrialState.COMPLETE
    loss = None if failed else record["loss"]
    return _trial(state, record["values"], space, {EVALUATION: dict(record)}, loss)


def running_trial(
    values: Mapping[str, float],
    space: Mapping[str, FloatDistribution],
    attributes: Mapping[str, object],
) -> FrozenTrial:
    """Return the running trial of a point, with user attributes."""
    from optuna.trial import TrialState

    return _trial(TrialState.RUNNING, values, space, attributes)


def waiting_trial(values: Mapping[str, float], retry_of: int | None = None) -> FrozenTrial:
    """Return a trial that waits for a process to simulate it, as `enqueue_trial` makes it.

    Parameters
    ----------
    values : mapping of str to float
        Parameter values.
    retry_of : int, optional
        Number of the trial whose worker has died.
    """
    from optuna.trial import TrialState

    system: dict[str, object] = {ENQUEUED_VALUES: dict(values)}
    if retry_of is not None:
        system[RETRY_OF] = retry_of
    return _trial(TrialState.WAITING, {}, {}, {}, system=system)


def identity_of(trial: FrozenTrial) -> tuple[object, ...]:
    """Return what distinguishes a trial from all others: when it began, and its point."""
    enqueued = trial.system_attrs.get(ENQUEUED_VALUES, {})
    return (trial.datetime_start, *trial.params.items(), *enqueued.items())


def records_in(study: optuna.Study, place: str) -> list[EvaluationRecord]:
    """Return the records of the finished trials of a study of Optuna, in their order."""
    finished = (t for t in study.get_trials(deepcopy=False) if t.state.is_finished())
    return [record for t in finished if (record := record_of(t, place)) is not None]


def record_of(trial: FrozenTrial, place: str) -> EvaluationRecord | None:
    """Return the record of a finished trial; None if it was never evaluated.

    Parameters
    ----------
    trial : optuna.trial.FrozenTrial
    place : str
        The storage, for the message.

    Raises
    ------
    StudyError
        If it is damaged.
    """
    record = trial.user_attrs.get(EVALUATION)
    if record is None:
        return None
    where, what = f"trial {trial.number} of {hide(place)}", "evaluation"
    return checked_record(record, EvaluationRecord, where, what, StudyError)


def _trial(
    state: TrialState,
    values: Mapping[str, float],
    space: Mapping[str, FloatDistribution],
    attributes: Mapping[str, object],
    loss: float | None = None,
    system: Mapping[str, object] | None = None,
) -> FrozenTrial:
    """Return a trial without the checks that Optuna makes of one that may come from anywhere."""
    from optuna.trial import FrozenTrial, TrialState

    now = datetime.datetime.now()
    return FrozenTrial(
        number=-1, trial_id=-1, state=state, value=loss, values=None,
        datetime_start=None if state == TrialState.WAITING else now,
        datetime_complete=now if state.is_finished() else None, params=dict(values),
        distributions=dict(space), user_attrs=dict(attributes), system_attrs=dict(system or {}),
        intermediate_values={},
    )  # fmt: skip
