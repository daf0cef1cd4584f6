"""``stpspec dashboard``: a study in the browser."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from stpspec.cli.terminal import DONE, UsageError
from stpspec.cli.verb import Candidates, Verb

if TYPE_CHECKING:
    from stpspec.cli.verb import FlagGroup


def _dashboard(arguments: argparse.Namespace) -> int:
    from stpspec.dashboard.server import serve

    if len(arguments.words) > 1:
        raise UsageError("dashboard takes one study")

    def ready(url: str) -> None:
        print(f"{url}\nit only reads; Ctrl-C ends it", flush=True)

    place = arguments.words[0] if arguments.words else None
    serve(place, arguments.host, arguments.port, ready, every=arguments.all)
    return DONE


def _flags(group: FlagGroup) -> None:
    group.add_argument(
        "--host", default="127.0.0.1",
        help="the address to listen at; by default only this computer may open it",
    )  # fmt: skip
    group.add_argument(
        "--port", type=int, default=8080, help="8080 by default; 0 for any that is free"
    )
    group.add_argument("--all", action="store_true", help="every trial of a long study")


def _complete(rest: list[str], current: str) -> Candidates:
    from pathlib import Path

    from stpspec.cli.completion.paths import paths

    studies = {p.stem: "study" for p in sorted(Path("stpspec-studies").glob("*.journal"))}
    return {} if rest else {**studies, **paths(current, (".journal",))}


VERB = Verb(
    summary="watch a study in the browser",
    section="results",
    usage="[STUDY | JOURNAL | URL | FOLDER]",
    words={
        "STUDY": "its name in stpspec-studies/; by default the only one",
        "JOURNAL": "its file",
        "URL": "the database that holds it",
        "FOLDER": "a saved fit that had a study; a campaign or multirun",
    },
    text="""\
Serve the trials of a study, with their figures, to a browser, also while they
are being made. It only reads; Ctrl-C ends it.""",
    examples=(
        ("dashboard", "the only study in stpspec-studies/"),
        ("dashboard stpspec-studies/shared.journal --port 0", "one study, at any free port"),
    ),
    action=_dashboard,
    flags=(_flags,),
    complete=_complete,
)  # fmt: skip
