"""Several storages as one: the studies of all connections of a campaign, or jobs of a multirun."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from stpspec.specs.study import StudySpec
from stpspec.studies.optuna_internals import (
    study_id_of,
    trial_id_of,
    with_study_id,
    with_trial_id,
)

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


def studies_below(folder: Path) -> list[tuple[str, str]]:
    """Return place and name of each study of a campaign or multirun, each once.

    A connection has its experiment from the beginning, a job as soon as it has a result.
    """
    found = [
        _study_of(read, file)
        for pattern, read in (
            ("*/connection.json", lambda text: json.loads(text).get("spec")),
            ("*/result/experiment.yaml", yaml.safe_load),
        )
        for file in sorted(folder.glob(pattern))
    ]
    return list(dict.fromkeys(pair for pair in found if pair is not None))


def _study_of(read: Callable[[str], Any], file: Path) -> tuple[str, str] | None:
    try:
        spec = read(file.read_text(encoding="utf-8"))
        study = spec.get("study") if isinstance(spec, Mapping) else None
        if not study:
            return None
        valid = StudySpec.model_validate(study)
    except (OSError, ValueError, AttributeError, RecursionError, yaml.YAMLError):
        return None  # of what is half written or damaged there is nothing to show
    return valid.place, valid.name


class JoinedStorage:
    """Storages to be read as one: number ``n`` of storage ``k`` of ``K`` is ``n·K + k``.

    Parameters
    ----------
    parts : sequence of (storage, names)
        Each storage of Optuna, and which of its studies are shown.
    """

    def __init__(self, parts: Sequence[tuple[Any, Sequence[str]]]):
        self._parts = parts
        self._trials: dict[int, tuple[FrozenTrial, FrozenTrial]] = {}

    def get_all_studies(self) -> list[Any]:
        """Return the studies that are shown, each under a name of its own."""
        found = []
        for k, (storage, names) in enumerate(self._parts):
            for study in storage.get_all_studies():
                if study.study_name in names:
                    number = study_id_of(study) * len(self._parts) + k
                    found.append(with_study_id(study, number))
        same = Counter(study.study_name for study in found)
        for study in found:
            if same[study.study_name] > 1:
                study.study_name += f" ({study_id_of(study) % len(self._parts) + 1})"
        return found

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return the number of a study."""
        return next(study_id_of(s) for s in self.get_all_studies() if s.study_name == study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return the name of a study."""
        return next(s.study_name for s in self.get_all_studies() if study_id_of(s) == study_id)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Any = None
    ) -> list[FrozenTrial]:
        """Return the trials of a study."""
        storage, number = self._part(study_id)
        trials = storage.get_all_trials(number, deepcopy, states)
        return [self._numbered(trial, study_id) for trial in trials]

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Return the best trial of a study."""
        storage, number = self._part(study_id)
        return self._numbered(storage.get_best_trial(number), study_id)

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """Return the number that a trial has in the storage."""
        storage, number = self._part(study_id)
        found = storage.get_trial_id_from_study_id_trial_number(number, trial_number)
        return found * len(self._parts) + study_id % len(self._parts)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a method whose first argument is the number of a study or of a trial."""
        if not name.startswith("get_"):
            raise AttributeError(name)

        def ask(number: int, *arguments: Any, **named: Any) -> Any:
            storage, own = self._part(number)
            return getattr(storage, name)(own, *arguments, **named)

        return ask

    def _part(self, number: int) -> tuple[Any, int]:
        return self._parts[number % len(self._parts)][0], number // len(self._parts)

    def _numbered(self, trial: FrozenTrial, study_id: int) -> FrozenTrial:
        """Return a copy of a trial with its number here, the same as long as the trial is."""
        number = trial_id_of(trial) * len(self._parts) + study_id % len(self._parts)
        if number not in self._trials or self._trials[number][0] is not trial:
            self._trials[number] = (trial, with_trial_id(trial, number))
        return self._trials[number][1]
