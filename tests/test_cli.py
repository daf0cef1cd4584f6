"""The command: what it prints, its exit codes, and one clear block for whatever is wrong."""

import json
import logging
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import time

import pytest
from small import ROOT, YAML, cli, python

from stpspec import FitResult
from stpspec.cli.parser import find_verb, flags_of_verbs, parser_of
from stpspec.cli.verb import load_verb, load_verbs, verb_names
from stpspec.errors import nearest


@pytest.fixture
def here(tmp_path):
    (tmp_path / "small.yaml").write_text(YAML)
    return tmp_path


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a folder with one `fit` and one `run` in it, and what they printed."""
    folder = tmp_path_factory.mktemp("runs")
    text = YAML.replace("protocols:\n", "protocols:\n  train: {n_induction: 8}\n")
    text = text.replace("defaults:\n", "defaults:\n  - /protocol@protocols.train: train\n")
    (folder / "trains.yaml").write_text(text)
    (folder / "small.yaml").write_text(YAML)
    ran = cli("run", "trains.yaml", "U=0.3", "tau_rec=0.5 s", "--out", "ran", cwd=folder)
    fitted = cli("fit", "small.yaml", "--out", "fitted", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    assert fitted.returncode == 0, fitted.stderr
    return folder, ran.stdout, fitted.stdout


@pytest.fixture
def main(here, monkeypatch, capsys):
    """Run the command in this process, from the folder of the test: the same, but quicker."""
    from types import SimpleNamespace

    from stpspec.cli import main as command

    def run(*words):
        monkeypatch.chdir(here)
        try:
            code = command.main(words)
        except SystemExit as ended:
            code = ended.code
        shown = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=shown.out, stderr=shown.err)

    return run


def clear(done, code):
    """Check that a command failed with one clear block, and return it."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "should not happen" not in done.stderr
    assert re.match(r"stpspec( \w+)?: ", done.stderr)
    return done.stderr


# -- light ------------------------------------------------------------------------------------

HEAVY = ("neuron", "optuna", "xarray", "scipy", "matplotlib", "hydra", "pint", "numpy", "pydantic")


@pytest.mark.parametrize(
    "code",
    [
        "import stpspec",
        "import stpspec.cli.main",
        "from stpspec.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass",
        "from stpspec.cli.main import main\ntry: main(['--version'])\nexcept SystemExit: pass",
        "from stpspec.cli.main import main\ntry: main(['fit', '--help'])\nexcept SystemExit: pass",
        "from stpspec.cli.main import main\nmain(['fit', '--port', '1'])",
        "from stpspec.cli.main import main\nmain(['frun'])",
    ],
)
def test_import_and_help_load_nothing_heavy(code):
    done = python(f"{code}\nimport sys; print([m for m in {HEAVY!r} if m in sys.modules])")
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


UP_TO_THE_TABLE = """
import sys
from stpspec.cli.main import main
class Output:
    stream, loaded = sys.stdout, set()
    def write(self, text):
        if text.strip() and "files in" not in text:
            self.loaded = set(sys.modules)
        return len(text)
    def flush(self): pass
sys.stdout = output = Output()
assert main(sys.argv[1:]) == 0
sys.stdout = output.stream
from stpspec import units
print(sorted(output.loaded & {UNUSED}), units._pint.cache_info().currsize)
"""

# (xarray itself imports a pint that is installed; reading its definitions takes longer.)
UNUSED = {
    "check": {"neuron", "pint", "scipy", "xarray", "pandas", "matplotlib", "optuna", "netCDF4"},
    # They have saved their numbers by then, in netCDF.
    "run": {"scipy.optimize", "scipy.stats", "matplotlib", "optuna"},
    "fit": {"scipy.stats", "matplotlib", "optuna"},
}


@pytest.mark.parametrize(
    "verb", ["check", *(pytest.param(v, marks=pytest.mark.long) for v in ("run", "fit"))]
)
def test_a_verb_imports_nothing_before_its_table_that_the_table_does_not_need(verb, here):
    words = ["experiment=pvalb_pyr", *(["--quiet"] if verb == "fit" else [])]
    code = UP_TO_THE_TABLE.replace("{UNUSED}", repr(UNUSED[verb]))
    for _ in range(2):  # what has never been converted or compiled is remembered from the first
        done = python(code, verb, *words, cwd=here)
    assert done.stdout == "[] 0\n", done.stdout + done.stderr


def test_help_shows_every_verb_with_its_summary_and_the_exit_codes(here):
    done = cli("--help", cwd=here)
    assert done.returncode == 0
    for name, verb in load_verbs().items():
        assert f"\n  {name:<12}{verb.summary}\n" in done.stdout
    codes = re.findall(r"^  (\d)  (.+)$", done.stdout.partition("exit codes:")[2], re.MULTILINE)
    assert [code for code, _ in codes] == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["--outt", "x", "fit", "pvalb_pyr"], "no verb has the flag --outt; did you mean '--out'?"),
        (["--log-leve", "debug", "list"], "no verb has the flag --log-leve; did you mean"),
        (["fit", "pvalb_pyr", "-q"], "there is no -q: --quiet shows no progress bar"),
        (["campaign"], "campaign what? For example: stpspec campaign connections.csv"),
    ],
)
def test_a_misspelled_flag_is_told_wherever_it_stands(here, words, rule):
    done = cli(*words, cwd=here)
    assert done.returncode == 2
    assert rule in done.stderr
    assert "did you mean '-" not in done.stderr.replace("did you mean '--", "")


@pytest.mark.long
def test_a_multirun_with_a_missed_target_ends_with_3(here):
    words = ("fit", "-m", "small.yaml", "objective.terms.size.target=42,500", "--out", "jobs")
    assert cli(*words, cwd=here).returncode == 3
    assert cli("collect", "jobs", cwd=here).returncode == 3


@pytest.mark.parametrize("words", [[], *([verb] for verb in verb_names())], ids=" ".join)
def test_every_help_page_fits_into_80_columns(main, monkeypatch, words):
    monkeypatch.setenv("COLUMNS", "80")
    done = main(*words, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(" ".join(["usage: stpspec", *words]))
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("name", verb_names())
def test_the_help_of_a_verb_has_its_two_examples_and_only_its_own_flags(main, name):
    shown = main(name, "--help").stdout
    assert len(re.findall(rf"^  stpspec {name}\b", shown, re.MULTILINE)) == 2
    own = flags_of_verbs()[name]
    shown_flags = set(re.findall(r"(?<![\w/])--?[a-z][a-z-]*", shown.partition("examples:")[0]))
    assert shown_flags <= {*own, "-m"}
    assert {flag for flag in own if flag.startswith("--")} <= shown_flags


@pytest.mark.parametrize("name", verb_names())
def test_the_examples_of_a_verb_are_taken_by_its_parser(name):
    verb = load_verb(name)
    for line, _ in verb.examples:
        command = re.split(r" [|>] ", line)[0]
        found, words = find_verb(shlex.split(command))
        assert found == name
        assert parser_of(name, verb).parse(words).verb == name


EXAMPLES = [
    line for name in ("run", "fit", "sweep", "check") for line, _ in load_verb(name).examples
]


@pytest.mark.parametrize("line", EXAMPLES)
def test_the_experiment_of_an_example_can_be_composed(line):
    from stpspec.config.compose import compose
    from stpspec.config.sweep_overrides import list_overrides
    from stpspec.specs.diagnosis import examine

    name, *words = shlex.split(line)
    arguments = parser_of(name, load_verb(name)).parse(words)
    own = {"my_experiment.yaml": "pvalb_pyr", "my_fit": "pvalb_pyr"}
    paths = [own.get(word, word) for word in arguments.words if "=" not in word]
    overrides = [word for word in arguments.words if "=" in word]
    if getattr(arguments, "multirun", False):
        overrides = [word.partition(",")[0] for word in overrides]
    path = paths[0] if paths else None
    if name == "sweep":
        overrides = list_overrides(path, overrides)[1]
    fields = [word for word in overrides if not word.startswith(("U=", "tau_rec="))]
    assert examine(compose(path, fields)[0])[1] == []


OF_SERVERS = "stpspec fit: --port belongs to dashboard and tune\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["fit", "small.yaml", "--port", "8080"], OF_SERVERS),
        (["fit", "--port=8080", "small.yaml"], OF_SERVERS),
        (["--port", "8080", "fit", "small.yaml"], OF_SERVERS),
        (["check", "small.yaml", "-m"], "stpspec check: -m belongs to fit and run\n"),
        (["list", "--out", "x"],
         "stpspec list: --out belongs to campaign, export, fit, import, measure, report, run and "
         "sweep\n"),
        (["dashboard", "--quite"], "stpspec dashboard: unrecognized arguments: --quite\n"),
        (["dashboard", "--prot", "0"],
         "stpspec dashboard: unrecognized arguments: --prot; did you mean '--port'?\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_a_flag_of_another_verb_is_refused_by_name_and_a_misspelled_one_gets_its_nearest(
    main, words, says
):
    told = clear(main(*words), 2)
    verb = next(word for word in words if word in verb_names())
    assert told == f"{says}  stpspec {verb} --help shows how it is used\n"


@pytest.mark.parametrize(
    "words",
    [
        ["check", "small.yaml", "--log-level", "error", "seed=2"],
        ["--log-level", "error", "check", "small.yaml", "seed=2"],
        ["--config-dir", ".", "check", "seed=2", "--traceback", "small.yaml"],
        ["check", "--config-dir=.", "small.yaml", "--", "seed=2"],
    ],
    ids=" ".join,
)
def test_flags_may_stand_anywhere_between_the_words(main, words):
    assert main(*words).stdout == "small: no problems\n"


NEW_VERB = '''
"""``stpspec greet``: a greeting."""

from stpspec.cli.verb import Verb


def _greet(arguments):
    print(f"hello {' '.join(arguments.words)}{'!' * arguments.marks}")
    return 0


VERB = Verb(
    summary="greet whoever is named",
    section="reference",
    usage="NAME",
    words={"NAME": "whom"},
    text="Greet whoever is named.",
    examples=(("greet Ramón", "one"), ("greet Camillo --marks 2", "loudly")),
    action=_greet,
    flags=(lambda group: group.add_argument("--marks", type=int, default=0, help="how many"),),
    complete=lambda rest, current: {"Camillo": "who drew cells"},
)
'''


def test_one_file_adds_a_verb_with_its_help_its_flags_and_its_completion(tmp_path):
    (tmp_path / "greet.py").write_text(NEW_VERB)

    def stpspec(*words):
        return python(
            "import sys; from stpspec.cli import main, verbs\n"
            "verbs.__path__.append(sys.argv[1])\n"
            "sys.exit(main.main(sys.argv[2:]))",
            str(tmp_path), *words,
        )  # fmt: skip

    assert stpspec("greet", "Ramón", "--marks", "2").stdout == "hello Ramón!!\n"
    assert "greet       greet whoever is named\n" in stpspec("--help").stdout
    shown = stpspec("greet", "--help").stdout
    assert "Greet whoever is named." in shown
    assert "--marks MARKS" in shown
    assert stpspec("__complete", "fish", "gr").stdout == "greet\tgreet whoever is named\n"
    assert stpspec("__complete", "bash", "stpspec greet C", "=").stdout == "Camillo\n"
    assert stpspec("__complete", "fish", "greet", "--m").stdout == "--marks\thow many\n"
    assert "fit: --marks belongs to greet" in stpspec("fit", "x", "--marks", "1").stderr
    assert "Did you mean 'greet'?" in stpspec("gret").stderr


def test_without_a_verb_the_help_is_shown_and_the_code_is_2(here):
    done = cli(cwd=here)
    assert done.returncode == 2
    assert "verbs" in done.stdout


def test_the_version_is_the_packages(here):
    import stpspec

    assert cli("--version", cwd=here).stdout == f"stpspec {stpspec.__version__}\n"


# -- list and schema --------------------------------------------------------------------------


def test_list_shows_every_registered_name_and_every_shipped_file(main):
    from stpspec import registry

    shown = main("list").stdout
    tables = ("METRICS", "LOSSES", "FITTERS", "PROTOCOLS", "MODELS", "RECORDINGS")
    for name in [n for t in tables for n in getattr(registry, t).names()]:
        assert re.search(rf"^{name}\b.*\w", shown, re.MULTILINE), name
    files = [*(ROOT / "mod").glob("*.mod"), *(ROOT / "templates").glob("*.*")]
    assert all(p.name in shown for p in files if p.suffix != ".pyc")
    assert all(p.parent.name in shown for p in (ROOT / "experiments").glob("*/experiment.yaml"))
    for group in ("protocol", "fitter", "model", "recording"):
        line = re.search(rf"{group}=: (.*)", shown)
        assert line is not None
        assert line[1].split(", ") == sorted(p.stem for p in (ROOT / "conf" / group).glob("*.yaml"))


def test_list_shows_one_sort_when_it_is_named(main):
    shown = main("list", "losses").stdout
    assert "huber" in shown
    assert "single_event" not in shown


@pytest.mark.parametrize(
    "group", ["experiment", "model", "recording", "protocol", "objective", "fitter", "numerics"]
)
def test_schema_prints_the_shipped_json_schema_of_each_group(main, group):
    done = main("schema", group)
    assert done.returncode == 0, done.stderr
    schema = json.loads(done.stdout)
    assert schema == json.loads((ROOT / "conf" / "schema" / f"{group}.json").read_text())
    assert {"properties", "anyOf"} & set(schema)
    known = set(schema.get("$defs", {}))
    assert set(re.findall(r'"#/\$defs/(\w+)"', done.stdout)) <= known


def test_schema_without_a_group_is_that_of_an_experiment_file(main):
    assert main("schema").stdout == main("schema", "experiment").stdout


@pytest.mark.parametrize(
    "path",
    sorted([*ROOT.glob("conf/*/*.yaml"), *ROOT.glob("conf/*.yaml"),
            *ROOT.glob("experiments/*/*.yaml")]),
    ids=lambda p: f"{p.parent.name}/{p.name}",
)  # fmt: skip
def test_every_shipped_yaml_file_names_a_schema_that_exists(path):
    first = path.read_text().splitlines()[0]
    match = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert match, first
    assert (path.parent / match[1]).resolve().is_file()


# -- check, run, fit --------------------------------------------------------------------------


def test_check_says_when_there_is_no_problem(here):
    done = cli("check", "small.yaml", cwd=here)
    assert (done.returncode, done.stdout) == (0, "small: no problems\n")


def test_check_prints_all_problems_with_file_line_path_rule_value_and_nearest(here, main):
    text = YAML.replace("U:", "UU:").replace("amplitude,", "amplitud,").replace("20}", "-1}")
    (here / "bad.yaml").write_text(text)
    told = clear(main("check", "bad.yaml", "fiter=tpe"), 1)
    rows = told.splitlines()
    assert "(4 problems)" in rows[0]
    assert len(rows) == 5
    for pattern in (
        r"bad\.yaml:7 \| numerics\.settle: .*received -1",
        r"bad\.yaml:13 \| parameters\.UU: .*received 'UU'; did you mean 'U'\?",
        r"bad\.yaml:16 \| objective\.terms\.size\.metric: .*'amplitud'; did you mean 'amplitude'",
        r"command line: fiter=tpe \| fiter: .*did you mean 'fitter'\?",
    ):
        assert re.search(pattern, told), told


def test_check_goes_on_with_the_next_experiment_after_one_that_is_not_valid(here, main):
    (here / "bad.yaml").write_text(YAML.replace("settle: 20", "settle: -1"))
    done = main("check", "bad.yaml", "small.yaml", "nothing.yaml")
    told = clear(done, 1)
    assert "small: no problems" in done.stdout
    assert "bad.yaml:7" in told
    assert "nothing.yaml" in told


def test_run_prints_how_each_ratio_was_calculated_with_its_numbers(runs):
    folder, shown, _ = runs
    assert "small at U = 0.3, tau_rec = 500 ms" in shown
    summary = {}
    for name in ("paired_pulse_ratio", "induction", "recovery"):
        value = re.search(rf"^{name} +(\S+)", shown, re.MULTILINE)
        assert value is not None, shown
        summary[name] = float(value[1])
    how = shown.partition("calculated\n")[2]

    def step(name):
        found = re.search(rf"^ *{name} = .*$", how, re.MULTILINE)
        assert found is not None, how
        formula, _, arithmetic = found[0].partition(" = ")[2].partition(" = ")
        return formula, [float(x) for x in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", arithmetic)]

    line, (a2, a1, ratio) = step("paired_pulse_ratio")
    assert line == "a2 / a1"
    assert a2 / a1 == pytest.approx(ratio, rel=1e-3)
    assert ratio == pytest.approx(summary["paired_pulse_ratio"], rel=1e-3)
    for name, pulses in (("induction", "a6…a8"), ("recovery", "a9…a12")):
        line, (late, early, scale, value) = step(name)
        assert pulses in line
        assert (late - early) / scale == pytest.approx(value, rel=1e-3)
        assert value == pytest.approx(summary[name], rel=1e-3)
    assert (folder / "ran" / "simulation.nc").is_file()
    assert (folder / "ran" / "traces_train.png").is_file()


def test_run_takes_units_and_refuses_what_the_mechanism_does_not_allow(main):
    told = clear(main("run", "small.yaml", "UU=0.3", "tau_rec=3 mV", "tau_rise=x"), 1)
    assert "(3 problems)" in told
    assert "did you mean 'U'?" in told
    assert "'mV' has another dimension" in told
    assert "command line: tau_rise=x" in told
    told = clear(main("run", "small.yaml", "U=3"), 1)
    assert "allows 0 to 1" in told


def test_fit_prints_targets_achieved_parameters_bounds_errors_loss_cost_and_files(runs):
    folder, _, shown = runs
    assert shown.startswith("small: 1 free parameter, 1 target: all hit\n")
    assert re.search(r"^size \(amplitude\) +single +pA +42 ± 1 +42 +hit$", shown, re.MULTILINE)
    assert re.search(r"^U +0\.6\d* ± 0\.0\d+ +0\.1 … 0\.9", shown, re.MULTILINE)
    assert re.search(
        r"^loss \d\S* at the start, \d\S* at the end of the search", shown, re.MULTILINE
    )
    assert re.search(r" \d\S* on the reference numerics .*\nconverged: ", shown)
    assert re.search(r"^\d+ simulations in \d.* s, least_squares, seed 0$", shown, re.MULTILINE)
    assert shown.endswith("files in fitted\n")
    assert (folder / "fitted" / "result.nc").is_file()


def test_fit_says_in_its_first_line_that_there_are_more_parameters_than_targets(main):
    words = ["+parameters.tau_rise={min: 0.1 ms, max: 1 ms}", "fitter=random",
             "fitter.budget.evaluations=4"]  # fmt: skip
    done = main("fit", "small.yaml", *words, "--out", "out")
    assert "MORE PARAMETERS THAN TARGETS" in done.stdout.splitlines()[0]


def test_a_parameter_at_its_bound_is_marked(main):
    words = ["objective.terms.size.target=500", "--out", "out"]
    done = main("fit", "small.yaml", *words)
    assert re.search(r"^U +0\.9 .*AT ITS BOUND \(max\)", done.stdout, re.MULTILINE), done.stdout


def test_results_go_by_default_into_a_folder_of_the_experiment_and_the_moment(here, main):
    for _ in range(2):
        assert main("run", "small.yaml").returncode == 0
    folders = sorted((here / "stpspec-results" / "small").iterdir())
    assert len(folders) == 2
    assert all(p.name.startswith("run_") for p in folders)


@pytest.mark.long
def test_a_saved_result_can_be_fitted_again_with_overrides(runs):
    folder, _, _ = runs
    done = cli("fit", "fitted", "fitter=bounded", "--out", "again", cwd=folder)
    assert "bounded, seed 0" in done.stdout, done.stderr
    first, second = (
        json.loads((folder / d / "summary.json").read_text())["parameters"]["U"]["value"]
        for d in ("fitted", "again")
    )
    assert second == pytest.approx(first, rel=1e-4)


@pytest.mark.parametrize("text", ["garbage", "{}", "[1]", '{"parameters": {"U": 3}}'])
def test_a_result_whose_summary_is_damaged_is_named(here, main, text):
    folder = here / "damaged"
    folder.mkdir()
    (folder / "experiment.yaml").write_text(YAML)
    (folder / "result.nc").touch()
    (folder / "summary.json").write_text(text)
    assert "result.nc cannot be read as a result" in clear(main("run", "damaged"), 1)


# -- what can be wrong ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["frun"], 2, "Did you mean 'run'"),
        (["chekc", "small.yaml"], 2, "Did you mean 'check'"),
        (["fit"], 2, "what?"),
        (["fit", "small.yaml", "--ot", "x"], 2, "did you mean '--out'"),
        (["fit", "small.yaml", "--overwite"], 2, "did you mean '--overwrite'"),
        (["fit", "small.yaml", "--log-level", "loud"], 2, "is one of debug, info"),
        (["fit", "small.yaml", "--out"], 2, "--out"),
        (["list", "metrcs"], 2, "Did you mean 'metrics'"),
        (["schema", "protocols"], 2, "Did you mean 'protocol'"),
        (["fit", "small.yaml", "--config-dir", "nope"], 2, "nope"),
        (["fit", "small.yaml", "small.yaml", "--out", "x"], 2, "one"),
        (["check", "-m", "small.yaml"], 2, "-m"),
        (["fit", "pvalb_pry"], 1, "Did you mean 'pvalb_pyr'"),
        (["fit", "nothing.yaml"], 1, "nothing.yaml"),
        (["fit", "experiment=pvalb_pry"], 2, "pvalb_pyr"),
        (["fit", "small.yaml", "fitter=tpee"], 2, "Did you mean 'tpe'"),
        (["fit", "small.yaml", "seed=x"], 1, "command line: seed=x"),
        (["fit", "small.yaml", "seed=["], 2, "seed=["),
        (["fit", "small.yaml", "=3"], 2, "=3"),
        (["fit", "small.yaml", "recording=3"], 2, "group override"),
        (["check", "small.yaml", "~nothing"], 2, "nothing"),
        (["check", "small.yaml", "model.section=dend[0]"], 2,
         """write 'model.section="dend[0]"'"""),
        (["check", "fitter=tpee"], 2, "stpspec check EXPERIMENT fitter=tpee"),
        (["fit", "small.yaml", "~objective"], 1, "no objective"),
        (["fit", "small.yaml", "~parameters"], 1, "no free parameters"),
        (["fit", "small.yaml", "numerics.settle=nan"], 1, "finite number in ms"),
        (["fit", "small.yaml", "model.cell.file=nothing.hoc"], 1, "nothing.hoc"),
        (["fit", "small.yaml", "model.mechanism=GabbaA"], 1, "Did you mean 'GabaA'"),
        (["run", "small.yaml", "plugins=[no_such_module]"], 1, "no_such_module"),
        (["run", "."], 1, "."),
        (["sweep", "small.yaml", "U=[0.1,3]"], 1, "command line: U=[0.1,3] | U: the mechanism"),
        (["sweep", "small.yaml", "U=[0.1,null]"], 1, "a number in 1, or a string with a unit"),
        (["fit", "small.yaml", "fitter=tpe", "fitter.budget.seconds=1e-9"], 1,
         "the budget was spent before the first evaluation"),
        (["run", "small.yaml", "U=[0.1,0.2]"], 1, "stpspec sweep measures over a list"),
        (["fit", "small.yaml", "--out", "small.yaml"], 1, "exists already"),
        (["fit", "small.yaml", "--out", "small.yaml/below"], 1, "not a folder"),
        (["run", "small.yaml", "--out", "small.yaml/below/it"], 1, "not a folder"),
        (["fit", "small.yaml", "--out", "."], 1, "exists already"),
        (["fit", "small.yaml", "--out", ".", "--overwrite"], 1, "no result of stpspec"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_whatever_is_wrong_is_one_clear_block_with_its_exit_code(here, main, words, code, told):
    before = sorted(p.name for p in here.iterdir())
    done = main(*words)
    assert told in clear(done, code)
    assert "files in" not in done.stdout
    assert sorted(p.name for p in here.iterdir()) == before, "something was written"
    assert (here / "small.yaml").read_text() == YAML


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["check", "broken.yaml", "fitter=tpe"], "broken.yaml:3"),
        (["check", "choice.yaml", "fitter=tpe", "seed=1"], "Did you mean 'tm_patch'"),
        (["check", "small.yaml", "fitter=bad", "--config-dir", "own"], "bad.yaml:3"),
    ],
)
def test_a_fault_in_a_file_ends_with_1_whatever_the_overrides(here, main, words, told):
    (here / "broken.yaml").write_text("name: broken\nseed: [\n")
    (here / "choice.yaml").write_text(YAML.replace("tm_patch", "tm_pach"))
    (here / "own" / "fitter").mkdir(parents=True)
    (here / "own" / "fitter" / "bad.yaml").write_text("kind: optuna\nsampler: [\n")
    assert told in clear(main(*words), 1)


def test_the_command_ends_with_the_code_of_its_error(here):
    assert "Did you mean 'run'" in clear(cli("frun", cwd=here), 2)
    assert "seed=x" in clear(cli("fit", "small.yaml", "seed=x", cwd=here), 1)


def test_a_traceback_is_shown_when_it_is_asked_for(main):
    done = main("fit", "small.yaml", "seed=x", "--traceback")
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert "SpecError" in done.stderr


def test_the_table_of_a_fit_is_shown_even_when_the_disk_is_full(main):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # bytes; result.nc is larger
    try:
        done = main("fit", "small.yaml", "--out", "full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "full cannot be written" in clear(done, 1)
    assert "value ± approx. SE" in done.stdout
    assert "files in" not in done.stdout


@pytest.mark.long
def test_an_existing_result_is_kept_unless_it_is_to_be_overwritten(runs):
    folder, *_ = runs
    before = (folder / "fitted" / "summary.json").read_bytes()
    told = clear(cli("fit", "small.yaml", "--out", "fitted", cwd=folder), 1)
    assert "--overwrite" in told
    assert (folder / "fitted" / "summary.json").read_bytes() == before
    (folder / "old").mkdir()
    (folder / "old" / "result.nc").write_text("something old")
    (folder / "old" / "left_over.png").write_text("something old")
    done = cli("fit", "small.yaml", "--out", "old", "--overwrite", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert not (folder / "old" / "left_over.png").exists()


def test_a_run_whose_simulation_fails_shows_why_and_ends_with_1(here):
    # A mechanism of one's own without limits divides by zero.
    (here / "Fragile.mod").write_text(
        "NEURON { POINT_PROCESS Fragile RANGE i, g, e, tau NONSPECIFIC_CURRENT i }\n"
        "PARAMETER { tau = 1 (ms) e = 0 (mV) }\nASSIGNED { v (mV) i (nA) g (uS) }\n"
        "INITIAL { g = 0 }\nBREAKPOINT { i = (g / tau) * (v - e) }\n"
        "NET_RECEIVE (weight) { g = g + 1e-3 * weight }\n"
    )
    text = YAML.replace("  fixed: {tau_decay: 2 ms}\n", "  mod: [Fragile.mod]\n")
    text = text.replace("parameters:\n  U: {min: 0.1, max: 0.9}\n", "")
    (here / "fragile.yaml").write_text(text[: text.index("objective:")])
    done = cli("run", "fragile.yaml", "model.mechanism=Fragile", "tau=0", "--out", "out", cwd=here)
    told = clear(done, 1)
    assert "the simulation failed" in told
    assert "single" in told
    assert re.search(
        r"^no amplitude, .*: single: synaptic_current is nan", done.stdout, re.MULTILINE
    )


# -- many jobs --------------------------------------------------------------------------------


@pytest.mark.long
def test_a_multirun_runs_every_combination_and_one_failing_job_lets_the_others_run(here):
    words = ["seed=0,1", "fitter=bounded,random", "fitter.budget.evaluations=6"]
    done = cli("fit", "-m", "small.yaml", *words, "--out", "sweep", cwd=here)
    assert done.returncode == 3, done.stderr  # six random points miss the target
    assert len(re.findall(r"^── job \d", done.stdout, re.MULTILINE)) == 4
    assert "4 done" in done.stdout.splitlines()[-1]
    assert "sweep" in done.stdout.splitlines()[-1]
    found = [json.loads(p.read_text()) for p in sorted(here.glob("sweep/*/result/summary.json"))]
    assert sorted((s["seed"], s["evaluations"]) for s in found) == [(0, 6), (0, 6), (1, 6), (1, 6)]
    assert not (here / "multirun").exists()

    done = cli("fit", "-m", "small.yaml", "seed=0,x,2", words[2], "--out", "mixed", cwd=here)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "command line: seed=x" in done.stderr
    assert re.search(r"2 done.*1 failed|1 failed.*2 done", done.stdout.splitlines()[-1])
    assert len(list(here.glob("mixed/*/result/summary.json"))) == 2
    assert "seed=x" in (here / "mixed" / "jobs.csv").read_text()


@pytest.mark.parametrize(
    ("words", "told", "code"),
    [
        (["fitter=tpee,slsqp"], "Did you mean 'tpe'", 2),
        (["seed=0,["], "'seed=0,['", 2),
        (["fitter=3,4"], "group override", 2),
        (["experiment=pvalb_pry,fs_fs_gap"], "Did you mean 'pvalb_pyr'", 2),
    ],
)
def test_a_multirun_that_cannot_be_composed_is_one_clear_error(main, words, told, code):
    paths = [] if words[0].startswith("experiment") else ["small.yaml"]
    assert told in clear(main("fit", "-m", *paths, *words), code)


def test_our_warnings_are_heard_after_a_multirun_that_cannot_be_composed(main):
    main("fit", "-m", "small.yaml", "fitter=tpee,slsqp")
    assert not any(logging.getLogger(n).disabled for n in ("stpspec", "stpspec.engine"))


def test_the_nearest_name_is_none_when_nothing_looks_like_it():
    assert nearest("zzzzzz", ["run", "fit"]) is None
    assert nearest("Least-Squares", ["least_squares"]) == "least_squares"


def test_override_longer_than_the_name_of_a_file_is_an_override(main):
    done = main("check", "small.yaml", f"description={'x' * 300}")
    assert done.returncode == 0, done.stderr


# -- Ctrl-C -------------------------------------------------------------------------------------

COUNTS = """\
from pathlib import Path
import stpspec

seen = []

@stpspec.cost("says_that_it_runs")
def says_that_it_runs(metrics, targets):
    seen.append(metrics)
    if len(seen) > 100:  # batches are behind it, so there is something to keep
        Path("started").touch()
    return (metrics["size"] - targets["size"]) ** 2
"""
ENDLESS = ["fitter=random", "fitter.budget.evaluations=1000000", "plugins=[says]",
           "objective.cost=says_that_it_runs"]  # fmt: skip


def interrupted(here, *words):
    """Run a command that would never end, press Ctrl-C once it evaluates, return what it said."""
    (here / "says.py").write_text(COUNTS)
    command = [sys.executable, "-m", "stpspec.cli", *words, *ENDLESS]
    environment = os.environ | {"PYTHONPATH": str(here)}
    with subprocess.Popen(
        command, cwd=here, env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            end = time.monotonic() + 120
            while not (here / "started").exists():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < end
                time.sleep(0.05)
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()  # what failed above would be waited for for ever
    assert "Traceback" not in err
    return process.returncode, out, err


def test_interrupted_fit_keeps_its_result_and_ends_as_shells_expect(here, monkeypatch):
    monkeypatch.syspath_prepend(here)
    code, out, _ = interrupted(here, "fit", "small.yaml", "--out", "kept")
    assert code == 130
    assert "interrupted" in out
    assert FitResult.load(here / "kept").status == "interrupted"


def test_interrupt_stops_a_multirun_and_keeps_what_its_job_had_found(here, monkeypatch):
    monkeypatch.syspath_prepend(here)
    code, out, err = interrupted(here, "fit", "-m", "small.yaml", "seed=1,2,3", "--out", "jobs")
    assert code == 130
    assert "1 interrupted" in out
    assert "interrupted; the jobs so far are kept" in err
    assert [p.name for p in sorted((here / "jobs").iterdir()) if p.is_dir()] == ["0"]
    assert FitResult.load(here / "jobs" / "0" / "result").status == "interrupted"


@pytest.mark.long
def test_each_result_folder_holds_the_log_of_how_it_was_made(runs):
    folder, _, _ = runs
    log = (folder / "fitted" / "log.txt").read_text()
    first, second, *rest = log.splitlines()
    assert re.match(r"\d\d:\d\d:\d\d INFO stpspec: stpspec fit small.yaml", first)
    assert "fit of small with least_squares, seed 0; " in second
    assert "the best so far, at U = " in rest[0]
    assert "converged after" in rest[-1]
    assert "INFO" in (folder / "ran" / "log.txt").read_text()
    words = ["fit", "small.yaml", "--out", "loud", "--log-level", "info"]
    shown = cli(*words, cwd=folder).stderr
    assert re.search(r"^\d\d:\d\d:\d\d INFO stpspec.fitters: evaluation 1: loss", shown, re.M)
