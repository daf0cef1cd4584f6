"""Files of others: names stay inside, secrets are not kept, nothing runs unasked."""

from __future__ import annotations

import csv
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import netCDF4
import pytest
import small

import stpspec
from stpspec import api, log
from stpspec.campaigns.record import write_json
from stpspec.campaigns.summary import Campaign
from stpspec.config.compose import compose, load
from stpspec.config.errors import ConfigError
from stpspec.dashboard.server import application
from stpspec.dashboard.storage_view import _lines
from stpspec.errors import ResultError, SpecError, StpspecError, StudyError, TrustError
from stpspec.formatting import hide, masked, presentable, spreadsheet_cell
from stpspec.resources import path_inside
from stpspec.resources.trust import remember_code, require_trust, trust
from stpspec.results import multirun
from stpspec.results.simulation import save_jobs
from stpspec.specs.experiment import Experiment
from stpspec.studies.storage import with_password

SECRET = "geheim-77"
URL = f"postgresql+psycopg://me:{SECRET}@127.0.0.1:9/none"
ESCAPES = "\x1b]0;owned\x07\u202e\x9b31m"


@pytest.fixture(scope="module")
def fitted():
    return api.fit(small.experiment(fitter={"kind": "least_squares", "budget": {"evaluations": 4}}))


def with_attribute(folder: Path, **texts: object) -> None:
    with netCDF4.Dataset(folder / "result.nc", "a") as opened:
        for name, value in texts.items():
            opened.setncattr(name, json.dumps(value))


# -- names of files -------------------------------------------------------------------------------

OUTSIDE = [
    "../x",
    "mod/../../x",
    "/etc/x",
    "mod/../x.mod",
    "C:\\x",
    "mod\\..\\x",
    "",
    ".",
    "x.mod",
    "mod",
    "mod/",
    "other/x",
    "mod/a\x00b",
    "mod/\x1b[2J",
    "//x/y",
    "mod/../mod/../../x",
]


@pytest.mark.parametrize("name", [*OUTSIDE, 5, None])
def test_a_name_from_a_file_that_leads_out_of_its_folder_is_refused(tmp_path, name):
    with pytest.raises(ResultError, match="must be a file in"):
        path_inside(tmp_path, name, of=("mod", "templates", "plugins"))


def test_a_name_that_follows_a_link_out_of_its_folder_is_refused(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/mod").symlink_to(tmp_path)
    with pytest.raises(ResultError, match="must be a file in"):
        path_inside(tmp_path / "inner", "mod/x.mod")


@pytest.mark.parametrize("name", ["../../stolen.mod", "mod/../../stolen.mod", "result.nc/../../x"])
def test_a_result_writes_nothing_outside_its_folder(fitted, tmp_path, name):
    forged = replace(fitted, files={**fitted.files, name: "text"})
    with pytest.raises(ResultError, match="must be a file in"):
        forged.save(tmp_path / "a/b/c")
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == []
    folder = fitted.save(tmp_path / "good")
    with_attribute(folder, files={name: "text"})
    with pytest.raises(ResultError, match="must be a file in"):
        stpspec.FitResult.load(folder)


def test_a_campaign_names_folders_of_its_own_only(tmp_path):
    write_json(tmp_path / "campaign.json", {"connections": ["../other"]})
    with pytest.raises(ResultError, match="must be a file in"):
        Campaign(tmp_path)


def test_a_link_where_a_table_is_written_is_replaced_and_not_followed(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    folder = tmp_path / "jobs"
    multirun.begin(folder / "0", ["seed=1"])
    for name in ("jobs.csv", "jobs.png", "0/.job.json"):
        (folder / name).symlink_to(precious)
    multirun.end(folder / "0", ["seed=1"])
    found = multirun.collect(folder)
    save_jobs(folder, found, multirun.varied(found))
    assert precious.read_text() == "mine"
    assert not (folder / "jobs.csv").is_symlink()


# -- secrets --------------------------------------------------------------------------------------


def test_the_password_of_a_storage_is_with_the_connection_only():
    made = small.experiment(study={"name": "s", "storage": URL})
    for text in (json.dumps(made.to_data()), repr(made), str(made), made._repr_html_()):
        assert SECRET not in text
    assert made.study is not None
    assert made.study.storage == URL.replace(SECRET, "***")
    assert with_password(made.study.storage) == URL


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ("mysql://u:p%40ss-word@h/d", "mysql://u:***@h/d"),
        ("redis://:hunter-2@h:6379/0", "redis://:***@h:6379/0"),
        ("postgresql://u:a@b/c:d@h/d", "postgresql://u:***@h/d"),
        ("sqlite:///x.db?password=abcdef", "sqlite:///x.db?password=***"),
        (
            "postgresql://u@h/d?sslpassword=q-1-z&user=u",
            "postgresql://u@h/d?sslpassword=***&user=u",
        ),
        (
            "study={name: s, storage: 'mysql://u:pw@h/d'}",
            "study={name: s, storage: 'mysql://u:***@h/d'}",
        ),
        ("sqlite:////srv/me/a.db", "sqlite:////srv/me/a.db"),
        ("postgresql://me@h:5432/d", "postgresql://me@h:5432/d"),
        ("doi:10.1/2 at 12:30, me@x.org", "doi:10.1/2 at 12:30, me@x.org"),
    ],
)
def test_passwords_are_masked_in_urls_of_every_shape(written, left):
    assert masked(written) == left
    assert hide(written) == left
    assert masked(f"cannot connect to {written!r}") == f"cannot connect to {masked(written)!r}"


def test_a_password_is_asked_for_by_its_environment_variable(monkeypatch):
    url = "postgresql://me:***@other.host/d"
    with pytest.raises(StudyError, match="STPSPEC_STORAGE_PASSWORD"):
        with_password(url)
    monkeypatch.setenv("STPSPEC_STORAGE_PASSWORD", "s/p@ce d")
    assert with_password(url) == "postgresql://me:s%2Fp%40ce%20d@other.host/d"
    assert with_password("postgresql://me@other.host/d").startswith("postgresql://me:s%2Fp%40ce")
    assert with_password("sqlite:///a.db") == "sqlite:///a.db"
    assert "s/p@ce d" not in masked("it is s/p@ce d")


def test_a_command_keeps_no_password_in_its_files_log_or_errors(tmp_path):
    (tmp_path / "e.yaml").write_text(f"{small.YAML}study: {{name: s, storage: '{URL}'}}\n")
    done = small.cli(
        "fit", "-m", "e.yaml", "seed=1", f"study.storage={URL}", "--out", "m", cwd=tmp_path
    )
    again = small.cli(
        "fit", "e.yaml", f"description={URL}", "--traceback", "--log-level", "debug", cwd=tmp_path
    )
    said = done.stdout + done.stderr + again.stdout + again.stderr
    assert done.returncode == 1
    assert "me:***@127.0.0.1" in said
    assert SECRET not in said
    assert "other users of this machine can read a password" in done.stderr
    for path in (p for p in tmp_path.rglob("*") if p.is_file() and p.name != "e.yaml"):
        assert SECRET.encode() not in path.read_bytes(), path


def test_a_saved_run_of_an_experiment_with_a_password_holds_none(tmp_path):
    (tmp_path / "e.yaml").write_text(f"{small.YAML}study: {{name: s, storage: '{URL}'}}\n")
    done = small.cli("run", "e.yaml", f"description='{URL}'", "--out", "r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    files = [p for p in (tmp_path / "r").rglob("*") if p.is_file()]
    assert files
    assert not [p for p in files if SECRET.encode() in p.read_bytes()]


@pytest.mark.parametrize(
    "text",
    [
        "${oc.env:SECRET}",
        "a ${oc.env:SECRET,x} b",
        "${oc.decode:'1'}",
        "${hydra:runtime.cwd}",
        "${now:%Y}",
        "${oc.create:{a: 1}}",
        "${mine:1}",
        "${${name}:1}",
        "${oc.env:STPSPEC_STORAGE_PASSWORD}",
        "${oc.select:seed,${oc.env:SECRET}}",
        "${oc.deprecated:seed}",
        "${ oc.env : SECRET }",
    ],
)
def test_an_experiment_file_reads_nothing_of_the_process(tmp_path, monkeypatch, text):
    monkeypatch.setenv("SECRET", SECRET)
    file = tmp_path / "e.yaml"
    file.write_text(f'{small.YAML}description: "{text}"\n')
    with pytest.raises(ConfigError) as caught:
        compose(file)
    assert f"{file}:{small.YAML.count(chr(10)) + 1}: " in str(caught.value)
    assert SECRET not in str(caught.value)


def test_an_experiment_file_may_use_its_own_fields_and_variables_named_for_it(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("STPSPEC_LAB", "lab 7")
    file = tmp_path / "e.yaml"
    file.write_text(
        f"{small.YAML}description: '${{oc.env:STPSPEC_LAB}} ${{name}} ${{oc.select:seed}}'\n"
    )
    assert compose(file)[0]["description"] == "lab 7 small 0"
    monkeypatch.setenv("ANY", "told")
    data, _ = compose(file, ["description='${oc.env:ANY}'"])  # one's own command line
    assert data["description"] == "told"


@pytest.mark.parametrize(
    "lines",
    [
        "hydra: {callbacks: {a: {_target_: os.system, command: 'touch mark'}}}",
        "hydra: {job: {env_set: {PATH: x}}}",
        "hydra: {sweep: {dir: /tmp/x}}",
        "hydra: 5",
        "hydra: [1]",
        "hydra: {sweeper: {_target_: os.system}}",
        "hydra: {launcher: {setup: [x]}}",
    ],
)
def test_an_experiment_file_cannot_have_hydra_call_anything(tmp_path, lines):
    file = tmp_path / "e.yaml"
    file.write_text(f"{small.YAML}{lines}\n")
    with pytest.raises(ConfigError, match="sets nothing of Hydra but"):
        compose(file)


@pytest.mark.parametrize(
    "entry",
    ["/../../x", "/model/../../../x: y", "/model@hydra.callbacks.a: tm_patch", "/model: ../../x"],
)
def test_a_defaults_list_reads_no_file_above_the_groups(tmp_path, entry):
    file = tmp_path / "e.yaml"
    file.write_text(small.YAML.replace("defaults:\n", f"defaults:\n  - {entry}\n"))
    with pytest.raises(
        ConfigError, match=r"none above them|no (group|model) is called|have a colon"
    ):
        compose(file)


# -- code of others -------------------------------------------------------------------------------

PLUGIN = """\
from pathlib import Path
Path({mark!r}).write_text("plug-in")
from stpspec.plugins import Protocol, Stimulus, cost, loss, metric, protocol

@metric("stranger", unit="mV")
def stranger(response): return 1.0

@loss("strange")
def strange(difference): return difference ** 2

@protocol("strange_train")
class StrangeTrain(Protocol):
    kind: str = "strange_train"
    n: int = 3
    def stimulus(self, timing): return Stimulus((0.0,), 20.0)
    def provides(self): return frozenset({{"event"}})
"""
TEMPLATE = (
    'from pathlib import Path\nPath({mark!r}).write_text("template")\nclass Cell:\n    pass\n'
)
HOC = """\
begintemplate Strange
public soma
create soma
proc init() {{ system("touch {mark}") }}
endtemplate Strange
"""
MOD = """\
NEURON {{ POINT_PROCESS Strange }}
VERBATIM
static int a = system("touch {mark}");
ENDVERBATIM
"""


@pytest.fixture
def stranger(fitted, tmp_path):
    """Return the folder of a result of others, whose every part leaves a mark, and the mark."""
    folder, mark = fitted.save(tmp_path / "stranger"), tmp_path / "mark"
    parts = {
        "plugins/stranger_plugin.py": PLUGIN,
        "templates/strange.py": TEMPLATE,
        "templates/strange.hoc": HOC,
        "mod/strange.mod": MOD,
    }
    texts = {name: text.format(mark=str(mark)) for name, text in parts.items()}
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    spec = small.data(
        plugins=["stranger_plugin"],
        model__mod=["strange.mod"],
        model__mechanism="Strange",
        model__cell={"file": "strange.py", "template": "Cell"},
        protocols={"single": {"kind": "strange_train", "n": 4}},
    )
    spec["objective"] = {
        "cost": "strange_cost",
        "terms": {
            "size": {
                "metric": "stranger",
                "protocol": "single",
                "target": 42.0,
                "sd": 1.0,
                "loss": "strange",
            }
        },
    }
    with_attribute(folder, spec=spec, files=texts, sources={}, places={})
    (folder / "experiment.yaml").write_text(f"# @package _global_\n{json.dumps(spec)}\n")
    return folder, mark


def test_to_look_at_a_result_runs_none_of_its_code(stranger, tmp_path):
    folder, mark = stranger
    path = list(os.sys.path)
    result = stpspec.FitResult.load(folder)
    assert "stranger" in str(result)
    assert repr(result)
    assert result._repr_html_()
    assert repr(result.experiment)
    assert result.summary()["name"] == "small"
    assert result.experiment.protocols["single"].kind == "strange_train"
    assert (
        Experiment.from_saved(result.experiment.to_data()).to_data() == result.experiment.to_data()
    )
    again = stpspec.FitResult.load(result.save(tmp_path / "copy"))
    assert again.experiment.to_data() == result.experiment.to_data()
    assert not mark.exists()
    assert path == os.sys.path  # where a module of others could take the place of a missing one


def test_collect_and_a_campaign_run_none_of_the_code_in_their_results(stranger, tmp_path):
    folder, mark = stranger
    multirun.begin(tmp_path / "jobs/0", [])
    multirun.end(tmp_path / "jobs/0", [])
    shutil.copytree(folder, tmp_path / "jobs/0/result")
    assert "stopped" not in repr(stpspec.collect(tmp_path / "jobs"))
    write_json(tmp_path / "c/campaign.json", {"connections": ["a"]})
    write_json(tmp_path / "c/a/connection.json", {"connection": "a", "status": "done"})
    shutil.copytree(folder, tmp_path / "c/a/result")
    campaign = Campaign(tmp_path / "c")
    assert campaign.table()
    assert repr(campaign["a"])
    assert not mark.exists()


@pytest.mark.parametrize("verb", ["check", "run", "fit", "sweep"])
def test_a_verb_that_would_run_code_in_a_result_names_it_first(stranger, tmp_path, verb):
    folder, mark = stranger
    done = small.cli(verb, str(folder), cwd=tmp_path)
    assert done.returncode == 1
    for name in (
        "plugins/stranger_plugin.py",
        "templates/strange.py",
        "mod/strange.mod",
        "--trust",
    ):
        assert name in done.stderr
    assert not mark.exists()


def test_python_names_the_code_in_a_result_as_well(stranger):
    folder, mark = stranger
    result = stpspec.FitResult.load(folder)
    for use in (stpspec.simulate, stpspec.fit):
        with pytest.raises(StpspecError, match=r"(?s)not run on this machine before.*trust=True"):
            use(result.experiment)
    with pytest.raises((TrustError, SpecError), match="not run on this machine before"):
        load(folder)
    assert not mark.exists()


def test_trust_is_given_once_for_the_bytes_of_each_file(stranger, tmp_path, monkeypatch):
    monkeypatch.setenv("STPSPEC_CACHE", str(tmp_path / "cache"))
    folder, _ = stranger
    file = folder / "mod/strange.mod"
    with pytest.raises(TrustError):
        require_trust(file)
    assert file in trust(folder)
    require_trust(file)
    assert trust(folder) == []
    shutil.copytree(folder, tmp_path / "elsewhere")
    require_trust(tmp_path / "elsewhere/mod/strange.mod")
    file.write_text("changed")
    with pytest.raises(TrustError, match=r"mod/strange\.mod"):
        require_trust(file)
    (folder / "templates/helper.py").write_text("beside it, and imported by what is trusted")
    with pytest.raises(TrustError, match=r"templates/helper\.py"):
        require_trust(folder / "templates/strange.py")


@pytest.mark.long
def test_a_result_of_ones_own_is_run_again_without_a_question(tmp_path, monkeypatch):
    monkeypatch.setenv("STPSPEC_CACHE", os.environ.get("STPSPEC_CACHE") or str(tmp_path / "cache"))
    patch = (small.ROOT / "templates/patch.py").read_text() + "\n# mine\n"
    (tmp_path / "mine.py").write_text(patch)
    text = small.YAML.replace("  fixed:", "  cell: {file: mine.py}\n  fixed:")
    (tmp_path / "e.yaml").write_text(text)
    assert small.cli("run", "e.yaml", "--out", "r", cwd=tmp_path).returncode == 0
    again = small.cli("run", "r", "--out", "s", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert not list((tmp_path / "r").rglob("__pycache__"))


def test_what_was_run_is_remembered_by_its_hash_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("STPSPEC_CACHE", str(tmp_path))
    remember_code(["ab" * 32])
    assert [(p.name, p.read_bytes()) for p in (tmp_path / "trusted").iterdir()] == [
        ("ab" * 32, b"")
    ]


# -- damaged files --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("campaign.json", "{", "record of a campaign"),
        ("campaign.json", "[]", "record of a campaign"),
        ("campaign.json", '{"connections": 5}', "connections: "),
        ("campaign.json", '{"connections": ["a"' + "]" * 9, "record of a campaign"),
        ("campaign.json", "[" * 100_000, "record of a campaign"),
        ("campaign.json", "\xff", "campaign"),
        ("a/connection.json", '{"status": 7}', "status: "),
        ("a/connection.json", "null", "record of a connection"),
        ("a/connection.json", '{"spec": 1e9999, "status": []}', "record of a connection"),
    ],
)
def test_a_damaged_record_of_a_campaign_is_named_with_its_fault(tmp_path, name, content, words):
    write_json(tmp_path / "campaign.json", {"connections": ["a"]})
    write_json(tmp_path / "a/connection.json", {"connection": "a", "status": "waiting"})
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(ResultError, match=words) as caught:
        Campaign(tmp_path).table()
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"summary": {}},
        {"summary": 5},
        {"spec": []},
        {"files": {"mod/x.mod": 5}},
        {"log": {"a": 1}},
        {"spec": small.data(parameters={})},
        {"spec": small.data(objective=None)},
        {"places": [1]},
    ],
)
def test_a_forged_result_says_what_does_not_go_together(fitted, tmp_path, change):
    folder = fitted.save(tmp_path / "r")
    with_attribute(folder, **change)
    with pytest.raises(ResultError, match=r"result\.nc"):
        stpspec.FitResult.load(folder)


@pytest.mark.parametrize(
    "rows",
    [
        {"a": {"size": 10**400}},
        {"a": {"size.target.x.y": 1}},
        {"a": {"size": [[1]]}},
        {"a": {"recording.kind.a.b": 1, "size": 1}},
        {"a": {"seed.x": 1, "size": 1}},
        {"a": {"parameters.U.min.x.y": 3, "size": 1}},
    ],
)
def test_a_table_with_numbers_and_paths_of_any_shape_has_problems_in_its_cells(rows):
    from stpspec.campaigns.bases import Bases
    from stpspec.campaigns.rows import row_experiment
    from stpspec.campaigns.table import read

    content = read(rows)
    entries = [row_experiment(row, Bases(small.experiment(), (), content)) for row in content.rows]
    assert all(e.problems or e.unknown for e in entries)


# -- text that is shown ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "evil", [ESCAPES, "\r", "\x08", "\u2066x\u2069", "\u200f", "\ud800", "\u2028"]
)
def test_no_control_character_of_a_file_reaches_a_terminal(evil):
    assert presentable(f"a{evil}b").isprintable()
    assert presentable(evil).isascii()
    assert (
        presentable("Purkinje → pyr, µS ± 2 %\n\tß 東京 –")
        == "Purkinje → pyr, µS ± 2 %\n\tß 東京 –"
    )
    assert str(StpspecError(f"no file {evil}")).isprintable()


def test_notes_and_names_of_a_result_are_shown_without_control_characters(fitted, tmp_path):
    evil = replace(
        fitted, message=f"a{ESCAPES}", notes={"size": [f"<script>{ESCAPES}"]}, log=(ESCAPES,)
    )
    loaded = stpspec.FitResult.load(evil.save(tmp_path / "r"))
    shown = str(loaded) + repr(loaded) + loaded._repr_html_() + (tmp_path / "r/log.txt").read_text()
    assert not set(ESCAPES) & {"\x1b", "\x07", "\u202e", "\x9b"} & set(shown)
    assert "<script>" not in loaded._repr_html_()
    lines = log.LogRecorder()
    lines.emit(__import__("logging").makeLogRecord({"msg": f"a{ESCAPES}\nb"}))
    assert "\x1b" not in lines.lines[0]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C x'!A0", "'+cmd|' /C x'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" =1", " '=1"),
        ("a;=1", "a;'=1"),
        ("\t=1", "\t'=1"),
        ("＝1", "'＝1"),
        ("-0.5", "-0.5"),
        ("+1e-3", "+1e-3"),
        ("-5 mV", "-5 mV"),
        ("a=b", "a=b"),
        ("pvalb→pyr", "pvalb→pyr"),
    ],
)
def test_a_cell_that_a_spreadsheet_would_run_becomes_text(text, written):
    assert spreadsheet_cell(text) == written


def test_tables_for_spreadsheets_hold_no_formula(tmp_path):
    multirun.begin(tmp_path / "0", ["name==HYPERLINK(1)", "seed=1"])
    multirun.end(tmp_path / "0", ["name==HYPERLINK(1)", "seed=1"], StpspecError("=1+1"))
    multirun.begin(tmp_path / "1", ["name=@x", "seed=2"])
    found = multirun.collect(tmp_path)
    save_jobs(tmp_path, found, multirun.varied(found))
    with (tmp_path / "jobs.csv").open() as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert "'=HYPERLINK(1)" in cells
    assert not [c for c in cells if c.startswith(("=", "@", "+"))]


def asked(app, path="/api/studies", **environ):
    given: dict[str, object] = {}
    setup_testing_defaults(given)
    heads = []
    body = b"".join(app(given | {"PATH_INFO": path, **environ}, lambda *head: heads.append(head)))
    return heads[-1], body


def test_the_dashboard_answers_under_its_own_address_only(tmp_path):
    import optuna

    place = str(tmp_path / "s.journal")
    backend = optuna.storages.journal.JournalFileBackend(place)
    optuna.create_study(study_name="s", storage=optuna.storages.JournalStorage(backend))
    app, _ = application(place)
    for host in ("127.0.0.1:8080", "localhost", "[::1]:8080", "LOCALHOST:1"):
        assert asked(app, HTTP_HOST=host)[0][0] == "200 OK", host
    for host in (
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
    ):
        assert asked(app, HTTP_HOST=host)[0][0] == "403 Forbidden", host


def test_the_note_of_a_study_holds_no_html(tmp_path):
    spec = small.data(name="<img src=x onerror=1>", description="```\n<script>x</script>\n````")
    spec["objective"]["terms"] = {"a|b<b>": {**spec["objective"]["terms"]["size"], "options": {}}}
    note = "\n".join(_lines(spec))
    fence = next(line for line in note.splitlines() if line.endswith("yaml"))[:-4]
    table, _, code = note.partition(f"\n{fence}yaml\n")
    assert "<" not in table
    assert code.endswith(fence)
    assert fence not in code[: -len(fence)]


def test_a_damaged_study_has_no_page_that_is_a_server_error(tmp_path):
    import optuna

    place = str(tmp_path / "s.journal")
    backend = optuna.storages.journal.JournalFileBackend(place)
    study = optuna.create_study(study_name="s", storage=optuna.storages.JournalStorage(backend))
    study.set_user_attr("spec", "{")
    study.add_trial(optuna.trial.create_trial(value=1.0, user_attrs={"evaluation": 5}))
    app, _ = application(place)
    for path in ("/api/studies", "/api/studies/0", "/csv/0", "/api/studies/7", "/artifacts/0/ab"):
        assert not asked(app, path)[0][0].startswith("500"), path
