"""``stpspec sweep``: metrics over lists of values of any fields."""

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
    pop_values,
    ready,
    result_place,
    validated,
)
from stpspec.cli.terminal import DONE, UsageError, bar, show, shown_path
from stpspec.cli.verb import Candidates, Verb
from stpspec.errors import SpecError, SpecProblem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from stpspec.cli.verb import FlagGroup
    from stpspec.specs.experiment import Experiment


def _sweep(arguments: argparse.Namespace) -> int:
    with named_experiments(arguments) as words:
        return each_experiment(arguments, words, _sweep_one, ready)


def _sweep_one(arguments: argparse.Namespace, path: str | None, overrides: list[str]) -> int:
    from stpspec.config.compose import compose
    from stpspec.config.sweep_overrides import list_overrides
    from stpspec.fitters import interrupts
    from stpspec.log import recorded
    from stpspec.results.provenance import sources_of
    from stpspec.results.simulation import save_sweep
    from stpspec.sweeps import sweep
    from stpspec.view.save import write_sweep
    from stpspec.view.tables import sweep_table

    fitted = fitted_values(path)
    fields, rest = list_overrides(path, overrides)
    data, origin = compose(path, rest)
    values = pop_values(data, fitted)
    with (
        located(origin.knowing(overrides), data),
        recorded(command=True) as log,
        interrupts.saved_first(),
    ):
        experiment = validated(data)
        if problems := [p for name, value in values.items() if (p := _no_number(name, value))]:
            raise SpecError(problems, "the values are not valid")
        fields = fields or _default_grid(experiment, rest)
        place = result_place(arguments, experiment.name, "sweep")
        with bar(experiment.name, "combination", None, arguments.quiet) as shown:

            def progress(done: int, total: int) -> None:
                shown.total = total
                shown.update(done - shown.n)

            swept = sweep(experiment, fields, values=values, progress=progress)

        sources = sources_of(experiment)

        def save(folder: Path, *, overwrite: bool) -> Path:
            return save_sweep(folder, experiment, swept, sources, overwrite=overwrite)

        interrupts.hold()
        try:
            saved = place.save(save, log)
        finally:
            show(sweep_table(swept))
        write_sweep(swept, saved, scale=arguments.axis, formats=experiment.figures.format)
    print(f"\nevery metric in {shown_path(saved)}: sweep.nc, sweep.csv, sweep.png")
    return DONE


def _default_grid(
    experiment: Experiment, overrides: Sequence[str]
) -> Mapping[str, Sequence[float]]:
    """Return the frequencies of a sweep without a list, unless one of them was asked for."""
    from stpspec.sweeps import frequency_grid

    grid = frequency_grid(experiment)
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        if key in grid:
            raise UsageError(f"{override} is one value, and a sweep without a list goes over all "
                             f"of {key}: '{key}=[{value}]', or stpspec run")  # fmt: skip
    return grid


def _no_number(name: str, value: object) -> SpecProblem | None:
    from pydantic import TypeAdapter, ValidationError

    from stpspec.specs.quantities import Quantities

    try:
        TypeAdapter(Quantities).validate_python(value)
    except ValidationError:
        rule = f"no number; several values are '{name}=[0.2,0.4]' or '{name}=range(0.2,0.4,0.1)'"
        return SpecProblem(name, rule, value)
    return None


def _axis(group: FlagGroup) -> None:
    group.add_argument(
        "--axis", choices=["auto", "log", "linear"], default="auto", metavar="SCALE",
        help="of the figure: auto (default), log or linear",
    )  # fmt: skip


def _complete(rest: list[str], current: str) -> Candidates:
    from stpspec.cli.completion.experiment import experiment_words

    return experiment_words(rest, current, parameters=True)


VERB = Verb(
    summary="measure over lists of values; frequency response by default",
    section="experiments",
    usage=f"{USAGE} [key=[value,…]…]",
    words={**WORDS, "key=[value,…]": "a field or a parameter, and the values to sweep over"},
    text="""\
Simulate an experiment at each combination of the values that are listed in
brackets, of any fields and parameters, and show the metrics over them as a
table and a figure. Without a list, the frequency of the first protocol that
has one is swept over: the frequency response.
Parameters have their start values, or those of a saved result that is named.""",
    examples=(
        ("sweep pvalb_pyr 'protocols.train.frequency=[1,10,100]' 'U=[0.2,0.4]'",
         "six combinations of a frequency and a parameter"),
        ("sweep my_fit --axis log --out response",
         "the frequency response of a saved fit"),
    ),
    action=_sweep,
    flags=(flags.out, flags.overwrite, flags.trust, flags.config_dir, _axis, flags.quiet),
    complete=_complete,
)  # fmt: skip
