"""A stored study as it is at the moment, read from its storage and never written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stpspec.errors import StudyError
from stpspec.formatting import hide
from stpspec.studies.compatibility import ExperimentData, of_name
from stpspec.studies.storage import open_storage
from stpspec.studies.trials import EVALUATION

if TYPE_CHECKING:
    from stpspec.studies.records import EvaluationRecord


@dataclass(frozen=True)
class StoredStudy:
    """What a storage holds of one study.

    Attributes
    ----------
    name, place : str
        The place without a password.
    spec : dict
        The experiment, as :func:`stpspec.studies.compatibility.comparable` gave it.
    records : list of EvaluationRecord
        Of its finished trials, in their order.
    states : list of str
        Of all its trials: ``complete``, ``fail``, ``running``, ``waiting`` …
    """

    name: str
    place: str
    spec: ExperimentData
    records: list[EvaluationRecord]
    states: list[str]


def stored_study(place: str, name: str | None = None) -> StoredStudy:
    """Read a study; of one with accepted changes, the latest.

    Parameters
    ----------
    place : str
        A journal file or the URL of a database.
    name : str, optional
        By default the only one there.

    Raises
    ------
    StudyError
        If the storage cannot be opened, holds no such study, or several and none is named.
    """
    opened = open_storage(place, read_only=True)
    try:
        storage = opened.optuna
        names = [s.study_name for s in storage.get_all_studies()]
        found = names if name is None else of_name(name, names)
        if not found or (name is None and len(found) > 1):
            which = "; name one of them" if len(found) > 1 else f", not {name}" if name else ""
            listed = ", ".join(names) or "no study"
            raise StudyError(f"the storage {hide(place)} holds {listed}{which}")
        number = storage.get_study_id_from_name(found[-1])
        spec = storage.get_study_user_attrs(number).get("spec")
        if spec is None:
            raise StudyError(
                f"the study {found[-1]!r} was not made by stpspec, or has no trial yet"
            )
        trials = storage.get_all_trials(number, deepcopy=False)
    finally:
        opened.close()
    records = [t.user_attrs[EVALUATION] for t in trials
               if t.state.is_finished() and EVALUATION in t.user_attrs]  # fmt: skip
    states = [t.state.name.lower() for t in trials]
    return StoredStudy(found[-1], hide(place), json.loads(spec), records, states)
