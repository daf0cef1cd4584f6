"""The run of a campaign: a fit of each connection that has no result yet."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from stpspec.campaigns.plan import Connection, plan
from stpspec.campaigns.record import (
    CAMPAIGN_FILE,
    RESULT,
    locked,
    note,
    read_record,
    write_json,
)
from stpspec.campaigns.summary import Campaign
from stpspec.campaigns.table import TableSource
from stpspec.errors import FitError, StpspecError, StudyError
from stpspec.fitters import interrupts
from stpspec.formatting import presentable
from stpspec.formatting.progress import progress_bar
from stpspec.log import FILE as LOG
from stpspec.log import recorded
from stpspec.results.folder import as_result_error
from stpspec.specs.experiment import Experiment

log = logging.getLogger("stpspec")

Progress = Callable[[int, int, str, str], None]


def campaign(
    table: TableSource,
    experiment: Experiment | str | Path | None = None,
    overrides: Sequence[str] = (),
    *,
    folder: str | Path | None = None,
    only: Sequence[str] = (),
    progress: Progress | bool | None = None,
) -> Campaign:
    """Fit one experiment for each row of a table of connections.

    The same call again goes on where it stopped: a connection whose result is there from the same
    experiment is left alone, one half done goes on in its study, one that failed is tried again.

    Parameters
    ----------
    table : path, sequence of mappings, mapping of mappings, or DataFrame
        One row a connection. The column ``connection`` names it; ``TERM`` and ``TERM_sd`` are
        target and sd of a term of the base, in the metric's unit or with a unit in the header
        (``amplitude [pA]``) or the cell; a column with dots sets a field. See the manual.
    experiment : Experiment, str or path, optional
        The base of all rows that name none in a column ``experiment``.
    overrides : sequence of str
        For the base, in Hydra's syntax.
    folder : path, optional
        ``stpspec-results/campaigns/TABLE`` by default; one folder in it for each connection.
    only : sequence of str
        Names of connections; all by default.
    progress : callable or bool, optional
        Called after each fit with the connections done, their number, name and status; True shows
        a bar.

    Returns
    -------
    Campaign

    Raises
    ------
    SpecError
        With every problem of the table at once, before anything is simulated.

    Examples
    --------
    >>> stpspec.campaign("connections.csv", "pvalb_pyr")
    """
    root, connections, pending = plan(table, experiment, overrides, folder, only)
    begin(root, connections, pending)
    bar = progress_bar(root.name, "connection", progress, lambda name, status: f"{name}: {status}")
    with bar as report:
        for index, connection in enumerate(pending):
            status = fit_connection(connection.folder)
            if report is not None:
                report(index + 1, len(pending), connection.label, status)
            if status == "interrupted":  # Ctrl-C is meant for all of them
                break
    return Campaign(root)


def begin(root: Path, connections: Sequence[Connection], pending: Sequence[Connection]) -> None:
    """Write what is to be done into the folders; a result of another experiment is set aside.

    Raises
    ------
    ResultError
        If nothing can be written there.
    """
    with as_result_error(root):
        write_json(root / CAMPAIGN_FILE, {"connections": [c.name for c in connections]})
        for connection in pending:
            with locked(connection.folder) as mine:
                if mine:
                    _write_task(connection)


def _write_task(connection: Connection) -> None:
    folder, before = connection.folder, read_record(connection.folder)
    if not connection.is_same:
        if (folder / RESULT).exists():
            _set_aside([folder / RESULT], f"-{before.get('digest', '')[:8]}")
        before = {}
    note(
        folder,
        status=before.get("status", "waiting"),
        reason=before.get("reason", ""),
        read=before.get("read", []),
        connection=connection.label,
        digest=connection.digest,
        spec=connection.experiment.to_data(),
    )


def _set_aside(paths: Iterable[Path], ending: str) -> None:
    for path in list(paths):
        path.replace(_free(path.with_name(f"{path.stem}{ending}{path.suffix}")))


def _free(path: Path) -> Path:
    numbered = (path.with_name(f"{path.name}-{n}") for n in range(2, 10**6))
    return path if not path.exists() else next(p for p in numbered if not p.exists())


def fit_connection(
    folder: Path, progress: Callable[[int, int | None, float], None] | None = None
) -> str:
    """Fit the connection whose task stands in a folder; whatever fails is kept as its reason.

    Parameters
    ----------
    folder : Path
    progress : callable, optional
        As that of :func:`stpspec.fit`.

    Returns
    -------
    str
        ``done``, ``failed``, ``interrupted``, or ``running`` if another process fits it.
    """
    from stpspec.engine.binding.source_files import readings_of
    from stpspec.engine.workers.place import bind

    with locked(folder) as mine:
        record = read_record(folder)
        if not mine or record.get("status") == "done":  # by another process, in the meantime
            return "done" if mine else "running"
        with recorded() as messages:
            try:
                with interrupts.saved_first():
                    note(folder, status="running", reason="")
                    (folder / LOG).unlink(missing_ok=True)  # of a fit that failed
                    experiment = Experiment.from_data(record.get("spec", {}))
                    status = _fit(experiment, folder, progress)
                    read = readings_of(bind(experiment))
                    interrupts.hold()
                    note(folder, status=status, read=read)
                    return status
            except KeyboardInterrupt:
                interrupts.note()
                if read_record(folder).get("status") == "done":  # meanwhile
                    return "done"
                note(folder, status="interrupted")
                return "interrupted"
            except Exception as error:  # whatever it is, the other connections are fitted
                named = isinstance(error, StpspecError)
                reason = str(error) if named else presentable(f"{type(error).__name__}: {error}")
                log.info("failed: %s", reason, exc_info=not named)
                note(folder, status="failed", reason=reason)
                with contextlib.suppress(OSError):  # the disk may be full
                    messages.write(folder)
                if isinstance(error, FitError):  # another try shall not recall what has failed
                    _set_aside(folder.glob("study-????????.journal"), "-failed")
                return "failed"


def _fit(
    experiment: Experiment,
    folder: Path,
    progress: Callable[[int, int | None, float], None] | None,
) -> str:
    """Fit and save; of a fit that its study has ended, the best point so far."""
    from stpspec import api

    try:
        result = api.fit(experiment, progress=progress)
    except StudyError as error:
        if error.result is not None:
            error.result.save(folder / RESULT, overwrite=True)
        raise
    result.save(folder / RESULT, overwrite=True)
    return "interrupted" if result.status == "interrupted" else "done"
