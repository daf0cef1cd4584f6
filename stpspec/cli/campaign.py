"""``stpspec campaign``: what it prints for people, in one process or handed to a launcher."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from stpspec.campaigns.plan import Connection, plan
from stpspec.campaigns.record import CAMPAIGN_FILE, RESULT
from stpspec.campaigns.run import begin, fit_connection
from stpspec.campaigns.summary import Campaign
from stpspec.cli.commands import bar


def prepare(
    arguments: argparse.Namespace, paths: Sequence[str], overrides: Sequence[str]
) -> tuple[Path, list[Connection]]:
    """Check the table, write the tasks, and say what there is to do.

    Returns
    -------
    folder : Path
    pending : list of Connection
        Those without a result.

    Raises
    ------
    SpecError
        With every problem of the table.
    """
    table, *base = paths
    overrides = list(overrides)
    if not base:  # experiment=NAME names the base of all rows, not one of the row's own fields
        named = [word for word in overrides if word.lstrip("+").startswith("experiment=")]
        base = [word.partition("=")[2] for word in named[-1:]]
        overrides = [word for word in overrides if word not in named]
    experiment = base[0] if base else None
    root, connections, pending = plan(table, experiment, overrides, arguments.out, arguments.only)
    begin(root, connections, pending)
    if not arguments.quiet:
        asked = len(arguments.only) or len(connections)
        there = f", {asked - len(pending)} of them done before" if asked > len(pending) else ""
        print(f"{root.name}: {asked} connection{'s' * (asked != 1)}{there}", flush=True)
    return root, pending


def run(arguments: argparse.Namespace, root: Path, pending: Sequence[Connection]) -> int:
    """Fit what is pending, one after the other; return the exit code."""
    with bar(root.name, "connection", len(pending), arguments.quiet) as shown:
        for index, connection in enumerate(pending):

            def progress(n: int, _: int | None, best: float, of: str = connection.label) -> None:
                shown.set_postfix_str(f"loss {best:.4g}, {n} simulations of {of}")

            status = fit_connection(connection.folder, progress)
            shown.update()
            if not arguments.quiet:
                line = f"[{index + 1}/{len(pending)}] {_told(connection.label, status)}"
                shown.write(line, file=sys.stdout)
                sys.stdout.flush()
            if status == "interrupted":
                break
    return close(arguments, root)


def fit_and_tell(folder: Path, label: str, quiet: bool = False) -> str:
    """Fit one connection as a job of a launcher, and print one line about it; return its status."""
    status = fit_connection(folder)
    if not quiet:
        print(_told(label, status), flush=True)
    return status


def _told(label: str, status: str) -> str:
    return f"{label}: {status}{' elsewhere' if status == 'running' else ''}"


def close(arguments: argparse.Namespace, root: Path) -> int:
    """Sum up: all connections, or, of ``--only``, the table of each one's fit."""
    if not arguments.only:
        return collect(root)
    campaign = Campaign(root)
    asked = [c for c in campaign.connections if {c.label, c.name} & set(arguments.only)]
    for c in asked:
        folder = _shown(root / c.name / RESULT)
        print(f"\n{campaign[c.name]}\nfiles in {folder}" if c.summary else f"\n{c.reason}")
    print(f"\nstpspec collect {_shown(root)} sums up all connections")
    return int(any(c.status in ("failed", "interrupted", "stopped") for c in asked))


def is_campaign(folder: str) -> bool:
    """Tell whether a folder is that of a campaign."""
    return (Path(folder) / CAMPAIGN_FILE).is_file()


def collect(folder: str | Path) -> int:
    """Print and write one table and one figure over the connections of a campaign."""
    campaign = Campaign(folder)
    campaign.save()
    print(f"\n{campaign.table(shutil.get_terminal_size((100, 24)).columns)}")
    count = ", ".join(f"{n} {status}" for status, n in campaign.states.items())
    print(f"\n{count}; summary.csv and summary.png in {_shown(Path(folder))}")
    return int(any(s in campaign.states for s in ("failed", "interrupted", "stopped")))


def _shown(path: Path) -> str:
    path = path.resolve()
    here = Path.cwd().resolve()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
