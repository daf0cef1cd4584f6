"""The record in the folder of a connection: its state, and the summary of its result."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict, Unpack

from stpspec.errors import ResultError
from stpspec.metrics.miss import Miss
from stpspec.resources import path_inside
from stpspec.resources.drafts import replaced
from stpspec.specs.figures import figure_formats
from stpspec.specs.records import read_record as read_json
from stpspec.specs.result_files import FIT
from stpspec.view.contract import Asked, FitSummary, miss_of, read_summary

CAMPAIGN_FILE = "campaign.json"
RECORD_FILE = "connection.json"
RESULT = "result"
_LOCK = ".lock"


class ConnectionRecord(TypedDict, total=False):
    """What is noted in the folder of a connection, in ``connection.json``: its task and state."""

    connection: str
    digest: str
    spec: dict[str, object]
    read: list[tuple[str, str, str]]
    status: str
    reason: str


class _CampaignRecord(TypedDict):
    """``campaign.json``: the folders of the connections."""

    connections: list[str]


def _no_summary() -> FitSummary:
    return {}


@dataclass(frozen=True)
class ConnectionState:
    """The state of one connection of a campaign, as its folder tells.

    Attributes
    ----------
    label, name : str
        As written in the table, and as the name of its folder.
    status : str
        ``done``, ``interrupted`` (with a result so far, if there was one), ``failed``,
        ``running``, ``stopped`` (its process was killed) or ``waiting``. The same command goes on
        with all but the first.
    reason : str
        Why it failed.
    summary : dict
        The summary of its result; empty unless there is one.
    spec : dict
        The experiment that is fitted, as data.
    """

    label: str
    name: str
    status: str
    reason: str = ""
    summary: FitSummary = field(default_factory=_no_summary)
    spec: Mapping[str, Any] = field(default_factory=dict)

    @property
    def formats(self) -> tuple[str, ...]:
        """In which its figures are written."""
        return figure_formats(self.spec)

    @property
    def asked(self) -> dict[str, Asked]:
        """Term → what is asked of it, also where there is no result."""
        terms = (self.spec.get("objective") or {}).get("terms") or {}
        return {
            n: {"metric": t["metric"], "target": t["target"], "sd": t.get("sd"), "n": t.get("n")}
            for n, t in terms.items()
        }

    @property
    def misses(self) -> dict[str, float]:
        """Term → (achieved − target) / sd, of a vector the RMS; NaN without an sd."""
        misses = {n: self.miss_of(n) for n in self.summary.get("metrics", {})}
        return {n: m.number if m.sd is not None else math.nan for n, m in misses.items()}

    def miss_of(self, term: str) -> Miss:
        """Return what was achieved of a term, compared with its target."""
        return miss_of(self.summary.get("metrics", {})[term])


def read_record(folder: Path) -> ConnectionRecord:
    """Return what was noted last in the folder of a connection; empty if nothing was."""
    path = folder / RECORD_FILE
    if not path.is_file():
        return {}
    return read_json(path, ConnectionRecord, "record of a connection")


def write_json(path: Path, content: object) -> None:
    """Write JSON in one piece."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")


def note(folder: Path, **changes: Unpack[ConnectionRecord]) -> None:
    """Note something in the record of a connection."""
    write_json(folder / RECORD_FILE, {**read_record(folder), **changes})


def has_result(folder: Path) -> bool:
    """Tell whether a connection is done and has its result."""
    return read_record(folder).get("status") == "done" and (folder / RESULT / FIT).is_file()


@contextlib.contextmanager
def locked(folder: Path, patience: float = 1.0) -> Iterator[bool]:
    """Give True to one process at a time; False where another fits this connection already."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def connection_states(root: str | Path) -> list[ConnectionState]:
    """Read the connections of a campaign, also while some run or after some failed.

    Raises
    ------
    ResultError
        If the folder holds no campaign.
    """
    path = Path(root) / CAMPAIGN_FILE
    if not path.is_file():
        raise ResultError(f"no campaign in {root}: it would have left a {CAMPAIGN_FILE} there")
    names = read_json(path, _CampaignRecord, "record of a campaign")["connections"]
    return [_state(path_inside(Path(root), name), name) for name in names]


def _state(folder: Path, name: str) -> ConnectionState:
    record = read_record(folder)
    label, status = record.get("connection", name), record.get("status", "waiting")
    if status == "running":
        with locked(folder, 0.0) as free:
            status = "stopped" if free and read_record(folder) == record else status
    if status not in ("done", "interrupted") or not (folder / RESULT / FIT).is_file():
        reason, spec = record.get("reason", ""), record.get("spec", {})
        return ConnectionState(label, name, status, reason, spec=spec)
    summary = read_summary(folder / RESULT)
    reason, spec = record.get("reason", ""), record.get("spec", {})
    return ConnectionState(label, name, status, reason, summary, spec)
