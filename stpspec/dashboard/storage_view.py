"""A study as the page of the dashboard sees it: unwritable, with a note, thinned where it is long.

A browser draws a point of every trial in each figure, again with each new trial. Of a long study it
gets enough to see the study by.
"""

from __future__ import annotations

import bisect
import copy
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from stpspec.dataset import SIGNALS
from stpspec.errors import StpspecError, StudyError
from stpspec.registry import METRICS, RECORDINGS
from stpspec.studies.compatibility import experiment_in
from stpspec.studies.trials import EVALUATION
from stpspec.view.tables import unit_text

WHOLE = 2048  # trials up to which all are shown
_BEST = 3  # as many as have a figure


class StudyPage:
    """A storage as the page shall see it.

    Parameters
    ----------
    storage : optuna.storages.BaseStorage
    every : bool
        Whether every trial of a long study is shown.
    """

    def __init__(self, storage: Any, *, every: bool = False):
        self._storage = storage
        self._every = every
        self._facts: dict[int, tuple[Any, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("get_"):
            return getattr(self._storage, name)
        raise StudyError(f"the dashboard only reads, and does not {name.replace('_', ' ')}")

    def get_all_studies(self) -> list[Any]:
        """Return the studies, each with its note."""
        studies = self._storage.get_all_studies()
        for study in studies:
            if "spec" in study.user_attrs:
                study.system_attrs = study.system_attrs | self._note(study)
            study.user_attrs = {
                n: v for n, v in study.user_attrs.items() if n not in ("spec", "artifacts")
            }
        return studies

    def get_all_trials(self, study_id: int, **options: Any) -> list[Any]:
        """Return the trials that are shown, each with its facts by name."""
        return [self._with_facts(t) for t in self._shown(study_id, **options)[0]]

    def get_best_trial(self, study_id: int) -> Any:
        """Return the best of all trials."""
        return self._with_facts(self._storage.get_best_trial(study_id))

    def _shown(self, study_id: int, **options: Any) -> tuple[list[Any], int]:
        """Return the trials that are shown, and of how many they are."""
        trials = self._storage.get_all_trials(study_id, **options)
        # A study of another program may have several objectives, or one to be maximized.
        ours = "spec" in self._storage.get_study_user_attrs(study_id)
        return (thinned(trials) if ours and not self._every else trials), len(trials)

    def _with_facts(self, trial: Any) -> Any:
        known = self._facts.get(trial._trial_id)
        if known is None or known[0] is not trial:
            self._facts[trial._trial_id] = known = (trial, _by_name(trial))
        return known[1]

    def _note(self, study: Any) -> dict[str, Any]:
        """Return the system attributes with a note, and with the name of what is minimized."""
        import optuna
        from optuna_dashboard import save_note

        shown, n = self._shown(study._study_id, deepcopy=False)
        lines = [*_how_many(len(shown), n), *_lines(experiment_in(study.user_attrs["spec"]))]
        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        page = optuna.create_study()
        optuna.logging.set_verbosity(level)
        save_note(page, "\n".join(lines))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            page.set_metric_names(["loss"])  # else the axes say "Objective 0"
        return dict(page._storage.get_study_system_attrs(page._study_id))


def thinned(trials: Sequence[Any]) -> list[Any]:
    """Return the trials that show a minimized study of any length, in their order.

    They are those not finished, those that were among the best when they came, and of the others
    (the failed ones by themselves) the first `WHOLE`, then every fourth, after twice as many every
    eighth, and so on: some thousands, however long the study.

    Whether a finished trial is among them depends on those before it only. So nothing that a page
    has loaded changes as the study grows, and it asks for the new ones alone.
    """
    shown, best, n_of = [], [], Counter()
    for trial in trials:
        if not trial.state.is_finished():
            shown.append(trial)
            continue
        place = n_of[trial.state]
        n_of[trial.state] += 1
        if _is_among_best(best, trial) or place % _step(place) == 0:
            shown.append(trial)
    return shown


def _by_name(trial: Any) -> Any:
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


def _step(place: int) -> int:
    doublings = (place // WHOLE).bit_length()
    return 2 << doublings if doublings else 1


def _is_among_best(best: list[float], trial: Any) -> bool:
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


def _lines(spec: dict[str, Any]) -> Iterator[str]:
    """Yield the targets as a table and the experiment as YAML, in Markdown."""
    yield f"# {spec.get('name', 'experiment')}\n"
    yield "| term | metric | protocol | unit | target | sd |\n|---|---|---|---|---|---|"
    for name, term in ((spec.get("objective") or {}).get("terms") or {}).items():
        target = term["target"]
        if isinstance(target, list):
            target = f"{len(target)} values"
        sd = term.get("sd")
        sd = "each its own" if isinstance(sd, list) else "" if sd is None else sd
        unit = _unit(term, spec["recording"]["kind"])
        yield f"| {name} | {term['metric']} | {term['protocol']} | {unit} | {target} | {sd} |"
    body = yaml.safe_dump(spec, sort_keys=False, allow_unicode=True)
    yield f"\n```yaml\n{body}```"


def _unit(term: dict[str, Any], recording: str) -> str:
    """Return the unit of a target; nothing where a plug-in that is not here would know it."""
    try:
        metric = METRICS.get(term["metric"])
        options = metric.options.model_validate(term["options"]).model_dump()
        signal = options.get("signal") or RECORDINGS.get(recording).default_signal
        return unit_text(metric.unit_in(SIGNALS[signal][0], options))
    except (StpspecError, ValueError, KeyError):
        return ""
