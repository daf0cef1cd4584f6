"""Studies in Optuna: every evaluation of every fitter is a trial that outlives the process."""

from __future__ import annotations

import contextlib
import copy
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stpspec.errors import StudyError
from stpspec.spec.experiment import Experiment
from stpspec.spec.parameters import Parameter
from stpspec.spec.study import StudySpec
from stpspec.storages import ATTEMPTS, SHORTLY, close_storage, in_one_write, open_storage

_FREE = ("study", "workers", "description", "source")  # may change between two runs of a study
EVALUATION = "evaluation"  # attribute of a trial with all that we keep of it
_ARTIFACTS = "artifacts"


class Study:
    """One study, as a fit uses it.

    Parameters
    ----------
    spec : StudySpec
    experiment : Experiment
        What is fitted; with plain numbers.

    Attributes
    ----------
    study : optuna.Study
    is_new : bool
        Whether this process has created it.

    Raises
    ------
    StudyError
        If the storage cannot be opened, or the study belongs to another experiment.
    """

    def __init__(self, spec: StudySpec, experiment: Experiment):
        self.space = space_of(experiment.parameters)
        self._batches: dict[str, list[dict[str, Any]]] = {}
        self._folder = _artifacts_of(spec)
        with quiet():
            self.study, self.is_new = self._open(spec, experiment)
        for kept in self.kept():
            self._batches.setdefault(kept["batch"], []).append(kept)

    def _open(self, spec: StudySpec, experiment: Experiment) -> tuple[Any, bool]:
        import optuna

        storage = open_storage(spec.place)
        try:
            study = optuna.create_study(study_name=spec.name, storage=storage)
            study.set_user_attr("spec", json.dumps(_comparable(experiment)))
            study.set_user_attr(_ARTIFACTS, str(_artifacts_of(spec)))
            return study, True
        except optuna.exceptions.DuplicatedStudyError:
            study = optuna.load_study(study_name=spec.name, storage=storage)
            try:
                _refuse_changes(spec, study, experiment)
            except StudyError:
                close_storage(storage)
                raise
            return study, False

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections to a database."""
        close_storage(self.study._storage)

    def kept(self) -> list[dict[str, Any]]:
        """Return what is kept of each finished trial, in the order of the trials."""
        found = []
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state.is_finished() and EVALUATION in trial.user_attrs:
                found.append(trial.user_attrs[EVALUATION])
        return found

    def recall(self, batch: str, n: int) -> list[dict[str, Any]] | None:
        """Return what is kept of a batch of n points, or None if it is not there whole."""
        found = self._batches.get(batch, [])
        return sorted(found, key=lambda k: k["index"]) if len(found) == n else None

    def record(self, evaluations: Sequence[Mapping[str, Any]]) -> None:
        """Keep the evaluations of one batch, each as a trial."""
        import optuna

        states = optuna.trial.TrialState
        with in_one_write(self.study._storage):
            for kept in evaluations:
                failed = bool(kept["reason"])
                self.study.add_trial(
                    optuna.trial.create_trial(
                        params=dict(kept["values"]), distributions=self.space,
                        value=None if failed else kept["loss"],
                        state=states.FAIL if failed else states.COMPLETE,
                        user_attrs={EVALUATION: dict(kept)},
                    )
                )  # fmt: skip

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
    beside = Path(spec.place) if "://" not in spec.place else Path("stpspec-studies") / spec.name
    return beside.expanduser().resolve().with_suffix(".artifacts")


def artifact_folder(study: Any) -> Path | None:
    """Return where the files attached to a study of ours are, wherever it was fitted."""
    place = study.user_attrs.get(_ARTIFACTS)
    return None if place is None else Path(place)


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


def _refuse_changes(spec: StudySpec, study: Any, experiment: Experiment) -> None:
    where = f"the study {spec.name!r} in {spec.place}"
    text = _spec_of(study)
    if text is None:
        raise StudyError(f"{where} was not made by stpspec; give the study another name")
    changes = list(_differences(json.loads(text), _comparable(experiment)))
    if changes and not spec.accept_changes:
        listed = "\n  ".join(changes)
        raise StudyError(
            f"{where} belongs to an experiment that differs in\n  {listed}\n  give the study "
            f"another name, or accept the changes with study.accept_changes=true (what was "
            f"evaluated before stays in it)"
        )


def _spec_of(study: Any) -> str | None:
    """Return the experiment of a study; another process may be about to write it."""
    for _ in range(ATTEMPTS):
        text = study.user_attrs.get("spec")
        if text is not None or study.get_trials(deepcopy=False):
            return text
        time.sleep(SHORTLY)
    return None


def _comparable(experiment: Experiment) -> dict[str, Any]:
    """Return the data of an experiment without what may change between two runs."""
    data = experiment.to_data()
    for name in _FREE:
        data.pop(name, None)
    data["fitter"].pop("budget", None)
    data["numerics"].pop("time_limit", None)
    return data


def _differences(before: Any, now: Any, path: str = "") -> Iterator[str]:
    """Yield one line for each field that differs."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*before, *now]):
            inner = f"{path}.{key}" if path else str(key)
            yield from _differences(before.get(key, "(none)"), now.get(key, "(none)"), inner)
    elif before != now:
        yield f"{path}: {before!r} then, {now!r} now"


def study_for(experiment: Experiment) -> Study | None:
    """Return the study that an experiment names, opened; None if it names none."""
    return None if experiment.study is None else Study(experiment.study, experiment)
