"""Mistakes of a new user: each is answered with what to do, and nothing is simulated or saved."""

import itertools
import os
import re
import shlex
import string
import subprocess
import sys
import time
from pathlib import Path

import pytest
from programs import path_of
from small import ROOT, YAML

from stpspec.cli.main import main as command
from stpspec.cli.verb import load_verbs

TABLE = "connection,size,size_sd\na,42,1\nb,40,1\n"
TRAIN = YAML.replace(
    "/protocol@protocols.single: single_event", "/protocol@protocols.single: train"
)
TRAIN = TRAIN.replace("  single: {duration: 20 ms}", "  single: {n_induction: 4}")


@pytest.fixture
def answer(tmp_path, monkeypatch, capsys):
    """Return a function that runs the command beside some files: exit code, and what it said."""

    def run(words, **files):
        texts = {"small.yaml": YAML, "table.csv": TABLE}
        texts |= {name.replace("_yaml", ".yaml"): text for name, text in files.items()}
        for name, text in texts.items():
            (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        monkeypatch.chdir(tmp_path)
        try:
            code = command(list(words))
        except SystemExit as ended:
            code = ended.code
        assert sorted(p.name for p in tmp_path.iterdir()) == sorted(texts), "something was saved"
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def is_clear(code, out, said, expected):
    """Check that an error is told in a few lines, none of them Python's."""
    assert code == expected, out + said
    assert re.match(r"stpspec( \w+)?: ", said), said
    assert "Traceback" not in said
    assert "should not happen" not in said
    assert len(said.splitlines()) <= 3, said


# What was typed, with the quotes already taken by the shell → exit code, what the answer says.
TYPED = {
    # values and their units
    ("run", "small.yaml", "tau_rec=0.5", "s"): (2, "'tau_rec=0.5 s'"),
    ("run", "small.yaml", "tau_rec=1,5", "s"): (2, "'tau_rec=1.5 s'"),
    ("run", "small.yaml", "tau_rec=1,5 s"): (2, "tau_rec=1.5 s"),
    ("run", "small.yaml", "U=0,4"): (2, "U=0.4"),
    ("run", "small.yaml", "U:0.4"): (2, "U=0.4"),
    ("run", "small.yaml", "U: 0.4"): (2, "U=0.4"),
    ("run", "small.yaml", "U", "=", "0.4"): (2, "write U=0.4"),
    ("run", "small.yaml", "U=", "0.4"): (2, "write U=0.4"),
    ("run", "small.yaml", "U", "=0.4"): (2, "write U=0.4"),
    ("run", "small.yaml", "U", "0.4"): (2, "U=0.4"),
    ("run", "small.yaml", "--U", "0.4"): (2, "without dashes: U=0.4"),
    ("run", "small.yaml", "--tau_rec=0.4"): (2, "without dashes: tau_rec=0.4"),
    ("run", "small.yaml", "tau_rec=", "0.5", "s"): (2, "write 'tau_rec=0.5 s'"),
    ("run", "small.yaml", "tau_rec", "=", "0.5", "s"): (2, "write 'tau_rec=0.5 s'"),
    ("run", "small.yaml", "tau_rec", "=0.5", "s"): (2, "write 'tau_rec=0.5 s'"),
    ("run", "small.yaml", "tau_rec", "0.5", "s"): (2, "set with =: 'tau_rec=0.5 s'"),
    ("run", "small.yaml", "tau_rec:", "0.5", "s"): (2, "set with =: 'tau_rec=0.5 s'"),
    ("run", "small.yaml", "tau_rec:0.5", "s"): (2, "set with =: 'tau_rec=0.5 s'"),
    ("run", "small.yaml", "tau_rec = 0.5 s"): (2, "set with = alone: 'tau_rec=0.5 s'"),
    ("run", "small.yaml", "U=0.4,tau_rec=300"): (2, "word of its own: U=0.4 tau_rec=300"),
    ("run", "small.yaml", "U=0.4; tau_rec=0.5 s"): (2, "its own: U=0.4 'tau_rec=0.5 s'"),
    ("fit", "small.yaml", "--seed", "1"): (2, "without dashes: seed=1"),
    ("fit", "small.yaml", "--fitter=tpe"): (2, "without dashes: fitter=tpe"),
    ("fit", "small.yaml", "fitter", "tpe"): (2, "fitter=tpe"),
    ("fit", "small.yaml", "seed 1"): (2, "seed=1"),
    ("fit", "small.yaml", "seed==1"): (2, "seed=1"),
    ("fit", "small.yaml", "seed="): (2, "gives no value"),
    ("run", "small.yaml", "Q=3"): (1, "it has weight, U, tau_rec"),
    ("run", "train.yaml", "frequency=20"): (1, "did you mean 'protocols.single.frequency'?"),
    ("fit", "train.yaml", "frequency=20"): (1, "did you mean 'protocols.single.frequency'?"),
    ("fit", "small.yaml", "U=0.4"): (1, "parameters.U.start=0.4"),
    ("fit", "small.yaml", "parameters.U=0.1,0.9"): (2, "'parameters.U={min: 0.1, max: 0.9}'"),
    ("fit", "small.yaml", "parameters.U=[0.1,0.9]"): (2, "'parameters.U={min: 0.1, max: 0.9}'"),
    ("run", "small.yaml", "U=0.2,0.4"): (2, "stpspec sweep EXPERIMENT 'U=[0.2,0.4]'"),
    ("run", "small.yaml", "-U", "0.4"): (2, "without dashes: U=0.4"),
    ("fit", "small.yaml", "seed=1,2"): (2, "-m makes one job of each"),
    ("fit", "small.yaml", "study=my", "study"): (2, "'study=my study'"),
    ("fit", "small.yaml", "/fitter=tpe"): (2, "fitter=tpe"),
    ("sweep", "train.yaml", "protocols.single.frequency=5"): (2, "frequency=[5]'"),
    ("check", "train.yaml", "protocols.single.frequency=20 hz"): (1, "did you mean 'Hz'?"),
    ("sweep", "small.yaml", "U=0.2-0.4"): (1, "'U=[0.2,0.4]'"),
    ("sweep", "small.yaml", "U=0.2", "0.4"): (2, "'U=[0.2,0.4]'"),
    ("run", "-m", "small.yaml", "U=0.3,0.4", "--out", "small.yaml/x"): (1, "is not a folder"),
    # names
    ("fit", "small.yaml", "fiter=tpe"): (1, "did you mean 'fitter'?"),
    ("fit", "small.yaml", "fitter=tpee"): (2, "Did you mean 'tpe'?"),
    ("fit", "small.yaml", "objective.terms.siz.target=4"): (2, "mean objective.terms.size?"),
    ("fit", "small.yaml", "protocols.train.frequency=4"): (2, "'train' (it has single)"),
    ("fit", "small.yaml", "protocols/single/duration=4"): (2, "protocols.single.duration"),
    ("fit", "smal.yaml"): (1, "Did you mean 'small.yaml'?"),
    ("fit", "small"): (1, "Did you mean 'small.yaml'?"),
    ("fit", "pvalb_pir"): (1, "Did you mean 'pvalb_pyr'?"),
    ("fit", "."): (1, "name a YAML file (there: small.yaml"),
    ("fit", "fitter=tpe"): (2, "stpspec fit EXPERIMENT fitter=tpe"),
    ("check", "small.yaml", "experiment=pvalb_pyr"): (2, "two experiments are named"),
    ("fit", "small.yaml", "-m", "experiment=pvalb_pyr"): (2, "two experiments are named"),
    ("run", "small.yaml", "tau_rec=1,500"): (2, "tau_rec=1.500, or tau_rec=1500"),
    ("run", "small.yaml", "tau_rec='1,500 ms'"): (1, "no comma, nor one between thousands"),
    ("check", "small.yaml", "model.tau_rec=300"): (1, "stand in model.fixed.tau_rec; received"),
    ("check", "small.yaml", "numerics.tstop=60"): (1, "time_limit; received 60"),
    ("check", "small.yaml", "evaluations=9"): (1, "did you mean 'fitter.budget.evaluations'?"),
    ("check", "small.yaml", "single.duration=9"): (1, "did you mean 'protocols.single'?"),
    ("check", "small.yaml", "terms.size.sd=9"): (1, "did you mean 'objective.terms'?"),
    # verbs and flags
    ("fti", "small.yaml"): (2, "Did you mean 'fit'?"),
    ("simulate", "small.yaml"): (2, "Did you mean 'run'?"),
    ("small.yaml",): (2, "stpspec fit small.yaml"),
    ("version",): (2, "stpspec --version"),
    ("help", "fit"): (2, "stpspec fit --help"),
    ("fit", "small.yaml", "–m", "seed=1,2"): (2, "write -m"),
    ("fit", "small.yaml", "—out", "x"): (2, "write --out"),
    ("fit", "small.yaml", "-o", "x"): (2, "--out DIR"),
    ("fit", "small.yaml", "--dry-run"): (2, "stpspec check EXPERIMENT"),
    ("list", "metric"): (2, "Did you mean 'metrics'?"),
    ("schema", "protocols"): (2, "Did you mean 'protocol'?"),
    ("campaign", "small.yaml", "table.csv"): (2, "table.csv small.yaml"),
    ("campaign", "table.csv", "small.yaml", "-m"): (2, "leave out -m"),
    ("campaign", "table.csv"): (1, "experiment=…"),
    ("fit", "table.csv"): (1, "stpspec campaign table.csv"),
    ("campaign", "tabel.csv", "small.yaml"): (1, "did you mean 'table.csv'?"),
    ("report", "small.yaml"): (1, "is an experiment: a report is on"),
    ("collect", "nowhere"): (1, "there is no folder nowhere"),
    ("collect", "x" * 300): (1, "cannot be read or written: File name too long"),
    ("dashboard", "sqlite:///gone.db"): (1, "holds no study"),
    ("report", "sqlite:///gone.db"): (1, "holds no study"),
    ("show", "table.csv", "small.yaml"): (1, "--only NAME (a, b)"),
    ("show", "small.yaml", "pvalb_pyr"): (2, "show takes one experiment"),
    ("collect", "small.yaml"): (1, "a multirun leaves a job.json"),
    ("dashboard", "nowhere"): (1, "no study 'nowhere'"),
    # what a shell made of a word
    ("fit", "small.yaml", "parameters.U={min:", "0.1,", "max:", "0.9}"):
        (2, "'parameters.U={min: 0.1, max: 0.9}'"),
    ("fit", "small.yaml", "parameters.U=min:0.1", "parameters.U=max:0.9"):
        (2, "'parameters.U={min: 0.1, max: 0.9}'"),
    ("sweep", "small.yaml", "U=[0.2,", "0.4]"): (2, "'U=[0.2, 0.4]'"),
    ("sweep", "small.yaml", "U=0.2", "U=0.4"): (2, "'U=[0.2,0.4]'"),
    ("fit", "small.yaml", "description='two", "words'"): (2, "'description=two words'"),
    ("fit", "small.yaml", "tau_rec=‘0.5", "s’"): (2, "'tau_rec=0.5 s'"),
    ("fit", "*.yml"): (2, "no file here matches *.yml"),
    ("fit", "small.yaml", str(Path("~root").expanduser())): (2, "put it in quotes"),
    # as Hydra's users type it
    ("fit", "small.yaml", "--cfg", "job"): (2, "stpspec show EXPERIMENT"),
    ("fit", "small.yaml", "-c", "job", "--resolve"): (2, "stpspec show EXPERIMENT"),
    ("fit", "small.yaml", "--info"): (2, "stpspec show EXPERIMENT"),
    ("fit", "--config-name", "small"): (2, "stpspec fit EXPERIMENT"),
    ("fit", "--config-name=small"): (2, "stpspec fit small"),
    ("fit", "-cd", "conf", "small.yaml"): (2, "--config-dir"),
    ("fit", "small.yaml", "~seeed"): (2, "did you mean '~seed'?"),
    ("fit", "small.yaml", "~U"): (2, "did you mean '~parameters.U'?"),
    ("fit", "small.yaml", "-m", "U=interval(0.1,0.3)"): (2, "{min: 0.1, max: 0.9}"),
    ("fit", "small.yaml", "seed=range(3)"): (2, "fit -m"),
    ("fit", "small.yaml", "+protocol@protocols.single=train"): (2, "chosen twice"),
    ("fit", "small.yaml", "protocol@protocols.extra=train"): (2, "+protocol@protocols.extra=…"),
    ("fit", "small.yaml", "hydra.job.chdir=true"): (2, "hydra.run.dir"),
    ("fit", "small.yaml", "hydra.verbose=true"): (2, "--log-level debug"),
    ("fit", "small.yaml", "hydra.sweep.dir=x"): (2, "hydra.run.dir"),
    ("fit", "small.yaml", "-m", "seed=1,2", "hydra.run.dir=x"): (2, "hydra.sweep.dir"),
    ("fit", "small.yaml", "hydra/launcher=joblib"): (2, "add -m"),
    ("fit", "small.yaml", "hydra.run.dir=x", "--out", "y"): (2, "name two folders"),
    ("fit", "small.yaml", "-m", "seed=1,2", "hydra.sweep.subdir=same"): (2, "one folder for all"),
    ("fit", "small.yaml", "-m", "seed=1,2", "hydra.sweep.subdir=../${seed}"): (2, "inside of hyd"),
    ("fit", "small.yaml", "-m", "seed=glob(*)"): (2, "glob(…) names files of a group"),
    ("fit", "--config-path", ".", "--config-name", "small"): (2, "--config-dir DIR adds"),
    ("show", "small.yaml", "U=0.4"): (2, "an experiment has no field U; the value of a"),
    ("show", "small.yaml", "nothing.at=1"): (2, "an experiment has no field nothing"),
    ("check", "small.yaml", "hydra.run.dir=x"): (2, "leave out hydra.run.dir=x"),
    # a value for a flag that takes none, none for one that takes one, a name of several choices
    ("fit", "small.yaml", "-m=3"): (2, "-m/--multirun takes no value"),
    ("fit", "small.yaml", "-m3"): (2, "received '3'"),
    ("fit", "small.yaml", "--quiet=yes"): (2, "--quiet takes no value"),
    ("fit", "small.yaml", "--out"): (2, "--out needs a value: --out DIR"),
    ("fit", "--out", "--quiet", "small.yaml"): (2, "--out needs a value: --out DIR"),
    ("fit", "small.yaml", "--log-level=loud"): (2, "is one of debug, info, warning, error; rec"),
    ("sweep", "small.yaml", "U=[0.2,0.4]", "--axis=ln"): (2, "--axis is one of auto, log, linear"),
    ("tune", "small.yaml", "--port", "web"): (2, "--port takes a whole number; received 'web'"),
    ("fit", "small.yaml", "fitter=optuna"): (2, "samplers are cmaes, qmc, random and tpe"),
    ("fit", "small.yaml", "fitter=optuna.TPESampler"): (2, "cmaes, qmc, random and tpe"),
    ("fit", "small.yaml", "fitter=scipy"): (2, "SciPy's methods are bounded, lbfgsb"),
    ("fit", "small.yaml", "fitter=minimize"): (2, "is the kind of lbfgsb, nelder_mead, pow"),
    ("check", "small.yaml", "model=gap_junction"): (2, "kind of gap_fast_spiking and gap_patches"),
    ("check", "small.yaml", "model=TsodyksMarkram"): (2, "is the mechanism of tm_patch"),
}  # fmt: skip


@pytest.mark.parametrize("words", TYPED, ids=" ".join)
def test_what_was_typed_wrongly_is_answered_with_what_to_type(answer, words):
    expected, told = TYPED[words]
    code, out, said = answer(words, train_yaml=TRAIN)
    is_clear(code, out, said, expected)
    assert told in said


# In the file: what stood there, what was written instead, and what the answer says.
WRITTEN = [
    ("U: {min: 0.1, max: 0.9}", "tau_rec: {min: 20 ms, max: 1,5 s}", "Write 1.5, not 1,5"),
    ("max: 0.9", "max: 0,9", "Write 0.5, not 0,5"),
    ("U: {min: 0.1, max: 0.9}", "tau_rec: {min: 20 mV, max: 1.5 s}",
     "expected a quantity in ms, and 'mV' has another dimension"),
    ("U: {min: 0.1, max: 0.9}", "tau_rec: {min: 20 ms, max: 1.5 mV}",
     "expected a quantity in ms, and 'mV' has another dimension"),
    ("{min: 0.1, max: 0.9}", "{min: 0.9, max: 0.1}", "min must be below max"),
    ("{min: 0.1, max: 0.9}", "[0.1, 0.9]", "{min: 0.1, max: 0.9}"),
    ("{min: 0.1, max: 0.9}", "0.1-0.9", "{min: 0.1, max: 0.9}"),
    ("{min: 0.1, max: 0.9}", "{min:0.1, max: 0.9}", "a colon needs a space after it: min: 0.1"),
    ("@protocols.single: single_event", ": single_event", "/protocol@protocols."),
    ("{min: 0.1, max: 0.9}", "0.5", "belongs in model.fixed"),
    ("max: 0.9", "max: 90", "the mechanism allows 0 to 1"),
    ("20 ms", "20 mss", "unknown unit 'mss' (expected ms)"),
    ("20 ms", "“20 ms”", "typographic quotes"),
    ("target: 42.0", "target: 42 mV", "expected a quantity in pA"),
    ("sd: 1.0", "sd: 010", "write it as 10"),
    ("sd: 1.0", "sd: 1:30", "write it as a decimal number"),
    ("sd: 1.0", "sd: 0", "sd must be above 0"),
    ("target: 42.0", f"target: {'9' * 400}", "small.yaml:16: a number has at most 300 digits"),
    ("dt: 0.1", f"dt: 1{'0' * 5000}", "small.yaml:7: a number has at most 300 digits"),
    ("  single: {duration: 20 ms}", "  single:\n    duration: 20 ms\n     weight: 3",
     "small.yaml:11: this is not valid YAML: mapping values are not allowed here; is this line"),
    ("  U: {min", "\tU: {min", "small.yaml:13: this is not valid YAML: found character '\\t'"),
    ("  U: {min", "  \tU: {min", "indent with spaces"),
    ("U: {min: 0.1,", "U: {min: 20 mV,", "parameters.U.min: expected a number without"),
    ("max: 0.9}", "max: 1.5 s}", "parameters.U.max: expected a number without"),
    ("max: 0.9}", "max: 0.9, start: 3 pA}", "parameters.U.start: expected a number without"),
    ("max: 0.9}", "max: 0,9}", "parameters.U.9: expected a name here; is there a decimal comma"),
    ("tau_decay: 2 ms", "tau_decay: 1,500 ms", "is there a comma in the number before 500 ms?"),
    ("name: small", "name:\u00a0small", "small.yaml:7: this is not valid YAML: could not find exp"),
    ("name: small\n", "name:\u00a0small\n", "there is a no-break space"),
    ("name: small", "name:small", "no colon with a space after it"),
    ("fixed: {tau_decay: 2 ms}", "fixed: {tau_decay:2 ms}", "put a space after the colon"),
    ("name: small", 'name: "small', "small.yaml:6: this is not valid YAML"),
    ("max: 0.9}", "max: 0.9", "opened in line 13"),
    ("name: small", "name: small\nname: b", "small.yaml:7: this is not valid YAML: found dup"),
    ("name: small", "name: small\ndescription: a: b", "Text with a colon in it needs quotes"),
    ("name: small", "name: yes", "truth values: put quotes"),
    ("name: small", "name: 2024", "YAML reads a number: put quotes"),
    ("  U: {min", "  no: {min", "truth values: put quotes"),
    ("name: small", "name: @small", "needs quotes"),
    ("dt: 0.1", "dt: ${numerics.settle}", "within braces or brackets needs quotes"),
    ("dt: 0.1", "dt: '${numerics.setle}'", "${numerics.setle} refers to a field that is not there"),
    ("dt: 0.1", "dt: !!python/name:os.system x", "a ! begins a tag"),
    ("parameters:", "paramters:", "did you mean 'parameters'?"),
    ("parameters:", "Parameters:", "did you mean 'parameters'?"),
    ("parameters:\n  U: {min: 0.1, max: 0.9}", "parameters:", "expected a mapping, name: value"),
    ("  U: {min", "  - U: {min", "expected a mapping, name: value"),
    ("metric: amplitude", "metric: amplitud", "did you mean 'amplitude'?"),
    ("protocol: single,", "protocol: singel,", "did you mean 'single'?"),
    ("target: 42.0", "taget: 42.0", "did you mean 'target'?"),
    ("sd: 1.0", "sd: 1.0, loss: square", "did you mean 'squared'?"),
    ("sd: 1.0", "sd: 1.0, options: {signl: x}", "did you mean 'signal'?"),
    ("    size: {", "    - {", "expected a mapping, name: value"),
    ("  terms:\n    size:", "  size:", "valid: terms, cost"),
    ("/protocol@", "protocol@", "begin with a slash: /protocol"),
    ("single_event", "single_evnt", "Did you mean 'single_event'?"),
    ("override /model", "/model", "did you mean 'override /model'?"),
    ("single: single_event", "single:single_event", "have a colon and a space between them"),
    ("  - override /model", "  - /protocol@protocols.single: train\n  - override /model",
     "small.yaml:4 | defaults.1: chosen twice"),
    ("  - _self_", "  - /protocol@protocols.other: train\n  - _self_",
     "small.yaml:5 | defaults.2: what overrides comes last: this line belongs above "
     "'override /model'"),
    ("  - /protocol@protocols.single: single_event\n  - override /model: tm_patch\n  - _self_",
     "  protocol: single_event\n  model: tm_patch", "small.yaml:3 | defaults: expected a list"),
    ("  - override /model: tm_patch\n", "", "'- override /model: tm_patch'"),
    ("parameters:", "fitter: tpe\nparameters:", "'- override /fitter: tpe'"),
    ("parameters:", "fitter: {kind: tpe}\nparameters:", "'- override /fitter: tpe'"),
    ("  - override /model", "  - override /fitter: optuna\n  - override /model",
     "Optuna's samplers are cmaes, qmc, random and tpe"),
    ("  - override /model", "  - override /fitter: optuna\n  - override /model",
     "Optuna's samplers are cmaes, qmc, random and tpe"),
    ("parameters:", "recording: current_clamp\nparameters:", "override /recording: curr"),
    ("parameters:", "fitter: {kind: optuna, budget: 100}\nparameters:", "{evaluations: 100}"),
    ("model:\n  fixed: {tau_decay: 2 ms}", "model: tm_patch", "'- override /model: tm_patch'"),
    ("  single: {duration: 20 ms}", "  duration: 20 ms", "each protocol has a name of its own"),
    ("  fixed:", "  section: dend\n  fixed:", "has no section 'dend'. It has: soma"),
    ("  fixed:", "  mechanism: TsodyksMarkam\n  fixed:", "Did you mean 'TsodyksMarkram'?"),
    ("tau_decay: 2 ms", "tau_decai: 2 ms", "did you mean 'tau_decay'?"),
    ("tau_decay: 2 ms", "tau_decay: 2 mV", "expected a quantity in ms"),
    ("name: small", "name: small\nseed: one", "seed: Input should be a valid integer"),
    ("name: small", "name: small\nplugins: [my_metrics]", "No module named 'my_metrics'"),
    ("name: small", "name: small\nformat: 2", "upgrade with pip"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "told"), WRITTEN, ids=[w[1][:40] for w in WRITTEN])
def test_what_was_written_wrongly_is_answered_with_its_line_and_cure(answer, old, new, told):
    assert old in YAML
    code, out, said = answer(["check", "small.yaml"], small_yaml=YAML.replace(old, new, 1))
    is_clear(code, out, said, 1)
    assert "small.yaml:" in said
    assert told in said


FILES = {
    "empty": (b"", "small.yaml is empty"),
    "a list": (b"- a\n- b\n", "leave out the dashes"),
    "a text": (b"hello", "put a space after each colon"),
    "UTF-16": (YAML.encode("utf-16"), "save the file as UTF-8"),
    "Latin-1": (YAML.replace("small", "sm\xe4ll").encode("latin-1"), "small.yaml:6: this is not"),
    "a result": (b"\x89HDF\r\n\x1a\n" + b"\0" * 50, "is a netCDF or HDF5 file"),
    "a workbook": (b"PK\x03\x04" + b"\0" * 50, "is a zip file, as .xlsx is"),
    "two documents": (f"{YAML}---\nname: b\n".encode(), "small.yaml:17: a second document"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_no_experiment_is_told_as_what_it_is(answer, kind):
    content, told = FILES[kind]
    code, out, said = answer(["check", "small.yaml"], small_yaml=content)
    is_clear(code, out, said, 1)
    assert told in said


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_a_byte_order_mark_and_the_line_ends_of_other_systems_are_taken(answer, ending):
    text = b"\xef\xbb\xbf" + YAML.replace("\n", ending).encode()
    code, out, said = answer(["check", "small.yaml"], small_yaml=text)
    assert (code, said) == (0, "")
    assert out == "small: no problems\n"


def test_a_ratio_in_percent_is_doubted_with_the_ratio(answer):
    text = TRAIN.replace("metric: amplitude", "metric: paired_pulse_ratio")
    code, out, said = answer(["check", "small.yaml"], small_yaml=text.replace("42.0", "60"))
    assert code == 0, said
    assert "60 % is 0.6; did you mean '0.6'?" in out


# -- no input hangs -----------------------------------------------------------------------------

_NAMES = ",".join("U" * 100_000)


def reference(name):
    return f"${{{name}}}"


PAIRS = list(itertools.pairwise("abcdefghi"))
ENDLESS = {
    "aliases that multiply": (
        "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"{c}: &{c} [{','.join([f'*{p}'] * 9)}]\n" for p, c in itertools.pairwise("abcdefghi")
        ) + YAML, r"small.yaml:5: more than 10,000 values"),
    "an alias to itself": ("x: &x [*x]\n" + YAML, r"small.yaml:1: \*x stands inside of what it"),
    "a mapping of itself": ("x: &x {a: *x}\n" + YAML, r"small.yaml:1: \*x stands inside"),
    "references that multiply": (
        "a: xxxxxxxxx\n" + "".join(f"{c}: '{reference(p) * 9}'\n" for p, c in PAIRS) + YAML,
        r"small.yaml:7: references expand to more than 2,000,000 characters"),
    "references to mappings": (
        "a: {x: 1, y: 2}\n" + "".join(
            f"{c}: {{{', '.join(f'{k}: ${{{p}}}' for k in 'pqrstuvwx')}}}\n" for p, c in PAIRS
        ).replace("${", "'${").replace("}, ", "}', ").replace("}}\n", "}'}\n") + YAML,
        r"small.yaml:\d: references expand to more than"),
    "references by oc.select": (
        "a: xxxxxxxxx\n" + "".join(
            f"{c}: '{reference('oc.select:' + p) * 9}'\n" for p, c in PAIRS) + YAML,
        r"small.yaml:7: references expand to more than"),
    "references to neighbors": (
        "z: {a: xxxxxxxxx" + "".join(f", {c}: '{reference('.' + p) * 9}'" for p, c in PAIRS)
        + "}\n" + YAML, r"small.yaml:1: references expand to more than"),
    "names made of references": (YAML.replace("name: small", "name: '${${seed}}'"),
                                 r"small.yaml:6: a reference stands inside of another"),
    "brackets": (YAML + "x: " + "[" * 1000 + "]" * 1000, r"small.yaml:17: .* 40 levels deep"),
    "braces": (YAML + "x: " + "{a: " * 1000 + "1" + "}" * 1000, r"small.yaml:17: .* 40 levels"),
    "indentation": (YAML + "x:\n" + "".join(f"{' ' * (i + 1)}a:\n" for i in range(1000)),
                    r"small.yaml:57: .* 40 levels deep"),
    "names": (YAML.replace("fixed:", f"roles: {{utilization: [{_NAMES}]}}\n  fixed:"),
              r"small.yaml:11: more than 10,000 values"),
    "targets": (YAML.replace("42.0", f"[{_NAMES.replace('U', '1')}]"), r"small.yaml:16: more than"),
    "bytes": (YAML + "# " + "x" * 2_000_000, "has at most 1,000,000 bytes, and this has 2,0"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_file_without_end_is_refused_at_its_line(answer, kind):
    text, told = ENDLESS[kind]
    code, out, said = answer(["check", "small.yaml"], small_yaml=text)
    is_clear(code, out, said, 1)
    assert re.search(told, said)


@pytest.mark.parametrize(("old", "new"), [
    ("  fixed:", "  cell: {file: pipe.hoc, template: X}\n  fixed:"),
    ("  fixed:", "  cell: {file: pipe.py}\n  fixed:"),
    ("  fixed:", "  mod: [pipe.mod]\n  fixed:"),
])  # fmt: skip
def test_a_pipe_is_no_file_of_a_model(tmp_path, monkeypatch, capsys, old, new):
    monkeypatch.chdir(tmp_path)
    for name in ("pipe.hoc", "pipe.py", "pipe.mod"):
        os.mkfifo(name)
    (tmp_path / "small.yaml").write_text(YAML.replace(old, new, 1))
    assert command(["check", "small.yaml"]) == 1
    said = capsys.readouterr().err
    assert "is neither a file nor a folder" in said
    assert "small.yaml:11 | model." in said


def test_a_pipe_is_no_table(tmp_path, monkeypatch, capsys):
    """Reading one would wait for whoever writes into it."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.csv")
    assert command(["check", "pipe.csv", "pvalb_pyr"]) == 1
    assert "pipe.csv: the table cannot be read: it is no file" in capsys.readouterr().err


def test_a_deleted_folder_is_told_in_python_too(tmp_path, monkeypatch):
    import stpspec

    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(stpspec.StpspecError, match="the current folder was deleted: cd into one"):
        stpspec.load("pvalb_pyr")


def test_a_result_that_cannot_be_looked_for_is_told_as_such():
    import stpspec

    with pytest.raises(stpspec.StpspecError, match="cannot be read: File name too long"):
        stpspec.FitResult.load("x" * 300)


@pytest.mark.parametrize("file", ["result.nc", "summary.json"])
def test_a_file_of_a_result_is_answered_with_its_folder(tmp_path, monkeypatch, capsys, file):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my_fit"
    folder.mkdir()
    for name in ("result.nc", "summary.json", "experiment.yaml"):
        (folder / name).write_text(YAML)
    assert command(["run", f"my_fit/{file}"]) == 1
    assert "is a file of a saved result: name its folder, my_fit" in capsys.readouterr().err
    assert command(["run", "my_fi"]) == 1
    assert "Did you mean 'my_fit'?" in capsys.readouterr().err


def test_refusing_a_file_takes_no_longer_the_more_it_would_expand_to(answer):
    """Of 9 ** 9 values no more are counted than of 9 ** 6: both are more than the limit."""
    seconds = {"f": [], "i": []}
    for last in "fififi":  # the first time with imports
        text = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"{c}: &{c} [{','.join([f'*{p}'] * 9)}]\n"
            for p, c in itertools.pairwise(string.ascii_lowercase)
            if c <= last
        ) + YAML  # fmt: skip
        begun = time.perf_counter()
        *_, said = answer(["check", "small.yaml"], small_yaml=text)
        seconds[last].append(time.perf_counter() - begun)
        assert "more than 10,000 values" in said
    assert min(seconds["i"]) < 20 * min(seconds["f"])  # expanded, 729 times as long


_LONG = f"1{'0' * 5000}"  # more digits than Python reads


@pytest.mark.parametrize(
    "word", [f"a={'[' * 500}{']' * 500}", f"a=[{'1,' * 9000}1]", f"seed={_LONG}", f"U={_LONG}"]
)
def test_an_override_without_end_is_refused(answer, word):
    code, out, said = answer(["check", "small.yaml", word])
    is_clear(code, out, said, 2)
    assert "write it into the experiment file" in said


@pytest.mark.parametrize("words", [
    ("sweep", "small.yaml", "U=range(0,1,1e-12)"),
    ("sweep", "small.yaml", "U=range(0,1,0)"),
    ("sweep", "small.yaml", "U=range(0,inf)"),
    ("fit", "-m", "small.yaml", "seed=range(1000000000000)"),
    ("fit", "-m", "small.yaml", "seed=range(1000)", "fitter.batch=range(1000)"),
    ("sweep", "small.yaml", *(f"{name}=range(1,2,0.0002)" for name in ("U", "tau_rec"))),
], ids=" ".join)  # fmt: skip
def test_values_without_end_are_refused(answer, words):
    code, out, said = answer(words)
    is_clear(code, out, said, 1 if "tau_rec" in words[-1] else 2)
    assert "at most" in said or "a range is finite" in said


@pytest.mark.parametrize("unit", [
    "ms**9**9**9", "ms^9^9^9", "ms*9**999999999", "ms*(9)**(9*9**9)", "(" * 300, "ms*" * 500 + "ms",
])  # fmt: skip
def test_a_unit_that_would_be_calculated_for_ever_is_none(answer, unit):
    text = YAML.replace("20 ms", f"20 {unit}")
    code, out, said = answer(["check", "small.yaml"], small_yaml=text)
    is_clear(code, out, said, 1)
    assert "small.yaml:9" in said
    assert "unknown unit" in said


def test_data_without_end_are_refused_from_python_too():
    from small import data

    import stpspec

    endless = {}
    endless["a"] = endless
    for fixed in (endless, {f"p{i}": "1 ms" for i in range(20_000)}):
        with pytest.raises(stpspec.SpecError, match=r"levels deep|more than 10,000 values"):
            stpspec.Experiment.from_data(data(model__fixed=fixed))


@pytest.mark.long
def test_many_faults_are_found_as_fast_as_few_and_the_first_fifty_listed():
    from small import data

    import stpspec

    bad = {f"p{i}": {"min": 1, "mox": 2} for i in range(1000)}
    with pytest.raises(stpspec.SpecError) as caught:
        stpspec.Experiment.from_data(data(parameters=bad))
    assert len(caught.value.problems) >= 2000
    assert str(caught.value).endswith(f"… and {len(caught.value.problems) - 50} more")


# -- several experiments, shells, folders -------------------------------------------------------


def test_nothing_is_simulated_when_one_of_several_experiments_cannot_be(answer):
    bad = YAML.replace("amplitude", "amplitud")
    code, out, said = answer(["run", "small.yaml", "bad.yaml"], bad_yaml=bad)
    assert (code, out) == (1, "")
    assert "did you mean 'amplitude'?" in said
    assert said.endswith("stpspec: nothing was simulated\n")


def test_nothing_is_simulated_when_a_value_is_no_parameter_of_one_of_them(answer):
    code, out, said = answer(["run", "small.yaml", "fs_fs_gap", "U=0.3"])
    assert (code, out) == (1, "")
    assert "has no parameter of this name" in said


def test_a_folder_that_was_deleted_is_told(tmp_path, monkeypatch, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert command(["check", "pvalb_pyr"]) == 2
    assert "the current folder was deleted" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)


# Root may write everywhere, unless it gives up what lets it pass over permissions.
_POWERS = "-dac_override,-dac_read_search"
PERMITTED = ["setpriv", f"--bounding-set={_POWERS}", f"--inh-caps={_POWERS}"]


@pytest.fixture
def permitted(tmp_path):
    """Return the words before a command that must heed the permissions of files."""
    before = [] if os.geteuid() else PERMITTED
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o500)
    try:
        writes = subprocess.run([*before, "touch", str(kept / "x")], capture_output=True)
    except FileNotFoundError:
        pytest.skip("root may write everywhere, and there is no setpriv")
    if b"Permission denied" not in writes.stderr:
        pytest.skip(f"root may write everywhere: {writes.stderr.decode()}")
    kept.rmdir()
    return before


@pytest.mark.parametrize("words", [
    ("run", "-m", "small.yaml", "U=0.3,0.4"), ("fit", "small.yaml", "study=mine"),
    ("campaign", "table.csv", "small.yaml"),
], ids=" ".join)  # fmt: skip
def test_where_nothing_can_be_written_nothing_is_simulated(permitted, tmp_path, words):
    texts = {"small.yaml": YAML, "table.csv": TABLE}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    tmp_path.chmod(0o500)
    try:
        done = subprocess.run([*permitted, sys.executable, "-m", "stpspec.cli", *words],
                              cwd=tmp_path, capture_output=True, text=True)  # fmt: skip
    finally:
        tmp_path.chmod(0o700)
    is_clear(done.returncode, done.stdout, done.stderr, 1)
    assert re.search(r"cannot be written: .*permission", done.stderr, re.IGNORECASE)
    assert "stpspec-results" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(texts)


def test_a_list_in_the_place_of_a_mapping_is_told_with_both_lines(answer):
    text = YAML.replace("  fixed:", "  cell: {arguments: []}\n  fixed:")
    text = text.replace("tm_patch", "gap_patches")
    code, out, said = answer(["check", "small.yaml"], small_yaml=text)
    is_clear(code, out, said, 1)
    assert re.search(r"small.yaml:11 \| model.cell.arguments: a list here and a mapping in "
                     r".*gap_patches.yaml:4, .* take /model out of the", said)  # fmt: skip


def commands():
    """Return the commands of the manual, the README and the help, as they are pasted."""
    found = {f"stpspec {line}" for verb in load_verbs().values() for line, _ in verb.examples}
    for page in [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("experiments/*/*.md")]:
        text = page.read_text(encoding="utf-8")
        found |= set(re.findall(r"`(stpspec [a-z]+ [^`\n]+)`", text))
        for body in re.findall(r"^```bash[^\n]*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            lines = body.replace("\\\n", " ").splitlines()
            found |= {line for line in lines if line.startswith("stpspec ")}
    return sorted(line for line in found if not re.search(r"[|&>$]", line))


def pasted(shell, lines, folder):
    """Return the words that a shell makes of each line."""
    script = "stpspec() { printf '%s\\037' \"$@\"; printf '\\036'; }\n" + "\n".join(lines)
    flags = ["-f"] if "zsh" in shell else ["--norc"]
    done = subprocess.run(
        [shell, *flags, "-c", script], cwd=folder, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.stderr == ""
    return [call.split("\037")[:-1] for call in done.stdout.split("\036")[:-1]]


@pytest.mark.parametrize("shell", ["bash", pytest.param("zsh", marks=pytest.mark.needs("zsh"))])
def test_every_command_that_is_shown_can_be_pasted(shell, tmp_path):
    lines = commands()
    assert len(lines) > 40
    meant = [shlex.split(line, comments=True)[1:] for line in lines]
    assert pasted(path_of("zsh") if shell == "zsh" else shell, lines, tmp_path) == meant


def test_brackets_tildes_and_braces_of_a_shown_command_are_quoted():
    """Zsh is not installed everywhere: this holds without it."""
    for line in commands():
        bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", line)
        assert not re.search(r"[\[\]{}*?!$]|(^|\s)~[a-z]", bare), line


def test_the_folders_that_hydra_names_are_taken(tmp_path, monkeypatch, capsys):
    (tmp_path / "small.yaml").write_text(YAML)
    monkeypatch.chdir(tmp_path)
    words = ["run", "small.yaml", "U=0.3", "hydra.run.dir=runs/${name}_${now:%Y}"]
    assert command(words) == 0
    assert re.fullmatch(r"small_\d{4}", next(Path("runs").iterdir()).name)
    jobs = ["hydra.sweep.dir=jobs", "hydra.sweep.subdir=seed_${seed}"]
    assert command(["run", "-m", "small.yaml", "seed=1,2", *jobs]) == 0
    assert {p.name for p in Path("jobs").iterdir() if p.is_dir()} == {"seed_1", "seed_2"}
    assert not Path("stpspec-results").exists()
    capsys.readouterr()


@pytest.mark.parametrize("word", ["+experiment=pvalb_pyr", "++experiment=pvalb_pyr"])
def test_a_plus_before_a_group_of_every_experiment_changes_nothing(answer, word):
    code, out, said = answer(["check", word, "+fitter=tpe", "+seed=3"])
    assert (code, said) == (0, "")
    assert out == "pvalb_pyr: no problems\n"
