"""Trials of Optuna as a fit writes them: evaluated, begun, or waiting for whoever is next."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from stpspec.specs.parameters import Parameter

EVALUATION = "evaluation"  # attribute of a trial with all that we keep of it

RETRY_OF = "stpspec:retry_of"  # system attribute: number of the trial that it takes the place of


def space_of(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return the bounds of free parameters as Optuna's distributions."""
    from optuna.distributions import FloatDistribution

    return {
        n: FloatDistribution(float(p.min), float(p.max), log=p.scale == "log")
        for n, p in parameters.items()
    }


def evaluated(kept: Mapping[str, Any], space: Mapping[str, Any]) -> Any:
    """Return the finished trial of an evaluation, a failed one if it gives no loss."""
    from optuna.trial import TrialState

    failed = bool(kept["reason"])
    state = TrialState.FAIL if failed else TrialState.COMPLETE
    return _made(state, kept["values"], space, {EVALUATION: kept}, None if failed else kept["loss"])


def begun(values: Mapping[str, float], space: Mapping[str, Any], facts: Mapping[str, Any]) -> Any:
    """Return the running trial of a point, with further attributes."""
    from optuna.trial import TrialState

    return _made(TrialState.RUNNING, values, space, facts)


def waiting(values: Mapping[str, float], retry_of: int | None = None) -> Any:
    """Return a trial that waits to be tried, as `enqueue_trial` makes it.

    Parameters
    ----------
    values : mapping of str to float
        Parameter values.
    retry_of : int, optional
        Number of the trial whose worker has died.
    """
    from optuna.trial import TrialState

    why = {} if retry_of is None else {RETRY_OF: retry_of}
    return _made(TrialState.WAITING, {}, {}, {}, fixed_params=dict(values), **why)


def mark_of(trial: Any) -> tuple[Any, ...]:
    """Return by what a trial is told from all others: when it began, and where."""
    waits_for = trial.system_attrs.get("fixed_params", {})
    return (trial.datetime_start, *trial.params.items(), *waits_for.items())


def kept_in(study: Any) -> list[dict[str, Any]]:
    """Return what is kept of each finished trial of a study of Optuna, in their order."""
    return [
        trial.user_attrs[EVALUATION]
        for trial in study.get_trials(deepcopy=False)
        if trial.state.is_finished() and EVALUATION in trial.user_attrs
    ]


def _made(
    state: Any,
    values: Mapping[str, float],
    space: Mapping[str, Any],
    facts: Mapping[str, Any],
    loss: float | None = None,
    **system: Any,
) -> Any:
    """Make a trial, without what Optuna asks of one that may come from anywhere."""
    from optuna.trial import FrozenTrial, TrialState

    now = datetime.datetime.now()
    return FrozenTrial(
        number=-1, trial_id=-1, state=state, value=loss, values=None,
        datetime_start=None if state == TrialState.WAITING else now,
        datetime_complete=now if state.is_finished() else None, params=dict(values),
        distributions=dict(space), user_attrs=dict(facts), system_attrs=system,
        intermediate_values={},
    )  # fmt: skip
