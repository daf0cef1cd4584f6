"""Compatibility of an experiment with the studies that are stored under its name.

A study of Optuna holds the evaluations of one experiment only, so that its losses compare. Where
changes were accepted, the study goes on as another of Optuna's, which takes over the evaluations
that the changed experiment would give as well.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stpspec.errors import StudyError
from stpspec.specs.experiment import Experiment
from stpspec.specs.records import parsed_record
from stpspec.specs.result_files import Sources
from stpspec.specs.study import StudySpec
from stpspec.studies.records import EvaluationRecord
from stpspec.studies.storage import ATTEMPTS, RETRY_PAUSE

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

# Fields that may change between two runs of a study.
_FREE = ("study", "workers", "figures", "description", "source")
# Fields on which the evaluation of a point does not depend.
_WITHOUT_EFFECT = ("name", "fitter", "seed", "parameters")
ExperimentData = dict[str, Any]  # as `Experiment.to_data` gives it
CARRIED = "carried"  # user attribute of a study that has taken over what is still true
_CHANGE_SUFFIX = re.compile(r" \(changed (\d+)\)")


@dataclass(frozen=True)
class Entry:
    """The study of an experiment, and the one before a change.

    Attributes
    ----------
    study : optuna.Study
    earlier : tuple of (optuna.Study, dict), optional
        The one before an accepted change with its experiment, until what is still true of it has
        been taken over.
    """

    study: optuna.Study
    earlier: tuple[optuna.Study, ExperimentData] | None = None


def enter(spec: StudySpec, now: ExperimentData, storage: BaseStorage) -> Entry:
    """Find the study of an experiment, or create it.

    Parameters
    ----------
    spec : StudySpec
    now : mapping
        The experiment, as :func:`comparable` returns it.
    storage : optuna.storages.BaseStorage

    Raises
    ------
    StudyError
        If the study is of another experiment, and that is not accepted.
    """
    while True:
        versions = _versions_of(spec, storage)
        for place in reversed(range(len(versions))):
            study, experiment = versions[place]
            if experiment is not None and is_same(experiment, now):
                is_incomplete = place > 0 and CARRIED not in study.user_attrs
                return Entry(study, _earlier(versions[:place]) if is_incomplete else None)
        study = _new_study(spec, versions, now, storage)
        if study is not None:
            study.set_user_attr("spec", json.dumps(now))
            return Entry(study, _earlier(versions))


def comparable(experiment: Experiment, sources: Sources) -> ExperimentData:
    """Return the data of an experiment without what may change between two runs.

    Parameters
    ----------
    experiment : Experiment
    sources : Sources
        Its files; what they are counts, not where they lie.
    """
    data = sources.placeless(experiment.to_data())
    for name in _FREE:
        data.pop(name, None)
    data["fitter"].pop("budget", None)
    data["numerics"].pop("time_limit", None)
    return {**data, "sources": dict(sources.sha256)}


def _draws_numbers(experiment: Experiment) -> bool:
    """Tell whether the seed may change an evaluation: it is made of trials."""
    return any(experiment.trials_of(name) is not None for name in experiment.protocols)


def is_same(before: ExperimentData, now: ExperimentData) -> bool:
    """Tell whether two experiments are one: of the same data, with files of the same bytes."""
    return {**before, "sources": None} == {**now, "sources": None}


def changes(before: ExperimentData, now: ExperimentData) -> list[str]:
    """Return one line for each field in which two experiments differ, and for each file."""
    files = [before.get("sources", {}), now.get("sources", {})]
    lines = list(differences(_shown(before, files[0]), _shown(now, files[1])))
    if before.get("identity") == now.get("identity"):
        return lines
    (then, today), known = files, [set(of.values()) for of in files]
    for name in dict.fromkeys([*then, *today]):
        here, there = then.get(name), today.get(name)
        if here == there or (here in known[1] and there in known[0]):
            continue  # or it has only another name
        told = "was changed" if here and there else "is new" if there else "is not read any more"
        lines.append(f"{name}: the file {told}")
    return lines or ["the names of the files"]


def _shown(data: ExperimentData, files: Mapping[str, str]) -> ExperimentData:
    """Return the data with files by their names, which are the same in both if all is well."""
    names = set(files.values())
    plain = json.dumps({n: v for n, v in data.items() if n not in ("sources", "identity")})
    for sha in names:
        plain = plain.replace(f'"{sha}"', '"a file"')
    return json.loads(plain)


def differences(before: object, now: object, path: str = "") -> Iterator[str]:
    """Yield one line for each field that differs."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*before, *now]):
            inner = f"{path}.{key}" if path else str(key)
            yield from differences(before.get(key, "(none)"), now.get(key, "(none)"), inner)
    elif before != now:
        yield f"{path}: {before!r} then, {now!r} now"


def still_true(
    records: Iterable[EvaluationRecord], before: ExperimentData, experiment: Experiment,
    sources: Sources,
) -> list[EvaluationRecord]:  # fmt: skip
    """Return those evaluations of an earlier experiment that this one would give as well.

    There are none if anything is simulated or judged differently; if only bounds, fitter, seed or
    name have changed, they are those within the bounds.
    """
    now = comparable(experiment, sources)
    free, bounds = experiment.parameters, before["parameters"]
    if set(free) != set(bounds):
        return []
    free_to_change = set(_WITHOUT_EFFECT) - ({"seed"} if _draws_numbers(experiment) else set())
    if any(before.get(n) != now.get(n) for n in {*before, *now} - {"sources"} - free_to_change):
        return []
    same_cube = list(bounds.items()) == list(now["parameters"].items())
    valid: list[EvaluationRecord] = []
    for index, record in enumerate(records):
        values = record["values"]
        if not all(float(p.min) <= values[n] <= float(p.max) for n, p in free.items()):
            continue
        if not same_cube:
            point = [p.to_unit(values[n]) for n, p in free.items()]
            place = {"point": point, "batch": "from earlier bounds", "index": index}
            record = EvaluationRecord(**{**record, **place})
        valid.append(record)
    return valid


def of_name(name: str, studies: Iterable[str]) -> list[str]:
    """Return, of the names of Optuna's studies, those that are this study, the latest last."""
    by_change = {_change_number(name, study): study for study in studies}
    return [by_change[n] for n in sorted(n for n in by_change if n is not None)]


def experiment_in(text: str) -> ExperimentData:
    """Return the experiment that a study holds, without the hashes of its files."""
    return {n: v for n, v in json.loads(text).items() if n not in ("sources", "identity")}


def experiments_of(place: str) -> dict[str, ExperimentData]:
    """Return the experiment of each study in a storage, by the name of the study.

    Raises
    ------
    StudyError
        If the storage cannot be opened.
    """
    from stpspec.studies.storage import open_storage

    storage = open_storage(place, read_only=True)
    try:
        studies = storage.optuna.get_all_studies()
        return {s.study_name: experiment_in(str(s.user_attrs["spec"]))
                for s in studies if "spec" in s.user_attrs}  # fmt: skip
    finally:
        storage.close()


def _change_number(name: str, study: str) -> int | None:
    """Return how often changes were accepted; None if it is another study."""
    if study == name:
        return 0
    match = _CHANGE_SUFFIX.fullmatch(study.removeprefix(name)) if study.startswith(name) else None
    return None if match is None else int(match[1])


def _refuse_changes(spec: StudySpec, before: ExperimentData, now: ExperimentData) -> None:
    if spec.accept_changes:
        return
    listed = "\n  ".join(changes(before, now))
    raise StudyError(
        f"the study {spec.name!r} in {spec.place} belongs to an experiment that "
        f"differs in\n"
        f"  {listed}\n  give the study another name, or accept the changes with "
        f"study.accept_changes=true (what was evaluated before stays, and counts where it is "
        f"still true)"
    )


def _versions_of(
    spec: StudySpec, storage: BaseStorage
) -> list[tuple[optuna.Study, ExperimentData | None]]:
    """Return Optuna's studies of this name, each with its experiment, the latest last."""
    import optuna

    names = of_name(spec.name, (s.study_name for s in storage.get_all_studies()))
    studies = [optuna.load_study(study_name=n, storage=storage) for n in names]
    return [(study, _spec_of(study, spec)) for study in studies]


def _earlier(
    versions: Sequence[tuple[optuna.Study, ExperimentData | None]],
) -> tuple[optuna.Study, ExperimentData] | None:
    """Return the last of the versions; None if there is none, or it never had an experiment."""
    for study, experiment in versions[-1:]:
        if experiment is not None:
            return study, experiment
    return None


def _new_study(
    spec: StudySpec,
    versions: list[tuple[optuna.Study, ExperimentData | None]],
    now: ExperimentData,
    storage: BaseStorage,
) -> optuna.Study | None:
    """Return an empty study; None where another process was first.

    If the latest version has no experiment, because the process that created it ended before it
    could write one, this is taken, and removed from the versions.
    """
    import optuna

    if versions:
        latest, before = versions[-1]
        if before is None:
            versions.pop()
            return latest
        _refuse_changes(spec, before, now)
    name = spec.name if not versions else f"{spec.name} (changed {len(versions)})"
    try:
        return optuna.create_study(study_name=name, storage=storage)
    except optuna.exceptions.DuplicatedStudyError:
        return None


def _spec_of(study: optuna.Study, spec: StudySpec) -> ExperimentData | None:
    """Return the experiment of a study; None if its creator ended before writing it."""
    for _ in range(ATTEMPTS):  # another process may be about to write it
        text = study.user_attrs.get("spec")
        if text is not None:
            where, what = f"the study {spec.name!r} in {spec.place}", "study of stpspec"
            return parsed_record(text, dict[str, Any], where, what, StudyError)
        if study.user_attrs or study.get_trials(deepcopy=False):
            raise StudyError(
                f"the study {spec.name!r} in {spec.place} was not made by "
                f"stpspec; give the study another name"
            )
        time.sleep(RETRY_PAUSE)
    return None
