"""Cells and mechanisms as other laboratories write them: they work unchanged, or are refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from helpers import MOD, printed_by, run, synapse, values_of

from stpspec.config.located_files import with_files_located
from stpspec.engine import cells
from stpspec.engine.binding.bind import bind
from stpspec.engine.mechanisms import library, nmodl
from stpspec.errors import SpecError, TemplateError
from stpspec.results.provenance import sources_of
from stpspec.specs.experiment import Experiment
from stpspec.specs.model import Cell

LABS = MOD / "labs"
ONE = {"one": {"kind": "single_event"}}


@pytest.fixture(autouse=True, scope="module")
def compiled():
    """Compile all of them at once: that takes a fraction of the time of one after the other."""
    library.ensure_loaded([str(LABS)])


# -- quit() in a template --------------------------------------------------------------------------

BRANCH = """\
begintemplate {name}
public soma
create soma
proc init() {{
  if (numarg() > 1) {{ fail() }}
  soma {{ L = 20 diam = 20 insert pas g_pas = 1e-4 e_pas = -70 }}
}}
proc fail() {{ printf("no such morphology\\n") quit() }}
endtemplate {name}
"""


def written(folder, text, name):
    file = folder / f"{name}.hoc"
    file.write_text(text.format(name=name))
    return str(file)


def test_cell_that_quits_in_an_error_branch_is_simulated_like_any_other(tmp_path):
    cell = {"file": written(tmp_path, BRANCH, "Branching"), "template": "Branching"}
    tree = run(synapse(ONE, model={"cell": cell}))
    patch = run(synapse(ONE))
    np.testing.assert_allclose(
        values_of(tree, "amplitude", "one"), values_of(patch, "amplitude", "one"), rtol=1e-3
    )


def test_quit_that_is_reached_is_the_error_with_where_and_what_was_printed(tmp_path):
    file = written(tmp_path, BRANCH, "Reaching")
    cell = {"file": file, "template": "Reaching", "arguments": [1, 2]}
    with pytest.raises(SpecError) as refused:
        run(synapse(ONE, model={"cell": cell}))
    text = str(refused.value)
    assert "the template calls quit() in Reaching[0].fail(), called by Reaching[0].init" in text
    assert "it had printed: no such morphology" in text
    cells.build(Cell(file=file, template="Reaching"))  # and this process can still build it


def test_file_that_quits_when_it_is_loaded_is_named_with_the_line(tmp_path):
    (tmp_path / "bye.hoc").write_text("x = 1\nquit()\n")
    (tmp_path / "cell.hoc").write_text('load_file("bye.hoc")\n')
    with pytest.raises(TemplateError, match=r"calls quit\(\) \(\S*bye\.hoc, line 2\)"):
        cells.build(Cell(file=str(tmp_path / "cell.hoc"), template="Nothing"))


@pytest.mark.parametrize("call", ["h.quit()", "h('quit()')", "h('{quit(3)}')", "exit()"])
def test_python_template_that_would_end_the_process_is_refused(tmp_path, call):
    file = tmp_path / "cell.py"
    file.write_text(
        f"from neuron import h\nclass Quitting:\n    def __init__(self):\n        {call}\n"
    )
    with pytest.raises(TemplateError, match=r"calls quit\(\)|SystemExit"):
        cells.build(Cell(file=str(file), template="Quitting"))


# -- further arguments of NET_RECEIVE --------------------------------------------------------------

PAIR = {"pair": {"kind": "train", "frequency": 20, "n_induction": 2, "n_recovery": 0}}


def weighted(mechanism, weight, protocols=ONE, **more):
    model = {"mod": [str(LABS)], "net_con": {"weight": weight}}
    return synapse(protocols, mechanism=mechanism, model=model, fixed={}, **more)


@pytest.mark.parametrize("weight", [[2, 0.001], {"w": 2, "g_unit": 0.001}, [2, "1 nS"]])
def test_weight_takes_a_value_for_each_argument(weight):
    tree = run(weighted("UnitWeight", weight))
    np.testing.assert_allclose(values_of(tree, "amplitude", "one"), 140, rtol=1e-3)  # pA


def test_free_weight_is_the_first_argument():
    tree = run(weighted("UnitWeight", [1, 0.001]), {"weight": [1, 3]})
    np.testing.assert_allclose(values_of(tree, "amplitude", "one"), [70, 210], rtol=1e-3)


def test_further_arguments_are_given_in_every_run_of_a_rig():
    """Without an INITIAL block NEURON sets all but the first to 0 whenever it begins."""
    tree = run(weighted("UnitWeight", [1, 0.001], {**ONE, "again": {"kind": "single_event"}}))
    one, again = (values_of(tree, "amplitude", p) for p in ("one", "again"))
    np.testing.assert_array_equal(one, again)


@pytest.mark.parametrize("mechanism", ["UnitWeight", "StreamState"])
def test_argument_that_nothing_sets_is_told_by_name(mechanism):
    with pytest.raises(SpecError, match=r"nothing sets g_unit \(uS\): it would be 0") as refused:
        run(weighted(mechanism, 1))
    assert len(refused.value.problems) == 1  # neither the states nor the switch need a value


def test_states_in_the_arguments_keep_what_initial_gives_them():
    tree = run(weighted("StreamState", {"g_unit": "2 nS"}, PAIR))
    np.testing.assert_allclose(values_of(tree, "amplitude", "pair"), 70, rtol=1e-3)
    exact = 1 - 0.5 * np.exp(-50 / 500)
    np.testing.assert_allclose(values_of(tree, "paired_pulse_ratio", "pair"), exact, rtol=1e-3)


@pytest.mark.parametrize(
    ("mechanism", "weight", "told"),
    [
        ("UnitWeight", {"w": 1, "g_unt": 1}, "did you mean 'g_unit'"),
        ("UnitWeight", [1, 2, 3], "3 values are given"),
        ("UnitWeight", [1, "3 mV"], "expected a quantity in uS"),
        ("ExpSyn", [1, 2], "takes one weight"),
        ("UnitWeight", [], "valid number"),
    ],
)
def test_weights_that_do_not_fit_the_arguments_are_refused(mechanism, weight, told):
    with pytest.raises(SpecError, match=told):
        run(weighted(mechanism, weight))


def test_weights_of_several_arguments_survive_a_round_trip():
    for weight in ([1, 0.001], {"w": 1, "g_unit": "1 nS"}):
        experiment = weighted("UnitWeight", weight)
        again = Experiment.from_data(experiment.to_data())
        assert again.model.net_con.weight == weight
        assert again.digest == experiment.digest


# -- folders of mechanisms -------------------------------------------------------------------------

FAULTY = "NEURON { POINT_PROCESS Never RANGE g }\nBREAKPOINT { g = * 2 }\n"
DENSITY = """\
NEURON {{ SUFFIX {name} NONSPECIFIC_CURRENT i RANGE g }}
PARAMETER {{ g = 1e-4 (S/cm2) }}
ASSIGNED {{ v (mV) i (mA/cm2) }}
BREAKPOINT {{ i = g * (v + 70) }}
"""
LEAKY = """\
from neuron import h
class Leaky:
    def __init__(self, prefix="labs"):
        self.soma = h.Section(name="soma", cell=self)
        self.soma.L = self.soma.diam = 20
        self.soma.insert({name})
"""


@pytest.fixture
def folder(tmp_path):
    """A folder of a laboratory: a synapse, a channel, and a file that no compiler takes."""
    text = (LABS / "UnitWeight.mod").read_text()
    (tmp_path / "syn.mod").write_text(text.replace("UnitWeight", "LabsSynapse"))
    (tmp_path / "leak.mod").write_text(DENSITY.format(name="labs_leak"))
    (tmp_path / "never.mod").write_text(FAULTY)
    return tmp_path


def of_folder(folder, mechanism="LabsSynapse", name='"labs_leak"'):
    (folder / "leaky.py").write_text(LEAKY.format(name=name))
    cell = {"file": str(folder / "leaky.py"), "template": "Leaky"}
    weight = {"net_con": {"weight": [1, 0.001]}} if mechanism == "LabsSynapse" else {}
    model = {"mod": [str(folder)], "cell": cell, **weight}
    return synapse(ONE, mechanism=mechanism, model=model, fixed={}).to_data()


CHECK = """
import json, sys
import stpspec
from stpspec.engine.binding.bind import bind
from stpspec.engine.mechanisms import library
from stpspec.specs.experiment import Experiment
data = json.loads({data!r})
problems = [str(problem) for problem in stpspec.check(data)]
used = [] if problems else sorted(bind(Experiment.from_data(data)).foreign)
print(json.dumps([problems, used, sorted(library.loaded_names())]))
"""


def checked(data, folder):
    return printed_by(CHECK.format(data=json.dumps(data)), folder)


@pytest.mark.long
@pytest.mark.parametrize("name", ['"labs_leak"', 'prefix + "_leak"'])
def test_file_that_does_not_compile_is_in_nobodys_way(folder, name):
    """Names that are put together stand in no file: then all that can be compiled is loaded."""
    problems, used, loaded = checked(of_folder(folder, name=name), folder)
    assert problems == []
    assert used == ["LabsSynapse", "labs_leak"]
    assert "labs_leak" in loaded
    assert "Never" not in loaded


def test_file_that_does_not_compile_is_told_where_it_is_needed(folder):
    problems, _, _ = checked(of_folder(folder, mechanism="Never"), folder)
    assert "never.mod:2" in str(problems)


def test_file_of_parts_that_declares_no_mechanism_is_in_nobodys_way(folder):
    (folder / "parts.mod").write_text("PARAMETER { tau = 5 (ms) }\n")
    found = library.sources([str(folder)])
    assert folder / "syn.mod" in found.values()
    assert folder / "parts.mod" not in found.values()


def test_only_what_a_model_uses_is_compiled(folder):
    data = of_folder(folder)
    data["model"]["cell"] = {"file": "patch.py", "template": "Patch"}
    problems, used, loaded = checked(data, folder)
    assert problems == []
    assert used == ["LabsSynapse"]
    assert "labs_leak" not in loaded


def test_chance_is_of_the_mechanisms_that_a_simulation_holds():
    """A folder may hold what draws random numbers; the synapse beside it is deterministic."""
    model = {"mod": [str(MOD / "Coin.mod"), str(LABS / "UnitWeight.mod")],
             "net_con": {"weight": [1, 0.001]}}  # fmt: skip
    bound = bind(synapse(ONE, mechanism="UnitWeight", model=model, fixed={}))
    assert bound.stochastic == ()


# -- INCLUDE ---------------------------------------------------------------------------------------

INCLUDING = 'NEURON {{ SUFFIX one RANGE a }}\nINCLUDE "{name}"\n'


def place(folder, name, text="PARAMETER { a = 2 (ms) }\n"):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("a.inc", "mod/a.inc"), ("a.inc", "a.inc"), ("parts/a.inc", "mod/parts/a.inc"),
        ("parts/a.inc", "parts/a.inc"), ("../more/a.inc", "more/a.inc"),
        ("a.inc", "elsewhere/a.inc"),
    ],
)  # fmt: skip
def test_include_is_found_where_the_translator_finds_it(tmp_path, monkeypatch, name, where):
    monkeypatch.setenv("MODL_INCLUDE", f"/nowhere:{tmp_path / 'elsewhere'}")
    file = place(tmp_path, "mod/one.mod", INCLUDING.format(name=name))
    included = place(tmp_path, where)
    (found,) = nmodl.included_in(file).values()
    assert found.samefile(included)
    assert nmodl.read(file).parameters == {"a": "ms"}
    before = nmodl.content_of(file)
    included.write_text("PARAMETER { a = 3 (ms) }\n")
    assert nmodl.content_of(file) != before


def test_include_two_folders_above_is_not_found_as_the_translator_does_not_either(tmp_path):
    file = place(tmp_path, "src/mod/one.mod", INCLUDING.format(name="a.inc"))
    place(tmp_path, "a.inc")
    assert nmodl.included_in(file) == {}


def test_what_an_included_file_includes_is_first_looked_for_beside_it(tmp_path):
    file = place(tmp_path, "mod/one.mod", INCLUDING.format(name="parts/a.inc"))
    place(tmp_path, "mod/parts/a.inc", 'INCLUDE "b.inc"\n')
    beside = place(tmp_path, "mod/parts/b.inc")
    place(tmp_path, "mod/b.inc", "PARAMETER { wrong = 1 }\n")
    assert nmodl.included_in(file)["b.inc"] == beside
    assert nmodl.read(file).parameters == {"a": "ms"}


def test_synapse_that_includes_from_above_runs_and_so_does_its_result(tmp_path):
    text = (LABS / "UnitWeight.mod").read_text().replace("UnitWeight", "FromAbove")
    line = next(x for x in text.splitlines() if x.startswith("PARAMETER"))
    place(tmp_path, "lab/mod/syn.mod", text.replace(line, 'INCLUDE "../values.inc"'))
    place(tmp_path, "lab/values.inc", f"{line}\n")
    model = {"mod": [str(tmp_path / "lab" / "mod")], "net_con": {"weight": [1, 0.001]}}
    experiment = synapse(ONE, mechanism="FromAbove", model=model, fixed={})
    np.testing.assert_allclose(values_of(run(experiment), "amplitude", "one"), 70, rtol=1e-3)
    sources = sources_of(experiment)
    assert {"mod/syn.mod", "mod/values.inc"} <= set(sources.texts)
    for name, kept in sources.texts.items():
        if name.startswith("mod/"):
            place(tmp_path / "result", name, kept)
    shutil.rmtree(tmp_path / "lab")
    moved = {**model, "mod": [str(tmp_path / "result" / "mod" / "syn.mod")]}
    again = synapse(ONE, mechanism="FromAbove", model=moved, fixed={})
    np.testing.assert_allclose(values_of(run(again), "amplitude", "one"), 70, rtol=1e-3)


# -- files in the arguments of a cell --------------------------------------------------------------


def test_files_and_folders_in_arguments_are_found_beside_the_experiment(tmp_path):
    place(tmp_path, "morph/cell.asc", "")
    cell = {"file": "patch.py", "template": "Patch"}
    for given, meant in (
        (["morph", "morph/cell.asc", "soma", 3], ["morph", "morph/cell.asc", None, None]),
        ({"where": "morph", "name": "cell.asc"}, {"where": "morph", "name": None}),
    ):
        data = {"model": {"cell": {**cell, "arguments": given}}}
        found = with_files_located(data, tmp_path / "e.yaml")["model"]["cell"]["arguments"]
        for key in meant if isinstance(meant, dict) else range(len(meant)):
            due = given[key] if meant[key] is None else str(tmp_path / meant[key])
            assert found[key] == due


def test_name_that_neuron_itself_has_is_told(tmp_path):
    text = (LABS / "UnitWeight.mod").read_text().replace("UnitWeight", "Vector")
    file = place(tmp_path, "Vector.mod", text)
    model = {"mod": [str(file)], "net_con": {"weight": [1, 0.001]}}
    with pytest.raises(SpecError, match="a name that NEURON itself has"):
        run(synapse(ONE, mechanism="Vector", model=model, fixed={}))
