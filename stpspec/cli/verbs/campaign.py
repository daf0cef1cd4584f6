"""``stpspec campaign``: the fit of each row of a table, in one process or by a launcher."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stpspec.cli import flags
from stpspec.cli.experiment import named_experiments, table_and_base
from stpspec.cli.parser import Refused
from stpspec.cli.terminal import DONE, FAILED, bar, show, shown_path
from stpspec.cli.verb import Candidates, Verb
from stpspec.formatting import presentable

if TYPE_CHECKING:
    from pathlib import Path

    from stpspec.campaigns.plan import Connection
    from stpspec.cli.verb import FlagGroup


def _campaign(arguments: argparse.Namespace) -> int:
    from stpspec.cli.experiment import folder_of
    from stpspec.cli.hydra_settings import separate

    with named_experiments(arguments) as words:
        table, base, overrides = table_and_base(words)
        rest, settings = separate(overrides, arguments)
        if settings.folder is not None:
            arguments.out = folder_of(None, [], settings.folder)
        root, pending = _prepare(arguments, table, base, rest)
        if settings.launcher and pending:
            from stpspec.cli.launcher import launch_campaign

            launch_campaign(arguments, root, pending, settings.launcher)
        else:
            _fit_pending(arguments, root, pending)
        return _sum_up(arguments, root)


def _prepare(
    arguments: argparse.Namespace, table: str, experiment: str | None, overrides: Sequence[str]
) -> tuple[Path, list[Connection]]:
    """Check the table, write the tasks, and say what there is to do; return what is pending."""
    from stpspec.campaigns.plan import plan
    from stpspec.campaigns.run import begin

    root, connections, pending = plan(table, experiment, overrides, arguments.out, arguments.only)
    begin(root, connections, pending)
    if not arguments.quiet:
        asked = len(arguments.only) or len(connections)
        there = f", {asked - len(pending)} of them done before" if asked > len(pending) else ""
        print(f"{root.name}: {asked} connection{'s' * (asked != 1)}{there}", flush=True)
    return root, pending


def _fit_pending(arguments: argparse.Namespace, root: Path, pending: Sequence[Connection]) -> None:
    """Fit one connection after the other."""
    from stpspec.campaigns.run import fit_connection
    from stpspec.cli.summaries import status_line
    from stpspec.fitters import interrupts

    with bar(root.name, "connection", len(pending), arguments.quiet) as shown:
        for index, connection in enumerate(pending):

            def progress(n: int, _: object, best: float, of: str = connection.label) -> None:
                shown.set_postfix_str(presentable(f"loss {best:.4g}, {n} simulations of {of}"))

            status = fit_connection(connection.folder, progress)
            shown.update()
            if not arguments.quiet:
                line = f"[{index + 1}/{len(pending)}] {status_line(connection.label, status)}"
                shown.write(line, file=sys.stdout)
                sys.stdout.flush()
            if status == "interrupted" or interrupts.received() is not None:
                break


def _sum_up(arguments: argparse.Namespace, root: Path) -> int:
    """Print the table of all connections, or, of ``--only``, that of each one's fit."""
    from stpspec.campaigns.record import RESULT
    from stpspec.campaigns.summary import Campaign
    from stpspec.cli.summaries import sum_up_campaign

    if not arguments.only:
        return sum_up_campaign(root)
    campaign = Campaign(root)
    asked = [c for c in campaign.connections if {c.label, c.name} & set(arguments.only)]
    for c in asked:
        folder = shown_path(root / c.name / RESULT)
        show(f"\n{campaign[c.name]}\nfiles in {folder}" if c.summary else f"\n{c.reason}")
    print(f"\nstpspec collect {shown_path(root)} sums up all connections")
    failed = any(c.status in ("failed", "interrupted", "stopped") for c in asked)
    return FAILED if failed else DONE


def _flags(group: FlagGroup) -> None:
    group.add_argument(
        "--only", metavar="NAME", action="append", default=[],
        help="this connection and no other; may be repeated",
    )  # fmt: skip
    group.add_argument(
        "-m", "--multirun", action=Refused,
        reason="a campaign is many jobs already: leave out -m",
    )  # fmt: skip
    group.add_argument(
        "--overwrite", action=Refused,
        reason="a campaign goes on where it stopped: for a new one choose another --out",
    )  # fmt: skip


def _complete(rest: list[str], current: str) -> Candidates:
    from stpspec.cli.completion.experiment import experiment_words
    from stpspec.cli.completion.paths import paths

    if not rest:
        return paths(current, (".csv", ".tsv", ".yaml", ".yml"))
    return experiment_words(rest[1:], current, launcher=True)  # the table comes first


VERB = Verb(
    summary="fit each row of a table; the same command again goes on",
    section="experiments",
    usage="TABLE [EXPERIMENT] [key=value…]",
    words={
        "TABLE": "connections, one a row: a CSV, TSV or YAML file",
        "EXPERIMENT": "what each row begins with; also as experiment=NAME",
        "key=value": "an override in Hydra's syntax, of all rows",
    },
    text="""\
Fit the experiment once for each row of a table of connections, with the values
that the row has, and sum up all fits in one table and one figure. The same
command again goes on where it stopped. hydra/launcher=joblib runs the rows in
parallel.""",
    examples=(
        ("campaign connections.csv experiment=pvalb_pyr",
         "each row of connections.csv, beginning with a shipped experiment"),
        ("campaign connections.csv synapse.yaml --only 'pyr→sst'",
         "one connection, beginning with a file of your own"),
    ),
    action=_campaign,
    flags=(_flags, flags.out, flags.trust, flags.config_dir, flags.quiet),
    complete=_complete,
)  # fmt: skip
