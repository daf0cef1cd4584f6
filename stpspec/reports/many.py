"""The reports over many fits: of a campaign, and of a multirun."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from stpspec.campaigns.record import RESULT as CONNECTION_RESULT
from stpspec.campaigns.summary import Campaign
from stpspec.errors import StpspecError
from stpspec.formatting import number, unit_text
from stpspec.reports import fit
from stpspec.reports.page import Page, failures_by_kind
from stpspec.results.fit_result import FitResult
from stpspec.results.multirun import JOB_FILE, Job, collect, varied
from stpspec.results.multirun import RESULT as JOB_RESULT
from stpspec.specs.result_files import attributes
from stpspec.view.campaign_figure import plot_campaign
from stpspec.view.campaign_table import campaign_parts
from stpspec.view.contract import FitSummary, MetricSummary, miss_of
from stpspec.view.multirun import jobs_rows, plot_jobs, seeds_note
from stpspec.view.tables import values_text, with_error

_DETAILED = 12  # connections up to which each has its figures


def campaign_page(folder: Path) -> Page:
    """Return the report on a campaign, also on one that still runs."""
    campaign = Campaign(folder)
    connections = campaign.connections
    page = Page(f"Campaign {folder.resolve().name}")
    count = ", ".join(f"{n} {status}" for status, n in campaign.states.items())
    page.lead(f"One experiment, fitted to each of {len(connections)} "
              f"connection{'s' * (len(connections) != 1)}.")  # fmt: skip
    if about := str(common([c.spec for c in connections]).get("description", "")):
        page.lead(about)
    page.lead(f"{count}.", "verdict")
    page.section("Asked and achieved")
    page.figure(lambda: plot_campaign(connections),
                "Targets ± SD and what was achieved, connection by connection; of vectors, the RMS "
                "miss.")  # fmt: skip
    page.table(campaign_parts(connections))
    page.section("Failures by kind")
    kinds = failures_by_kind([" ".join(c.reason.split()) for c in connections])
    page.table(kinds) if len(kinds) > 1 else page.text("No connection failed.")
    page.items([f"{c.label}: {' '.join(c.reason.split())}" for c in connections if c.reason])
    page.section("Connections")
    for c in connections:
        page.heading(c.label)
        if not c.summary:
            page.text(f"{c.status}{f': {c.reason}' if c.reason else ''}")
            continue
        summary(page, c.summary)
        if len(connections) <= _DETAILED:
            _figures(page, folder / c.name / CONNECTION_RESULT)
    if len(connections) > _DETAILED:
        command = f"stpspec report {shlex.quote(str(folder))}/NAME/{CONNECTION_RESULT}"
        page.text(f"Traces are in the folder of each connection, and in its own report: {command}",
                  "quiet")  # fmt: skip
    page.section("Experiment")
    page.text("What all connections have in common; each row of the table changes its own part.",
              "quiet")  # fmt: skip
    page.code(_yaml(common([c.spec for c in connections])))
    page.section("Made with")
    _made_with(page, [c.summary for c in connections])
    name = next((c.name for c in connections), "NAME")
    fit.again(page, f"stpspec fit {shlex.quote(str(folder / name / CONNECTION_RESULT))}",
              "fits one connection once more; the table of the campaign with the same experiment, "
              "stpspec campaign TABLE EXPERIMENT --out ANOTHER_FOLDER, all of them")  # fmt: skip
    return page


def multirun_page(folder: Path) -> Page:
    """Return the report on a multirun, also on one that still runs."""
    jobs = collect(folder)
    page = Page(f"Multirun {folder.resolve().name}")
    states = [job.status for job in jobs]
    fields = varied(jobs)
    page.lead(f"{len(jobs)} jobs that differ in {', '.join(fields)}." if fields else
              f"{len(jobs)} job{'s' * (len(jobs) != 1)}.")  # fmt: skip
    page.lead(", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states)) + ".", "verdict")
    page.section("Asked and achieved")
    if note := seeds_note(jobs):
        page.text(f"Note: {note}.")
    page.table(jobs_rows(jobs, fields))
    terms = list(dict.fromkeys(n for j in jobs for n in j.summary.get("metrics", {})))
    if terms:
        page.text("How far each job is from each target:")
        page.table([("job", *terms), *((j.name, *_misses(j, terms)) for j in jobs if j.summary)])
    done = [j for j in jobs if "loss" in j.summary]
    if done:
        page.section("Paths of the fits")
        page.figure(lambda: plot_jobs(jobs), "Best loss so far of each job.")
    page.section("Failures by kind")
    kinds = failures_by_kind([" ".join(j.reason.split()) for j in jobs])
    page.table(kinds) if len(kinds) > 1 else page.text("No job failed.")
    if done:
        _best_job(page, folder, min(done, key=lambda j: j.summary.get("loss", 0.0)))
    if specs := [_spec(folder, j) for j in done]:
        page.section("Experiment")
        page.text("What all jobs have in common.", "quiet")
        page.code(_yaml(common(specs)))
    page.section("Made with")
    _made_with(page, [j.summary for j in jobs])
    words = _words(jobs)
    fit.again(page, f"stpspec fit -m {' '.join(shlex.quote(w) for w in words)}",
              "makes all combinations of these values; that of one job is in its folder, "
              "NUMBER/job.json")  # fmt: skip
    return page


def _misses(job: Job, terms: Sequence[str]) -> list[str]:
    metrics = job.summary.get("metrics", {})
    return [miss_of(metrics[n]).text(metrics[n]["unit"]) if n in metrics else "" for n in terms]


def _place(folder: Path, job: Job) -> Path:
    """Return the folder of the result of a job."""
    own = (p.parent for p in sorted(folder.rglob(JOB_FILE)) if p.parent.name == job.name)
    return next(own, folder) / JOB_RESULT


def _spec(folder: Path, job: Job) -> dict[str, Any]:
    return json.loads(attributes(_place(folder, job))["spec"])


def _best_job(page: Page, folder: Path, job: Job) -> None:
    page.section(f"Job {job.name}, of the smallest loss")
    page.text(", ".join(f"{k}={v}" for k, v in job.overrides.items()), "quiet")
    _figures(page, _place(folder, job), whole=True)


def _figures(page: Page, folder: Path, *, whole: bool = False) -> None:
    """Add the figures of one fit; a result that cannot be read says so."""
    try:
        result = FitResult.load(folder)
    except StpspecError as error:
        page.text(f"Its result cannot be read: {error}")
        return
    if whole:
        fit.asked_and_achieved(page, result)
        fit.determined(page, result)
    fit.traces(page, result)


def summary(page: Page, saved: FitSummary) -> None:
    """Add targets and parameters of a fit as tables, from its summary."""
    rows = [("metric", "unit", "target ± sd", "achieved", "miss")]
    rows += [_term(name, m) for name, m in saved.get("metrics", {}).items()]
    page.table(rows)
    header = ("parameter", "value ± approx. SE", "unit", "determined")
    page.table([header, *(
        (n, with_error(p["value"], p.get("standard_error", float("nan"))), unit_text(p["unit"]),
         f"no: it is at its bound ({p['at_bound']})" if "at_bound" in p
         else f"no: {p['undetermined']}" if "undetermined" in p else "yes")
        for n, p in saved.get("parameters", {}).items()
    )])  # fmt: skip
    notes = [f"{n}: {text}" for n, texts in saved.get("notes", {}).items() for text in texts]
    page.items(notes)


def _term(name: str, metric: MetricSummary) -> tuple[str, ...]:
    miss, unit = miss_of(metric), metric.get("target_unit", metric["unit"])
    if miss.target.size > 1:
        spans = [f"{number(np.nanmin(v), 3)} … {number(np.nanmax(v), 3)}"
                 for v in (miss.target, miss.achieved)]  # fmt: skip
        return (name, unit_text(unit), f"{values_text(miss)}, {spans[0]}", spans[1],
                miss.text(unit))  # fmt: skip
    sd = "" if miss.sd is None else f" ± {number(float(miss.sd[0]))}"
    target, achieved = (number(float(v[0])) for v in (miss.target, miss.achieved))
    return name, unit_text(unit), target + sd, achieved, miss.text(unit)


def common(specs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the data of several experiments have in common."""
    first, *others = specs or [{}]
    shared: dict[str, Any] = {}
    for key, value in first.items():
        theirs = [s.get(key) for s in others]
        if all(json.dumps(t) == json.dumps(value) for t in theirs):
            shared[key] = value
        elif isinstance(value, Mapping) and all(isinstance(t, Mapping) for t in theirs):
            inner = common([value, *(t for t in theirs if isinstance(t, Mapping))])
            shared |= {key: inner} if inner else {}
    return shared


def _words(jobs: Sequence[Job]) -> list[str]:
    keys = dict.fromkeys(k for j in jobs for k in j.overrides)
    values = {k: dict.fromkeys(j.overrides[k] for j in jobs if k in j.overrides) for k in keys}
    return [f"{k}={','.join(v)}" for k, v in values.items()]


def _made_with(page: Page, summaries: Sequence[FitSummary]) -> None:
    """Add versions and hashes, each of a program or file that some fit had."""
    versions: dict[str, dict[str, None]] = {}
    sources: dict[str, dict[str, None]] = {}
    for saved in summaries:
        for kept, table in ((versions, saved.get("versions")), (sources, saved.get("sources"))):
            for name, text in (table or {}).items():
                kept.setdefault(name, {})[text] = None
    said = [{n: ", ".join(v) for n, v in table.items()} for table in (versions, sources)]
    fit.made_with(page, said[0], said[1])


def _yaml(data: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True)
