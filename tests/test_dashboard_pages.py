"""The dashboard's pages: figures of trials, studies of a folder, and no control that writes."""

import json
import re
import shutil
from wsgiref.util import setup_testing_defaults

import pytest
from programs import page_in_browser
from small import data
from test_dashboard import dashboard
from test_studies import studied

import stpspec
from stpspec.dashboard.controls import ICONS, STYLE
from stpspec.dashboard.joined import studies_below
from stpspec.dashboard.server import application, folder_application


def told(app, path, query=""):
    """Return status and content of what the application answers."""
    environ, heads = {}, []
    setup_testing_defaults(environ)
    environ |= {"PATH_INFO": path, "QUERY_STRING": query}
    answer = app(environ, lambda status, *_: heads.append(status))
    body = b"".join(answer)
    getattr(answer, "close", lambda: None)()  # of a file
    return heads[0], body


def detail(app, number):
    status, body = told(app, f"/api/studies/{number}", "after=0")
    assert status.startswith("200")
    return json.loads(body)


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    folder = tmp_path_factory.mktemp("single")
    stpspec.fit(studied(folder))
    return folder / "s.journal"


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    folder = tmp_path_factory.mktemp("campaign")
    rows = [{"connection": "a→b", "size": 42.0}, {"connection": "c→d", "size": 30.0}]
    base = stpspec.Experiment.from_data(data())
    return stpspec.campaign(rows, base, folder=folder / "all").folder


def test_the_figure_of_a_trial_is_on_its_own_page(single):
    app, page = application(str(single))
    trials = detail(app, page.rpartition("/")[2])["trials"]
    shown = [t for t in trials if t["artifacts"]]
    assert shown
    for trial in shown:
        (figure,) = trial["artifacts"]
        assert figure["filename"] == f"trial_{trial['number']}.png"
        place = f"/artifacts/{trial['study_id']}/{trial['trial_id']}/{figure['artifact_id']}"
        status, body = told(app, place)
        assert status.startswith("200")
        assert body.startswith(b"\x89PNG")


def test_all_studies_of_a_campaign_are_opened_each_with_its_trials_and_figures(campaign):
    pairs = studies_below(campaign)
    assert [name for _, name in pairs] == ["all.a_b", "all.c_d"]
    app, page = folder_application(pairs)
    assert page == "/dashboard"
    listed = json.loads(told(app, "/api/studies")[1])["study_summaries"]
    assert {s["study_name"] for s in listed} == {"all.a_b", "all.c_d"}
    targets = set()
    for study in listed:
        one = detail(app, study["study_id"])
        result = stpspec.FitResult.load(campaign / study["study_name"][4:] / "result")
        assert one["best_trials"][0]["values"] == [pytest.approx(result.loss_search)]
        targets.add(one["note"]["body"])
        (trial,) = [t for t in one["trials"] if t["artifacts"]]
        figure = trial["artifacts"][0]["artifact_id"]
        place = f"/artifacts/{study['study_id']}/{trial['trial_id']}/{figure}"
        assert told(app, place)[1].startswith(b"\x89PNG")
    assert len(targets) == 2, "each study has its own note"


def test_what_has_no_study_yet_or_is_damaged_is_left_out(campaign, tmp_path):
    shutil.copytree(campaign, tmp_path / "all")
    (tmp_path / "all" / "a_b" / "connection.json").write_text("{")
    shutil.rmtree(tmp_path / "all" / "a_b" / "result")
    assert [name for _, name in studies_below(tmp_path / "all")] == ["all.c_d"]
    assert studies_below(tmp_path) == []


@pytest.mark.long
@pytest.mark.needs("chromium")
def test_every_control_that_writes_is_hidden_and_is_what_this_release_has(single):
    seen = ""
    with dashboard(single) as page:
        addresses = [page.partition("/studies")[0], page, f"{page}/trials?numbers=0"]
        for address in addresses:
            shown = page_in_browser(address)
            assert STYLE.decode() in shown.replace("&gt;", ">")
            seen += shown
    buttons = "".join(re.findall(r"<button.*?</button>", seen, re.DOTALL))
    for icon in ICONS:
        assert f'data-testid="{icon}"' in buttons
        assert f'button:has(svg[data-testid="{icon}"])' in STYLE.decode()
    assert 'data-testid="UploadFileIcon"' in seen
