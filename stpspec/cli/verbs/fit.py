"""``stpspec fit``: the fit of the free parameters, saved and shown as a table."""

from __future__ import annotations

import argparse
import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from stpspec.cli import flags
from stpspec.cli.experiment import (
    USAGE,
    WORDS,
    each_experiment,
    located,
    named_experiments,
    one_path,
    ready,
    result_place,
    validated,
)
from stpspec.cli.terminal import DONE, MISSED, bar, show, shown_path
from stpspec.cli.verb import Candidates, Verb

if TYPE_CHECKING:
    from stpspec.cli.saving import Place
    from stpspec.config.locations import Origin
    from stpspec.log import LogRecorder
    from stpspec.results.fit_result import FitResult
    from stpspec.specs.experiment import Experiment


def _fit(arguments: argparse.Namespace) -> int:
    with named_experiments(arguments) as words:
        if arguments.multirun:
            from stpspec.cli.launcher import launch_jobs

            return launch_jobs(arguments, fit_composed, *one_path(words))
        return each_experiment(arguments, words, _fit_one, ready)


def _fit_one(arguments: argparse.Namespace, path: str | None, overrides: list[str]) -> int:
    from stpspec.config.compose import compose

    return fit_composed(arguments, *compose(path, overrides))


def fit_composed(arguments: argparse.Namespace, data: dict[str, object], origin: Origin) -> int:
    """Fit, save, and print the table; return the exit code."""
    from stpspec import api
    from stpspec.errors import StudyError
    from stpspec.fitters import interrupts
    from stpspec.log import recorded

    error: StudyError | None = None
    with located(origin, data), recorded(command=True) as log, interrupts.saved_first():
        experiment = validated(data)
        place = result_place(arguments, experiment.name, "fit")
        try:
            with _progress(experiment, arguments.quiet) as progress:
                result = api.fit(experiment, progress=progress)
        except StudyError as study_error:
            error = study_error
            result = error.result
            if result is None:
                raise
        _save(result, place, log)
    if error is not None:
        raise error
    return MISSED if any(m.is_far for m in result.misses.values()) else DONE


def _save(result: FitResult, place: Place, log: LogRecorder) -> None:
    """Save the numbers of a result, then print them, then draw what they look like."""
    from stpspec.view.save import write_figures
    from stpspec.view.tables import fit_table

    try:
        saved = place.save(functools.partial(result.save, figures=False), log)
    finally:  # also if it is nowhere else
        show(fit_table(result))
    write_figures(result, saved)
    print(f"files in {shown_path(saved)}", flush=True)


@contextlib.contextmanager
def _progress(
    experiment: Experiment, quiet: bool
) -> Iterator[Callable[[int, int | None, float], None]]:
    fitter = experiment.fitter
    total = fitter.budget.evaluations if fitter.uses_whole_budget else None
    with bar(experiment.name, "simulation", total, quiet) as shown:

        def progress(done: int, budget: int | None, best: float) -> None:
            shown.set_postfix_str(f"loss {best:.4g}", refresh=False)
            shown.update(done - shown.n)

        yield progress


def _complete(rest: list[str], current: str) -> Candidates:
    from stpspec.cli.completion.experiment import experiment_words

    return experiment_words(rest, current, launcher=True)


VERB = Verb(
    summary="fit the free parameters to the objective",
    section="experiments",
    usage=USAGE,
    words=WORDS,
    text="""\
Fit the free parameters of an experiment to the targets of its objective, show
targets, parameters with their errors, loss and cost, and save the result with
its figures. A saved result may be named as an experiment: it is fitted again.
With -m there is one job per combination of the values that are listed with
commas; stpspec collect sums them up, also while they run.""",
    examples=(
        ("fit pvalb_pyr fitter=tpe seed=1 --out my_fit",
         "another fitter and seed than the experiment's, results in my_fit"),
        ("fit -m experiment=pvalb_pyr fitter=slsqp,least_squares,tpe",
         "three jobs, one per fitter; hydra/launcher=joblib runs them in parallel"),
    ),
    action=_fit,
    flags=(flags.multirun, flags.out, flags.overwrite, flags.trust, flags.config_dir, flags.quiet),
    complete=_complete,
)  # fmt: skip
