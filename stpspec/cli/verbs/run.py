"""``stpspec run``: one simulation, and every metric with its arithmetic."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from stpspec.cli import flags
from stpspec.cli.experiment import (
    USAGE,
    WORDS,
    each_experiment,
    fitted_values,
    located,
    named_experiments,
    one_path,
    pop_values,
    ready,
    result_place,
    validated,
)
from stpspec.cli.terminal import DONE, show, shown_path
from stpspec.cli.verb import Candidates, Verb
from stpspec.errors import SpecError, SpecProblem, StpspecError

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr

    from stpspec.config.locations import Origin


def _run(arguments: argparse.Namespace) -> int:
    with named_experiments(arguments) as words:
        if arguments.multirun:
            from stpspec.cli.launcher import launch_jobs

            return launch_jobs(arguments, run_composed, *one_path(words))
        return each_experiment(arguments, words, _run_one, ready)


def _run_one(arguments: argparse.Namespace, path: str | None, overrides: list[str]) -> int:
    from stpspec.config.compose import compose

    fitted = fitted_values(path)
    return run_composed(arguments, *compose(path, overrides), fitted)


def run_composed(
    arguments: argparse.Namespace,
    data: dict[str, object],
    origin: Origin,
    fitted: dict[str, float] | None = None,
) -> int:
    """Simulate once and print every metric with its arithmetic; return the exit code."""
    from stpspec import api
    from stpspec.fitters import interrupts
    from stpspec.log import recorded
    from stpspec.results.provenance import sources_of
    from stpspec.results.simulation import draw_run, save_run
    from stpspec.view.tables import run_table

    values = pop_values(data, fitted or {})
    with located(origin, data), recorded(command=True) as log, interrupts.saved_first():
        if lists := {n: v for n, v in values.items() if isinstance(v, list)}:
            rule = "run simulates one value; stpspec sweep measures over a list"
            raise SpecError([SpecProblem(n, rule, v) for n, v in lists.items()], "too many values")
        experiment = validated(data)
        place = result_place(arguments, experiment.name, "run")
        tree, measured = api.run(experiment, values)

        def save(folder: Path, *, overwrite: bool) -> Path:
            return save_run(folder, experiment, tree, sources_of(experiment), overwrite=overwrite)

        interrupts.hold()
        try:
            saved = place.save(save, log)
        finally:
            show(f"{experiment.name} at {_at(tree)}\n")
            show(run_table(measured, experiment.protocols))
        draw_run(tree, saved, experiment)
    print(f"\nfiles in {shown_path(saved)}")
    failed = str(tree.dataset["failure"].values[0])
    if failed:
        raise StpspecError(f"the simulation failed: {failed}")
    return DONE


def _at(tree: xr.DataTree) -> str:
    values = [
        f"{n} = {float(v.values[0]):.5g} {v.attrs.get('units', '')}".strip().removesuffix(" 1")
        for n, v in tree.to_dataset().data_vars.items()
        if n != "failure"
    ]
    return ", ".join(values) or "the values of the model"


def _complete(rest: list[str], current: str) -> Candidates:
    from stpspec.cli.completion.experiment import experiment_words

    return experiment_words(rest, current, launcher=True, parameters=True)


VERB = Verb(
    summary="simulate once, show every metric and how it is calculated",
    section="experiments",
    usage=USAGE,
    words={**WORDS, "PARAMETER=value": "a parameter's value for this run, with or without unit"},
    text="""\
Simulate every protocol of an experiment once and show each metric with the
arithmetic that gives it; save the traces and their figures. Parameters have
the start values of the experiment, those of a saved result that is named, or
those of the command line. With -m there is one job per combination of the
values that are listed with commas.""",
    examples=(
        ("run pvalb_pyr U=0.3 tau_rec='0.5 s'",
         "a shipped experiment, two parameters at values of your own"),
        ("run my_fit protocols.train.frequency=20 --out rerun",
         "a saved fit at its fitted values, with another train"),
    ),
    action=_run,
    flags=(flags.multirun, flags.out, flags.overwrite, flags.trust, flags.config_dir),
    complete=_complete,
)  # fmt: skip
