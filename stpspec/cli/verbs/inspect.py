"""``stpspec inspect``: every point process of some folders of .mod files."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from stpspec.cli import flags
from stpspec.cli.terminal import DONE, UsageError, bar, show
from stpspec.cli.verb import Candidates, Verb

if TYPE_CHECKING:
    from stpspec.cli.verb import FlagGroup


def _inspect(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from stpspec.engine.survey.folder import mod_files, survey
    from stpspec.errors import MechanismError
    from stpspec.formatting.layout import screen_width

    if not arguments.words:
        raise UsageError("inspect takes folders of .mod files, or such files")
    paths = [Path(word) for word in arguments.words]
    with bar("inspect", "file", len(mod_files(paths)), arguments.quiet) as shown:
        found = survey(paths, lambda _: shown.update())
    if arguments.json:
        import dataclasses
        import json

        # A number that is none is null: JSON knows no NaN.
        print(json.dumps(_plain(dataclasses.asdict(found)), indent=2, ensure_ascii=False))
    else:
        from stpspec.cli.survey_table import survey_text

        show(survey_text(found, screen_width()))
    if not found.point_processes and found.failures:
        raise MechanismError("none of the files can be used")
    return DONE


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    is_no_number = isinstance(value, float) and (value != value or abs(value) == float("inf"))
    return None if is_no_number else value


def _json(group: FlagGroup) -> None:
    group.add_argument("--json", action="store_true", help="print JSON, with every value")


def _complete(_rest: list[str], current: str) -> Candidates:
    from stpspec.cli.completion.paths import paths

    return paths(current, (".mod",))


VERB = Verb(
    summary="list the synapses of a folder of .mod files, calibrated",
    section="reference",
    usage="PATH…",
    words={"PATH": "a folder of .mod files, or such a file"},
    text="""\
List every point process: its parameters with unit, default, limits and scope
(GLOBAL ones are shared by all synapses), the roles that they seem to have in
short-term plasticity and why, its currents, conductances, NetCon arguments
and states. One event on a clamped patch tells the peak conductance at weight
1, two of them where plasticity is kept. Each file is compiled and run in a
process of its own: one that does not compile is listed and blocks no other.""",
    examples=(
        ("inspect mod", "all mechanisms of a folder"),
        ("inspect mod/my_synapse.mod --json", "one of them, for a script"),
    ),
    action=_inspect,
    flags=(_json, flags.quiet),
    complete=_complete,
)
