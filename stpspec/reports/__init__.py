"""Reports: one page of HTML on a result, a study, a campaign or a multirun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stpspec.registry import exports

if TYPE_CHECKING:
    from stpspec.reports.report import write_report

__all__ = ["write_report"]

__getattr__ = exports(__name__, {"write_report": "report"})
