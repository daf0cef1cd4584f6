"""Fuzzed files: damaged and forged results, records, journals and databases say what is wrong.

None of it is run, nothing outside their folder is written, and no page of the dashboard is a 500.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
import small
import xarray as xr
from grammars import bits, documents, texts
from hypothesis import strategies as st
from watch import fuzz

import stpspec
from stpspec import api
from stpspec.campaigns.record import write_json
from stpspec.campaigns.summary import Campaign
from stpspec.cli.summaries import sum_up_multirun
from stpspec.config.compose import compose
from stpspec.dashboard.server import application
from stpspec.results import multirun
from stpspec.results.saved_fit import saved_fit
from stpspec.studies.study import Study

LENGTHS = [
    pytest.param(1, id="fast"),
    pytest.param(50, id="long", marks=pytest.mark.long),
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return a folder with a fit (``result``), its journal and its database."""
    folder = tmp_path_factory.mktemp("saved")
    for kind in ("journal", "db"):
        place = str(folder / "s.journal") if kind == "journal" else f"sqlite:///{folder}/s.db"
        experiment = small.experiment(
            study={"name": "s", "storage": place},
            fitter={"kind": "least_squares", "budget": {"evaluations": 5}},
        )
        with contextlib.chdir(folder):  # the figures of a database are where the fit was called
            result = api.fit(experiment)
    result.save(folder / "result")
    return folder


RESULTS: tuple = ()


@pytest.mark.parametrize("times", LENGTHS)
def test_any_forged_result_is_loaded_whole_or_told_to_be_damaged(saved, times):
    path = saved / "result/result.nc"
    with xr.open_datatree(path) as opened:
        tree = opened.load()
    base = {n: json.loads(tree.attrs[n]) for n in ("spec", "summary", "files", "log")}

    def call(attributes: Any) -> None:
        if not isinstance(attributes, dict):
            return
        forged = tree.copy()
        forged.attrs = {
            str(n): v if isinstance(v, bytes) else json.dumps(v) for n, v in attributes.items()
        }
        fit = saved_fit(forged, path)
        assert isinstance(fit.files, dict)

    fuzz(documents(base, most=4), call, 150 * times, found=RESULTS, folders=(saved,))


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\x00", "")


@pytest.mark.parametrize("times", LENGTHS)
def test_any_saved_attribute_gives_tables_or_an_error(saved, tmp_path, times):
    shutil.copytree(saved / "result", tmp_path / "result")
    file = tmp_path / "result/result.nc"
    whole = file.read_bytes()
    import netCDF4

    with netCDF4.Dataset(file) as opened:
        base = {n: opened.getncattr(n) for n in opened.ncattrs()}

    def call(change: tuple[str, str]) -> None:
        file.write_bytes(whole)
        name, text = change
        with netCDF4.Dataset(file, "a") as opened:
            opened.setncattr(name, text)
        result = stpspec.FitResult.load(file.parent)
        assert "\x1b" not in str(result) + repr(result) + json.dumps(result.summary())
        assert "<script" not in result._repr_html_()

    change = st.sampled_from(sorted(base)).flatmap(
        lambda n: st.tuples(
            st.just(n),
            texts(base[n]).map(_storable),
        )
    )
    fuzz(change, call, 24 * times, folders=(tmp_path,))


@pytest.mark.parametrize("times", LENGTHS)
def test_any_damaged_netcdf_file_is_told_to_be_damaged(saved, tmp_path, times):
    shutil.copytree(saved / "result", tmp_path / "result")
    file = tmp_path / "result/result.nc"
    whole = file.read_bytes()

    def call(data: bytes) -> None:
        file.write_bytes(data)
        result = stpspec.FitResult.load(file.parent)
        str(result), repr(result), result._repr_html_()

    fuzz(bits(whole), call, 24 * times, folders=(tmp_path,))


SUMMARIES: tuple = ()


@pytest.mark.parametrize("times", LENGTHS)
def test_any_multirun_is_summed_up_with_its_damaged_jobs_named(saved, tmp_path, times, capsys):
    folder = tmp_path / "jobs/0"
    multirun.begin(folder, ["seed=1"])
    multirun.end(folder, ["seed=1"])
    shutil.copytree(saved / "result", folder / "result")
    base = {
        "job.json": json.loads((folder / "job.json").read_text()),
        "result/summary.json": json.loads((folder / "result/summary.json").read_text()),
    }

    def call(records: Any) -> None:
        _write(folder, base, records)
        jobs = multirun.collect(tmp_path / "jobs")
        assert "\x1b" not in repr(jobs) + repr(jobs[0])
        assert "<script" not in jobs._repr_html_()

    fuzz(documents(base), call, 24 * times, found=SUMMARIES, folders=(tmp_path,))
    assert sum_up_multirun(str(tmp_path / "jobs")) in (0, 1, 3)
    capsys.readouterr()


def _write(folder: Path, base: dict[str, Any], records: Any) -> None:
    """Write records as JSON, those of the base where the input has none."""
    for name in base:
        content = records.get(name, base[name]) if isinstance(records, dict) else records
        (folder / name).write_bytes(json.dumps(content).encode())


CAMPAIGNS: tuple = ()


@pytest.mark.parametrize("times", LENGTHS)
def test_any_campaign_folder_is_summed_up_or_told_to_be_damaged(saved, tmp_path, times):
    folder = tmp_path / "campaign"
    write_json(folder / "campaign.json", {"connections": ["a"]})
    write_json(
        folder / "a/connection.json",
        {
            "connection": "a→b",
            "digest": "0" * 64,
            "status": "done",
            "reason": "",
            "spec": small.DATA,
        },
    )
    shutil.copytree(saved / "result", folder / "a/result")
    names = ("campaign.json", "a/connection.json", "a/result/summary.json")
    base = {name: json.loads((folder / name).read_text()) for name in names}

    def call(records: Any) -> None:
        _write(folder, base, records)
        campaign = Campaign(folder)
        assert "\x1b" not in campaign.table() + repr(campaign)
        assert "<script" not in campaign._repr_html_()

    fuzz(documents(base), call, 80 * times, found=CAMPAIGNS, folders=(tmp_path,))


@pytest.mark.parametrize("times", LENGTHS)
def test_any_summary_beside_an_experiment_is_a_start_or_told_to_be_damaged(saved, tmp_path, times):
    shutil.copytree(saved / "result", tmp_path / "result")
    file = tmp_path / "result/summary.json"
    text = file.read_text()

    def call(damaged: str) -> None:
        file.write_bytes(damaged.encode("utf-8", "surrogatepass"))
        compose(file.parent, ["study=null"])

    fuzz(texts(text), call, 4 * times, folders=(tmp_path,))


JOURNALS: tuple = ()


def _lines(saved: Path) -> list[Any]:
    return [json.loads(line) for line in (saved / "s.journal").read_text().splitlines()]


@pytest.mark.parametrize("times", LENGTHS)
def test_any_journal_is_a_study_or_told_to_be_damaged(saved, tmp_path, times):
    file = tmp_path / "s.journal"
    experiment = small.experiment(study={"name": "s", "storage": str(file)})

    def call(lines: Any) -> None:
        _write_lines(file, lines)
        with Study(experiment.study, experiment) as study:
            study.records()

    spoiled = documents(_lines(saved)) | texts((saved / "s.journal").read_text())
    fuzz(spoiled, call, 120 * times, found=JOURNALS, folders=(tmp_path,))


def _write_lines(file: Path, lines: Any) -> None:
    file.unlink(missing_ok=True)
    if isinstance(lines, str):
        file.write_bytes(lines.encode("utf-8", "surrogatepass"))
    else:
        lines = lines if isinstance(lines, list) else [lines]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))


PAGES = [
    "/",
    "/dashboard",
    "/api/meta",
    "/api/studies",
    "/api/studies/0?after=0",
    "/csv/0",
    "/api/studies/0/param_importances",
    "/artifacts/0/abc",
    "/api/studies/1",
]
PAGE_JOURNALS = (
    [  # names of attributes are text, too
        {"op_code": 0, "worker_id": "w", "study_name": "s", "directions": [1]},
        {"op_code": 4, "worker_id": "w", "study_id": 0, "state": 1, "value": 1.0, "values": None,
         "datetime_start": "2026-01-01T00:00:00+00:00",
         "datetime_complete": "2026-01-01T00:00:01+00:00",
         "distributions": {}, "params": {}, "system_attrs": {}, "intermediate_values": {},
         "user_attrs": {"<img src=x onerror=alert(1)>": "<img src=x onerror=alert(1)>"}},
    ],
)  # fmt: skip


@pytest.mark.parametrize("times", LENGTHS)
def test_no_page_of_a_damaged_study_is_a_500(saved, tmp_path, times):
    file = tmp_path / "s.journal"

    def call(lines: Any) -> None:
        _write_lines(file, lines)
        app, _ = application(str(file))
        for page in PAGES:
            path, _, query = page.partition("?")
            environ: dict[str, Any] = {}
            setup_testing_defaults(environ)
            heads: list[tuple[str, dict[str, str]]] = []
            body = b"".join(
                app(
                    environ | {"PATH_INFO": path, "QUERY_STRING": query},
                    lambda status, head, *_, heads=heads: heads.append((status, dict(head))),
                )
            )
            status, head = heads[-1]
            assert not status.startswith("500"), (page, body)
            # Text of the study is only in answers that no browser takes for a page.
            kind = head.get("Content-Type", "").partition(";")[0]
            assert b"<img src=x" not in body or kind in ("application/json", "text/csv"), page
            assert head["X-Content-Type-Options"] == "nosniff", page

    spoiled = documents(_lines(saved)) | texts((saved / "s.journal").read_text())
    fuzz(spoiled, call, 40 * times, found=PAGE_JOURNALS, folders=(tmp_path,))


@pytest.mark.parametrize("times", LENGTHS)
def test_any_damaged_database_is_a_study_or_told_to_be_damaged(saved, tmp_path, times):
    whole = (saved / "s.db").read_bytes()
    file = tmp_path / "s.db"
    experiment = small.experiment(study={"name": "s", "storage": f"sqlite:///{file}"})

    def call(data: bytes) -> None:
        file.write_bytes(data)
        with Study(experiment.study, experiment) as study:
            study.records()

    fuzz(bits(whole), call, 12 * times, folders=(tmp_path,))
