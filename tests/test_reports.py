"""Reports: one page that says everything, asks nothing of the net, and runs nothing of others."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
import small

import stpspec
from stpspec.errors import ResultError, StudyError
from stpspec.reports import write_report
from stpspec.reports.page import Page, failures_by_kind
from stpspec.reports.study import study_page
from stpspec.results.fit_result import FitResult

ODD = '<script>alert("1")</script> & <img src=http://example.org/x.png onerror=alert(2)> $x_1$'
TABLE = """\
connection,size [pA],size_sd,fitter.on_failure,recording.holding_potential
one,42,1,,
<b>two</b> & more,30,1,,
at reversal,30,1,raise,0 mV
"""


class Elements(HTMLParser):
    """What a page consists of: tags with their attributes, and the text that is read."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text, self.headings = [], [], "", []
        self._open = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._open = tag

    def handle_data(self, data):
        if self._open not in ("style",):
            self.text += data
        if self._open in ("h1", "h2", "h3") and data.strip():
            self.headings.append(data)


def read(path):
    return Elements(path.read_text(encoding="utf-8"))


def assert_alone(path):
    """See that a page refers to nothing outside of it, and has nothing that could run."""
    text, page = path.read_text(encoding="utf-8"), read(path)
    forbidden = {"script", "link", "img", "iframe", "object", "embed", "base", "form", "image",
                 "foreignobject", "animate", "set", "audio", "video", "source"}  # fmt: skip
    assert not forbidden & set(page.tags)
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name, value)
        assert name not in ("src", "srcset", "action", "formaction", "data", "ping", "background")
        if name.endswith("href"):
            assert value.startswith("#"), value
            assert ("id", value[1:]) in {(n, v) for _, n, v in page.attributes}
        if tag != "meta" and name != "aria-label":
            assert "://" not in value
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.S)
    assert "url(" not in style.replace("url(#", "")
    assert "@import" not in style
    ids = [v for _, n, v in page.attributes if n == "id"]
    assert len(ids) == len(set(ids))
    policy = [v for tag, n, v in page.attributes if tag == "meta" and "default-src" in v]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    experiment = small.experiment(description=ODD, source="doi:10.1126/science.abj5861")
    return stpspec.fit(experiment).save(tmp_path_factory.mktemp("reports") / "my fit")


def test_the_report_on_a_fit_says_everything_in_one_file(fitted):
    path = write_report(fitted)
    assert path == fitted / "report.html"
    assert_alone(path)
    page = read(path)
    assert page.headings == [
        "Fit of small", "Asked and achieved", "Traces", "What the targets determine",
        "Path of the fit", "Failures by kind", "Numerical confirmation", "Experiment", "Made with",
        "The command that makes it again",
    ]  # fmt: skip
    result = FitResult.load(fitted)
    for said in (
        "Which value of U gives size as measured?", ODD, "doi:10.1126/science.abj5861", "42 ± 1",
        "1 free parameter, 1 datum.", "No evaluation failed.", "tau_decay", result.message,
        *result.versions.values(), *result.sources.values(), f"stpspec fit '{fitted}'",
    ):  # fmt: skip
        assert said in page.text
    assert page.tags.count("svg") == 3  # targets, traces, path
    assert write_report(fitted) == path  # a report is written anew


def test_what_a_fit_says_is_what_its_result_says(fitted):
    result = FitResult.load(fitted)
    page = read(write_report(fitted)).text
    low = result.parameters["U"] - 1.96 * result.errors["U"]
    assert f"{low:.3g} … " in page
    assert f"to ± {100 * result.errors['U'] / result.parameters['U']:.2g} %" in page


def test_no_code_of_the_result_is_run_for_its_report(fitted, tmp_path):
    folder = tmp_path / "from elsewhere"
    shutil.copytree(fitted, folder)
    marker = tmp_path / "was_run"
    (folder / "plugins").mkdir()
    (folder / "plugins" / "foreign.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    import netCDF4

    with netCDF4.Dataset(folder / "result.nc", "a") as file:
        spec = json.loads(file.getncattr("spec"))
        spec["plugins"] = ["foreign"]
        spec["objective"]["terms"]["size"]["metric"] = "metric_of_foreign"
        file.setncattr("spec", json.dumps(spec))
    path = write_report(folder)
    assert not marker.exists()
    assert_alone(path)
    assert "metric_of_foreign" in read(path).text


def test_the_report_on_a_campaign_shows_each_row_and_failures_by_kind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text(TABLE, encoding="utf-8")
    (tmp_path / "small.yaml").write_text(small.YAML)
    campaign = stpspec.campaign("t.csv", "small.yaml", folder="out")
    assert campaign.states == {"done": 2, "failed": 1}
    path = write_report("out")
    assert_alone(path)
    page = read(path)
    assert {"one", "<b>two</b> & more", "at reversal"} <= set(page.headings)
    assert "2 done, 1 failed." in page.text
    assert "there is no current to measure" in page.text
    assert "stpspec fit out/one/result" in page.text


@pytest.fixture(scope="module")
def multirun(tmp_path_factory):
    folder = tmp_path_factory.mktemp("multirun")
    (folder / "small.yaml").write_text(small.YAML)
    words = ["fit", "small.yaml", "-m", "seed=1,2", "fitter=slsqp", "fitter.start=middle",
             "parameters.U.max=0.9,0.01"]  # fmt: skip
    small.cli(*words, "--out", "jobs", cwd=folder)
    return folder / "jobs"


def test_the_report_on_a_multirun_says_which_jobs_are_one_fit(multirun):
    path = write_report(multirun)
    assert_alone(path)
    page = read(path)
    assert "seeds change nothing in jobs 0, 2 (slsqp)" in page.text
    assert "min must be below max" in page.text
    command = "stpspec fit -m experiment=small.yaml seed=1,2 fitter=slsqp fitter.start=middle"
    assert f"{command} parameters.U.max=0.9,0.01" in page.text
    assert "Job 0, of the smallest loss" in page.headings
    assert "What all jobs have in common." in page.text


def test_the_report_on_a_study_is_made_of_its_trials_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fitter = {"kind": "optuna", "sampler": "random", "budget": {"evaluations": 12}}
    result = stpspec.fit(small.experiment(study="mine", fitter=fitter))
    path = write_report("mine")
    assert path.name == "mine-report.html"
    assert_alone(path)
    page = read(path)
    assert page.headings[0] == "Study mine"
    assert "12 complete." in page.text
    assert "in the 10 best trials" in page.text
    assert all(sha in page.text for sha in result.sources.values())
    assert write_report("stpspec-studies/mine.journal", "other.html").name == "other.html"
    with pytest.raises(StudyError, match="not another"):
        study_page("stpspec-studies/mine.journal", "another")


@pytest.mark.long
def test_runs_and_sweeps_have_reports_and_the_command_makes_them(tmp_path):
    (tmp_path / "small.yaml").write_text(small.YAML)
    assert small.cli("run", "small.yaml", "--out", "ran", cwd=tmp_path).returncode == 0
    assert (
        small.cli("sweep", "small.yaml", "U=[0.2,0.4]", "--out", "swept", cwd=tmp_path).returncode
        == 0
    )
    for folder, title in (("ran", "Simulation of small"), ("swept", "Sweep of small")):
        done = small.cli("report", folder, cwd=tmp_path)
        assert done.stdout == f"report in {folder}/report.html\n"
        assert_alone(tmp_path / folder / "report.html")
        assert read(tmp_path / folder / "report.html").headings[0] == title


def test_what_is_no_report_is_not_replaced_and_what_is_nothing_is_named(fitted, tmp_path):
    mine = tmp_path / "mine.html"
    mine.write_text("<p>written by hand</p>")
    with pytest.raises(ResultError, match="is no report"):
        write_report(fitted, mine)
    assert mine.read_text() == "<p>written by hand</p>"
    assert_alone(write_report(fitted, mine, overwrite=True))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ResultError, match="nothing to report on"):
        write_report(tmp_path / "empty")


def test_everything_that_a_page_is_given_is_shown_and_never_becomes_markup():
    page = Page(ODD)
    page.lead(ODD)
    page.section(ODD)
    page.heading(ODD)
    page.text(ODD)
    page.items([ODD])
    page.table([(ODD, "b"), (ODD, "c")])
    page.code(ODD)
    text = page.html(ODD)
    assert Elements(text).text.count(ODD) == 12  # the title, and the contents, too
    assert not {"script", "img"} & set(Elements(text).tags)


def test_a_wide_table_becomes_several_that_begin_with_the_same_column():
    page = Page("wide")
    cells = [f"{k:09d}" for k in range(20)]
    page.table([["name", *cells], ["row", *cells]])
    text = page.html("")
    assert text.count("<table>") == 3
    assert text.count("<td>row</td>") == 3


def test_failures_that_differ_in_numbers_alone_are_of_one_kind():
    reasons = ["nan from t = 512.3 ms on", "", "no response", "nan from t = -1e-3 ms on"]
    assert failures_by_kind(reasons)[1:] == [
        ("2", "nan from t = … ms on", "nan from t = 512.3 ms on"),
        ("1", "no response", ""),
    ]


@pytest.mark.needs("chromium")
def test_a_browser_prints_the_report_and_asks_nobody_for_anything(fitted, tmp_path):
    path = write_report(fitted)
    log = tmp_path / "net.json"
    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
         f"--log-net-log={log}", f"--user-data-dir={tmp_path / 'profile'}",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         f"--print-to-pdf={tmp_path / 'report.pdf'}", path.as_uri()],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed = (tmp_path / "report.pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 10
    asked = set(re.findall(r'"url":"(\w+)://(?!clients|update|accounts|optimization|www\.google)',
                           log.read_text(encoding="utf-8")))  # fmt: skip
    assert asked <= {"file", "chrome", "data"}
