"""The report on whatever a place holds, written as one file."""

from __future__ import annotations

from pathlib import Path

from stpspec.campaigns.record import CAMPAIGN_FILE
from stpspec.dashboard.server import find_study
from stpspec.errors import ResultError
from stpspec.reports.page import Page, is_report
from stpspec.resources import expanded
from stpspec.results.folder import as_result_error
from stpspec.results.multirun import JOB_FILE
from stpspec.results.provenance import versions
from stpspec.specs.result_files import FIT, RUN, SWEEP, is_result

NAME = "report.html"


def write_report(
    place: str | Path, out: str | Path | None = None, *, overwrite: bool = False
) -> Path:
    """Write one self-contained page on a result, a study, a campaign or a multirun.

    Nothing but files is read: no mechanism is loaded, and no plug-in imported.

    Parameters
    ----------
    place : str or path
        A result folder or the file in it, the folder of a campaign or of a multirun, the name of
        a study, its journal, or the URL of a database.
    out : path, optional
        The file; by default ``report.html`` in the folder, and ``NAME-report.html`` of a study.
    overwrite : bool
        Replace a file that is no report. A report is always written anew.

    Returns
    -------
    Path

    Raises
    ------
    ResultError
        If there is nothing to report on, or the file cannot be written.
    StudyError, DashboardError
        If there is no such study.
    """
    page, default = page_of(str(place))
    target = Path(out) if out is not None else default
    target = target / NAME if target.is_dir() else target
    with as_result_error(target):
        head = target.read_bytes()[:2000] if target.exists() else b""
        if head and not overwrite and not is_report(head.decode("utf-8", "replace")):
            raise ResultError(
                f"{target} exists already and is no report; choose another name, or overwrite it "
                f"(--overwrite)"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}")
        text = page.html(f"Written by stpspec {versions()['stpspec']}.")
        temporary.write_text(text, encoding="utf-8", errors="replace")
        temporary.replace(target)
    return target


def page_of(place: str) -> tuple[Page, Path]:
    """Return the report on a place, and where it is written by default."""
    from stpspec.reports.fit import fit_page
    from stpspec.reports.many import campaign_page, multirun_page
    from stpspec.reports.simulation import run_page, sweep_page
    from stpspec.reports.study import study_page

    folder = expanded(place)
    if folder.name in (FIT, RUN, SWEEP) and folder.is_file():
        folder = folder.parent
    if "://" not in place and folder.is_dir():
        if is_result(folder):
            pages = {FIT: fit_page, RUN: run_page, SWEEP: sweep_page}
            make = next(make for file, make in pages.items() if (folder / file).is_file())
            return make(folder), folder / NAME
        if (folder / CAMPAIGN_FILE).is_file():
            return campaign_page(folder), folder / NAME
        if next(folder.rglob(JOB_FILE), None) is not None:
            return multirun_page(folder), folder / NAME
        raise ResultError(
            f"nothing to report on in {folder}: no result ({FIT}, {RUN} or {SWEEP}), no campaign "
            f"({CAMPAIGN_FILE}) and no multirun ({JOB_FILE} in the folders of its jobs)"
        )
    if folder.suffix.lower() in (".yaml", ".yml") and folder.is_file():
        raise ResultError(f"{place} is an experiment: a report is on what stpspec fit, run or "
                          f"sweep has saved of it; name that folder")  # fmt: skip
    where, name = find_study(place)
    page = study_page(where, name)
    return page, Path(f"{page.title.removeprefix('Study ').replace('/', '_')}-{NAME}")
