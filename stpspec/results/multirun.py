"""The jobs of a multirun: the record of each in its folder, and all of them together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NotRequired

import numpy as np
from typing_extensions import TypedDict

from stpspec.errors import ResultError, SpecError
from stpspec.formatting import presentable
from stpspec.metrics.miss import Miss
from stpspec.resources.drafts import replaced
from stpspec.resources.processes import has_ended, process_name
from stpspec.results.folder import read_netcdf
from stpspec.specs.figures import figure_formats
from stpspec.specs.records import read_record
from stpspec.specs.result_files import FIT, SUMMARY, attributes
from stpspec.view.contract import FitSummary, miss_of, read_summary

JOB_FILE = "job.json"
RESULT = "result"


class JobRecord(TypedDict):
    """What a job notes in its folder, in ``job.json``."""

    overrides: list[str]
    status: str
    reason: NotRequired[str]
    cause: NotRequired[str]
    process: NotRequired[str]


def _no_summary() -> FitSummary:
    return {}


@dataclass(frozen=True, repr=False)
class Job:
    """One job of a multirun, as its folder tells.

    Attributes
    ----------
    name : str
        Name of its folder.
    overrides : dict of str to str
        What the command line set for it.
    status : str
        ``done``, ``running``, ``failed``, ``interrupted`` (with a result so far, if there was
        one) or ``stopped`` (its process was killed).
    reason : str
        Why it failed.
    cause : str
        The one line of the reason that a table has room for; the last unless another is given.
    summary : dict
        The result's summary; empty unless done.
    losses, seconds : ndarray, shape (evaluation,)
        Best loss so far, and the time at which it was reached.
    formats : tuple of str
        In which its figures are written.
    """

    name: str
    overrides: dict[str, str]
    status: str
    reason: str = ""
    summary: FitSummary = field(default_factory=_no_summary)
    losses: np.ndarray = field(default_factory=lambda: np.array([]))
    seconds: np.ndarray = field(default_factory=lambda: np.array([]))
    cause: str = ""
    formats: tuple[str, ...] = ("png",)

    def __post_init__(self) -> None:
        if not self.cause:
            object.__setattr__(self, "cause", _last_line(self.reason))

    @property
    def fitter(self) -> str:
        """What did the fit: the group chosen for the job, or the kind of the fitter."""
        return self.overrides.get("fitter") or str(self.summary.get("fitter", ""))

    @property
    def misses(self) -> list[Miss]:
        """What was achieved of each target, compared with it; empty unless there is a fit."""
        metrics = self.summary.get("metrics", {}).values()
        return [miss_of(m) for m in metrics]

    def __repr__(self) -> str:
        said = ", ".join(f"{key}={value}" for key, value in self.overrides.items())
        loss = f", loss {self.summary['loss']:.4g}" if "loss" in self.summary else ""
        return presentable(
            f"Job({self.name}: {said}; {self.status}{loss}{': ' * bool(self.reason)}{self.reason})"
        )


class Jobs(list[Job]):
    """The jobs of a multirun; shows itself as their table."""

    def __repr__(self) -> str:
        from stpspec.view.multirun import jobs_table

        return jobs_table(self, varied(self))

    def _repr_html_(self) -> str:
        from stpspec.formatting import html_table
        from stpspec.view.multirun import jobs_rows

        return html_table(jobs_rows(self, varied(self)))


def begin(folder: Path, overrides: Sequence[str]) -> None:
    """Note in a job's folder that it runs, and with which overrides."""
    record: JobRecord = {"overrides": list(overrides), "status": "running"}
    _write(folder, {**record, "process": process_name()})


def end(
    folder: Path,
    overrides: Sequence[str],
    error: Exception | None = None,
    *,
    interrupted: bool = False,
) -> None:
    """Note that a job is done or was interrupted, or why it failed."""
    status = "failed" if error is not None else "interrupted" if interrupted else "done"
    content: JobRecord = {"overrides": list(overrides), "status": status, "reason": ""}
    if error is not None:
        content["reason"] = presentable(f"{type(error).__name__}: {error}")
        content["cause"] = _cause(error)
    _write(folder, content)


def _cause(error: Exception) -> str:
    """Return the line of an error that says what is wrong; the others may follow from it."""
    if isinstance(error, SpecError) and error.problems:
        first, *others = (str(problem) for problem in error.problems)
        return first.splitlines()[0] + (f" (and {len(others)} more)" if others else "")
    return _last_line(f"{type(error).__name__}: {error}")


def _last_line(text: str) -> str:
    return (presentable(text).strip().splitlines() or [""])[-1].strip()


def _write(folder: Path, content: JobRecord) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with replaced(folder / JOB_FILE) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def collect(folder: str | Path) -> Jobs:
    """Read the jobs below a multirun's folder, also while some run or after some failed.

    Parameters
    ----------
    folder : path
        Of ``stpspec fit -m``, or any above it.

    Returns
    -------
    list of Job
        Prints, and shows itself in a notebook, as the table of ``stpspec collect``;
        :func:`stpspec.view.multirun.plot_jobs` draws its figure.

    Raises
    ------
    ResultError
        If there is no job below the folder.
    """
    root = Path(folder)
    if not root.exists():
        raise ResultError(f"there is no folder {root}; name that of a multirun or a campaign")
    found = sorted(root.rglob(JOB_FILE), key=lambda p: _natural(p.parent.name))
    if not found:
        raise ResultError(f"no job in {root}: a multirun leaves a {JOB_FILE} in each job's folder")
    return Jobs(_job(path) for path in found)


def _natural(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdigit() else (10**9, name)


def _job(path: Path) -> Job:
    name = path.parent.name
    try:
        content = read_record(path, JobRecord, "record of a job")
    except ResultError as error:
        return Job(name, {}, "failed", f"its {JOB_FILE} cannot be read: {error}")
    pairs = (o.lstrip("+").partition("=") for o in content["overrides"])
    overrides = {key: value for key, _, value in pairs}
    status, reason = content["status"], content.get("reason", "")
    cause = content.get("cause", "")
    if status == "running" and has_ended(content.get("process", "")):
        status = "stopped"
    result = path.parent / RESULT
    if status not in ("done", "interrupted"):
        return Job(name, overrides, status, reason, cause=cause)
    if not result.is_dir():
        if status == "interrupted":
            return Job(name, overrides, status, reason)
        return Job(name, overrides, "failed", f"its result is gone: {result}")
    if not (result / FIT).is_file() and not (result / SUMMARY).is_file():  # of `run`
        return Job(name, overrides, status, reason)
    try:
        summary = read_summary(result)
        formats = figure_formats(json.loads(attributes(result)["spec"]))
        losses, seconds = _path_of(result / FIT)
    except ResultError as error:
        return Job(name, overrides, "failed", f"its result cannot be read: {error}")
    return Job(name, overrides, status, reason, summary, losses, seconds, cause, formats)


def _path_of(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with read_netcdf(path) as tree:
        history = tree.children["history"].dataset if "history" in tree.children else {}
        columns = [np.asarray(history[n].values) for n in ("loss", "seconds") if n in history]
    if len(columns) < 2 or any(c.dtype.kind != "f" or c.ndim != 1 for c in columns):
        raise ResultError(f"{path} is damaged, or no result of a fit: it has no history of losses")
    losses, seconds = columns
    best = np.fmin.accumulate(np.where(np.isnan(losses), np.inf, losses))
    return np.where(np.isinf(best), np.nan, best), seconds


def varied(jobs: Sequence[Job]) -> list[str]:
    """Return the overrides that differ between the jobs."""
    keys = dict.fromkeys(k for j in jobs for k in j.overrides)
    return [k for k in keys if len({j.overrides.get(k) for j in jobs}) > 1]
