"""``stpspec import``: settings and circuits of other programs, into experiments."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from stpspec.cli.terminal import DONE, FAILED, UsageError, show, shown_path
from stpspec.cli.verb import Candidates, Verb

if TYPE_CHECKING:
    from pathlib import Path

    from stpspec.cli.verb import FlagGroup
    from stpspec.interop.imported import Imported

FORMATS = ("bmtool", "bmtk")


def _import(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from stpspec.errors import unknown_name
    from stpspec.interop.imported import write_imported

    words = arguments.words
    if not words or words[0] not in FORMATS:
        raise UsageError(str(unknown_name("format", words[0] if words else "", FORMATS)))
    if len(words) != 2:
        raise UsageError(f"import {words[0]} takes one file or folder")
    source = Path(words[1])
    if not source.exists():
        raise UsageError(f"no file or folder {words[1]!r}")
    found = _read(words[0], source, arguments)
    folder = Path(arguments.out or source.resolve().stem)
    try:
        written = write_imported(found, folder)
    finally:
        for note in found.notes:
            show(f"  note: {note}")
    for name, reason in written.failures.items():
        show(f"  not imported: {name}: {reason}")
    n = len(written.experiments)
    show(f"{n} experiment{'s'[: n != 1]} in {shown_path(written.folder)}")
    for path in written.experiments.values():
        show(f"  stpspec run {shown_path(path)}")
    return FAILED if written.failures else DONE


def _read(kind: str, source: Path, arguments: argparse.Namespace) -> Imported:
    from pathlib import Path

    mod = [Path(m) for m in arguments.mod]
    cell = None if arguments.cell is None else Path(arguments.cell)
    if kind == "bmtk":
        from stpspec.interop.bmtk import read_bmtk

        return read_bmtk(source, mod, cell, arguments.template)
    from stpspec.interop.bmtool import read_bmtool

    folder = None if arguments.json_folder is None else Path(arguments.json_folder)
    return read_bmtool(source, mod, cell, folder, arguments.mechanism)


def _flags(group: FlagGroup) -> None:
    group.add_argument("--out", metavar="DIR", help="where the experiments go, a new folder")
    group.add_argument("--mod", metavar="PATH", action="append", default=[],
                       help="a folder of .mod files, or such a file; may be repeated")  # fmt: skip
    group.add_argument("--cell", metavar="FILE", help="template file of the postsynaptic cell")
    group.add_argument("--template", metavar="NAME", help="the template in it (bmtk)")
    group.add_argument("--json-folder", metavar="DIR",
                       help="<connection>.json, which go before the settings (bmtool)")  # fmt: skip
    group.add_argument("--mechanism", metavar="NAME", help="where the files name none (bmtool)")


def _complete(rest: list[str], current: str) -> Candidates:
    from stpspec.cli.completion.paths import paths

    if not rest:
        return dict.fromkeys(FORMATS, "")
    return paths(current, (".json", ".py", ".ipynb")) if len(rest) == 1 else {}


VERB = Verb(
    summary="take over settings of bmtool, or the synapses of BMTK",
    section="experiments",
    usage="FORMAT PATH",
    words={
        "FORMAT": "bmtool (two dictionaries, or a folder of JSON), or\nbmtk (circuit_config.json)",
        "PATH": "a .json or .py file, or a folder; Python is read as\ndata, never executed",
    },
    text="""\
Write an experiment for each connection, with copies of its mechanisms and of
its cell. Keys that nothing is known of, values that were assumed and what has
no place here are told; so is a value that only running a file would give.""",
    examples=(
        ("import bmtool settings.py --mod modfiles --cell cells.hoc", "a notebook's settings"),
        ("import bmtk circuit_config.json --out imported", "the synapses of a network"),
    ),
    action=_import,
    flags=(_flags,),
    complete=_complete,
)
