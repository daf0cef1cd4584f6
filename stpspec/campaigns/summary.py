"""The summary of a campaign: a table of its connections, ``summary.csv`` and ``summary.png``."""

from __future__ import annotations

import csv
from pathlib import Path

from stpspec.campaigns.record import RESULT, ConnectionState, connection_states
from stpspec.errors import ResultError, unknown_name
from stpspec.formatting import presentable, spreadsheet_rows
from stpspec.resources.drafts import replaced
from stpspec.results.fit_result import FitResult
from stpspec.results.folder import as_result_error
from stpspec.view.campaign_table import campaign_html, campaign_rows, campaign_table
from stpspec.view.save import write_campaign

STATES = ("done", "failed", "interrupted", "stopped", "running", "waiting")


class Campaign:
    """The connections of a campaign, as its folder tells at the moment.

    Parameters
    ----------
    folder : path
        Of a campaign, also one that still runs elsewhere.

    Attributes
    ----------
    folder : Path
    connections : tuple of ConnectionState
        In the order of the table: ``label``, ``name``, ``status``, ``reason``, ``summary`` and
        ``misses`` (term → (achieved − target) / sd) of each.

    Raises
    ------
    ResultError
        If the folder holds no campaign.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.connections: tuple[ConnectionState, ...] = tuple(connection_states(folder))

    @property
    def states(self) -> dict[str, int]:
        """Status → number of connections that have it."""
        states = [c.status for c in self.connections]
        return {s: states.count(s) for s in STATES if s in states}

    def __len__(self) -> int:
        return len(self.connections)

    def __getitem__(self, connection: str) -> FitResult:
        """Load the result of one connection.

        Raises
        ------
        UnknownNameError
            If the campaign has no connection of this name.
        ResultError
            If it has no result.
        """
        for state in self.connections:
            if connection in (state.label, state.name):
                if not state.summary:
                    why = f": {state.reason}" if state.reason else ""
                    raise ResultError(f"{state.label} has no result, it is {state.status}{why}")
                return FitResult.load(self.folder / state.name / RESULT)
        raise unknown_name("connection", connection, [c.label for c in self.connections])

    def __str__(self) -> str:
        return campaign_table(self.connections)

    def __repr__(self) -> str:
        states = ", ".join(f"{n} {s}" for s, n in self.states.items())
        return presentable(f"Campaign({self.folder.name}: {len(self)} connections; {states})")

    def _repr_html_(self) -> str:
        return campaign_html(self.connections)

    def table(self, width: int = 100) -> str:
        """Return the table as text, for a terminal of so many columns."""
        return campaign_table(self.connections, width)

    def save(self) -> list[Path]:
        """Write ``summary.csv`` and ``summary.png`` into the folder of the campaign.

        Returns
        -------
        list of Path
            What was written; of a figure that cannot be drawn there is a warning.

        Raises
        ------
        ResultError
            If they cannot be written.
        """
        with as_result_error(self.folder):
            with (
                replaced(self.folder / "summary.csv") as temporary,
                temporary.open("w", newline="", encoding="utf-8") as file,
            ):
                csv.writer(file).writerows(spreadsheet_rows(campaign_rows(self.connections)))
            formats = dict.fromkeys(kind for c in self.connections for kind in c.formats)
            figures = write_campaign(self.connections, self.folder, list(formats) or ["png"])
            return [self.folder / "summary.csv", *figures]
