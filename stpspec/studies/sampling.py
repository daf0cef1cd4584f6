"""Sampling of points by Optuna, each a trial of the study that processes share.

The sampler asks a study in memory, which costs nothing. The shared study is written a batch at a
time: once when its points begin, so that other processes count them, and once when they are done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stpspec.resources.processes import process_name
from stpspec.specs.parameters import Parameter
from stpspec.studies.messages import quiet
from stpspec.studies.optuna_internals import ENQUEUED_VALUES
from stpspec.studies.records import EvaluationRecord
from stpspec.studies.retry import retry
from stpspec.studies.study import Study
from stpspec.studies.trials import EVALUATION, NOT_SIMULATED, WORKER, space_of

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution, FloatDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class SampledPoint:
    """A point that a fit has asked for, to simulate it.

    Attributes
    ----------
    trial : optuna.Trial
        Of the sampler's own study.
    params : dict of str to float
        Parameter values.
    number : int
        Of the trial in the shared study, or in the sampler's own without one.
    key : int or None
        By which the storage of the shared study knows it.
    """

    trial: optuna.Trial
    params: dict[str, float]
    number: int
    key: int | None = None


class Sampling:
    """A sampler, and the shared study that its points belong to.

    Parameters
    ----------
    sampler : optuna.samplers.BaseSampler
    parameters : mapping of str to Parameter
    study : Study or None
        Shared with other processes, and with later ones; None if nothing is stored.
    carries : bool
        Whether the sampler stores what it has learned with its trials (CMA-ES does).
    """

    def __init__(
        self,
        sampler: BaseSampler,
        parameters: Mapping[str, Parameter],
        study: Study | None,
        *,
        carries: bool = False,
    ):
        import optuna

        self._states = optuna.trial.TrialState
        self._space = space_of(parameters)
        self._distributions: dict[str, BaseDistribution] = {**self._space}  # as Optuna takes them
        self._study = study
        self._carries = carries
        self._n_learned = 0  # of the trials of others, those that the sampler knows of
        with quiet():
            self._own = optuna.create_study(sampler=sampler)

    def enqueue(self, points: Sequence[Mapping[str, float]]) -> None:
        """Have these points come before those of the sampler, where there is no study."""
        for values in points:
            self._own.enqueue_trial(dict(values))

    def ask(self, n: int, budget: int | None) -> list[SampledPoint]:
        """Return at most n points to simulate, as far as the budget of the whole study goes."""
        if self._study is None:
            return [SampledPoint(t, t.params, t.number) for t in self._new_trials(n)]
        self._study.refresh()
        self._learn(self._study.other_trials)
        points = self._take_waiting(n)
        points += self._begin(self._new_trials(n - len(points)))
        beyond = [p for p in points if budget is not None and self._is_beyond(p.number, budget)]
        self.drop(beyond, "beyond the budget")
        return [p for p in points if p not in beyond]

    def waits(self) -> bool:
        """Tell whether a point waits that did not when points were last asked for."""
        if self._study is None:
            return False
        self._study.refresh()
        return bool(self._study.waiting_trials)

    def tell(self, results: Sequence[tuple[SampledPoint, EvaluationRecord]]) -> None:
        """Finish trials with the records of their evaluations."""
        for point, record in results:
            if record["reason"]:
                self._own.tell(point.trial, state=self._states.FAIL)
            else:
                self._own.tell(point.trial, record["loss"])
        if self._study is None or not results:
            return
        storage = self._study.storage
        own_trials = self._own.get_trials(deepcopy=False) if self._carries else []
        with storage.single_write():
            for point, record in results:
                assert point.key is not None
                self._study.index.add(point.number, record)
                storage.optuna.set_trial_user_attr(point.key, EVALUATION, dict(record))
                if self._carries:
                    for name, value in own_trials[point.trial.number].system_attrs.items():
                        storage.optuna.set_trial_system_attr(point.key, name, value)
                failed, loss = bool(record["reason"]), record["loss"]
                state = self._states.FAIL if failed else self._states.COMPLETE
                values = None if failed or loss is None else [loss]
                storage.optuna.set_trial_state_values(point.key, state, values)

    def drop(self, points: Sequence[SampledPoint], reason: str) -> None:
        """Fail trials that were asked for and never simulated."""
        for point in points:
            self._own.tell(point.trial, state=self._states.FAIL)
        if self._study is None or not points:
            return
        storage = self._study.storage
        with storage.single_write():
            for point in points:
                assert point.key is not None
                self._study.index.add(point.number, None)
                storage.optuna.set_trial_user_attr(point.key, NOT_SIMULATED, reason)
                storage.optuna.set_trial_state_values(point.key, self._states.FAIL)

    def retry_dead(self) -> int:
        """Fail the running trials of dead workers, have their points wait; return how many."""
        return 0 if self._study is None else retry(self._study)

    # -- between the two studies ----------------------------------------------------------------

    def _new_trials(self, n: int) -> list[optuna.Trial]:
        return [self._own.ask(self._distributions) for _ in range(n)]

    def _learn(self, trials: Sequence[FrozenTrial]) -> None:
        """Add to the sampler's study what other processes, or earlier ones, have finished."""
        import optuna

        for trial in trials[self._n_learned :]:
            if trial.state == self._states.COMPLETE and not _objection(trial.params, self._space):
                self._own.add_trial(
                    optuna.trial.create_trial(
                        params=trial.params, distributions=self._distributions, value=trial.value,
                        system_attrs=trial.system_attrs if self._carries else {},
                    )
                )  # fmt: skip
        self._n_learned = len(trials)

    def _take_waiting(self, n: int) -> list[SampledPoint]:
        """Take over waiting points: starts, and those of dead workers."""
        study = self._study
        points: list[SampledPoint] = []
        assert study is not None
        if not study.waiting_trials:
            return points
        with study.lock():
            study.refresh()
            while study.waiting_trials and len(points) < n:
                trial = study.waiting_trials.pop(0)
                values = trial.system_attrs.get(ENQUEUED_VALUES, {})
                key = study.key_of(trial.number)
                if self._start_waiting(key, values):
                    self._own.enqueue_trial(values)
                    own = self._own.ask(self._distributions)
                    points.append(SampledPoint(own, own.params, trial.number, key))
        return points

    def _start_waiting(self, key: int, values: Mapping[str, float]) -> bool:
        """Begin a waiting trial, unless another process has; fail one that cannot be simulated."""
        assert self._study is not None
        shared = self._study.storage
        storage = shared.optuna
        if storage.get_trial(key).state != self._states.WAITING:
            return False
        reason = _objection(values, self._space)
        with shared.single_write():
            if reason:
                storage.set_trial_user_attr(key, NOT_SIMULATED, reason)
                storage.set_trial_state_values(key, self._states.FAIL)
                return False
            # Its worker first: a running trial without one is nobody's.
            storage.set_trial_user_attr(key, WORKER, process_name())
            is_ours = storage.set_trial_state_values(key, self._states.RUNNING)
            if not is_ours and shared.journal is None:
                return False
            for name, bounds in self._space.items():
                value = bounds.to_internal_repr(values[name])
                storage.set_trial_param(key, name, value, bounds)
        return True

    def _begin(self, trials: Sequence[optuna.Trial]) -> list[SampledPoint]:
        """Add points that are about to be simulated to the shared study."""
        if not trials:
            return []
        assert self._study is not None
        points = [t.params for t in trials]  # Optuna copies them each time
        places = self._study.begin(points, {WORKER: process_name()})
        return [
            SampledPoint(trial, params, *place)
            for trial, params, place in zip(trials, points, places, strict=True)
        ]

    def _is_beyond(self, number: int, budget: int) -> bool:
        """Tell whether the trials before this one that count use up the budget."""
        if number < budget:
            return False
        assert self._study is not None
        before = sum(
            t.number < number and (not t.state.is_finished() or EVALUATION in t.user_attrs)
            for t in self._study.study.get_trials(deepcopy=False)
        )
        return before >= budget


def _objection(values: Mapping[str, object], space: Mapping[str, FloatDistribution]) -> str:
    """Return why a point from elsewhere cannot be simulated; empty if it can."""
    if values.keys() != space.keys():
        return f"it sets {', '.join(values) or 'nothing'}, and the fit {', '.join(space)}"
    for name, bounds in space.items():
        value = values[name]
        number = None if isinstance(value, bool) or not isinstance(value, int | float) else value
        if number is None or not bounds.low <= number <= bounds.high:
            return f"{name} = {value!r} is not within {bounds.low:g} and {bounds.high:g}"
    return ""
