"""The tables and figures over many fits, printed and written: of a multirun, of a campaign."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from stpspec.campaigns.record import CAMPAIGN_FILE
from stpspec.cli.terminal import DONE, FAILED, MISSED, show, shown_path
from stpspec.formatting import presentable


def is_campaign(folder: str) -> bool:
    """Tell whether a folder is that of a campaign."""
    return (Path(folder) / CAMPAIGN_FILE).is_file()


def sum_up_campaign(folder: str | Path) -> int:
    """Print and write one table and one figure over the connections of a campaign."""
    from stpspec.campaigns.summary import Campaign

    campaign = Campaign(folder)
    written = campaign.save()
    show(f"\n{campaign.table(shutil.get_terminal_size((100, 24)).columns)}")
    count = ", ".join(f"{n} {status}" for status, n in campaign.states.items())
    print(f"\n{count}; {_names(written)} in {shown_path(Path(folder))}")
    if any(s in campaign.states for s in ("failed", "interrupted", "stopped")):
        return FAILED
    misses = [
        c.miss_of(term) for c in campaign.connections for term in c.summary.get("metrics", {})
    ]
    return MISSED if any(miss.is_far for miss in misses) else DONE


def sum_up_multirun(folder: str) -> int:
    """Print and write one table and one figure over the jobs of a multirun."""
    from stpspec.results import multirun
    from stpspec.results.simulation import save_jobs
    from stpspec.view.multirun import jobs_table

    found = multirun.collect(folder)
    show(jobs_table(found, multirun.varied(found)))
    written = save_jobs(Path(folder), found, multirun.varied(found))
    states = [job.status for job in found]
    count = ", ".join(
        f"{states.count(s)} {s}"
        for s in ("done", "failed", "interrupted", "stopped", "running")
        if s in states
    )
    print(f"\n{count}; {_names(written)} in {folder}")
    if "failed" in states:
        return FAILED
    return MISSED if any(miss.is_far for job in found for miss in job.misses) else DONE


def _names(written: Sequence[Path]) -> str:
    """Return the names of a table and its figures; the data of a figure are named by it."""
    table, *rest = (path.name for path in written)
    return " and ".join([table, *(name for name in rest if not name.endswith(".csv"))])


def status_line(label: str, status: str) -> str:
    """Return the line about one connection of a campaign."""
    return presentable(f"{label}: {status}{' elsewhere' if status == 'running' else ''}")
