"""Studies in Optuna: every evaluation of every fitter is a trial that outlives the process."""

from __future__ import annotations

import contextlib
import copy
import datetime
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stpspec.errors import StudyError
from stpspec.spec.experiment import Experiment
from stpspec.spec.study import StudySpec
from stpspec.storages import ATTEMPTS, SHORTLY, close_storage, open_storage

_FREE = ("study", "workers", "description", "source")  # may change between two runs of a study
_ATTRIBUTE = "evaluation"  # all that we keep of a trial, in one entry: each entry is a write
_ARTIFACTS = "artifacts"
_WORKER = "worker"
_NAMELESS = 60.0  # s after which a running trial without a worker is given up


class Study:
    """One study, as a fit uses it.

    Parameters
    ----------
    spec : StudySpec or None
        None for a study in memory, which ends with the process.
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

    def __init__(self, spec: StudySpec | None, experiment: Experiment):
        import optuna

        self.space: dict[str, Any] = {
            n: optuna.distributions.FloatDistribution(
                float(p.min), float(p.max), log=p.scale == "log"
            )
            for n, p in experiment.parameters.items()
        }
        self._batches: dict[str, list[dict[str, Any]]] = {}
        self._folder = None if spec is None else _artifacts_of(spec)
        with _quiet():
            if spec is None:
                self.study, self.is_new = optuna.create_study(), True
            else:
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
            if trial.state.is_finished() and _ATTRIBUTE in trial.user_attrs:
                found.append(trial.user_attrs[_ATTRIBUTE])
        return found

    def recall(self, batch: str, n: int) -> list[dict[str, Any]] | None:
        """Return what is kept of a batch of n points, or None if it is not there whole."""
        found = self._batches.get(batch, [])
        return sorted(found, key=lambda k: k["index"]) if len(found) == n else None

    def record(self, evaluations: Sequence[Mapping[str, Any]]) -> None:
        """Keep the evaluations of one batch, each as a trial."""
        import optuna

        for kept in evaluations:
            failed = bool(kept["reason"])
            states = optuna.trial.TrialState
            self.study.add_trial(
                optuna.trial.create_trial(
                    params=dict(kept["values"]), distributions=self.space,
                    value=None if failed else kept["loss"],
                    state=states.FAIL if failed else states.COMPLETE,
                    user_attrs={_ATTRIBUTE: dict(kept)},
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

        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        upload_artifact(
            artifact_store=FileSystemArtifactStore(base_path=str(self._folder)),
            file_path=str(path), study_or_trial=self.study,
        )  # fmt: skip

    # -- what Optuna's own samplers need ------------------------------------------------------

    def ask(self, n: int, budget: int | None) -> list[Any]:
        """Ask for at most n trials, as far as the budget of the whole study goes."""
        trials = []
        for _ in range(n):
            trial = self.study.ask(self.space)
            spent = budget is not None and trial.number >= budget
            if spent and self._before(trial.number) >= (budget or 0):
                self.drop([trial], "beyond the budget")
                break
            trial.set_user_attr(_WORKER, _me())
            trials.append(trial)
        return trials

    def _before(self, number: int) -> int:
        """Return how many of the trials before this one count."""
        return sum(
            t.number < number and (not t.state.is_finished() or _ATTRIBUTE in t.user_attrs)
            for t in self.study.get_trials(deepcopy=False)
        )

    def drop(self, trials: Sequence[Any], why: str) -> None:
        """Fail trials that were asked for and never simulated."""
        import optuna

        for trial in trials:
            trial.set_user_attr("not_simulated", why)
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)

    def tell(self, trial: Any, kept: Mapping[str, Any]) -> None:
        """Finish a trial with what its evaluation gave."""
        import optuna

        trial.set_user_attr(_ATTRIBUTE, dict(kept))
        if kept["reason"]:
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            self.study.tell(trial, kept["loss"])

    def retry_dead(self) -> int:
        """Fail the running trials of workers that are gone, and ask for their points again."""
        import optuna

        running = optuna.trial.TrialState.RUNNING
        dead = [t for t in self.study.get_trials(deepcopy=False)
                if t.state == running and _is_gone(t)]  # fmt: skip
        for trial in dead:
            kept = trial.user_attrs.get(_ATTRIBUTE)
            if kept is not None and not kept["reason"]:  # it only had not been told
                self.study.tell(trial.number, kept["loss"])
                continue
            self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            if kept is None and trial.params:
                self.study.enqueue_trial(trial.params, skip_if_exists=False)
        return len(dead)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's own messages about studies and trials to itself."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)


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
    kept = trial.user_attrs.get(_ATTRIBUTE)
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


def _me() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _is_gone(trial: Any) -> bool:
    """Tell whether the worker of a running trial has ended (of other machines nothing is known)."""
    worker = trial.user_attrs.get(_WORKER)
    if worker is None:  # it was asked for just now, or its worker died between two lines
        age = datetime.datetime.now() - trial.datetime_start
        return age.total_seconds() > _NAMELESS
    if worker == _me():  # of an earlier fit of this process, or of an earlier process of its number
        return True
    host, _, pid = worker.rpartition(":")
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def study_for(experiment: Experiment) -> Study | None:
    """Return the study that an experiment names, opened; None if it names none."""
    return None if experiment.study is None else Study(experiment.study, experiment)
