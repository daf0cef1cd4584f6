"""Tables of amplitudes: CSV, TSV or Excel, one row a pulse or one row a train."""

from __future__ import annotations

from typing import Literal

from stpspec.specs.target_source import TargetData, TargetSource, Wanted, target_source


@target_source("table")
class Table(TargetSource):
    """Amplitudes per pulse and train, with sd, n and gaps."""

    source: Literal["table"] = "table"
    file: str

    def read(self, wanted: Wanted) -> TargetData:
        raise NotImplementedError
