"""``stpspec show``: the resolved experiment as YAML, with where each value comes from."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stpspec.cli import flags
from stpspec.cli.experiment import USAGE, WORDS, each_experiment, named_experiments, table_and_base
from stpspec.cli.terminal import DONE, UsageError
from stpspec.cli.verb import Candidates, Verb
from stpspec.resources import expanded

if TYPE_CHECKING:
    from stpspec.cli.verb import FlagGroup
    from stpspec.cli.words import Words
    from stpspec.config.annotated import Place
    from stpspec.config.locations import Origin


def _show(arguments: argparse.Namespace) -> int:
    with named_experiments(arguments) as words:
        if words.paths and _is_table(words.paths[0]):
            return _show_row(arguments, words)
        if len(words.paths) > 1:
            raise UsageError("show takes one experiment")
        if arguments.only:
            raise UsageError(f"--only names a row of a table, and {words.paths[0]} is no table")
        return each_experiment(arguments, words, _show_one)


def _is_table(path: str) -> bool:
    from stpspec.campaigns.table import is_table

    return is_table(path)


def _show_row(arguments: argparse.Namespace, words: Words) -> int:
    from stpspec.campaigns.row_data import row_data

    table, base, overrides = table_and_base(words)
    data, origin, places = row_data(table, base, overrides, arguments.only)
    _print(data, origin, f"{data['name']}, of {table}", places)
    return DONE


def _show_one(_arguments: argparse.Namespace, path: str | None, overrides: list[str]) -> int:
    from stpspec.config.compose import choose, compose
    from stpspec.errors import StpspecError

    try:
        choose(path)
    except StpspecError:
        held = None if overrides or path is None else _held_elsewhere(path)
        if held is None:
            raise
        data, source = held
        print(_yaml(data, lambda _: "", f"{data.get('name', 'experiment')}, of {source}"), end="")
        return DONE
    for word in overrides:
        _be_field(word)
    data, origin = compose(path, overrides)
    name = data.get("name", "experiment")
    _print(data, origin, f"{name}, resolved: stpspec run takes this file", _fitted(path, data))
    return DONE


def _be_field(word: str) -> None:
    """Refuse the value of a parameter, which is no part of an experiment.

    Raises
    ------
    UsageError
        If there is no such field.
    """
    from stpspec.specs.experiment import Experiment

    key = word.lstrip("+~").partition("=")[0]
    first = key.partition(".")[0]
    if first in Experiment.model_fields or first == "experiment" or set(key) & set("/@"):
        return
    raise UsageError(
        f"{word}: an experiment has no field {first}; the value of a parameter is for stpspec run, "
        f"or the fields model.fixed.{first} and parameters.{first}.start"
    )


def _fitted(path: str | None, data: Mapping[str, object]) -> dict[str, str]:
    """Return the starts that a saved result has given, with where they are written."""
    from stpspec.cli.experiment import fitted_values
    from stpspec.config.overrides import at
    from stpspec.specs.places import by_dotted_paths

    data = by_dotted_paths(data)
    values = {f"parameters.{name}.start": value for name, value in fitted_values(path).items()}
    file = str(Path(str(path)) / "summary.json")
    return {place: file for place, value in values.items() if at(data, place) == value}


def _held_elsewhere(path: str) -> tuple[Mapping[str, object], str] | None:
    """Return the experiment that a connection of a campaign or a study holds, and its place."""
    from stpspec.campaigns.record import CAMPAIGN_FILE, RECORD_FILE, read_record

    folder = expanded(path)
    if (folder / RECORD_FILE).is_file() and isinstance(
        spec := read_record(folder).get("spec"), dict
    ):
        return spec, str(folder / RECORD_FILE)
    if (folder / CAMPAIGN_FILE).is_file():
        names = ", ".join(str(p.parent) for p in sorted(folder.glob(f"*/{RECORD_FILE}"))[:10])
        raise UsageError(f"{path} is a campaign: name the folder of one connection ({names})")
    if folder.is_dir():
        return None
    return _of_study(path)


def _of_study(path: str) -> tuple[Mapping[str, object], str] | None:
    from stpspec.dashboard.server import find_study
    from stpspec.errors import DashboardError
    from stpspec.formatting import hide
    from stpspec.studies.compatibility import experiments_of

    try:
        place, name = find_study(path)
    except DashboardError:
        return None
    held = experiments_of(place)
    if name is None and len(held) > 1:
        raise UsageError(f"{hide(path)} holds several studies: {', '.join(held)}")
    spec = held.get(name) if name is not None else next(iter(held.values()), None)
    return None if spec is None else (spec, f"the study in {hide(place)}")


def _print(
    data: Mapping[str, object], origin: Origin, title: str, places: Mapping[str, str]
) -> None:
    from stpspec.specs.places import by_dotted_paths

    flat = by_dotted_paths(data)

    def place(path: str) -> str:
        if path in places:
            return places[path]
        if not _is_in(flat, path):
            return "default"
        written = origin.where(path) or ""
        return "override" if written.startswith("command line") else written

    print(_yaml(data, place, title), end="")


def _yaml(data: Mapping[str, object], place: Place, title: str) -> str:
    from stpspec.config.annotated import annotated
    from stpspec.specs.defaults import with_defaults

    return annotated(with_defaults(data), place, title)


def _is_in(data: object, path: str) -> bool:
    from stpspec.specs.result_files import keys_along

    for part in keys_along(data, path):
        if not isinstance(data, Mapping) or part not in data:
            return False
        data = data[part]
    return True


def _only(group: FlagGroup) -> None:
    group.add_argument(
        "--only", metavar="NAME", action="append", default=[],
        help="of a table: this connection",
    )  # fmt: skip


def _complete(rest: list[str], current: str) -> Candidates:
    from stpspec.cli.completion.experiment import experiment_words

    return experiment_words(rest, current)


VERB = Verb(
    summary="print the resolved experiment, and where each value is from",
    section="experiments",
    usage=USAGE.replace("…", "", 1),
    words={**WORDS, "TABLE": "connections, one a row: with experiment=NAME --only ROW"},
    text="""\
Print an experiment as YAML, with all that it is composed of and all defaults,
and at the end of each line where the value comes from: a file and its line, a
default, or an override. stpspec run takes it unchanged. Results, connections
of a campaign, studies and rows of a table are shown as well. Nothing is
checked or simulated, and no plug-in, template or mechanism is run.""",
    examples=(
        ("show pvalb_pyr fitter=tpe", "a shipped experiment with another fitter"),
        ("show connections.csv experiment=pvalb_pyr --only 'pyr→sst'",
         "what a campaign fits for one row of its table"),
    ),
    action=_show,
    flags=(flags.config_dir, _only),
    complete=_complete,
)  # fmt: skip
