"""``stpspec init``: a first project for mechanisms and a cell of one's own."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from stpspec.cli import flags
from stpspec.cli.terminal import DONE, UsageError, bar, show, shown_path
from stpspec.cli.verb import Candidates, Verb

if TYPE_CHECKING:
    from stpspec.cli.verb import FlagGroup


def _init(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from stpspec.interop.starter import start_project

    if len(arguments.words) != 1:
        raise UsageError("init takes the name of one new folder")
    cell = None if arguments.cell is None else Path(arguments.cell)
    with bar("init", "step", None, arguments.quiet) as shown:

        def tell(what: str) -> None:
            shown.set_postfix_str(what)
            shown.update()

        project = start_project(
            Path(arguments.words[0]), [Path(m) for m in arguments.mod], cell, arguments.template,
            tell,
        )  # fmt: skip
    n = len(project.experiments)
    show(f"{shown_path(project.folder)}: {n} experiment{'s'[: n != 1]} "
         f"({', '.join(project.experiments)}); its README.md says how to go on")  # fmt: skip
    for name, reason in project.left_out.items():
        show(f"  without an experiment: {name}: {reason.splitlines()[0]}")
    show(f"\n  cd {shown_path(project.folder)}\n  stpspec fit {project.experiments[0]}")
    return DONE


def _flags(group: FlagGroup) -> None:
    group.add_argument("--mod", metavar="PATH", action="append", default=[],
                       help="a folder of .mod files, or such a file; may be repeated")  # fmt: skip
    group.add_argument("--cell", metavar="FILE", help="a template file, .hoc or .py")
    group.add_argument("--template", metavar="NAME",
                       help="the HOC template or Python class in it")  # fmt: skip


def _complete(rest: list[str], current: str) -> Candidates:
    from stpspec.cli.completion.paths import paths

    return {} if rest else paths(current, ())


VERB = Verb(
    summary="begin a project with mechanisms and a cell of your own",
    section="experiments",
    usage="FOLDER",
    words={"FOLDER": "a new folder"},
    text="""\
Write a project in which every verb works: conf/, mod/, templates/, a README,
and in experiments/ one experiment for each mechanism, with free parameters
and bounds from the roles that stpspec inspect guesses. Its first targets are
what the mechanism gives by itself: write measured ones in their place.
Without --cell the synapses sit on the shipped patch.""",
    examples=(
        ("init lab --mod my_mods --cell my_cell.hoc", "your mechanisms on your cell"),
        ("init lab --mod my_mods/my_synapse.mod", "one mechanism on the shipped patch"),
    ),
    action=_init,
    flags=(_flags, flags.quiet),
    complete=_complete,
)
