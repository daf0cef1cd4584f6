"""Which of Optuna's studies belongs to an experiment: one alone, so that its losses compare.

A study that was accepted with changes goes on under the same name as another of Optuna's, which
takes over what is still true of the experiment as it is now.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stpspec.errors import StudyError
from stpspec.specs.experiment import Experiment
from stpspec.specs.study import StudySpec
from stpspec.studies.storage import ATTEMPTS, SHORTLY, without_password

_FREE = ("study", "workers", "description", "source")  # may change between two runs of a study
_UNTOUCHED_BY = ("name", "fitter", "seed", "parameters")  # what an evaluation is the same under
CARRIED = "carried"  # attribute of a study that has taken over what is still true
_CHANGED = re.compile(r" \(changed (\d+)\)")


@dataclass(frozen=True)
class Entry:
    """The study of an experiment, as it was found or made.

    Attributes
    ----------
    study : optuna.Study
    earlier : tuple of (optuna.Study, dict), optional
        The one of the experiment before an accepted change, as long as what is still true of it
        has not been taken over.
    """

    study: Any
    earlier: tuple[Any, dict[str, Any]] | None = None


def enter(spec: StudySpec, now: Mapping[str, Any], storage: Any) -> Entry:
    """Find the study of an experiment, or begin it.

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
        there = _studies_of(spec, storage)
        for place in reversed(range(len(there))):
            study, before = there[place]
            if before == now:
                lacks = place > 0 and CARRIED not in study.user_attrs
                return Entry(study, there[place - 1] if lacks else None)
        study = _begun(spec, there, now, storage)
        if study is not None:
            study.set_user_attr("spec", json.dumps(now))
            return Entry(study, there[-1] if there else None)


def comparable(experiment: Experiment, sources: Mapping[str, str]) -> dict[str, Any]:
    """Return the data of an experiment without what may change between two runs.

    Parameters
    ----------
    experiment : Experiment
    sources : mapping of str to str
        Hash of each mechanism, template and plug-in.
    """
    data = experiment.to_data()
    for name in _FREE:
        data.pop(name, None)
    data["fitter"].pop("budget", None)
    data["numerics"].pop("time_limit", None)
    return {**data, "sources": dict(sources)}


def differences(before: Any, now: Any, path: str = "") -> Iterator[str]:
    """Yield one line for each field that differs, and for each file."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*before, *now]):
            inner = f"{path}.{key}" if path else str(key)
            yield from differences(before.get(key, "(none)"), now.get(key, "(none)"), inner)
    elif before != now:
        file = path.removeprefix("sources.")
        same = file == path or "(none)" in (before, now)
        yield f"{path}: {before!r} then, {now!r} now" if same else f"{file}: the file was changed"


def still_true(
    kept: Iterable[Mapping[str, Any]], before: Mapping[str, Any], experiment: Experiment,
    sources: Mapping[str, str],
) -> list[dict[str, Any]]:  # fmt: skip
    """Return those evaluations of an earlier experiment that this one would give as well.

    They are none if anything is simulated or judged otherwise, and those within the bounds if only
    bounds, fitter, seed or name have changed.
    """
    now = comparable(experiment, sources)
    free, bounds = experiment.parameters, before["parameters"]
    if set(free) != set(bounds):
        return []
    if any(before.get(n) != now.get(n) for n in {*before, *now} - set(_UNTOUCHED_BY)):
        return []
    same_cube = list(bounds.items()) == list(now["parameters"].items())
    found = []
    for index, one in enumerate(kept):
        values = one["values"]
        if all(float(p.min) <= values[n] <= float(p.max) for n, p in free.items()):
            point = [p.to_unit(values[n]) for n, p in free.items()]
            moved = {"point": point, "batch": "from earlier bounds", "index": index}
            found.append({**one, **({} if same_cube else moved)})
    return found


def of_name(name: str, studies: Iterable[str]) -> list[str]:
    """Return, of the names of Optuna's studies, those that are this study, the latest last."""
    found = {_turn(name, study): study for study in studies}
    return [found[turn] for turn in sorted(t for t in found if t is not None)]


def experiment_in(text: str) -> dict[str, Any]:
    """Return the experiment that a study holds, without the hashes of its files."""
    return {n: v for n, v in json.loads(text).items() if n != "sources"}


def _turn(name: str, study: str) -> int | None:
    if study == name:
        return 0
    match = _CHANGED.fullmatch(study.removeprefix(name)) if study.startswith(name) else None
    return None if match is None else int(match[1])


def _refuse_changes(spec: StudySpec, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    if spec.accept_changes:
        return
    listed = "\n  ".join(differences(before, now))
    raise StudyError(
        f"the study {spec.name!r} in {without_password(spec.place)} belongs to an experiment that "
        f"differs in\n"
        f"  {listed}\n  give the study another name, or accept the changes with "
        f"study.accept_changes=true (what was evaluated before stays, and counts where it is "
        f"still true)"
    )


def _studies_of(spec: StudySpec, storage: Any) -> list[tuple[Any, Any]]:
    """Return Optuna's studies of this name, each with its experiment, the latest last."""
    import optuna

    names = of_name(spec.name, (s.study_name for s in storage.get_all_studies()))
    studies = [optuna.load_study(study_name=n, storage=storage) for n in names]
    return [(study, _spec_of(study, spec)) for study in studies]


def _begun(
    spec: StudySpec, there: list[tuple[Any, Any]], now: Mapping[str, Any], storage: Any
) -> Any:
    """Return an empty study; None where another process was first.

    One whose maker ended before it could write its experiment is taken off ``there``.
    """
    import optuna

    if there and there[-1][1] is None:
        return there.pop()[0]
    if there:
        _refuse_changes(spec, there[-1][1], now)
    name = spec.name if not there else f"{spec.name} (changed {len(there)})"
    try:
        return optuna.create_study(study_name=name, storage=storage)
    except optuna.exceptions.DuplicatedStudyError:
        return None


def _spec_of(study: Any, spec: StudySpec) -> dict[str, Any] | None:
    """Return the experiment of a study; None if whoever made it ended before writing it."""
    for _ in range(ATTEMPTS):  # another process may be about to
        text = study.user_attrs.get("spec")
        if text is not None:
            return json.loads(text)
        if study.user_attrs or study.get_trials(deepcopy=False):
            raise StudyError(
                f"the study {spec.name!r} in {without_password(spec.place)} was not made by "
                f"stpspec; give the study another name"
            )
        time.sleep(SHORTLY)
    return None
