"""Fuzzed input: specs, files, overrides and tables end in a result or in an error of ours.

``make test`` tries some thousand inputs of the grammars, ``make test-long`` a hundred thousand.
"""

from __future__ import annotations

import copy
import functools
from pathlib import Path

import pytest
import small
from grammars import documents, junk, paths, texts, words
from hypothesis import strategies as st
from watch import fuzz

from stpspec.campaigns.bases import Base, Bases
from stpspec.campaigns.rows import row_experiment, unknown_columns
from stpspec.campaigns.table import read
from stpspec.config.compose import compose, load
from stpspec.config.sweep_overrides import list_overrides
from stpspec.specs.diagnosis import examine
from stpspec.specs.experiment import Experiment
from stpspec.specs.plausible import implausible

LENGTHS = [
    pytest.param(1, id="fast"),
    pytest.param(50, id="long", marks=pytest.mark.long),
]
# What makes each part of an experiment, so that every field is reached.
WHOLE = small.data(
    description="a note",
    study={"name": "mine", "storage": "mine.journal"},
    plugins=[],
    fitter={"kind": "optuna", "budget": {"evaluations": 9, "seconds": 2}},
    protocols__train={"kind": "train", "frequency": "20 Hz", "n_induction": 8},
    recording__signals=["synaptic_current", "conductance"],
    parameters__tau_rec={"min": "20 ms", "max": 1500, "scale": "log", "start": 100},
)
GAP = small.data(
    model={"kind": "gap_junction", "cell": {"file": "patch.py", "template": "Patch"}},
    recording={"kind": "current_clamp"},
    protocols={"step": {"kind": "gap_step", "amplitude": "-0.1 nA"}},
    parameters={},
    objective=None,
)
SPECS: tuple = (
    small.data(recording__holding_potential=-(10**400)),
    # One fault of a parameter is mended by taking out what another would take out, too.
    small.data(parameters__tau_rec={"min": "20 ms", "scale": None, "start": 100, "": 1500}),
    # The stand-in for a bound that is missing was beyond all numbers, and taken out again for ever.
    small.data(parameters__tau_rec={"max": -1e308, "scale": "log", "start": 100}),
)


def _examine(data: object) -> None:
    if not isinstance(data, dict):
        return
    experiment, problems, _ = examine({str(k): v for k, v in data.items()})
    assert (experiment is None) == bool(problems)
    if experiment is not None:
        list(implausible(experiment))
        assert "<script" not in experiment._repr_html_()
        assert "\x1b" not in repr(experiment)
        assert experiment.to_data() is not None


@pytest.mark.parametrize("times", LENGTHS)
def test_any_spec_is_valid_or_has_problems_that_are_told(times):
    fuzz(documents(small.DATA, WHOLE, GAP), _examine, 360 * times, found=SPECS)


YAMLS: tuple = ()


@pytest.mark.parametrize("times", LENGTHS)
def test_any_experiment_file_is_composed_or_has_an_error_that_says_where(tmp_path, times):
    file = tmp_path / "any.yaml"

    def call(text: str) -> None:
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        data, origin = compose(file)
        _examine(data)
        origin.where("protocols.single.duration")

    fuzz(texts(small.YAML), call, 20 * times, found=YAMLS, folders=(tmp_path,))


KEYS = [
    "seed",
    "fitter",
    "fitter.kind",
    "parameters.U.min",
    "protocols.train.frequency",
    "model.fixed.e",
    "objective.terms.ppr.target",
    "study",
    "study.name",
    "+a.b",
    "++a",
    "~parameters.U",
    "recording",
    "protocol@protocols.x",
    "hydra.run.dir",
    "numerics.dt",
    "workers",
    "experiment",
    "format",
]
VALUES = ["[1,2]", "{a: 1}", "range(1,5)", "'x y'", "choice(a,b)", "1,2", "${seed}"]
OVERRIDES: tuple = (["-99266=[2e-06", "fitter.kind= "],)


@pytest.mark.parametrize("times", LENGTHS)
def test_any_override_is_used_or_refused(tmp_path, times):
    file = tmp_path / "small.yaml"
    file.write_text(small.YAML)
    value = st.one_of(words, texts(*VALUES))
    word = st.builds("{}={}".format, st.sampled_from(KEYS) | words, value) | texts(*KEYS)

    def call(overrides: list[str]) -> None:
        fields, rest = list_overrides(file, overrides)
        assert isinstance(fields, dict)
        _examine(compose(file, rest)[0])

    fuzz(
        st.lists(word, min_size=1, max_size=2),
        call,
        60 * times,
        found=OVERRIDES,
        folders=(tmp_path,),
    )


CSV = """\
connection,size [pA],size_sd,model.fixed.tau_facil,parameters.U.max,seed,protocols.single.duration
pvalb→pyr,42 ± 2 pA,2,20 ms,0.8,1,30 ms
"pyr, deep",120,5 pA,,0.9,2,0.03 s
"""
ROWS = """\
- {connection: a, size: 42 pA, size_sd: 2, model.fixed.e: 0 mV, parameters: {U: {max: 0.8}}}
- connection: b
  size: 120
  seed: 3
"""
TABLES: tuple = ()


@functools.cache
def _base() -> Base:
    return Base(small.experiment(), frozenset())


@pytest.mark.parametrize("times", LENGTHS)
@pytest.mark.parametrize(
    ("name", "text"), [("t.csv", CSV), ("t.tsv", CSV.replace(",", "\t")), ("t.yaml", ROWS)]
)
def test_any_table_gives_an_experiment_of_each_row_or_problems(tmp_path, name, text, times):
    file = tmp_path / name

    def call(written: str) -> None:
        file.write_bytes(written.encode("utf-8", "surrogatepass"))
        _rows(file)

    fuzz(texts(text), call, 200 * times, found=TABLES, folders=(tmp_path,))


def _rows(table: object) -> None:
    content = read(table)  # type: ignore[arg-type]
    bases = Bases(_base().experiment, (), content)
    rows = [row_experiment(row, bases) for row in content.rows]
    for row in rows:
        assert row.experiment is not None or row.problems
    assert all(str(p) for p in [*content.problems, *unknown_columns(rows, content.header)])


ROW = {
    "connection": "a",
    "size": "42 pA",
    "size_sd": 2,
    "model.fixed.tau_facil": "20 ms",
    "parameters": {"U": {"max": 0.8}},
    "seed": 3,
    "size.options.baseline": "x",
    "protocols.single.duration": 30,
    "fitter.kind": "optuna",
    "recording": "voltage_clamp",
}
ROW_LISTS: tuple = (
    {"a": {"size": 10**400}},
    {"a": {"recording.kind.a.b": 1, "size": 1}},
    {"a": {"objective.terms": [1], "size": "-"}},
)


@pytest.mark.parametrize("times", LENGTHS)
def test_any_rows_from_python_give_experiments_or_problems(times):
    columns = st.dictionaries(paths, junk, max_size=4)
    rows = documents([ROW], {"a": ROW}) | columns.map(lambda row: [{"connection": "a", **row}])
    fuzz(rows, lambda given: _rows(copy.deepcopy(given)), 200 * times, found=ROW_LISTS)


CHANGES: tuple = (
    {"seed": 10**400},
    {"objective.terms.size.target": 10**400},
    {"recording.holding_potential": -(10**400)},
    {"parameters.kind": None},
    {"parameters": [0], "parameters.model": None},
    {"parameters": None, "parameters.model": None},
    {"recording": 1, "recording.kind": "current_clamp"},
    {"parameters.model": None, "parameters": {"U": {"min": 0, "max": 1}}},
    {1: 2},
)


@pytest.mark.parametrize("times", LENGTHS)
def test_any_change_of_any_field_is_made_or_refused(times):
    whole = Experiment.from_data(WHOLE)
    changes = st.dictionaries(paths, junk, min_size=1, max_size=2)
    fuzz(
        changes, lambda given: _examine(whole.changed(given).to_data()), 250 * times, found=CHANGES
    )


def test_loading_an_experiment_of_others_reads_only_its_folder(tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(small.YAML)
    assert load(Path(file)).name == "small"
