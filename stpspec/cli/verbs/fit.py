"""``stpspec fit``: the fit of the free parameters, saved and shown as a table."""

from __future__ import annotations

import argparse
import contextlib
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
    result_folder,
    validated,
)
from stpspec.cli.terminal import DONE, FAILED, MISSED, bar, show, shown_path
from stpspec.cli.verb import Candidates, Verb

if TYPE_CHECKING:
    from stpspec.config.locations import Origin
    from stpspec.specs.experiment import Experiment


def _fit(arguments: argparse.Namespace) -> int:
    with named_experiments(arguments) as (paths, overrides):
        if arguments.multirun:
            from stpspec.cli.launcher import launch_jobs

            return launch_jobs(arguments, fit_composed, one_path(paths), overrides)
        return each_experiment(arguments, paths, overrides, _fit_one)


def _fit_one(arguments: argparse.Namespace, path: str | None, overrides: list[str]) -> int:
    from stpspec.config.compose import compose

    return fit_composed(arguments, *compose(path, overrides))


def fit_composed(arguments: argparse.Namespace, data: dict[str, object], origin: Origin) -> int:
    """Fit, save, and print the table; return the exit code."""
    from stpspec import api
    from stpspec.log import recorded
    from stpspec.view.tables import fit_table

    with located(origin), recorded(command=True) as log:
        experiment = validated(data)
        folder = result_folder(arguments, experiment.name, "fit")
        with _progress(experiment, arguments.quiet) as progress:
            result = api.fit(experiment, progress=progress)
    show(fit_table(result))  # first: the disk may be full
    saved = result.save(folder, overwrite=arguments.overwrite)
    log.write(saved)
    print(f"files in {shown_path(saved)}")
    if result.status == "interrupted":
        return FAILED
    return MISSED if any(m.is_far for m in result.misses.values()) else DONE


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
    flags=(flags.multirun, flags.out, flags.overwrite, flags.config_dir, flags.quiet),
    complete=_complete,
)  # fmt: skip
