"""The storage as the page of the dashboard sees it: read-only, with notes, long studies thinned.

A browser draws a point for every trial in each figure, again with each new trial. Of a long study
it is sent a sample.
"""

from __future__ import annotations

import bisect
import copy
import json
import re
import warnings
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Protocol

import yaml

from stpspec.dataset import SIGNALS
from stpspec.errors import StpspecError, StudyError
from stpspec.formatting import presentable
from stpspec.registry import METRICS, RECORDINGS
from stpspec.studies.compatibility import ExperimentData, experiment_in
from stpspec.studies.messages import quiet
from stpspec.studies.trials import EVALUATION
from stpspec.view.tables import unit_text

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial, TrialState


WHOLE = 2048  # trials up to which all are shown
_BEST = 3  # as many as have a figure
_ARTIFACT = "artifacts:"  # how Optuna's attributes of an artifact begin
_FIGURE = re.compile(r"trial_(\d+)\.png")


class ListedStudy(Protocol):
    """A study as a storage of Optuna lists it, by a class that has no public name."""

    study_name: str
    user_attrs: dict[str, object]
    system_attrs: dict[str, object]


class StudyPage:
    """A view of a storage for the page.

    Parameters
    ----------
    storage : optuna.storages.BaseStorage
    every : bool
        Whether every trial of a long study is shown.
    """

    def __init__(self, storage: BaseStorage, *, every: bool = False):
        self._storage = storage
        self._every = every
        self._copies: dict[tuple[int, int], tuple[FrozenTrial, FrozenTrial]] = {}

    def __getattr__(self, name: str) -> Callable[..., object]:
        if name.startswith("get_"):
            return getattr(self._storage, name)
        raise StudyError(f"the dashboard only reads, and does not {name.replace('_', ' ')}")

    def get_all_studies(self) -> Sequence[ListedStudy]:
        """Return the studies, each with its note."""
        studies = self._storage.get_all_studies()
        for study in studies:
            if "spec" in study.user_attrs:
                own = self._of_trials(study.study_name, study.system_attrs)
                study.system_attrs = study.system_attrs | own | self._note(study)
            study.user_attrs = {
                n: v for n, v in study.user_attrs.items() if n not in ("spec", "artifacts")
            }
        return studies

    def get_study_system_attrs(self, study_id: int) -> dict[str, object]:
        """Return the system attributes of a study, with the figures of its trials."""
        attrs = self._storage.get_study_system_attrs(study_id)
        return attrs | self._of_trials(self._storage.get_study_name_from_id(study_id), attrs)

    def _of_trials(self, study_name: str, attrs: Mapping[str, object]) -> dict[str, object]:
        """Return the study's figures of trials once more, as artifacts of these trials."""
        study_id = self._storage.get_study_id_from_name(study_name)
        own: dict[str, object] = {}
        for key, text in attrs.items():
            if not key.startswith(_ARTIFACT):
                continue
            try:
                name = (json.loads(str(text)) or {}).get("filename", "")
                if match := _FIGURE.fullmatch(name):
                    trial = self._storage.get_trial_id_from_study_id_trial_number(
                        study_id, int(match[1])
                    )
                    own[f"dashboard:{_ARTIFACT}{trial}:{key.removeprefix(_ARTIFACT)}"] = text
            except (ValueError, AttributeError, TypeError, KeyError, RecursionError):
                continue  # of another program
        return own

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials that are shown, each with its facts by name."""
        trials, _ = self._sample(study_id, deepcopy, states)
        return [self._with_facts(study_id, t) for t in trials]

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Return the best of all trials."""
        return self._with_facts(study_id, self._storage.get_best_trial(study_id))

    def _sample(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> tuple[list[FrozenTrial], int]:
        """Return the trials that are shown, and of how many they are."""
        trials = self._storage.get_all_trials(study_id, deepcopy, states)
        # A study of another program may have several objectives, or one to be maximized.
        ours = "spec" in self._storage.get_study_user_attrs(study_id)
        return (thinned(trials) if ours and not self._every else trials), len(trials)

    def _with_facts(self, study_id: int, trial: FrozenTrial) -> FrozenTrial:
        """Return the copy of a trial that shows its facts, the same as long as the trial is."""
        key = (study_id, trial.number)
        if key not in self._copies or self._copies[key][0] is not trial:
            self._copies[key] = (trial, _by_name(trial))
        return self._copies[key][1]

    def _note(self, study: ListedStudy) -> dict[str, object]:
        """Return the system attributes with a note, and with the name of what is minimized."""
        import optuna
        from optuna_dashboard import save_note

        number = self._storage.get_study_id_from_name(study.study_name)
        sample, n = self._sample(number, deepcopy=False)
        lines = [*_how_many(len(sample), n), *_told(str(study.user_attrs["spec"]))]
        storage = optuna.storages.InMemoryStorage()
        with quiet():
            page = optuna.create_study(storage=storage)
        save_note(page, "\n".join(lines))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            page.set_metric_names(["loss"])  # else the axes say "Objective 0"
        number = storage.get_study_id_from_name(page.study_name)
        return dict(storage.get_study_system_attrs(number))


def thinned(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that show a minimized study of any length, in their order.

    They are those not finished, those that were among the best when they came, and of the others
    (the failed ones by themselves) the first `WHOLE`, then every fourth, after twice as many every
    eighth, and so on: some thousands, however long the study.

    Whether a finished trial is among them depends on those before it only. So nothing that a page
    has loaded changes as the study grows, and it asks for the new ones alone.
    """
    sample, best, n_of = [], [], Counter()
    for trial in trials:
        if not trial.state.is_finished():
            sample.append(trial)
            continue
        place = n_of[trial.state]
        n_of[trial.state] += 1
        if _is_among_best(best, trial) or place % _step(place) == 0:
            sample.append(trial)
    return sample


def _by_name(trial: FrozenTrial) -> FrozenTrial:
    """Return a copy of a trial with each metric, and the reason of a failure, by its own name."""
    record = trial.user_attrs.get(EVALUATION)
    if not isinstance(record, dict) or not isinstance(record.get("metrics"), dict):
        return trial
    facts: dict[str, object] = {n: v if not isinstance(v, list) else f"{len(v)} values"
             for n, v in record["metrics"].items()}  # fmt: skip
    if record.get("reason"):
        facts["reason"] = presentable(str(record["reason"]))
    view = copy.copy(trial)
    view.user_attrs = facts
    return view


def _step(place: int) -> int:
    doublings = (place // WHOLE).bit_length()
    return 2 << doublings if doublings else 1


def _is_among_best(best: list[float], trial: FrozenTrial) -> bool:
    """Say whether a trial is better than one of the best so far; then it takes its place."""
    if not trial.values or (len(best) == _BEST and not trial.values[0] < best[-1]):
        return False
    bisect.insort(best, trial.values[0])
    del best[_BEST:]
    return True


def _how_many(shown: int, n: int) -> Iterator[str]:
    if shown < n:
        yield (
            f"**{shown:,} of {n:,} trials are shown:** the first {WHOLE:,}, ever fewer of the "
            f"later ones, and each that was among the best {_BEST} when it came. Best value and "
            f"download are those of all. `stpspec dashboard --all` shows all.\n"
        )


def _told(text: str) -> list[str]:
    """Return the lines on the experiment of a study; one that says so if it is damaged."""
    try:
        return list(_lines(experiment_in(text)))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, yaml.YAMLError):
        return ["the experiment that this study holds is damaged"]


def _safe(text: object) -> str:
    """Return text as a note in Markdown may hold it, in one cell of a table."""
    return escape(" ".join(presentable(str(text)).split())).replace("|", "&#124;")


def _lines(spec: ExperimentData) -> Iterator[str]:
    """Yield the targets as a table and the experiment as YAML, in Markdown."""
    yield f"# {_safe(spec.get('name', 'experiment'))}\n"
    yield "| term | metric | protocol | unit | target | sd |\n|---|---|---|---|---|---|"
    for name, term in ((spec.get("objective") or {}).get("terms") or {}).items():
        target = term["target"]
        if isinstance(target, list):
            target = f"{len(target)} values"
        sd = term.get("sd")
        sd = "each its own" if isinstance(sd, list) else "" if sd is None else sd
        changes = spec["protocols"].get(term["protocol"], {}).get("recording") or {}
        unit = _unit(term, changes.get("kind", spec["recording"]["kind"]))
        cells = (name, term["metric"], term["protocol"], unit, target, sd)
        yield f"| {' | '.join(map(_safe, cells))} |"
    body = presentable(yaml.safe_dump(spec, sort_keys=False, allow_unicode=True))
    longest = max(map(len, re.findall("`+", body)), default=0)
    fence = "`" * max(3, longest + 1)  # what is inside cannot end it
    yield f"\n{fence}yaml\n{body}{fence}"


def _unit(term: Mapping[str, object], recording: str) -> str:
    """Return the unit of a target; nothing where a plug-in that is not here would know it."""
    try:
        metric = METRICS.get(str(term["metric"]))
        options = metric.options.model_validate(term["options"]).model_dump()
        signal = options.get("signal") or RECORDINGS.get(recording).default_signal
        return unit_text(metric.unit_in(SIGNALS[signal][0], options))
    except (StpspecError, ValueError, KeyError):
        return ""
