"""The study of a fit: evaluations as trials in Optuna that outlive the process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from stpspec.errors import StudyError
from stpspec.specs.experiment import Experiment
from stpspec.specs.result_files import Sources
from stpspec.specs.study import StudySpec
from stpspec.studies import compatibility
from stpspec.studies.artifacts import Artifacts
from stpspec.studies.damage import damage_named
from stpspec.studies.messages import quiet
from stpspec.studies.optuna_internals import ENQUEUED_VALUES
from stpspec.studies.records import EvaluationRecord, RecordIndex
from stpspec.studies.storage import open_storage
from stpspec.studies.storage_lock import StorageLock
from stpspec.studies.trials import (
    finished_trial,
    identity_of,
    record_of,
    records_in,
    running_trial,
    space_of,
    waiting_trial,
)

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


class Study:
    """One study, as a fit uses it.

    What this process has written it knows; the storage is read again only where others may have
    written in the meantime.

    Parameters
    ----------
    spec : StudySpec
    experiment : Experiment
        What is fitted; with plain numbers.
    sources : Sources, optional
        The files that it is made of.

    Attributes
    ----------
    study : optuna.Study
    id : int
        By which the storage knows it.
    storage : Storage
    lock : StorageLock
        Keeps other processes from writing.
    artifacts : Artifacts
    space : dict of str to optuna.distributions.FloatDistribution
    index : RecordIndex
        The finished trials that are known.
    other_trials : list of optuna.trial.FrozenTrial
        Finished trials of other processes, or earlier ones; as of the last refresh.
    waiting_trials : list of optuna.trial.FrozenTrial
        Trials that wait for the next process; as of the last refresh.

    Raises
    ------
    StudyError
        If the storage cannot be opened, or the study belongs to another experiment.
    """

    def __init__(self, spec: StudySpec, experiment: Experiment, sources: Sources | None = None):
        import optuna

        self._states = optuna.trial.TrialState
        self.space = space_of(experiment.parameters)
        self.index = RecordIndex()
        self.other_trials: list[FrozenTrial] = []
        self.waiting_trials: list[FrozenTrial] = []
        self._count = 0  # trials in the study, finished or not
        self._key_offset: int | None = None  # what to add to a trial's number, to get its key
        self._revision: int | None = None  # of the storage, when it was last read
        self.place = spec.place
        with quiet(), damage_named(self.place):
            self._open(spec, experiment, sources or Sources())
            self.artifacts = Artifacts(self.study, spec, self.storage, self.lock)
        self.refresh()

    def _open(self, spec: StudySpec, experiment: Experiment, sources: Sources) -> None:
        self.storage = open_storage(spec.place)
        self.lock = StorageLock(self.storage)
        data = compatibility.comparable(experiment, sources)
        try:
            entry = compatibility.enter(spec, data, self.storage.optuna)
        except StudyError:
            self.storage.close()
            raise
        self.study = entry.study
        self.id: int = self.storage.optuna.get_study_id_from_name(self.study.study_name)
        if entry.earlier is not None:
            study, before = entry.earlier
            records = records_in(study, spec.place)
            self.record(compatibility.still_true(records, before, experiment, sources))
            self.study.set_user_attr(compatibility.CARRIED, True)

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections to a database."""
        self.storage.close()

    # -- reading ---------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read what other processes have written since the last refresh."""
        revision = self.storage.revision()
        if revision is not None and revision == self._revision:
            return
        trials = self.trials()
        self._revision, self._count, self._key_offset = revision, len(trials), None
        self.waiting_trials = [t for t in trials if t.state == self._states.WAITING]
        for trial in trials[self.index.first_unfinished :]:
            if trial.state.is_finished() and trial.number not in self.index:
                self.other_trials.append(trial)
                self.index.add(trial.number, record_of(trial, self.place))

    def invalidate(self) -> None:
        """Have the next refresh read the storage, whoever was the last to write."""
        self._revision = None

    def trials(self) -> list[FrozenTrial]:
        """Return all trials as they are stored now."""
        from optuna.exceptions import UpdateFinishedTrialError

        while True:
            try:
                return self.study.get_trials(deepcopy=False)
            except UpdateFinishedTrialError:
                # While this process was suspended, another took over its trial. Optuna has read
                # over the line that says so, and goes on behind it.
                if self.storage.journal is None:
                    raise

    def key_of(self, number: int) -> int:
        """Return the key by which the storage knows the trial of a number."""
        return self.storage.optuna.get_trial_id_from_study_id_trial_number(self.id, number)

    def records(self) -> list[EvaluationRecord]:
        """Return the record of each finished trial, in the order of the trials."""
        self.refresh()
        return list(self.index.records().values())

    def recall(self, batch: str, n: int) -> list[EvaluationRecord] | None:
        """Return the records of a batch of n points, or None if it is not complete."""
        return self.index.batch(batch, n)

    def recall_point(self, point: Sequence[float]) -> EvaluationRecord | None:
        """Return the record of a point of the unit cube, in whichever batch it was."""
        return self.index.at(point)

    def number_of(self, values: Mapping[str, float]) -> int | None:
        """Return the number of a finished trial with these parameter values, if there is one."""
        self.refresh()
        return next((n for n, r in self.index.records().items() if r["values"] == values), None)

    # -- writing ---------------------------------------------------------------------------------

    def record(self, records: Sequence[EvaluationRecord]) -> None:
        """Write the evaluations of one batch, each as a trial; once, if several processes do."""
        with self.lock():
            self.refresh()
            new = [r for r in records if not self.index.has(r["batch"], r["index"])]
            places = self._add([finished_trial(record, self.space) for record in new])
            for (number, _), record in zip(places, new, strict=True):
                self.index.add(number, record)

    def begin(
        self, points: Sequence[Mapping[str, float]], attributes: Mapping[str, object]
    ) -> list[tuple[int, int]]:
        """Add a trial for each point that is about to be simulated.

        Parameters
        ----------
        points : sequence of mapping of str to float
            Parameter values.
        attributes : mapping
            User attributes of each trial.

        Returns
        -------
        list of (int, int)
            Number of each trial, and the key by which the storage knows it.
        """
        with self.lock():
            self.refresh()
            return self._add([running_trial(p, self.space, attributes) for p in points])

    def enqueue_first(self, points: Sequence[Mapping[str, float]]) -> bool:
        """Add points to wait for the next process, if the study is empty; return whether it was.

        Where a process was killed while it did so, the missing ones are added.
        """
        with self.lock():
            self.refresh()
            enqueued = [t.system_attrs.get(ENQUEUED_VALUES) for t in self.trials()]
            if all(values in points for values in enqueued):
                self._add([waiting_trial(values) for values in points if values not in enqueued])
                self.invalidate()  # so that they are among the waiting trials
        return not enqueued

    def _add(self, trials: Sequence[FrozenTrial]) -> list[tuple[int, int]]:
        """Write trials, and return number and key of each; the lock must be held."""
        storage = self.storage.optuna
        if not trials:
            return []
        # If this is interrupted, the next refresh reads again.
        revision, self._revision = self._revision, None
        with self.storage.single_write():
            keys = [storage.create_new_trial(self.id, template_trial=t) for t in trials]
        if self.storage.journal is None:
            return [(storage.get_trial_number_from_id(key), key) for key in keys]
        if self.storage.revision() != revision:  # the lock was broken: it was held for too long
            return self._places_of(trials)
        first, self._count = self._count, self._count + len(trials)
        offset = self._key_offset
        if offset is None:  # a journal may hold other studies, whose trials count, too
            offset = self._key_offset = self.key_of(first) - first
        self._revision = revision
        return [(number, offset + number) for number in range(first, self._count)]

    def _places_of(self, trials: Sequence[FrozenTrial]) -> list[tuple[int, int]]:
        """Return number and key of trials that were written while others wrote, too."""
        numbers = {identity_of(t): t.number for t in self.trials()}
        return [(n, self.key_of(n)) for n in (numbers[identity_of(t)] for t in trials)]


def study_for(experiment: Experiment, sources: Sources | None = None) -> Study | None:
    """Return the study that an experiment names, opened; None if it names none."""
    return None if experiment.study is None else Study(experiment.study, experiment, sources)
