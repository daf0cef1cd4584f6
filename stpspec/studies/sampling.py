"""Points from Optuna's samplers, each a trial of the study that other processes share.

The sampler asks a study in memory, which costs nothing; what becomes of its points is told to the
shared study a batch at a time: one write when they begin, so that others count them, and one when
they are done.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stpspec.specs.parameters import Parameter
from stpspec.studies.processes import is_gone, owner
from stpspec.studies.storage import in_one_write, journal_of
from stpspec.studies.study import Study, quiet
from stpspec.studies.trials import EVALUATION, space_of

_WORKER, _NOT_SIMULATED = "worker", "not_simulated"  # attributes of trials
_NAMELESS = 60.0  # s after which a running trial without a worker is given up


@dataclass(frozen=True)
class Asked:
    """A point that has been asked for.

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

    trial: Any
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
        Shared with other processes, and with later ones; None if nothing is kept.
    carries : bool
        Whether the sampler keeps what it has learned with its trials (CMA-ES does).
    """

    def __init__(
        self,
        sampler: Any,
        parameters: Mapping[str, Parameter],
        study: Study | None,
        *,
        carries: bool = False,
    ):
        import optuna

        self._states = optuna.trial.TrialState
        self._space = space_of(parameters)
        self._study = study
        self._shared: Any = None if study is None else study.study
        self._carries = carries
        self._learned = 0  # of the trials of others, how many the sampler has learned of
        with quiet():
            self._own = optuna.create_study(sampler=sampler)

    def enqueue(self, points: Sequence[Mapping[str, float]]) -> None:
        """Have points asked for before the sampler has a say, where there is no study."""
        for values in points:
            self._own.enqueue_trial(dict(values))

    def ask(self, n: int, budget: int | None) -> list[Asked]:
        """Ask for at most n points, as far as the budget of the whole study goes."""
        if self._study is None:
            return [Asked(t, t.params, t.number) for t in self._drawn(n)]
        self._study.look()
        self._learn(self._study.others)
        taken = self._take_waiting(n)
        asked = taken + self._begin(self._drawn(n - len(taken)))
        beyond = [a for a in asked if budget is not None and self._is_beyond(a.number, budget)]
        self.drop(beyond, "beyond the budget")
        return [a for a in asked if a not in beyond]

    def waits(self) -> bool:
        """Tell whether a point has come to wait since the last was asked for."""
        if self._study is None:
            return False
        self._study.look()
        return bool(self._study.waiting)

    def tell(self, results: Sequence[tuple[Asked, Mapping[str, Any]]]) -> None:
        """Finish trials with what their evaluations gave."""
        for asked, kept in results:
            if kept["reason"]:
                self._own.tell(asked.trial, state=self._states.FAIL)
            else:
                self._own.tell(asked.trial, kept["loss"])
        if self._study is None or not results:
            return
        storage = self._shared._storage
        told = self._own.get_trials(deepcopy=False) if self._carries else []
        with in_one_write(storage):
            for asked, kept in results:
                self._study.note(asked.number, dict(kept))
                storage.set_trial_user_attr(asked.key, EVALUATION, dict(kept))
                carried = told[asked.trial.number].system_attrs if self._carries else {}
                for name, value in carried.items():
                    storage.set_trial_system_attr(asked.key, name, value)
                failed = bool(kept["reason"])
                state = self._states.FAIL if failed else self._states.COMPLETE
                storage.set_trial_state_values(asked.key, state, None if failed else [kept["loss"]])

    def drop(self, asked: Sequence[Asked], why: str) -> None:
        """Fail trials that were asked for and never simulated."""
        for one in asked:
            self._own.tell(one.trial, state=self._states.FAIL)
        if self._study is None or not asked:
            return
        storage = self._shared._storage
        with in_one_write(storage):
            for one in asked:
                self._study.note(one.number, None)
                storage.set_trial_user_attr(one.key, _NOT_SIMULATED, why)
                storage.set_trial_state_values(one.key, self._states.FAIL)

    def retry_dead(self) -> int:
        """Fail the running trials of workers that are gone, and ask for their points again."""
        return 0 if self._study is None else self._study.retry(_is_gone)

    # -- between the two studies ----------------------------------------------------------------

    def _drawn(self, n: int) -> list[Any]:
        return [self._own.ask(self._space) for _ in range(n)]

    def _learn(self, trials: Sequence[Any]) -> None:
        """Let the sampler know of what other processes, or earlier ones, have finished."""
        import optuna

        for trial in trials[self._learned :]:
            if trial.state == self._states.COMPLETE and not _unusable(trial.params, self._space):
                self._own.add_trial(
                    optuna.trial.create_trial(
                        params=trial.params, distributions=self._space, value=trial.value,
                        system_attrs=trial.system_attrs if self._carries else {},
                    )
                )  # fmt: skip
        self._learned = len(trials)

    def _take_waiting(self, n: int) -> list[Asked]:
        """Take over points that wait for whoever is next: starts, and those of dead workers."""
        study, taken = self._study, []
        assert study is not None
        if not study.waiting:
            return []
        with study.held():
            study.look()
            while study.waiting and len(taken) < n:
                trial = study.waiting.pop(0)
                values = trial.system_attrs.get("fixed_params", {})
                if self._is_mine(trial, values):
                    self._own.enqueue_trial(values)
                    asked = self._own.ask(self._space)
                    taken.append(Asked(asked, asked.params, trial.number, trial._trial_id))
        return taken

    def _is_mine(self, trial: Any, values: Mapping[str, Any]) -> bool:
        """Begin a waiting trial, unless another process has; fail one that cannot be simulated."""
        storage, key = self._shared._storage, trial._trial_id
        if storage.get_trial(key).state != self._states.WAITING:
            return False
        why = _unusable(values, self._space)
        with in_one_write(storage):
            if why:
                storage.set_trial_user_attr(key, _NOT_SIMULATED, why)
                storage.set_trial_state_values(key, self._states.FAIL)
                return False
            # Its worker first: a running trial without one is nobody's.
            storage.set_trial_user_attr(key, _WORKER, owner())
            begun = storage.set_trial_state_values(key, self._states.RUNNING)
            if not begun and journal_of(storage) is None:
                return False
            for name, where in self._space.items():
                storage.set_trial_param(key, name, where.to_internal_repr(values[name]), where)
        return True

    def _begin(self, trials: Sequence[Any]) -> list[Asked]:
        """Let the shared study know of points that are about to be simulated."""
        if not trials:
            return []
        assert self._study is not None
        points = [t.params for t in trials]  # Optuna copies them each time
        places = self._study.begin(points, {_WORKER: owner()})
        return [Asked(t, p, *place) for t, p, place in zip(trials, points, places, strict=True)]

    def _is_beyond(self, number: int, budget: int) -> bool:
        """Tell whether, with all trials before this one that count, the budget is spent."""
        if number < budget:
            return False
        before = sum(
            t.number < number and (not t.state.is_finished() or EVALUATION in t.user_attrs)
            for t in self._shared.get_trials(deepcopy=False)
        )
        return before >= budget


def _unusable(values: Mapping[str, Any], space: Mapping[str, Any]) -> str:
    """Return why a point that somebody else has chosen cannot be simulated; empty if it can."""
    if values.keys() != space.keys():
        return f"it sets {', '.join(values) or 'nothing'}, and the fit {', '.join(space)}"
    for name, where in space.items():
        value = values[name]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not where.low <= value <= where.high:
            return f"{name} = {value!r} is not within {where.low:g} and {where.high:g}"
    return ""


def _is_gone(trial: Any) -> bool:
    """Tell whether the worker of a running trial has ended (of other machines nothing is known)."""
    worker = trial.user_attrs.get(_WORKER)
    if worker is None:  # it was asked for just now, or its worker died between two lines
        age = datetime.datetime.now() - trial.datetime_start
        return age.total_seconds() > _NAMELESS
    return worker == owner() or is_gone(worker)  # an earlier fit of this process is over, too
