"""Studies in Optuna: every evaluation of every fitter is a trial that outlives the process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from stpspec.errors import StudyError
from stpspec.specs.experiment import Experiment
from stpspec.specs.study import StudySpec
from stpspec.studies import compatibility
from stpspec.studies.artifacts import Attachments
from stpspec.studies.storage import (
    close_storage,
    in_one_write,
    journal_of,
    open_storage,
    turn_of,
)
from stpspec.studies.storage_lock import Exclusive
from stpspec.studies.trials import (
    EVALUATION,
    RETRY_OF,
    begun,
    evaluated,
    kept_in,
    mark_of,
    space_of,
    waiting,
)


class Study:
    """One study, as a fit uses it.

    What this process has written it knows; the storage is read again only where others may have
    written in the meantime.

    Parameters
    ----------
    spec : StudySpec
    experiment : Experiment
        What is fitted; with plain numbers.
    sources : mapping of str to str
        Hash of each file that it is made of.

    Attributes
    ----------
    study : optuna.Study
    held : Exclusive
        Keeps other processes from writing.
    attachments : Attachments
    others : list of optuna.trial.FrozenTrial
        Finished trials that other processes, or earlier ones, have left; as of the last look.
    waiting : list of optuna.trial.FrozenTrial
        Trials that wait for whoever is next; as of the last look.

    Raises
    ------
    StudyError
        If the storage cannot be opened, or the study belongs to another experiment.
    """

    def __init__(
        self, spec: StudySpec, experiment: Experiment, sources: Mapping[str, str] | None = None
    ):
        import optuna

        self._states = optuna.trial.TrialState
        self.space = space_of(experiment.parameters)
        self.others: list[Any] = []
        self.waiting: list[Any] = []
        self._batches: dict[str, dict[int, dict[str, Any]]] = {}
        self._points: dict[tuple[float, ...], dict[str, Any]] = {}
        self._kept: dict[int, dict[str, Any]] = {}  # by the number of the trial
        self._finished: set[int] = set()  # numbers of trials that are known to be
        self._seen = 0  # all below are
        self._count = 0  # trials there are, finished or not
        self._key: int | None = None  # what to add to a trial's number, to get its key
        self._turn: int | None = None  # of the storage, when it was last read
        with quiet():
            self._open(spec, experiment, sources or {})
        self.attachments = Attachments(self.study, spec, self.held)
        self.look()

    def _open(self, spec: StudySpec, experiment: Experiment, sources: Mapping[str, str]) -> None:
        storage = open_storage(spec.place)
        self.held = Exclusive(storage)
        try:
            entered = compatibility.enter(
                spec, compatibility.comparable(experiment, sources), storage
            )
        except StudyError:
            close_storage(storage)
            raise
        self.study = entered.study
        if entered.earlier is not None:
            study, before = entered.earlier
            self.record(compatibility.still_true(kept_in(study), before, experiment, sources))
            self.study.set_user_attr(compatibility.CARRIED, True)

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections to a database."""
        close_storage(self.study._storage)

    # -- reading ---------------------------------------------------------------------------------

    def look(self) -> None:
        """Take in what was written since the last look, but for what this study wrote itself."""
        turn = turn_of(self.study._storage)
        if turn is not None and turn == self._turn:
            return
        trials = self._read()
        self._turn, self._count, self._key = turn, len(trials), None
        self.waiting = [t for t in trials if t.state == self._states.WAITING]
        for trial in trials[self._seen :]:
            if trial.state.is_finished() and trial.number not in self._finished:
                self.others.append(trial)
                self.note(trial.number, trial.user_attrs.get(EVALUATION))

    def _read(self) -> list[Any]:
        """Return the trials as they are now."""
        from optuna.exceptions import UpdateFinishedTrialError

        while True:
            try:
                return self.study.get_trials(deepcopy=False)
            except UpdateFinishedTrialError:
                # While this process was suspended, another took over what it was at. Optuna has
                # read over the line that says so, and goes on behind it.
                if journal_of(self.study._storage) is None:
                    raise

    def note(self, number: int, kept: dict[str, Any] | None) -> None:
        """Know of a trial that is finished, and of what is kept of it; None if nothing is."""
        self._finished.add(number)
        while self._seen in self._finished:
            self._seen += 1
        if kept is not None:
            self._kept[number] = kept
            self._batches.setdefault(kept["batch"], {}).setdefault(kept["index"], kept)
            self._points.setdefault(tuple(kept["point"]), kept)

    def kept(self) -> list[dict[str, Any]]:
        """Return what is kept of each finished trial, in the order of the trials."""
        self.look()
        return [self._kept[number] for number in sorted(self._kept)]

    def recall(self, batch: str, n: int) -> list[dict[str, Any]] | None:
        """Return what is kept of a batch of n points, or None if it is not there whole."""
        found = self._batches.get(batch, {})
        return [found[i] for i in range(n)] if len(found) == n else None

    def recall_point(self, point: Sequence[float]) -> dict[str, Any] | None:
        """Return what is kept of a point of the unit cube, in whichever batch it was."""
        return self._points.get(tuple(point))

    def number_of(self, values: Mapping[str, float]) -> int | None:
        """Return the number of a finished trial with these parameter values, if there is one."""
        self.look()
        return next((n for n, kept in self._kept.items() if kept["values"] == values), None)

    # -- writing ---------------------------------------------------------------------------------

    def record(self, evaluations: Sequence[Mapping[str, Any]]) -> None:
        """Keep the evaluations of one batch, each as a trial; once, if several processes do."""
        with self.held():
            self.look()
            new = [
                dict(k) for k in evaluations if k["index"] not in self._batches.get(k["batch"], ())
            ]
            trials = [evaluated(kept, self.space) for kept in new]
            for (number, _), kept in zip(self._add(trials), new, strict=True):
                self.note(number, kept)

    def begin(
        self, points: Sequence[Mapping[str, float]], facts: Mapping[str, Any]
    ) -> list[tuple[int, int]]:
        """Add a trial for each point that is about to be simulated.

        Parameters
        ----------
        points : sequence of mapping of str to float
            Parameter values.
        facts : mapping
            Attributes of each trial.

        Returns
        -------
        list of (int, int)
            Number of each trial, and the key by which the storage knows it.
        """
        with self.held():
            self.look()
            return self._add([begun(p, self.space, facts) for p in points])

    def enqueue_first(self, points: Sequence[Mapping[str, float]]) -> bool:
        """Have points wait for whoever is next, if nothing is in the study; return whether so.

        Where a process was killed while it did so, those that are not there are added.
        """
        with self.held():
            self.look()
            known = [t.system_attrs.get("fixed_params") for t in self._read()]
            if not all(values in points for values in known):
                return False
            trials = [waiting(values) for values in points if values not in known]
            for trial, place in zip(trials, self._add(trials), strict=True):
                trial.number, trial._trial_id = place
            self.waiting += trials
        return not known

    def retry(self, are_gone: Callable[[Any], bool]) -> int:
        """Fail the running trials whose workers are gone, and have their points wait again.

        Parameters
        ----------
        are_gone : callable
            Tells of a trial whether its worker is.

        Returns
        -------
        int
            How many they were.
        """
        from optuna.exceptions import UpdateFinishedTrialError

        storage, study, states = self.study._storage, self.study._study_id, self._states
        with self.held():
            trials = self._read()
            dead = [t for t in trials if t.state == states.RUNNING and are_gone(t)]
            again = {t.system_attrs.get(RETRY_OF) for t in trials}
            with in_one_write(storage):
                for trial in dead:
                    key, kept = trial._trial_id, trial.user_attrs.get(EVALUATION)
                    if kept is not None and not kept["reason"]:  # it only had not been told
                        storage.set_trial_state_values(key, states.COMPLETE, [kept["loss"]])
                        continue
                    values = trial.system_attrs.get("fixed_params") or trial.params
                    if kept is None and values and trial.number not in again:
                        made = waiting(values, trial.number)
                        storage.create_new_trial(study, template_trial=made)
                    with contextlib.suppress(UpdateFinishedTrialError):  # where nothing is held
                        storage.set_trial_state_values(key, states.FAIL)
            if dead:
                self._turn = None
        return len(dead)

    def _add(self, trials: Sequence[Any]) -> list[tuple[int, int]]:
        """Write trials, and return number and key of each; nobody may write in the meantime."""
        storage, study = self.study._storage, self.study._study_id
        if not trials:
            return []
        known, self._turn = self._turn, None  # if this is interrupted, the next look reads again
        with in_one_write(storage):
            keys = [storage.create_new_trial(study, template_trial=t) for t in trials]
        if journal_of(storage) is None:
            return [(storage.get_trial_number_from_id(key), key) for key in keys]
        if turn_of(storage) != known:  # they broke the lock, which was held for too long
            return self._found(trials)
        first, self._count = self._count, self._count + len(trials)
        zero = self._key
        if zero is None:  # a journal may hold other studies, whose trials count, too
            zero = storage.get_trial_id_from_study_id_trial_number(study, first) - first
            self._key = zero
        self._turn = known
        return [(number, zero + number) for number in range(first, self._count)]

    def _found(self, trials: Sequence[Any]) -> list[tuple[int, int]]:
        """Return number and key of trials that were written while others wrote, too."""
        there = {mark_of(t): t for t in self._read()}
        return [(t.number, t._trial_id) for t in (there[mark_of(t)] for t in trials)]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna's own messages about studies and trials to itself."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)


def study_for(experiment: Experiment, sources: Mapping[str, str] | None = None) -> Study | None:
    """Return the study that an experiment names, opened; None if it names none."""
    return None if experiment.study is None else Study(experiment.study, experiment, sources)
