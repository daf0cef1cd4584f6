"""``stpspec check``: all problems of an experiment, without a simulation."""

from __future__ import annotations

import argparse

from stpspec.cli import flags
from stpspec.cli.experiment import USAGE, WORDS, each_experiment, named_experiments
from stpspec.cli.terminal import DONE, show
from stpspec.cli.verb import Candidates, Verb
from stpspec.errors import SpecError


def _check(arguments: argparse.Namespace) -> int:
    with named_experiments(arguments) as (paths, overrides):
        return each_experiment(arguments, paths, overrides, _check_one)


def _check_one(_arguments: argparse.Namespace, path: str | None, overrides: list[str]) -> int:
    from stpspec import api
    from stpspec.config.compose import compose
    from stpspec.specs.experiment import Experiment
    from stpspec.specs.plausible import implausible

    data, origin = compose(path, overrides)
    problems = [p.at(origin.where(p.path)) for p in api.check(data)]
    if problems:
        raise SpecError(problems, f"{data.get('name', 'the experiment')} is not valid")
    doubts = [p.at(origin.where(p.path)) for p in implausible(Experiment.from_data(data))]
    for doubt in doubts:
        show(f"  warning: {doubt}")
    count = f", {len(doubts)} warning{'s'[: len(doubts) != 1]}" if doubts else ""
    show(f"{data.get('name', 'experiment')}: no problems{count}")
    return DONE


def _complete(rest: list[str], current: str) -> Candidates:
    from stpspec.cli.completion.experiment import experiment_words

    return experiment_words(rest, current)


VERB = Verb(
    summary="report all problems of an experiment, without simulating",
    section="experiments",
    usage=USAGE,
    words=WORDS,
    text="""\
Report all problems of each experiment at once: file and line, field, what is
required there, what was received and the nearest valid choice. Mechanisms are
compiled and cells are built for it, but nothing is simulated.""",
    examples=(
        ("check my_experiment.yaml", "a file of your own"),
        ("check experiment=pvalb_pyr fitter=tpe", "a shipped experiment with another fitter"),
    ),
    action=_check,
    flags=(flags.config_dir,),
    complete=_complete,
)  # fmt: skip
