"""``stpspec tune``: an experiment under sliders, in the browser."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from stpspec.cli import flags
from stpspec.cli.experiment import (
    fitted_values,
    located,
    named_experiments,
    one_path,
    pop_values,
    validated,
)
from stpspec.cli.terminal import DONE, UsageError
from stpspec.cli.verb import Candidates, Verb

if TYPE_CHECKING:
    from stpspec.cli.verb import FlagGroup
    from stpspec.specs.experiment import Experiment


def _tune(arguments: argparse.Namespace) -> int:
    from stpspec.tuner.server import TunerServer, require_panel

    require_panel()
    with named_experiments(arguments) as words:
        if len(words.paths) > 1:
            raise UsageError("tune takes one experiment, result or table")
        connections, changes = _opened(*one_path(words))
        server = TunerServer(connections, changes, arguments.host, arguments.port)
        print(f"{server.address}\nCtrl-C ends it", flush=True)
        server.run()
    return DONE


def _opened(
    path: str | None, overrides: list[str]
) -> tuple[dict[str, Experiment], dict[str, object]]:
    """Return what can be chosen, and the values of the command line as changes."""
    from pathlib import Path

    from stpspec.config.compose import compose
    from stpspec.tuner.changes import changes_to
    from stpspec.tuner.sources import is_table, of_table

    if path is not None and is_table(Path(path)):
        return of_table(Path(path), overrides), {}
    data, origin = compose(path, overrides)
    values = pop_values(data, fitted_values(path))
    with located(origin, data):
        experiment = validated(data)
    return {experiment.name: experiment}, changes_to(experiment, values)


def _flags(group: FlagGroup) -> None:
    group.add_argument(
        "--host", default="127.0.0.1",
        help="the address to listen at; by default only this computer may open it, and at any "
        "other the page needs the token that is printed with it",
    )  # fmt: skip
    group.add_argument(
        "--port", type=int, default=8090, help="8090 by default; 0 for any that is free"
    )


def _complete(rest: list[str], current: str) -> Candidates:
    from stpspec.cli.completion.experiment import experiment_words
    from stpspec.cli.completion.paths import paths

    words = experiment_words(rest, current, launcher=False, parameters=True)
    return words if rest else {**words, **paths(current, (".csv", ".tsv", ".yaml", ".yml"))}


VERB = Verb(
    summary="move the knobs of a synapse in the browser and see it answer",
    section="experiments",
    usage="EXPERIMENT | RESULT | TABLE [key=value…]",
    words={
        "EXPERIMENT": "a name or a YAML file",
        "RESULT": "the folder of a saved result, at its fitted values",
        "TABLE": "connections, one a row; with experiment=NAME for all rows",
        "key=value": "an override in Hydra's syntax, or PARAMETER=value",
    },
    text="""\
Show an experiment in the browser with a slider for each parameter: traces,
metrics and how far off the targets are, at once. From there it can be fitted,
and saved as YAML that run and fit take. It needs the extra 'tuner'; Ctrl-C
ends it.""",
    examples=(
        ("tune pvalb_pyr U=0.3", "a shipped experiment, beginning at a value of your own"),
        ("tune connections.csv experiment=pvalb_pyr", "each row of a table, chosen from a list"),
    ),
    action=_tune,
    flags=(_flags, flags.trust, flags.config_dir),
    complete=_complete,
)  # fmt: skip
