"""``stpspec check``: all problems of an experiment, without a simulation."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from stpspec.cli import flags
from stpspec.cli.experiment import USAGE, WORDS, each_experiment, named_experiments, table_and_base
from stpspec.cli.terminal import DONE, show
from stpspec.cli.verb import Candidates, Verb
from stpspec.errors import SpecError

if TYPE_CHECKING:
    from stpspec.cli.words import Words


def _check(arguments: argparse.Namespace) -> int:
    from stpspec.campaigns.table import is_table

    with named_experiments(arguments) as words:
        if words.paths and is_table(words.paths[0]) and len(words.paths) < 3:
            return _check_table(words)
        return each_experiment(arguments, words, _check_one)


def _check_table(words: Words) -> int:
    """Report the problems of all rows of a table of connections."""
    from stpspec.campaigns.plan import plan

    table, base, overrides = table_and_base(words)
    root, connections, _ = plan(table, base, overrides, None)
    show(f"{root.name}: no problems in {len(connections)} connection{'s'[: len(connections) != 1]}")
    return DONE


def _check_one(_arguments: argparse.Namespace, path: str | None, overrides: list[str]) -> int:
    from stpspec import api
    from stpspec.campaigns.bases import left_to_a_table, stand_in_for_targets
    from stpspec.config.compose import compose

    data, origin = compose(path, overrides)
    name = data.get("name", "the experiment")
    open_terms = stand_in_for_targets(data) if left_to_a_table(data) else []
    problems, doubts = (
        [p.at(origin.where(p.path)) for p in several] for several in api.examined(data)
    )
    if problems:
        raise SpecError(problems, f"{name} is not valid")
    for doubt in doubts:
        show(f"  warning: {doubt}")
    count = f", {len(doubts)} warning{'s'[: len(doubts) != 1]}" if doubts else ""
    show(f"{name}: no problems{count}")
    if open_terms:
        show(f"  {', '.join(open_terms)}: no target here; stpspec campaign takes it from a table")
    return DONE


def _complete(rest: list[str], current: str) -> Candidates:
    from stpspec.cli.completion.experiment import experiment_words

    return experiment_words(rest, current)


VERB = Verb(
    summary="report all problems of an experiment, without simulating",
    section="experiments",
    usage=USAGE,
    words={**WORDS, "TABLE": "connections, one a row: with experiment=NAME"},
    text="""\
Report all problems of each experiment at once: file and line, field, what is
required there, what was received and the nearest valid choice. Mechanisms are
compiled and cells are built for it, but nothing is simulated. Of a table all
rows are checked; terms whose targets a table is to give have target: ???.""",
    examples=(
        ("check my_experiment.yaml", "a file of your own"),
        ("check experiment=pvalb_pyr fitter=tpe", "a shipped experiment with another fitter"),
    ),
    action=_check,
    flags=(flags.trust, flags.config_dir,),
    complete=_complete,
)  # fmt: skip
