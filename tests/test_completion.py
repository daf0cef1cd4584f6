"""Completion: the words offered, and the same in the real shells."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from small import YAML, cli, python

from stpspec.cli.completion.candidates import candidates
from stpspec.cli.completion.outline import outline
from stpspec.cli.completion.registered import METRICS as SOURCES
from stpspec.cli.completion.registered import registered
from stpspec.cli.completion.shells import answer
from stpspec.config.compose import compose
from stpspec.registry import FITTERS, LOSSES, METRICS, RECORDINGS
from stpspec.resources import experiments


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in a folder with one experiment file, one folder and one file of no interest."""
    (tmp_path / "small.yaml").write_text(YAML)
    (tmp_path / "my results").mkdir()
    (tmp_path / "notes.txt").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def offered(*words):
    *before, current = words
    return list(candidates(before, current))


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["f"], ["fit"]),
        (["--quiet", "sw"], ["sweep"]),
        (["fit", "pv"], ["pvalb_pyr"]),
        (["fit", "sm"], ["small.yaml"]),
        (["fit", "no"], []),
        (["fit", "experiment=pv"], ["experiment=pvalb_pyr"]),
        (["fit", "pvalb_pyr", "fitter=sl"], ["fitter=slsqp"]),
        (["fit", "-m", "pvalb_pyr", "fitter=slsqp,t"], ["fitter=slsqp,tpe"]),
        (["fit", "-m", "pvalb_pyr", "fitter=tpe,t"], []),
        (["fit", "pvalb_pyr", "protocols."], ["protocols.train.", "protocols.single."]),
        (["fit", "pvalb_pyr", "protocols.train.fr"], ["protocols.train.frequency="]),
        (["fit", "pvalb_pyr", "protocols.single.fr"], []),
        (["fit", "pvalb_pyr", "p"],
         ["protocols.", "parameters.", "plugins=", "protocol@protocols."]),
        (["fit", "+protocol@protocols.t40=train", "protocols.t40.rec"],
         ["protocols.t40.recovery_delay=", "protocols.t40.recording."]),
        (["fit", "+protocol@protocols.t40=tr"],
         ["+protocol@protocols.t40=train", "+protocol@protocols.t40=trains"]),
        (["fit", "+protocol@protocols.t40=trains", "protocols.t40.fr"],
         ["protocols.t40.frequencies="]),
        (["fit", "pvalb_pyr", "objective.terms.recovery.ta"],
         ["objective.terms.recovery.target=", "objective.terms.recovery.target."]),
        (["fit", "pvalb_pyr", "objective.terms.recovery.target.source=t"],
         ["objective.terms.recovery.target.source=table",
          "objective.terms.recovery.target.source=trace"]),
        (["fit", "allen_pairs", "objective.terms.recovery.target.p"],
         ["objective.terms.recovery.target.pre=", "objective.terms.recovery.target.post="]),
        (["fit", "allen_pairs", "objective.terms.recovery.target.f"], []),
        (["fit", "allen_pairs", "objective.terms.recovery.target.source=table",
          "objective.terms.recovery.target.columns.s"],
         ["objective.terms.recovery.target.columns.sd=",
          "objective.terms.recovery.target.columns.sem="]),
        (["fit", "small.yaml", "parameters.U.m"], ["parameters.U.min=", "parameters.U.max="]),
        (["fit", "small.yaml", "~parameters."], ["~parameters.U."]),
        (["fit", "pvalb_pyr", "fitter.budget.e"], ["fitter.budget.evaluations="]),
        (["fit", "pvalb_pyr", "fitter.met"], []),
        (["fit", "pvalb_pyr", "fitter=slsqp", "fitter.met"], ["fitter.method="]),
        (["fit", "pvalb_pyr", "fitter.kind=minimize", "fitter.method=CO"],
         ["fitter.method=COBYLA", "fitter.method=COBYQA"]),
        (["fit", "pvalb_pyr", "recording=current_clamp", "recording.hol"],
         ["recording.holding_current="]),
        (["fit", "pvalb_pyr", "recording.signals=[clamp_current,so"],
         ["recording.signals=[clamp_current,somatic_voltage"]),
        (["sweep", "pvalb_pyr", "recording=[voltage_clamp,cu"],
         ["recording=[voltage_clamp,current_clamp"]),
        (["sweep", "pvalb_pyr", "recording.kind=[vo"], ["recording.kind=[voltage_clamp"]),
        (["fit", "-m", "pvalb_pyr", "hy"], ["hydra/launcher="]),
        (["fit", "-m", "pvalb_pyr", "hydra/launcher=j"], ["hydra/launcher=joblib"]),
        (["fit", "pvalb_pyr", "objective.terms.recovery.protocol=s"],
         ["objective.terms.recovery.protocol=single"]),
        (["fit", "pvalb_pyr", "numerics.dt="], []),
        (["run", "pvalb_pyr", "U"], ["U="]),
        (["fit", "pvalb_pyr", "U"], []),
        (["sweep", "pvalb_pyr", "--axis", "l"], ["log", "linear"]),
        (["sweep", "pvalb_pyr", "--axis=l"], ["--axis=log", "--axis=linear"]),
        (["fit", "pvalb_pyr", "--over"], ["--overwrite"]),
        (["campaign", "t.csv", "--over"], []),
        (["fit", "pvalb_pyr", "--p"], []),
        (["dashboard", "--p"], ["--port"]),
        (["--"], ["--help", "--version", "--traceback", "--log-level"]),
        (["--config-dir", "x", "sw"], ["sweep"]),
        (["fit", "pvalb_pyr", "--overwrite", "--over"], []),
        (["fit", "pvalb_pyr", "--out", "m"], ["my results/"]),
        (["collect", ""], ["my results/"]),
        (["campaign", "sm"], ["small.yaml"]),
        (["campaign", "t.csv", "pv"], ["pvalb_pyr"]),
        (["campaign", "t.csv", "pvalb_pyr", "protocols.train.fr"], ["protocols.train.frequency="]),
        (["list", "me"], ["metrics", "mechanisms"]),
        (["schema", "pro"], ["protocol"]),
        (["schema", "protocol", ""], []),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["nonsense", ""], []),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)  # fmt: skip
def test_the_words_offered(words, wanted):
    assert sorted(offered(*words)) == sorted(wanted)


def test_dashboard_offers_the_studies_that_are_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stpspec-studies").mkdir()
    (tmp_path / "stpspec-studies/pv.journal").touch()
    assert sorted(offered("dashboard", "")) == ["my results/", "pv", "stpspec-studies/"]
    assert list(offered("dashboard", "stpspec-studies/p")) == ["stpspec-studies/pv.journal"]
    assert not offered("dashboard", "pv", "")


@pytest.mark.parametrize("key", ["fitter.kind", "recording.kind"])
def test_every_kind_is_offered_whichever_is_chosen(key):
    registry = {"fitter.kind": FITTERS, "recording.kind": RECORDINGS}[key]
    wanted = {f"{key}={name}" for name in registry.names()}
    assert wanted == set(offered("fit", "pvalb_pyr", f"{key}="))


@pytest.mark.parametrize(("sort", "registry"), [("metric", METRICS), ("loss", LOSSES)])
def test_the_names_read_from_the_source_are_those_registered(sort, registry):
    own = [n for n in registry.names() if registry.get(n).function.__module__.startswith("stpspec")]
    assert set(own) <= set(registered(sort)) <= set(registry.names())


def test_a_metric_is_offered_once_its_source_has_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("STPSPEC_CACHE", str(tmp_path / "cache"))
    sources = tmp_path / "sources"
    shutil.copytree(SOURCES, sources)
    before = registered("metric", sources)
    assert registered("metric", sources) == before  # the second time from the cache
    assert list((tmp_path / "cache").rglob("*.json"))
    with (sources / "kinetics.py").open("a") as file:
        file.write('\n\n@metric("brand_new", "1")\ndef brand_new(response): ...\n')
    assert registered("metric", sources) == sorted([*before, "brand_new"])


@pytest.mark.parametrize("text", ["", "[1]", '{"state": []}'])
def test_a_damaged_cache_of_names_is_made_again(tmp_path, monkeypatch, text):
    monkeypatch.setenv("STPSPEC_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "completion").mkdir(parents=True)
    (tmp_path / "cache" / "completion" / "registered.json").write_text(text)
    assert "huber" in registered("loss")


def test_names_are_offered_without_a_cache(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("STPSPEC_CACHE", str(tmp_path / "file"))
    assert "huber" in registered("loss")


def scalars(data, path=""):
    for key, value in data.items():
        if isinstance(value, dict):
            yield from scalars(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


@pytest.mark.parametrize("name", sorted(experiments()))
@pytest.mark.parametrize(
    "extra", [[], ["fitter=tpe", "numerics.dt=0.05"]], ids=["as is", "changed"]
)
def test_the_outline_is_what_hydra_composes(name, extra):
    composed, _ = compose(name, extra)
    assert dict(scalars(outline([name, *extra]))) == dict(scalars(composed))


@pytest.mark.parametrize("name", sorted(experiments()))
def test_every_field_of_a_shipped_experiment_is_offered(name):
    for path, _ in scalars(yaml.safe_load(experiments()[name].read_text())):
        if path != "defaults" and ".options." not in path:
            assert f"{path}=" in offered("fit", name, path), path


def test_completion_answers_without_loading_anything_heavy():
    heavy = ("neuron", "optuna", "xarray", "scipy", "matplotlib", "hydra", "numpy", "pydantic")
    done = python(
        "import sys, stpspec.cli.main\n"
        "for word in ('', 'fitter=', 'objective.terms.recovery.metric='):\n"
        "    stpspec.cli.main.main(['__complete', 'fish', 'fit', 'pvalb_pyr', word])\n"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    assert "objective.terms.recovery.metric=induction" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.mark.parametrize("text", ["{", "- a list", "fitter: 3", "defaults: 5\nmodel: x", "\0"])
def test_a_broken_file_still_completes_the_rest(text, here):
    (here / "broken.yaml").write_text(text)
    assert answer(["fish", "fit", "broken.yaml", "fitter=sl"]) == "fitter=slsqp\t"


@pytest.mark.parametrize(
    "words", [[], ["bash"], ["tcsh", "a"], ["zsh"], ["fish", "fit", "/nowhere/"]]
)
def test_what_cannot_be_answered_is_an_empty_answer(words):
    done = cli("__complete", *words, cwd=Path.cwd())
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_completion_needs_a_shell_it_knows():
    done = cli("completion", "bsh", cwd=Path.cwd())
    assert done.returncode == 2
    assert "Did you mean 'bash'?" in done.stderr


# -- in the shells ------------------------------------------------------------------------------


def environment():
    folder = Path(sys.executable).parent  # where the command is
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "TERM": "dumb"}


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("stpspec swe", ["sweep"]),
        ("stpspec fit pvalb_pyr fitter=sl", ["slsqp"]),
        ("stpspec fit -m experiment=pvalb_pyr fitter=slsqp,t", ["slsqp,tpe"]),
        ("stpspec fit 'fitter=sl", ["fitter=slsqp"]),
        ("stpspec fit +protocol@protocols.x=tr", ["train", "trains"]),
        ("stpspec fit m", [r"my\ results/", "model=", "model."]),
        (r"stpspec check my\ r", [r"my\ results/"]),
        ("stpspec fit 'not closed", []),
    ],
)
def test_bash_gets_what_stands_after_its_word_breaks(line, reply):
    script = (
        'eval "$(stpspec completion bash)"; complete -p stpspec >&2\n'
        "COMP_LINE=$1; COMP_POINT=${#1}; COMP_WORDS=(stpspec); _stpspec\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", line],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr.strip() == "complete -F _stpspec stpspec"
    assert sorted(done.stdout.split("\n")[:-1]) == sorted(reply or [""])


@pytest.mark.needs("fish")
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("stpspec fi", ["fit"]),
        ("stpspec fit pvalb_pyr fitter=sl", ["fitter=slsqp"]),
        ("stpspec fit -m fitter=slsqp,t", ["fitter=slsqp,tpe"]),
        ("stpspec sweep pvalb_pyr --axis l", ["linear", "log"]),
        ("stpspec fit pvalb_pyr protocols.train.fr", ["protocols.train.frequency="]),
    ],
)
def test_fish_completes(line, wanted):
    script = "stpspec completion fish | source; complete -C $argv[1]"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script, line],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert sorted(shown.split("\t")[0] for shown in done.stdout.splitlines()) == wanted
    assert done.stderr == ""


def typed(argv, setup, line, wanted):
    """Type a line and a tab in a terminal; return the screen once it shows what is wanted."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe(argv[0], argv, environment())
    try:
        os.write(terminal, f"{setup}; echo RE''ADY\n".encode())
        seen = read(terminal, "READY\r\n")
        assert "READY\r\n" in seen
        os.write(terminal, f"{line}\t".encode())
        return read(terminal, wanted)
    finally:
        os.close(terminal)  # hangs up: the shell ends
        os.waitpid(child, 0)


def read(terminal, wanted, seconds=30):
    seen = b""
    end = time.monotonic() + seconds
    while time.monotonic() < end and wanted.encode() not in seen:
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 65536)
    return seen.decode(errors="replace")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("stpspec fi", "stpspec fit "),
        ("stpspec fit pvalb_pyr fitter=sl", "fitter=slsqp "),
        ("stpspec fit -m experiment=pvalb_pyr fitter=slsqp,t", "fitter=slsqp,tpe "),
        ("stpspec fit pvalb_pyr protocols.train.fr", "protocols.train.frequency="),
        ("stpspec fit pvalb_pyr fitter.bu\te", "evaluations="),  # no space between levels
        ("stpspec dashboard --po", "--port "),
    ],
)
@pytest.mark.parametrize("shell", ["bash", pytest.param("zsh", marks=pytest.mark.needs("zsh"))])
def test_a_tab_in_a_terminal_finishes_the_word(shell, line, wanted):
    start = {"bash": ["bash", "--norc", "-i"], "zsh": ["zsh", "-f", "-i"]}[shell]
    setup = f"PS1='> '; eval \"$(stpspec completion {shell})\""
    assert wanted in typed(start, setup, line, wanted)
