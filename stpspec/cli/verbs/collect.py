"""``stpspec collect``: one table and one figure over a multirun or a campaign."""

from __future__ import annotations

import argparse

from stpspec.cli.terminal import UsageError
from stpspec.cli.verb import Candidates, Verb


def _collect(arguments: argparse.Namespace) -> int:
    from stpspec.cli.summaries import is_campaign, sum_up_campaign, sum_up_multirun

    if len(arguments.words) != 1:
        raise UsageError("collect takes the folder of one multirun or campaign")
    folder = arguments.words[0]
    return sum_up_campaign(folder) if is_campaign(folder) else sum_up_multirun(folder)


def _complete(rest: list[str], current: str) -> Candidates:
    from stpspec.cli.completion.paths import paths

    return {} if rest else paths(current, ())


VERB = Verb(
    summary="one table and one figure over a multirun or a campaign",
    section="results",
    usage="FOLDER",
    words={"FOLDER": "that of a multirun or a campaign"},
    text="""\
Show and write one table and one figure over the jobs of a multirun, or over
the connections of a campaign; also while it still runs.""",
    examples=(
        ("collect seeds", "the jobs of stpspec fit -m … --out seeds"),
        ("collect stpspec-results/campaigns/connections",
         "the connections of stpspec campaign connections.csv …"),
    ),
    action=_collect,
    complete=_complete,
)  # fmt: skip
