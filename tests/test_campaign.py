"""A table of connections becomes one fit each, one table and one figure; it can be gone on with."""

import csv
import dataclasses
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import small

import stpspec
from stpspec.campaigns.plan import plan
from stpspec.campaigns.record import ConnectionState, connection_states, locked, note
from stpspec.campaigns.summary import Campaign
from stpspec.campaigns.table import read
from stpspec.errors import ResultError, SpecError, UnknownNameError
from stpspec.view.campaign_figure import plot_campaign
from stpspec.view.campaign_table import campaign_rows, campaign_table
from stpspec.view.tables import fit_parts
from stpspec.view.targets import plot_targets

TABLE = """\
# from a paper
connection,size [pA],size_sd,model.fixed.tau_decay,#n
pvalb→pyr,42,2,2 ms,4
pyr→sst,0.021 ± 0.001 nA,,,5
impossible,4200,2,3,6
"""


def rows_of(folder):
    with (folder / "summary.csv").open(encoding="utf-8") as file:
        return {row["connection"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("campaign")
    (folder / "small.yaml").write_text(small.YAML)
    (folder / "table.csv").write_text(TABLE, encoding="utf-8")
    said = small.cli("campaign", "table.csv", "small.yaml", "--out", "out", cwd=folder)
    return folder, said


# -- what it leaves -----------------------------------------------------------------------------


def test_each_connection_has_its_folder_study_and_result_and_a_row_of_the_summary(done):
    folder, said = done
    assert said.returncode == 3, said.stderr  # one connection is impossible
    assert said.stderr == ""
    for name in ("pvalb_pyr", "pyr_sst", "impossible"):
        assert (folder / "out" / name / "result/result.nc").is_file()
        assert len(list((folder / "out" / name).glob("study-*.journal"))) == 1
    rows = rows_of(folder / "out")
    assert list(rows) == ["pvalb→pyr", "pyr→sst", "impossible"]
    first, second, third = rows.values()
    assert (first["size target [pA]"], first["size sd [pA]"]) == ("42", "2")
    assert float(first["U"]) == pytest.approx(0.6, rel=1e-3)
    assert float(second["size target [pA]"]) == pytest.approx(21)  # written in nA, with its sd
    assert float(second["size sd [pA]"]) == pytest.approx(1)
    assert float(second["U"]) == pytest.approx(0.3, rel=1e-3)
    assert (third["U at bound"], third["status"]) == ("max", "done")
    assert float(third["size miss [sd]"]) < -1000
    assert (folder / "out/summary.png").stat().st_size > 10_000


def test_the_table_is_printed_with_misses_and_bounds(done):
    _, said = done
    assert "pvalb→pyr" in said.stdout
    assert "◀ max" in said.stdout
    assert "3 done; summary.csv and summary.png in out" in said.stdout


def test_python_reads_the_campaign_and_each_result(done):
    campaign = Campaign(done[0] / "out")
    assert repr(campaign) == "Campaign(out: 3 connections; 3 done)"
    assert str(campaign) == campaign.table(100)
    assert "<table" in campaign._repr_html_()
    assert campaign["pyr→sst"].parameters == campaign["pyr_sst"].parameters
    fixed = campaign["pvalb→pyr"].experiment.model.fixed
    assert fixed["tau_decay"] == 2.0
    with pytest.raises(UnknownNameError, match="pvalb→pyr"):
        _ = campaign["pvalb→pry"]


def test_collect_sums_up_a_campaign_and_refuses_another_folder(done, tmp_path):
    folder, said = done
    again = small.cli("collect", "out", cwd=folder)
    assert again.returncode == 3
    assert again.stdout.strip() in said.stdout
    with pytest.raises(ResultError, match="no campaign in"):
        connection_states(tmp_path)


# -- going on -----------------------------------------------------------------------------------


@pytest.mark.long
def test_the_same_again_fits_nothing_and_a_changed_row_only_itself(done):
    folder, _ = done
    out = folder / "out"
    before = {p.parent.parent.name: p.stat().st_mtime_ns for p in out.glob("*/result/result.nc")}
    again = small.cli("campaign", "table.csv", "small.yaml", "--out", "out", cwd=folder)
    assert "3 of them done before" in again.stdout
    (folder / "changed.csv").write_text(TABLE.replace("42,2,", "35,2,"), encoding="utf-8")
    changed = small.cli("campaign", "changed.csv", "small.yaml", "--out", "out", cwd=folder)
    assert "[1/1] pvalb→pyr: done" in changed.stdout
    after = {p.parent.parent.name: p.stat().st_mtime_ns for p in out.glob("*/result/result.nc")}
    assert {n for n in after if after[n] != before[n]} == {"pvalb_pyr"}
    assert float(rows_of(out)["pvalb→pyr"]["U"]) == pytest.approx(0.5, rel=1e-3)
    kept = list((out / "pvalb_pyr").glob("result-*"))
    assert [stpspec.FitResult.load(k).parameters["U"] for k in kept] == pytest.approx([0.6], 1e-3)


@pytest.mark.long
def test_a_changed_mechanism_file_means_a_new_fit_with_a_study_of_its_own(tmp_path):
    own = tmp_path / "Own.mod"
    shipped = small.ROOT / "mod" / "TsodyksMarkram.mod"
    own.write_text(shipped.read_text().replace("TsodyksMarkram", "OwnOfCampaigns"))
    base = small.experiment(model__mechanism="OwnOfCampaigns", model__mod=[str(own)])
    rows = {"a": {"size": 42}, "b": {"size": 30}}
    _, before, _ = plan(rows, base, (), tmp_path / "out")
    _, again, _ = plan(rows, base, (), tmp_path / "out")
    assert [c.digest for c in again] == [c.digest for c in before]
    own.write_text(own.read_text().replace("gmax      = 0.001", "gmax      = 0.002"))
    _, after, _ = plan(rows, base, (), tmp_path / "out")
    for old, new in zip(before, after, strict=True):
        assert new.digest != old.digest
        assert new.experiment.study.storage != old.experiment.study.storage


@pytest.mark.long
def test_a_killed_campaign_goes_on_in_the_study_of_each_connection(tmp_path):
    table = [{"connection": f"c{i}", "size": 30 + i} for i in range(2)]
    (tmp_path / "small.yaml").write_text(small.YAML)
    (tmp_path / "table.yaml").write_text(json.dumps(table))
    words = ["campaign", "table.yaml", "small.yaml", "--out", "out",
             "fitter.kind=optuna", "fitter.sampler=random", "fitter.batch=1"]  # fmt: skip
    budget = "fitter.budget.evaluations={}".format
    process = subprocess.Popen(
        [sys.executable, "-m", "stpspec.cli", *words, budget(100000)], cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip

    def trials():
        journals = list((tmp_path / "out" / "c0").glob("*.journal"))
        return journals[0].read_text().count('"evaluation"') if journals else 0

    deadline = time.monotonic() + 120
    while trials() < 5 and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [c.status for c in connection_states(tmp_path / "out")] == ["stopped", "waiting"]
    kept = trials()
    assert kept >= 5
    done = small.cli(*words, budget(kept + 3), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    campaign = Campaign(tmp_path / "out")
    assert campaign.states == {"done": 2}
    # One that died before it had written its process's name is still waited for.
    assert kept + 2 <= campaign["c0"].n_evaluations <= kept + 3
    assert trials() <= kept + 4  # all but one that was running were taken over


@pytest.mark.long
def test_one_that_fails_is_kept_with_its_reason_and_tried_again(tmp_path):
    (tmp_path / "moody.py").write_text(
        "import os\nimport stpspec\n\n@stpspec.cost('moody')\ndef moody(metrics, targets):\n"
        "    if targets['size'] == 20 and not os.path.exists('well'):\n"
        "        raise ValueError('not today')\n"
        "    return (metrics['size'] - targets['size']) ** 2\n"
    )
    text = small.YAML.replace("objective:\n", "plugins: [moody]\nobjective:\n  cost: moody\n")
    text += "fitter: {kind: minimize, method: L-BFGS-B, budget: {evaluations: 30}}\n"
    (tmp_path / "small.yaml").write_text(text)
    (tmp_path / "t.csv").write_text("connection;size\na;30\nb;20\nc;40\n")
    run = ("campaign", "t.csv", "small.yaml", "--out", "out")
    done = small.cli(*run, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert [c.status for c in connection_states(tmp_path / "out")] == ["done", "failed", "done"]
    assert "not today" in rows_of(tmp_path / "out")["b"]["reason"]
    assert "not today" in (tmp_path / "out" / "b" / "log.txt").read_text()
    assert "b failed: " in done.stdout
    assert "2 done, 1 failed" in done.stdout
    with pytest.raises(ResultError, match="b has no result, it is failed"):
        _ = Campaign(tmp_path / "out")["b"]
    (tmp_path / "well").touch()
    again = small.cli(*run, "--only", "b", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert again.returncode == 0, again.stderr
    assert "stpspec collect out" in again.stdout
    assert Campaign(tmp_path / "out").states == {"done": 3}
    assert not (tmp_path / "out" / "b" / "log.txt").exists()  # of the fit that failed
    assert (tmp_path / "out" / "b" / "result" / "log.txt").exists()


@pytest.mark.long
def test_two_processes_share_the_rows(tmp_path):
    table = [{"connection": "a", "size": 30.0}, {"connection": "b", "size": 31.0}]
    stpspec.campaign(table[:1], small.experiment(), folder=tmp_path)
    with locked(tmp_path / "b") as mine:
        assert mine
        again = stpspec.campaign(table, small.experiment(), folder=tmp_path)
    assert [c.status for c in again.connections] == ["done", "waiting"]
    assert stpspec.campaign(table, small.experiment(), folder=tmp_path).states == {"done": 2}


@pytest.mark.parametrize(
    "launcher",
    [
        ["joblib", "hydra.launcher.n_jobs=2"],
        ["submitit_local"],
    ],
    ids=lambda w: w[0],
)
@pytest.mark.long
def test_other_launchers_give_the_same(tmp_path, launcher):
    (tmp_path / "small.yaml").write_text(small.YAML)
    (tmp_path / "t.csv").write_text("connection,size\na→b,42\nb→a,21\n", encoding="utf-8")
    done = small.cli(
        "campaign", "t.csv", "small.yaml", f"hydra/launcher={launcher[0]}", *launcher[1:],
        "--out", "out", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    values = [float(r["U"]) for r in rows_of(tmp_path / "out").values()]
    assert values == pytest.approx([0.6, 0.3], rel=1e-3)


# -- what a row sets ----------------------------------------------------------------------------


def planned(table, base=None, tmp_path=None):
    from stpspec.campaigns.plan import plan

    base = base or small.experiment(parameters__tau_rec={"min": 20.0, "max": 100.0})
    return {c.label: c.experiment for c in plan(table, base, (), tmp_path)[1]}


def test_cells_set_targets_sds_fields_and_what_is_fixed_is_free_no_longer(tmp_path):
    made = planned(
        {
            "a": {"size": "40 ± 4 pA", "model.fixed.tau_rec": "50 ms", "source": "doi:1"},
            "b": {"size [nA]": 0.04, "size_sd": 0.004, "parameters": {"tau_rec": {"max": 200}}},
            "c": {"size": {"target": "40 pA", "sd": 4}, "recording.holding_potential": "-60 mV"},
            "d": {"size_sd": 3, "seed": 4, "#remark": "none", "protocols.single.duration": None},
        },
        tmp_path=tmp_path,
    )
    terms = {n: e.objective.terms["size"] for n, e in made.items()}
    assert (terms["a"].target, terms["a"].sd) == ("40 pA", "4 pA")
    assert (terms["b"].target, terms["b"].sd) == ("0.04 nA", "0.004 nA")
    assert (terms["c"].target, terms["c"].sd) == ("40 pA", "4 pA")
    assert (terms["d"].target, terms["d"].sd) == (42.0, 3.0)
    assert list(made["a"].parameters) == ["U"]
    assert made["a"].model.fixed["tau_rec"] == "50 ms"
    assert made["a"].source == "doi:1"
    assert made["b"].parameters["tau_rec"].max == 200
    assert made["c"].recording.holding_potential == -60
    assert made["d"].seed == 4


def test_a_table_with_decimal_commas_says_the_same_as_one_with_points(tmp_path, caplog):
    text = "connection;size [pA];model.fixed.tau_decay;#\na 1.5;42,5;2,5 ms;1.2\n"
    text += "b;0,021 ± 0,001 nA;3;\n"
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    first, second = read(tmp_path / "t.csv").rows
    assert {n: c.value for n, c in first.cells.items()} == {
        "size": "42.5", "model.fixed.tau_decay": "2.5 ms",
    }  # fmt: skip
    assert first.label == "a 1.5"
    assert second.cells["size"].value == "0.021 ± 0.001 nA"
    assert "42,5 is read as 42.5" in caplog.text
    (tmp_path / "t.csv").write_text(text.replace("42,5", "42.5"), encoding="utf-8")
    assert read(tmp_path / "t.csv").rows[0].cells["model.fixed.tau_decay"].value == "2,5 ms"


def test_a_term_without_data_is_dropped_and_a_base_may_leave_targets_to_the_rows(tmp_path):
    (tmp_path / "small.yaml").write_text(
        small.YAML.replace(", target: 42.0, sd: 1.0", "")
        + "    late: {metric: latency, protocol: single, target: 1.5}\n"
    )
    (tmp_path / "t.csv").write_text("connection,size,late\na,40 pA,–\nb,n/a,2\n", encoding="utf-8")
    made = planned(tmp_path / "t.csv", tmp_path / "small.yaml", tmp_path)
    assert [list(e.objective.terms) for e in made.values()] == [["size"], ["late"]]


def test_rows_may_have_bases_and_groups_of_their_own(tmp_path):
    (tmp_path / "small.yaml").write_text(small.YAML)
    (tmp_path / "t.csv").write_text(
        "connection,experiment,size,recovery,fitter\n"
        "a,small.yaml,40,,tpe\nb,pvalb_pyr,,-0.2,\nc,pvalb_pyr,,-0.3,\n"
    )
    made = planned(tmp_path / "t.csv", "pyr_sst", tmp_path)
    assert [e.fitter.kind for e in made.values()] == ["optuna", "least_squares", "least_squares"]
    assert made["b"].objective.terms["recovery"].target == -0.2
    assert made["b"].study.name == f"{tmp_path.name}.b"


def test_a_study_storage_that_is_given_is_taken(tmp_path):
    base = small.experiment(study={"name": "paper", "storage": "sqlite:///all.db"})
    study = planned({"a": {"size": 3}}, base, tmp_path)["a"].study
    assert (study.name, study.storage) == ("paper.a", "sqlite:///all.db")


def test_a_changed_row_is_fitted_anew_in_a_study_storage_that_is_given(tmp_path):
    study = {"name": "paper", "storage": str(tmp_path / "all.journal")}
    base = small.experiment(study=study, fitter={"kind": "bounded"})
    for size in (42.0, 35.0):
        done = stpspec.campaign({"a": {"size": size}}, base, folder=tmp_path / "out")
        assert done.states == {"done": 1}
        assert done["a"].metrics["size"] == pytest.approx(size, rel=1e-3)


def test_a_dataframe_is_a_table(tmp_path):
    import pandas as pd

    frame = pd.DataFrame({"connection": ["a", "b"], "size": [40.0, np.nan], "seed": [1, 2]})
    table = read(frame)
    assert [r.cells["size"].value for r in table.rows] == [40.0, None]
    assert table.rows[0].cells["seed"].value == 1


# -- what is wrong with it ----------------------------------------------------------------------

BAD = """\
connection,size [pA],sise_sd,model.fixed.tau_deca,protocols.singel.duration,parameters.U.min,U
a,42,1,,,,
a,42,,,,,
b,42x,,2,,,
c,42,,,30,2,
d,42 ± -1,
e,–,,,,,
,42,,,,,
"""


def test_rows_without_any_experiment_are_one_problem_of_the_column():
    with pytest.raises(SpecError) as caught:
        plan([{"connection": f"c{i}", "size": 42} for i in range(6)], None, [], None)
    assert [p.path for p in caught.value.problems] == ["column experiment"]


def test_the_same_problem_of_many_rows_is_one_that_names_some_of_them():
    rows = [{"connection": f"c{i}", "size [mV]": 42} for i in range(6)]
    with pytest.raises(SpecError) as caught:
        plan(rows, small.experiment(), [], None)
    (problem,) = caught.value.problems
    assert problem.path == "rows c0, c1, c2 and 3 more, column size [mV]"
    assert problem.column == "size [mV]"


def test_all_that_is_wrong_is_told_at_once_with_line_row_column_and_nearest_name(tmp_path):
    (tmp_path / "small.yaml").write_text(small.YAML)
    (tmp_path / "t.csv").write_text(BAD, encoding="utf-8")
    done = small.cli("campaign", "t.csv", "small.yaml", cwd=tmp_path)
    assert done.returncode == 1
    lines = done.stderr.splitlines()

    def told(*parts):
        return any(all(p in line for p in parts) for line in lines)

    assert told("t.csv:1 | column sise_sd: no such column", "did you mean 'size_sd'?")
    assert told("t.csv:1 | column U: U is a parameter: model.fixed.U fixes it")
    assert told("t.csv:3 | row a, column connection: each connection has one row")
    assert told("t.csv:4 | row b, column size [pA]: unknown unit 'x'", "received '42x'")
    assert told("t.csv:4 | row b, column model.fixed.tau_deca:", "did you mean 'tau_decay'?")
    assert told("t.csv:5 | row c, column protocols.singel.duration", "did you mean 'single'?")
    assert told("t.csv:5 | row c, column parameters.U.min: min must be below max", "'2'")
    assert told("t.csv:6 | row d: 7 cells are needed, as many as columns", "received 3")
    assert told("t.csv:7 | row e: no target is left")
    assert told("t.csv:8 | row 7, column connection: each row needs the name") or told("t.csv:8")
    assert not (tmp_path / "stpspec-results").exists()


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ([], "there is no row in it"),
        ([{"connection": "a"}, 3], "expected a mapping, column: value"),
        ({"a→b": {}, "a b": {}}, "both have the folder a_b"),
        ([{"connection": "a", "model.fixed.U": 0.3}], "no parameter is left that is free"),
        ([{"connection": "a", "size": None, "size_sd": 2}], "an sd of size, and no target"),
        ([{"connection": "a", "size": "4 ± 1", "size_sd": 2}], "is set by another column, too"),
        ([{"connection": "a", "fitter": "tpe"}], "only where the base is a file or a name"),
        ([{"connection": "a", "model.mechanism": "TsodyksMarkrem"}], "TsodyksMarkram"),
        (3, "a list of rows or a mapping of connection to row"),
        ("t.xlsx", "a table of connections ends in .csv"),
        ("none.csv", "the table cannot be read"),
    ],
    ids=str,
)
def test_a_table_that_is_none_is_refused(table, says, tmp_path):
    with pytest.raises(SpecError) as caught:
        stpspec.campaign(table, small.experiment(), folder=tmp_path / "out")
    assert says in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_table_as_excel_writes_it_is_read_and_another_encoding_is_told_with_its_cure(tmp_path):
    text = 'connection;size [pA];source\r\nMüller→b;42 ± 5;"Müller; 2010"\r\n'
    (tmp_path / "excel.csv").write_bytes(text.encode("utf-8-sig"))
    (row,) = read(tmp_path / "excel.csv").rows
    assert (row.label, row.name, row.cells["size"].value) == ("Müller→b", "M_ller_b", "42 ± 5")
    assert row.cells["source"].value == "Müller; 2010"
    (tmp_path / "old.csv").write_bytes(text.replace("→", "-").encode("cp1252"))
    with pytest.raises(SpecError, match="CSV UTF-8"):
        read(tmp_path / "old.csv")


def test_a_fault_of_a_whole_column_is_told_once(tmp_path):
    table = [{"connection": f"c{i}", "size [mV]": 40 + i} for i in range(50)]
    with pytest.raises(SpecError, match=r"rows c0, c1, c2 and 47 more, column size \[mV\]") as e:
        stpspec.campaign(table, small.experiment(), folder=tmp_path)
    assert len(e.value.problems) == 1


def test_faults_of_yaml_have_their_lines(tmp_path):
    (tmp_path / "t.yaml").write_text(
        "a:\n  size: 40\nb:\n  size:\n    target: 3\n    sd: 0\n  numerics:\n    dtt: 3\n"
    )
    with pytest.raises(SpecError) as caught:
        planned(tmp_path / "t.yaml", None, tmp_path)
    text = str(caught.value)
    assert "t.yaml:6 | row b, column size.sd: sd must be above 0" in text
    assert "t.yaml:8 | row b, column numerics.dtt: no such field" in text
    (tmp_path / "t.yaml").write_text("a: [\n")
    with pytest.raises(stpspec.StpspecError, match=r"t.yaml:2: this is not valid YAML"):
        planned(tmp_path / "t.yaml", None, tmp_path)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "campaign takes a table and one experiment"),
        (["t.csv", "-m"], "a campaign is many jobs already"),
        (["t.csv", "--overwrite"], "a campaign goes on where it stopped"),
    ],
)
def test_a_command_line_that_means_nothing_is_refused(words, says, capsys):
    from stpspec.cli.main import main

    assert main(["campaign", *words, "experiment=pvalb_pyr"]) == 2
    assert says in capsys.readouterr().err


def test_only_takes_names_of_the_table(tmp_path):
    with pytest.raises(SpecError, match="did you mean 'pvalb→pyr'"):
        stpspec.campaign({"pvalb→pyr": {}}, small.experiment(), folder=tmp_path, only=["pvalb→pry"])


# -- the table and the figure -------------------------------------------------------------------


def made_up(n, n_terms=8):
    """Return states of the connections of a campaign; every 50th failed."""
    draw = random.Random(1)
    found = []
    for i in range(n):
        label = f"L{i % 6 + 1} a cell type of number {i}→pyramidal cell"
        if i % 50 == 49:
            found.append(
                ConnectionState(label, f"c{i}", "failed", "the simulation failed: " + 30 * "so ")
            )
            continue
        metrics = {
            f"paired_pulse_ratio_{k}": {
                "target": 0.5, "sd": 0.05, "achieved": draw.gauss(0.5, 0.04), "unit": "1",
            }
            for k in range(n_terms)
        }  # fmt: skip
        value = {"value": draw.uniform(20, 1500), "unit": "ms", "standard_error": 12.0}
        parameters = {
            "tau_rec": value,
            "tau_facil": {**value, "at_bound": "max"},
            "tau_rise": value,
        }
        summary = {"loss": 1.0, "status": "converged", "metrics": metrics, "parameters": parameters}
        found.append(ConnectionState(label, f"c{i}", "done", "", summary))
    return found


# A target and its sd, what was achieved, what every table says of it.
MISSES = {
    "a hit": (42.0, 1.0, 42.04, "hit"),
    "just no hit": (42.0, 1.0, 42.051, "+0.051 sd"),
    "below": (42.0, 2.0, 39.0, "-1.5 sd"),
    "a narrow sd": (42.0, 1e-4, 42.001, "+10 sd"),
    "a hit without an sd": (42.0, None, 42.002, "hit"),
    "no hit without an sd": (42.0, None, 42.003, "+0.003 pA"),
    "a hit of all trials together": (42.0, 1.0, [41.0, 43.0], "hit"),
    "a vector": ([1.0, 2.0], 0.5, [1.0, 2.5], "rms 0.71 sd"),
    "a vector with two sds": ([1.0, 2.0], [0.1, 10.0], [1.0, 2.4], "hit"),
    "a vector, one value a hit": ([100.0, 1.0], 1.0, [100.0, 31.0], "rms 21 sd"),
    "a far vector": ([1.0, 2.0], 0.01, [3.0, 4.0], "rms 200 sd"),
    "a vector without an sd": ([1.0, 2.0], None, [2.0, 3.0], "rms 1 pA"),
    "trials of a vector": ([1.0, 2.0], 0.5, [[0.0, 2.0], [2.0, 2.0]], "hit"),
    "a vector of one value": ([42.0], 2.0, [45.0], "+1.5 sd"),
}


@pytest.mark.parametrize("name", MISSES)
def test_a_table_of_a_fit_and_a_row_of_a_campaign_say_the_same_of_the_same_result(done, name):
    target, sd, achieved, text = MISSES[name]
    metric = "amplitudes" if isinstance(target, list) else "amplitude"
    term = {"metric": metric, "protocol": "single", "target": target}
    term |= {} if sd is None else {"sd": sd}
    fitted = Campaign(done[0] / "out")["pvalb→pyr"]
    fitted = dataclasses.replace(
        fitted,
        experiment=fitted.experiment.changed({"objective.terms": {"size": term}}),
        metrics={"size": np.array(achieved)},
    )
    state = ConnectionState("a", "a", "done", summary=json.loads(json.dumps(fitted.summary())))
    assert fit_parts(fitted)[1][1][-1] == text
    assert campaign_table([state]).splitlines()[2].endswith(f"  {text}")
    header, row = campaign_rows([state])
    in_sd = row[header.index("size miss [sd]")]
    drawn = plot_targets(fitted).lines[-2].get_xdata()  # the last is the line at 0
    if sd is None:
        assert in_sd == ""
    else:
        assert float(in_sd) == pytest.approx(state.misses["size"])
        assert np.sqrt(np.mean(drawn**2)) == pytest.approx(abs(float(in_sd)))


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("n", [3, 200])
def test_the_table_fits_the_terminal_and_shows_what_needs_a_look(n, width):
    text = campaign_table(made_up(n), width)
    assert max(map(len, text.splitlines())) <= width
    assert len(campaign_rows(made_up(n))) == n + 1
    if n == 200:
        assert "… and 160 more" in text
        assert text.index("failed") < text.index("converged")
    else:
        assert "more" not in text


@pytest.mark.parametrize("n", [1, 3, pytest.param(200, marks=pytest.mark.long)])
def test_no_label_of_the_figure_is_cut_or_lies_on_another(n):
    axes = plot_campaign(made_up(n))
    figure = axes[0].get_figure()
    figure.draw_without_rendering()
    width, height = figure.bbox.size
    for ax in axes:
        ys = [t.get_window_extent() for t in ax.get_yticklabels() if t.get_text()]
        assert all(a.y0 >= b.y1 - 1 for a, b in itertools.pairwise(ys))
        xs = [t.get_window_extent() for t in ax.get_xticklabels() if t.get_text()]
        inside = [x for x in xs if x.x0 >= ax.bbox.x0 - 20 and x.x1 <= ax.bbox.x1 + 20]
        for a, b in itertools.pairwise(inside):  # with many rows also above the panels
            assert a.x1 < b.x0 or abs(a.y0 - b.y0) > 20
        for box in (*ys, ax.title.get_window_extent()):
            assert box.x0 >= 0
            assert box.y0 >= 0
            assert box.x1 <= width
            assert box.y1 <= height
    titles = [ax.title.get_window_extent() for ax in axes]
    for a, b in itertools.pairwise(titles):
        assert a.x1 < b.x0 or a.y0 > b.y1


# -- 200 connections ----------------------------------------------------------------------------


@pytest.mark.long
def test_200_connections_in_two_processes_and_once_more_in_a_fraction_of_the_time(tmp_path):
    draw = random.Random(1)
    truth = {f"L{i % 6 + 1} cell {i}→pyr": round(draw.uniform(0.15, 0.85), 4) for i in range(200)}
    lines = [f"{n},{70 * u:.6f},1,{2 + i % 5}" for i, (n, u) in enumerate(truth.items())]
    lines.insert(0, "connection,size [pA],size_sd,model.fixed.tau_decay [ms]")
    (tmp_path / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "small.yaml").write_text(small.YAML)
    words = ["campaign", "t.csv", "small.yaml", "--out", "out"]
    parallel = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    code = f"from stpspec.cli.main import main; raise SystemExit(main({[*words, *parallel]!r}))"
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=1500,
        check=False, env={**os.environ, "COLUMNS": "80"},
    )  # fmt: skip
    whole = time.monotonic() - started
    assert done.returncode == 0, done.stderr
    rows = rows_of(tmp_path / "out")
    assert list(rows) == list(truth)
    found = np.array([float(r["U"]) for r in rows.values()])
    assert {r["status"] for r in rows.values()} == {"done"}
    assert np.abs(found / np.array(list(truth.values())) - 1).max() < 0.01
    table = done.stdout[done.stdout.rindex("connection ") :]
    assert max(map(len, table.splitlines())) <= 80
    note(tmp_path / "out" / "L3_cell_2_pyr", status="failed", reason="as if")
    started = time.monotonic()
    again = small.cli(*words, cwd=tmp_path)
    assert "199 of them done before" in again.stdout
    assert time.monotonic() - started < whole / 5
