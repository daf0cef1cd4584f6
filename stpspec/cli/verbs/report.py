"""``stpspec report``: one page on a result, a study, a campaign or a multirun."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from stpspec.cli.terminal import DONE, UsageError, shown_path
from stpspec.cli.verb import Candidates, Verb

if TYPE_CHECKING:
    from stpspec.cli.verb import FlagGroup


def _report(arguments: argparse.Namespace) -> int:
    from stpspec.reports import write_report

    if len(arguments.words) != 1:
        raise UsageError("report takes one result, study, campaign or multirun")
    written = write_report(arguments.words[0], arguments.out, overwrite=arguments.overwrite)
    print(f"report in {shown_path(written)}")
    return DONE


def _flags(group: FlagGroup) -> None:
    group.add_argument(
        "--out", metavar="FILE", help="where it is written; by default report.html in the folder"
    )
    group.add_argument("--overwrite", action="store_true", help="replace a file that is no report")


def _complete(rest: list[str], current: str) -> Candidates:
    from pathlib import Path

    from stpspec.cli.completion.paths import paths

    studies = {p.stem: "study" for p in sorted(Path("stpspec-studies").glob("*.journal"))}
    return {} if rest else {**studies, **paths(current, (".journal",))}


VERB = Verb(
    summary="one page of HTML on a result, study, campaign or multirun",
    section="results",
    usage="RESULT | STUDY | CAMPAIGN | MULTIRUN",
    words={
        "RESULT": "the folder of a saved fit, run or sweep",
        "STUDY": "its name in stpspec-studies/, journal or database",
        "CAMPAIGN": "the folder of stpspec campaign",
        "MULTIRUN": "the folder of stpspec fit -m",
    },
    text="""\
Write one HTML file that needs nothing else: the question, what was asked and
what was achieved, traces with data, the path, what the targets determine, the
numerical confirmation, failures by kind, versions and hashes, and the command
that makes it again. It can be printed. No code of the result is run.""",
    examples=(
        ("report my_fit", "my_fit/report.html on a saved fit"),
        ("report stpspec-results/campaigns/connections --out connections.html",
         "a campaign, in a file of your own"),
    ),
    action=_report,
    flags=(_flags,),
    complete=_complete,
)  # fmt: skip
