"""Campaigns: a table of connections × targets; one experiment and one fit for each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stpspec.registry import exports

if TYPE_CHECKING:
    from stpspec.campaigns.record import ConnectionState
    from stpspec.campaigns.run import campaign
    from stpspec.campaigns.summary import Campaign

__all__ = [
    "Campaign",
    "ConnectionState",
    "campaign",
]

__getattr__ = exports(
    __name__,
    {
        "Campaign": "summary",
        "ConnectionState": "record",
        "campaign": "run",
    },
)
