"""YAML, groups and overrides become one experiment; every problem says where it was written."""

import shutil
import textwrap
from pathlib import Path

import pytest
from small import ROOT, YAML, experiment

from stpspec.config.compose import compose, load
from stpspec.config.errors import ConfigError
from stpspec.errors import SpecError, StpspecError, UnknownNameError
from stpspec.resources import search_in
from stpspec.results.folder import to_yaml
from stpspec.specs.diagnosis import examine


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def small(here):
    path = here / "small.yaml"
    path.write_text(YAML)
    return path


def wheres(name, overrides=()):
    """Return path → where of every problem of the composed data."""
    data, origin = compose(name, overrides)
    return {p.path: origin.where(p.path) for p in examine(data)[1]}


# -- what can be loaded -----------------------------------------------------------------------


def test_an_experiment_is_loaded_by_its_name():
    assert load("pvalb_pyr").name == "pvalb_pyr"


def test_an_experiment_is_loaded_by_the_path_of_its_file(small):
    assert load(small).name == load(str(small)).name == load("small.yaml").name == "small"


def test_an_experiment_is_loaded_from_the_folder_that_holds_it(small, here):
    (here / "folder").mkdir()
    small.rename(here / "folder" / "experiment.yaml")
    assert load("folder").name == "small"


def test_an_experiment_in_the_current_folder_goes_before_a_shipped_one_of_the_same_name(here):
    own = here / "experiments" / "pvalb_pyr"
    own.mkdir(parents=True)
    (own / "experiment.yaml").write_text(YAML)
    assert load("pvalb_pyr").name == "small"


def test_an_unknown_experiment_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'pvalb_pyr'"):
        load("pvalb-pyr")
    with pytest.raises(ConfigError, match="pvalb_py"):
        load(None, ["experiment=pvalb_py"])


def test_an_experiment_is_chosen_by_an_override_as_well():
    assert load(None, ["experiment=fs_fs_gap"]) == load("fs_fs_gap")


# -- overrides --------------------------------------------------------------------------------


def test_a_field_is_set_from_outside_whether_a_file_sets_it_or_not(small):
    made = load(small, ["seed=7", "protocols.single.duration='30 ms'", "model.fixed.tau_rec=99"])
    assert made.seed == 7
    assert made.protocols["single"].duration == 30.0
    assert made.model.fixed == {"tau_decay": "2 ms", "tau_rec": 99.0}


def test_a_group_is_replaced_from_outside(small):
    made = load(small, ["fitter=tpe", "recording=current_clamp", "model=gabaa_patch"])
    assert (made.fitter.kind, made.fitter.sampler) == ("optuna", "tpe")
    assert made.recording.kind == "current_clamp"
    assert made.model.mechanism == "GabaA"


def test_a_field_and_its_group_are_set_together(small):
    made = load(small, ["fitter=tpe", "fitter.batch=3", "fitter.budget.evaluations=11"])
    assert (made.fitter.batch, made.fitter.budget.evaluations) == (3, 11)


def test_a_part_is_set_from_outside_as_a_mapping_with_fields_of_another_kind(small):
    made = load(small, ["fitter={kind: minimize, method: Powell, tolerance: 1e-3}"])
    assert (made.fitter.method, made.fitter.tolerance) == ("Powell", 1e-3)


def test_a_protocol_is_added_from_outside(small):
    made = load(small, ["+protocol@protocols.t40=train", "protocols.t40.frequency=40"])
    assert set(made.protocols) == {"single", "t40"}
    assert made.protocols["t40"].frequency == 40.0


def test_a_free_parameter_is_added_and_another_is_taken_away_from_outside(small):
    made = load(small, ["parameters.tau_rec={min: 10 ms, max: 1 s}", "~parameters.U"])
    assert set(made.parameters) == {"tau_rec"}


def test_a_misspelled_override_is_one_of_the_problems_with_its_nearest_name(small):
    found = wheres(small, ["fiter.batch=3", "seed=-1"])
    assert found == {"fiter": "command line: fiter.batch=3", "seed": "command line: seed=-1"}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("fitter=tpee", "tpee"),
        ("protocols.single=[", "protocols.single=["),
        ("protocols.single.duration=3)", "protocols.single.duration=3)"),
        ("=3", "=3"),
        ("+=3", "names no field"),
        ("a b=3", "a b=3"),
        ("recording=3", "group override"),
        ("+protocol@protocols.x=trian", "trian"),
        ("~nothing", "nothing"),
        ("parameters=[3]", "'parameters=[3]' cannot be used: a list cannot stand where a mapping"),
    ],
)
def test_an_override_that_cannot_be_composed_is_one_clear_error(small, override, words):
    with pytest.raises(ConfigError) as caught:
        load(small, [override])
    assert words in str(caught.value)


def test_an_unknown_choice_of_a_group_is_answered_with_the_nearest_and_all_the_others(small):
    with pytest.raises(ConfigError, match=r"no fitter is called 'tpee'. Did you mean 'tpe'") as c:
        load(small, ["fitter=tpee"])
    assert all(name in str(c.value) for name in ("tpe", "slsqp", "least_squares"))
    assert "search path" not in str(c.value)


@pytest.mark.parametrize(
    ("defaults", "words"),
    [
        ("3", "defaults"),
        ("[nothing]", "nothing"),
        ("[{override /model: nothing}]", "Known: ampa_nmda_pyramidal"),
        ("[{model: tm_patch}]", "begin with a slash"),
        ("[{/nothing: tm_patch}]", "nothing"),
        ("{a: b}", "defaults"),
    ],
)
def test_a_defaults_list_that_cannot_be_composed_is_one_clear_error(here, defaults, words):
    (here / "bad.yaml").write_text(f"# @package _global_\ndefaults: {defaults}\nname: bad\n")
    with pytest.raises(ConfigError) as caught:
        load("bad.yaml")
    assert words in str(caught.value)


def test_every_fault_of_a_defaults_list_is_told_at_once_with_its_line(here):
    (here / "bad.yaml").write_text(
        "name: bad\ndefaults:\n  - /protocol@protocols.a: trian\n  - /protocol: train\n"
        "  - /model: tm_patch\n  - override /modle: tm_patch\n  - recording: voltage_clamp\n"
        "  - override /fitter: tpee\n  - _self_\nprotocols: [a, b]\n"
    )
    with pytest.raises(ConfigError) as caught:
        load("bad.yaml")
    told = [line.strip() for line in str(caught.value).splitlines()]
    assert [line.partition(": ")[0] for line in told] == [
        "bad.yaml:3 | defaults.0", "bad.yaml:4 | defaults.1", "bad.yaml:5 | defaults.2",
        "bad.yaml:6 | defaults.3", "bad.yaml:7 | defaults.4", "bad.yaml:8 | defaults.5",
        "bad.yaml:10 | protocols",
    ]  # fmt: skip
    assert "Did you mean 'train'?" in told[0]
    assert "did you mean '/protocol@protocols.train'?" in told[1]
    assert "did you mean 'override /model'?" in told[2]
    assert "Did you mean 'model'?" in told[3]
    assert "begin with a slash: /recording" in told[4]
    assert "Did you mean 'tpe'?" in told[5]


# -- where a problem was written --------------------------------------------------------------


def number_of(text, line):
    """Return the number of the first line that begins so."""
    return next(i for i, row in enumerate(text.splitlines(), 1) if row.strip().startswith(line))


def test_every_problem_names_the_file_and_line_it_was_written_in(here):
    text = YAML.replace("settle: 20", "settle: nan").replace("max: 0.9", "max: 0.05")
    text = text.replace("duration: 20 ms", "duration: 20 mV").replace("amplitude,", "amplitud,")
    text = text.replace("name: small", "name: small\nseed: -1\nfiter: {}")
    (here / "bad.yaml").write_text(text)
    found = wheres("bad.yaml")
    lines = {
        "numerics.settle": "numerics:", "parameters.U": "U:",
        "protocols.single.duration": "single:", "objective.terms.size.metric": "size:",
        "seed": "seed:", "fiter": "fiter:",
    }  # fmt: skip
    assert found == {p: f"bad.yaml:{number_of(text, line)}" for p, line in lines.items()}


def test_an_item_of_a_list_is_found_at_its_own_line(here):
    text = YAML + textwrap.dedent("""\
        recording:
          signals:
            - synaptic_current
            - somatic_curent
        """)
    (here / "bad.yaml").write_text(text)
    line = number_of(text, "- somatic_curent")
    assert wheres("bad.yaml") == {"recording.signals.1": f"bad.yaml:{line}"}


def test_a_missing_field_is_found_at_the_innermost_part_that_is_there(here):
    text = YAML.replace("{min: 0.1, max: 0.9}", "{min: 0.1}")
    (here / "bad.yaml").write_text(text)
    assert wheres("bad.yaml") == {"parameters.U.max": f"bad.yaml:{number_of(text, 'U:')}"}


def test_a_problem_of_a_group_file_is_found_in_that_file(here, small):
    folder = here / "own" / "protocol"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("# a comment\nkind: train\nfrequency: 20 ms\n")
    with search_in([here / "own"]):
        found = wheres(small, ["+protocol@protocols.extra=mine"])
    assert found == {"protocols.extra.frequency": "own/protocol/mine.yaml:3"}


def test_a_problem_from_the_command_line_says_so(small):
    assert wheres(small, ["numerics.dt=3", "parameters.U.min=2"]) == {
        "numerics.dt": "command line: numerics.dt=3",
        "parameters.U": "command line: parameters.U.min=2",
    }


def test_problems_stand_in_the_order_of_the_lines_to_correct(here):
    text = YAML.replace("min: 0.1", "min: 2").replace("20 ms", "20 mV").replace("dt: 0.1", "dt: x")
    (here / "bad.yaml").write_text(text.replace("metric: amplitude", "metric: amplitud"))
    with pytest.raises(SpecError) as caught:
        load("bad.yaml")
    lines = [int(p.where.partition(":")[2]) for p in caught.value.problems]
    assert len(lines) == 4
    assert lines == sorted(lines)


def test_load_raises_all_problems_with_their_places(here):
    (here / "bad.yaml").write_text(YAML.replace("settle: 20", "settle: x").replace("0.9", "0.1"))
    with pytest.raises(SpecError) as caught:
        load("bad.yaml")
    assert {p.where for p in caught.value.problems} == {"bad.yaml:7", "bad.yaml:13"}


# -- YAML that is broken ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: small\nmodel: {a: 1\nprotocols: 3\n", 3),
        ("name: small\n  model: 3\n", 2),
        ("name: 'small\n", None),
        ("a: 1\nb: *nothing\n", 2),
        ("a: \tb: c\n", None),
        ("name: a\nname: b\n", 2),
        ("a: ${nothing}\n", None),
        ("a: ${b\n", None),
    ],
)
def test_broken_yaml_is_one_error_with_file_and_line(here, text, line):
    (here / "broken.yaml").write_text(text)
    with pytest.raises(StpspecError) as caught:
        load("broken.yaml")
    assert isinstance(caught.value, ConfigError), caught.value
    message = str(caught.value)
    assert "${" in text or "broken.yaml" in message
    if line is not None:
        assert f"broken.yaml:{line}" in message


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "3\n", "# only a comment\n", "null\n"])
def test_a_file_that_is_no_mapping_is_refused(here, text):
    (here / "odd.yaml").write_text(text)
    with pytest.raises(StpspecError):
        load("odd.yaml")


def test_a_file_that_is_no_text_is_refused(here):
    (here / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01\x80")
    with pytest.raises(StpspecError, match=r"binary\.yaml"):
        load("binary.yaml")


@pytest.mark.parametrize(
    ("text", "told"),
    [(b"name: a\nsource: Caf\xe9\n", "not UTF-8"), (b"name: a\nsource: x\x00\n", "U+0000")],
)
def test_a_character_that_cannot_be_read_is_found_at_its_line(here, text, told):
    (here / "odd.yaml").write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        load("odd.yaml")
    assert "odd.yaml:2: " in str(caught.value)
    assert told in str(caught.value)


def test_broken_yaml_in_a_group_of_ones_own_is_found_there(here, small):
    (here / "own" / "fitter").mkdir(parents=True)
    (here / "own" / "fitter" / "mine.yaml").write_text("kind: [\n")
    with search_in([here / "own"]), pytest.raises(ConfigError, match=r"mine\.yaml:\d"):
        load(small, ["fitter=mine"])


# -- a folder of one's own --------------------------------------------------------------------


def test_a_folder_of_ones_own_brings_groups_experiments_mechanisms_and_templates(here):
    own = here / "own"
    for name in ("experiments/mine", "fitter", "mod", "templates"):
        (own / name).mkdir(parents=True)
    (own / "experiments" / "mine" / "experiment.yaml").write_text(
        YAML.replace("name: small", "name: mine")
        .replace("fixed:", "cell: {file: my_patch.py}\n  mod: [MySynapse.mod]\n"
                 "  mechanism: MySynapse\n  fixed:")
        .replace("  - _self_", "  - override /fitter: quick\n  - _self_")
    )  # fmt: skip
    (own / "fitter" / "quick.yaml").write_text("kind: bounded\nbudget: {evaluations: 5}\n")
    shutil.copy(ROOT / "templates" / "patch.py", own / "templates" / "my_patch.py")
    source = (ROOT / "mod" / "TsodyksMarkram.mod").read_text()
    (own / "mod" / "MySynapse.mod").write_text(source.replace("TsodyksMarkram", "MySynapse"))
    from stpspec.engine.binding.bind import bind

    with search_in([own]):
        made = load("mine")
        bound = bind(made)
    assert made.fitter.budget.evaluations == 5
    assert bound.sources["MySynapse"] == own / "mod" / "MySynapse.mod"
    assert bound.templates == (own / "templates" / "my_patch.py",)
    with pytest.raises(UnknownNameError):
        load("mine")


def test_a_group_of_ones_own_goes_before_a_shipped_one(here, small):
    (here / "own" / "fitter").mkdir(parents=True)
    (here / "own" / "fitter" / "tpe.yaml").write_text("kind: bounded\n")
    with search_in([here / "own"]):
        assert load(small, ["fitter=tpe"]).fitter.kind == "bounded"
    assert load(small, ["fitter=tpe"]).fitter.kind == "optuna"


# -- inline, and a resolved file --------------------------------------------------------------


def test_a_recording_written_in_the_file_replaces_the_default_group(here):
    text = YAML + "recording: {kind: current_clamp, holding_current: 5 pA}\n"
    (here / "inline.yaml").write_text(text)
    made = load("inline.yaml")
    assert made.recording.kind == "current_clamp"
    assert made.recording.holding_current == 0.005


def test_a_fitter_written_in_the_file_replaces_the_default_group(here):
    (here / "inline.yaml").write_text(YAML + "fitter: {kind: optuna, batch: 3}\n")
    assert load("inline.yaml").fitter.batch == 3


def test_the_command_line_replaces_what_the_file_writes_inline(here):
    text = YAML + "recording: {kind: current_clamp}\nfitter: {kind: optuna, batch: 3}\n"
    (here / "inline.yaml").write_text(text)
    made = load("inline.yaml", ["fitter=bounded", "recording=voltage_clamp"])
    assert (made.fitter.kind, made.recording.kind) == ("bounded", "voltage_clamp")


def test_fields_without_a_kind_change_the_default_group(here):
    (here / "inline.yaml").write_text(YAML + "recording: {holding_potential: -50 mV}\n")
    made = load("inline.yaml")
    assert (made.recording.kind, made.recording.holding_potential) == ("voltage_clamp", -50.0)


@pytest.mark.parametrize("name", ["pvalb_pyr", "fs_fs_gap"])
def test_a_resolved_file_is_the_same_experiment(here, name):
    original = load(name)
    (here / "experiment.yaml").write_text(to_yaml(original))
    assert load(here) == original


def test_a_resolved_file_takes_overrides_of_fields_and_of_groups(here):
    original = experiment(fitter={"kind": "optuna", "batch": 3})
    (here / "experiment.yaml").write_text(to_yaml(original))
    made = load(here, ["seed=5", "fitter=bounded", "parameters.U.max=0.8", "model.position=0.3"])
    assert (made.seed, made.fitter.kind, made.parameters["U"].max) == (5, "bounded", 0.8)
    assert made.model.position == 0.3
    assert load(here, ["fitter.batch=9"]).fitter.batch == 9
    assert load(here, ["recording=current_clamp"]).recording.kind == "current_clamp"
    assert load(here, ["model=gabaa_patch"]).model.mechanism == "GabaA"
    assert set(load(here, ["+protocol@protocols.t40=train"]).protocols) == {"single", "t40"}


def test_loading_leaves_nothing_behind(small, here):
    before = load(small)
    load(small, ["fitter=tpe"])
    with pytest.raises(ConfigError):
        load(small, ["fitter=nothing"])
    assert load(small) == before
    assert sorted(p.name for p in Path(here).iterdir()) == ["small.yaml"]


@pytest.mark.parametrize(
    ("old", "new", "path", "told"),
    [
        ("{min: 0.1, max", "{min: 0,1, max", "parameters.U.1", "Write 0.5, not 0,5"),
        ("min: 0.1", "min: '0,1'", "parameters.U.min", "a decimal point, no comma"),
        ("2 ms}", "'2,5 ms'}", "model.fixed.tau_decay", "a decimal point, no comma"),
        ("  U: {min: 0.1, max: 0.9}", "  U: 0.5", "parameters.U", "belongs in model.fixed"),
        ("parameters:\n  U: ", "  parameters: ", "model.parameters", "at the top level"),
        ("    size: {", "    - {", "objective.terms", "expected a mapping"),
        ("  - /protocol@protocols.single: single_event\n", "", "protocols.single",
         "in the defaults list (- /protocol@protocols.single: train)"),
    ],
)  # fmt: skip
def test_what_a_tired_person_writes_is_told_in_plain_words(tmp_path, old, new, path, told):
    assert old in YAML
    (tmp_path / "tired.yaml").write_text(YAML.replace(old, new))
    with pytest.raises(SpecError) as caught:
        load(tmp_path / "tired.yaml")
    rules = {p.path: p.rule for p in caught.value.problems}
    assert told in rules[path]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("name: small", "name: small\nname: other", r"tired\.yaml:7: .*duplicate key name"),
        ("  U: {", "  U: {min: 0, max: 1}\n  U: {", r"tired\.yaml:14: .*duplicate key U"),
        ("  U: {", "\tU: {", r"tired\.yaml:13: .*'\\t'"),
        ("/protocol@", "/protocols@", r"no group is called 'protocols'. Did you mean 'protocol'"),
        ("  single: {", "  - single: {", r"tired\.yaml:8 \| protocols: expected a mapping"),
        ("fixed: {tau_decay: 2 ms}", "fixed: [tau_decay: 2 ms]",
         r"tired\.yaml:11 \| model\.fixed: expected a mapping"),
    ],
)  # fmt: skip
def test_what_cannot_be_composed_is_named_with_its_line(tmp_path, old, new, told):
    assert old in YAML
    (tmp_path / "tired.yaml").write_text(YAML.replace(old, new))
    with pytest.raises(ConfigError, match=told):
        load(tmp_path / "tired.yaml")


@pytest.mark.parametrize("override", ["recording=current_clamp", "recording.kind=current_clamp"])
def test_another_recording_takes_the_place_of_one_that_is_written_out_without_its_kind(
    tmp_path, override
):
    text = YAML + "recording: {holding_potential: -60 mV, electrode_position: 0.3}\n"
    (tmp_path / "mine.yaml").write_text(text)
    recording = load(tmp_path / "mine.yaml", [override]).recording
    assert recording.kind == "current_clamp"
    assert recording.electrode_position == 0.3  # both have it
    assert "somatic_voltage" in recording.signals
    with pytest.raises(SpecError, match=r"recording\.holding_potential: no field of this name"):
        load(tmp_path / "mine.yaml", [override, "recording.holding_potential=-60"])
    (tmp_path / "mine.yaml").write_text(text.replace("holding_potential", "holding_potentil"))
    with pytest.raises(SpecError, match="holding_potentil"):
        load(tmp_path / "mine.yaml", [override])


@pytest.mark.parametrize(
    ("written", "overrides", "name", "rest"),
    [
        ("study: one", ["study.accept_changes=true"], "one", {"accept_changes": True}),
        ("study: one", ["study=two", "study.accept_changes=true"], "two", {"accept_changes": True}),
        ("study: one", ["study.storage=a.journal"], "one", {"storage": "a.journal"}),
        ("study: {name: one, storage: a.journal}", ["study=two"], "two", {"storage": "a.journal"}),
        ("study: 'one_${seed}'", ["seed=3", "study.accept_changes=true"], "one_3", {}),
        ("study: null", ["study=two"], "two", {}),
    ],
)
def test_study_that_is_only_named_has_its_other_fields_all_the_same(
    written, overrides, name, rest, tmp_path
):
    file = tmp_path / "small.yaml"
    file.write_text(YAML + f"{written}\n")
    study = load(file, overrides).study
    assert study is not None
    assert study.name == name
    assert all(getattr(study, field) == value for field, value in rest.items())
    assert load(file, ["study=null"]).study is None
