"""What is shown of an experiment: all of it, as YAML that runs, with where each value is from."""

import json
import re

import pytest
import yaml
from small import YAML

from stpspec.cli.main import main as command
from stpspec.config.compose import load
from stpspec.resources import experiments

TABLE = "connection,size,size_sd,model.fixed.tau_rec\na,30 ± 2,,300 ms\nc,40,1,\n"


@pytest.fixture
def show(tmp_path, monkeypatch, capsys):
    """Return a function that runs a verb of the command and returns what it printed."""
    (tmp_path / "small.yaml").write_text(YAML)
    (tmp_path / "table.csv").write_text(TABLE)
    monkeypatch.chdir(tmp_path)

    def run(*words, verb="show", code=0):
        assert command([verb, *words]) == code
        shown = capsys.readouterr()
        return shown.out if code == 0 else shown.err

    return run


def sources(text):
    """Return path → comment of each value that has one, read by its indentation."""
    found, path, above = {}, [], ""
    for line in text.splitlines():
        body, _, comment = line.partition("# ")
        if not body.strip():
            above = comment
            continue
        match = re.match(r"( *)([\w.]+):", body)
        if match:
            path = [*path[: len(match[1]) // 2], match[2]]
            found[".".join(path)] = comment or above
        above = ""
    return found


@pytest.mark.parametrize("name", sorted(experiments()))
def test_what_is_shown_of_a_shipped_experiment_is_that_experiment(show, tmp_path, name):
    text = show(name)
    (tmp_path / "shown.yaml").write_text(text)
    assert load("shown.yaml") == load(name)
    assert set(yaml.safe_load(text)) >= {"model", "study", "plugins", "seed"}
    assert max(map(len, text.splitlines()[3:])) <= 80


def test_each_value_is_shown_with_its_file_and_line_as_default_or_as_override(show):
    told = sources(show("small.yaml", "seed=3", "fitter=tpe", "+protocols.single.duration=30 ms"))
    assert told["name"] == "small.yaml:6"
    assert told["parameters.U.max"] == "small.yaml:13"
    assert told["objective.terms.size.sd"] == "small.yaml:16"
    assert told["objective.terms.size.loss"] == "default"
    assert told["fitter.sampler"] == "conf/fitter/tpe.yaml:3"
    assert told["model.cell.file"] == "conf/model/tm_patch.yaml:4"
    assert told["seed"] == told["protocols.single.duration"] == "override"


def test_what_is_shown_with_overrides_is_what_they_give(show, tmp_path):
    overrides = ["fitter=tpe", "~parameters.U", "parameters.tau_rec={min: 20 ms, max: 1 s}"]
    (tmp_path / "shown.yaml").write_text(show("small.yaml", *overrides))
    assert load("shown.yaml") == load("small.yaml", overrides)


@pytest.mark.parametrize("text", ["1e3", "${seed}", "a: b # c", "[x]", "yes", "ü\n", "x" * 300])
def test_a_text_of_any_form_is_shown_as_that_text(show, tmp_path, text):
    written = json.dumps(text.replace("${", "\\${"))
    (tmp_path / "odd.yaml").write_text(f"{YAML}description: {written}\n")
    (tmp_path / "shown.yaml").write_text(show("odd.yaml"))
    assert load("shown.yaml").description == load("odd.yaml").description == text


def test_nothing_of_a_foreign_experiment_is_run_to_show_it(show, tmp_path):
    mark = "import pathlib; pathlib.Path('mark_{0}').touch()\n"
    (tmp_path / "plug.py").write_text(mark.format("plugin"))
    (tmp_path / "cell.py").write_text(mark.format("cell"))
    (tmp_path / "syn.mod").write_text("VERBATIM\n#error never compiled\nENDVERBATIM\n")
    text = YAML.replace("name: small", "name: small\nplugins: [plug]")
    text = text.replace(
        "  fixed:", "  mod: [syn.mod]\n  cell: {file: cell.py, template: C}\n  fixed:"
    )
    (tmp_path / "foreign.yaml").write_text(text)
    (tmp_path / "one.csv").write_text("connection,size\na,3\n")
    assert "plugins: [plug]" in show("foreign.yaml")
    assert "target: 3" in show("one.csv", "foreign.yaml")
    assert not list(tmp_path.glob("mark_*"))
    show("foreign.yaml", verb="check", code=1)
    assert {p.name for p in tmp_path.glob("mark_*")} >= {"mark_plugin"}


def test_a_saved_fit_is_shown_with_the_values_at_which_it_begins(show, tmp_path):
    show("small.yaml", "--out", "fitted", verb="fit")
    told = sources(show("fitted"))
    assert told["parameters.U.start"] == "fitted/summary.json"
    assert told["name"].startswith("fitted/experiment.yaml:")
    (tmp_path / "shown.yaml").write_text(show("fitted"))
    assert load("shown.yaml") == load("fitted")


def test_a_study_is_shown_by_its_name_and_by_its_journal(show):
    show("small.yaml", "study=mine", "--out", "fitted", verb="fit")
    for place in ("mine", "stpspec-studies/mine.journal"):
        shown = yaml.safe_load(show(place))
        assert shown["parameters"]["U"]["max"] == 0.9
        assert shown["name"] == "small"


def test_a_row_of_a_table_is_shown_as_its_campaign_fits_it(show, tmp_path):
    from stpspec.campaigns.plan import plan

    told = sources(show("table.csv", "experiment=small.yaml", "--only", "a"))
    assert told["objective.terms.size.target"] == "table.csv:2"
    assert told["objective.terms.size.sd"] == told["model.fixed.tau_rec"] == "table.csv:2"
    assert told["parameters.U.max"] == "small.yaml:13"
    _, connections, _ = plan("table.csv", "small.yaml", [], tmp_path / "campaign", ["a", "c"])
    planned = {c.label: c.experiment for c in connections}
    for label in ("a", "c"):
        (tmp_path / "shown.yaml").write_text(show("table.csv", "small.yaml", "--only", label))
        assert load("shown.yaml") == planned[label].copy_with(study=None)


def test_a_cell_that_sets_one_value_of_a_list_is_shown_in_its_list(show, tmp_path):
    text = YAML.replace("single_event", "spike_times").replace("duration: 20 ms", "times: [5, 50]")
    (tmp_path / "two.yaml").write_text(text)
    (tmp_path / "times.csv").write_text("connection,size,protocols.single.times.1\na,30,60\n")
    assert yaml.safe_load(show("times.csv", "two.yaml"))["protocols"]["single"]["times"] == [5, 60]
    (tmp_path / "times.csv").write_text("connection,size,protocols.single.times.2\na,30,60\n")
    assert "times.2: no such field; there are 2 values" in show("times.csv", "two.yaml", code=1)


def test_columns_that_would_undo_each_other_are_refused_alike_by_show_and_check(show, tmp_path):
    (tmp_path / "both.csv").write_text(
        'connection,size,parameters.U.max,parameters.U\na,42,0.5,"{min: 0.2, max: 0.8}"\n'
    )
    for verb in ("show", "check"):
        told = show("both.csv", "small.yaml", verb=verb, code=1)
        assert "row a, column parameters.U.max: lies in parameters.U" in told


def test_a_connection_of_a_campaign_is_shown_by_its_folder(show, tmp_path):
    (tmp_path / "one.csv").write_text("connection,size\na,30\n")
    show("one.csv", "small.yaml", "--out", "all", verb="campaign")
    assert yaml.safe_load(show("all/a"))["objective"]["terms"]["size"]["target"] == 30
    assert "name the folder of one connection (all/a)" in show("all", code=2)


def test_a_table_and_its_base_are_checked(show, tmp_path):
    (tmp_path / "rows.csv").write_text("connection,size\na,30\nb,40\n")
    base = YAML.replace("target: 42.0, ", "")
    (tmp_path / "base.yaml").write_text(base)
    for words in (["base.yaml"], ["experiment=base.yaml"]):
        told = show("rows.csv", *words, verb="check")
        assert told == "rows: no problems in 2 connections\n"
    told = show("base.yaml", verb="check")
    assert (
        told
        == "small: no problems\n  size: no target here; stpspec campaign takes it from a table\n"
    )
    (tmp_path / "rows.csv").write_text("connection,size\na,30 mV\nb,40\n")
    told = show("rows.csv", "base.yaml", verb="check", code=1)
    assert "rows.csv:2 | row a, column size: expected a quantity in pA" in told
    assert not (tmp_path / "stpspec-results").exists()


def test_a_target_that_one_of_several_terms_lacks_is_a_problem(show, tmp_path):
    text = YAML.replace("target: 42.0, ", "")
    text += "    late: {metric: latency, protocol: single, target: 1}\n"
    (tmp_path / "base.yaml").write_text(text)
    assert "objective.terms.size.target: Field required" in show("base.yaml", verb="check", code=1)


def test_a_table_in_yaml_may_have_thousands_of_rows(show, tmp_path):
    rows = "".join(f"r{i}: {{size: {i + 1}, size_sd: 1, source: paper}}\n" for i in range(4000))
    (tmp_path / "rows.yaml").write_text(rows)
    told = sources(show("rows.yaml", "experiment=small.yaml", "--only", "r3999"))
    assert told["objective.terms.size.target"] == "rows.yaml:4000"


def test_a_parameter_with_dots_in_its_name_is_from_where_it_is_written(show, tmp_path):
    text = YAML.replace("max: 0.9}", "max: 0.9}\n  net_con.delay: {min: 1, max: 3}")
    (tmp_path / "small.yaml").write_text(text)
    line = 1 + text.splitlines().index("  net_con.delay: {min: 1, max: 3}")
    found = sources(show("small.yaml", "parameters.net_con.delay.max=4"))
    of = {k.rpartition(".")[2]: v for k, v in found.items() if "net_con.delay." in k}
    assert of == {
        "min": f"small.yaml:{line}",
        "max": "override",
        "start": "default",
        "scale": "default",
    }
