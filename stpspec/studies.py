"""Studies in Optuna: every evaluation of every fitter is a trial that outlives the process."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stpspec import lineage
from stpspec.errors import StudyError
from stpspec.spec.experiment import Experiment
from stpspec.spec.parameters import Parameter
from stpspec.spec.study import StudySpec
from stpspec.storages import close_storage, in_one_write, only_mine, open_storage

EVALUATION = "evaluation"  # attribute of a trial with all that we keep of it
_ARTIFACTS = "artifacts"


class Study:
    """One study, as a fit uses it.

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
    is_new : bool
        Whether nothing is in it that another process may have left.

    Raises
    ------
    StudyError
        If the storage cannot be opened, or the study belongs to another experiment.
    """

    def __init__(
        self, spec: StudySpec, experiment: Experiment, sources: Mapping[str, str] | None = None
    ):
        self.space = space_of(experiment.parameters)
        self._batches: dict[str, dict[int, dict[str, Any]]] = {}
        self._points: dict[tuple[float, ...], dict[str, Any]] = {}
        self._seen = 0  # trials below are among the batches and points
        self._alone = _lock_beside(spec.place)
        self._folder = _artifacts_of(spec)
        with quiet():
            self.study, self.is_new = self._open(spec, experiment, sources or {})
        self._look()

    def _open(
        self, spec: StudySpec, experiment: Experiment, sources: Mapping[str, str]
    ) -> tuple[Any, bool]:
        storage = open_storage(spec.place)
        try:
            entered = lineage.enter(spec, lineage.comparable(experiment, sources), storage)
        except StudyError:
            close_storage(storage)
            raise
        self.study = entered.study
        if _ARTIFACTS not in self.study.user_attrs:
            self.study.set_user_attr(_ARTIFACTS, str(self._folder))
        carried = []
        if entered.earlier is not None:
            study, before = entered.earlier
            carried = lineage.still_true(_kept(study), before, experiment, sources)
            self.record(carried)
        return self.study, entered.is_new and not carried

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections to a database."""
        close_storage(self.study._storage)

    def kept(self) -> list[dict[str, Any]]:
        """Return what is kept of each finished trial, in the order of the trials."""
        return _kept(self.study)

    def recall(self, batch: str, n: int) -> list[dict[str, Any]] | None:
        """Return what is kept of a batch of n points, or None if it is not there whole."""
        found = self._batches.get(batch, {})
        return [found[i] for i in range(n)] if len(found) == n else None

    def recall_point(self, point: Sequence[float]) -> dict[str, Any] | None:
        """Return what is kept of a point of the unit cube, in whichever batch it was."""
        return self._points.get(tuple(point))

    def record(self, evaluations: Sequence[Mapping[str, Any]]) -> None:
        """Keep the evaluations of one batch, each as a trial; once, if several processes do."""
        import optuna

        states = optuna.trial.TrialState
        with self._alone:
            if not only_mine(self.study._storage):
                self._look()
            new = [k for k in evaluations if k["index"] not in self._batches.get(k["batch"], ())]
            with in_one_write(self.study._storage):
                for kept in new:
                    failed = bool(kept["reason"])
                    self.study.add_trial(
                        optuna.trial.create_trial(
                            params=dict(kept["values"]), distributions=self.space,
                            value=None if failed else kept["loss"],
                            state=states.FAIL if failed else states.COMPLETE,
                            user_attrs={EVALUATION: dict(kept)},
                        )
                    )  # fmt: skip
            for kept in new:
                self._take(dict(kept))

    def _look(self) -> None:
        """Take in what this process and others have recorded since the last look."""
        trials = self.study.get_trials(deepcopy=False)
        for trial in trials[self._seen :]:
            if not trial.state.is_finished():
                return
            self._seen += 1
            kept = trial.user_attrs.get(EVALUATION)
            if kept is not None:
                self._take(kept)

    def _take(self, kept: dict[str, Any]) -> None:
        self._batches.setdefault(kept["batch"], {}).setdefault(kept["index"], kept)
        self._points.setdefault(tuple(kept["point"]), kept)

    # -- figures -------------------------------------------------------------------------------

    def number_of(self, values: Mapping[str, float]) -> int | None:
        """Return the number of a finished trial with these parameter values, if there is one."""
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state.is_finished() and trial.params == values:
                return trial.number
        return None

    def attached(self) -> set[str]:
        """Return the names of the files that have been attached to the study."""
        from optuna.artifacts import get_all_artifact_meta

        return {meta.filename for meta in get_all_artifact_meta(self.study)}

    def attach(self, path: Path) -> None:
        """Attach a file to the study: it is copied beside the journal."""
        from optuna.artifacts import FileSystemArtifactStore, upload_artifact

        self._folder.mkdir(parents=True, exist_ok=True)
        upload_artifact(
            artifact_store=FileSystemArtifactStore(base_path=str(self._folder)),
            file_path=str(path), study_or_trial=self.study,
        )  # fmt: skip


def _lock_beside(place: str) -> contextlib.AbstractContextManager[Any]:
    """Return a lock beside a journal; a database has only the look before the write."""
    from filelock import FileLock

    if "://" in place:
        return contextlib.nullcontext()
    path = Path(place).expanduser()
    return FileLock(path.with_name(f".{path.name}.lock"))


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


def space_of(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return the bounds of free parameters as Optuna's distributions."""
    from optuna.distributions import FloatDistribution

    return {
        n: FloatDistribution(float(p.min), float(p.max), log=p.scale == "log")
        for n, p in parameters.items()
    }


def _artifacts_of(spec: StudySpec) -> Path:
    """Return the folder of the files that are attached to a study."""
    return _beside(f"stpspec-studies/{spec.name}.journal" if "://" in spec.place else spec.place)


def _beside(journal: str) -> Path:
    return Path(journal).expanduser().resolve().with_suffix(".artifacts")


def artifact_folders(studies: Iterable[Any], place: str) -> list[Path]:
    """Return where files attached to studies of a storage may be: beside it, or as they tell."""
    told = (study.user_attrs.get(_ARTIFACTS) for study in studies)
    beside = [] if "://" in place else [_beside(place)]
    return list(dict.fromkeys([*beside, *(Path(folder) for folder in told if folder)]))


def trial_facts(trial: Any) -> Any:
    """Return a copy of a trial with each metric, and the reason of a failure, by its own name."""
    kept = trial.user_attrs.get(EVALUATION)
    if kept is None:
        return trial
    facts = {n: v if not isinstance(v, list) else f"{len(v)} values"
             for n, v in kept["metrics"].items()}  # fmt: skip
    if kept["reason"]:
        facts["reason"] = kept["reason"]
    shown = copy.copy(trial)
    shown.user_attrs = facts
    return shown


def _kept(study: Any) -> list[dict[str, Any]]:
    found = []
    for trial in study.get_trials(deepcopy=False):
        if trial.state.is_finished() and EVALUATION in trial.user_attrs:
            found.append(trial.user_attrs[EVALUATION])
    return found


def study_for(experiment: Experiment, sources: Mapping[str, str] | None = None) -> Study | None:
    """Return the study that an experiment names, opened; None if it names none."""
    return None if experiment.study is None else Study(experiment.study, experiment, sources)
