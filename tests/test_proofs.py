"""What no text tells, a comparison shows: what candidates share, which numerics are right."""

import json

import numpy as np
import pytest
from helpers import MOD, fresh_python, run, synapse, values_of

import stpspec
from stpspec.engine.confirmation import ends
from stpspec.engine.mechanisms import compilation, nmodl
from stpspec.engine.reference import finer_step
from stpspec.engine.shortcuts import equivalence, independence
from stpspec.engine.workers import place

ONE = {"one": {"kind": "single_event"}}
GAINS = [1, 2, 3, 3.5]


def of(name, protocols=None, **made):
    """Return an experiment with one of the mechanisms of these tests."""
    model = {"mod": [str(MOD / f"{name}.mod")], "net_con": {"weight": 0.001}}
    parts = {"recording": {"signals": ["synaptic_current"]}, "numerics": {"settle": 50}} | made
    return synapse(protocols or ONE, mechanism=name, fixed={}, model=model, **parts)


def gained(name, integrator="auto"):
    made = of(name, numerics={"settle": 200, "integrator": integrator},
              parameters={"gain": {"min": 0.5, "max": 4}})  # fmt: skip
    term = {"metric": "amplitude", "protocol": "one", "target": 140, "sd": 0.1}
    return made.copy_with(objective={"terms": {"peak": term}})


# -- what candidates share ------------------------------------------------------------------

HIDDEN = ["WritesCelsius", "HiddenStatic"]


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("integrator", ["auto", "variable", "fixed"])
def test_what_instances_share_without_a_word_of_their_text_is_not_shared_by_candidates(
    name, integrator, caplog
):
    content = nmodl.read(MOD / f"{name}.mod")
    assert content.parsed
    assert not any((content.static_c, content.written_globals, content.tabulated))
    equivalence.forget()
    made, expected = gained(name, integrator), 70 * np.array(GAINS)
    found = stpspec.sweep(made, {"gain": GAINS})["peak"]
    np.testing.assert_allclose(found, expected, rtol=0.006)
    tree = run(made, {"gain": GAINS})
    np.testing.assert_allclose(values_of(tree, "amplitude", "one"), expected, rtol=0.006)
    assert f"something that instances of {name} share (they differ by 700 %" in caplog.text
    assert stpspec.fit(made).parameters["gain"] == pytest.approx(2, rel=0.006)


def test_few_candidates_in_fixed_steps_are_right_before_any_proof():
    equivalence.forget()
    found = values_of(run(gained("HiddenStatic"), {"gain": [1, 2, 3]}), "amplitude", "one")
    np.testing.assert_allclose(found, [70, 140, 210], rtol=0.006)
    assert not equivalence._outcomes.get(independence.SORT)


@pytest.mark.parametrize("integrator", ["auto", "fixed"])
def test_candidates_that_share_nothing_are_proven_once_and_simulated_together(
    integrator, caplog, monkeypatch
):
    equivalence.forget()
    monkeypatch.setattr(place, "_contents_apart", lambda question: "")  # proven in this process
    numerics = {"settle": 50, "integrator": integrator}
    made = of("OwnWeight", parameters={"tau": {"min": 2, "max": 20}}, numerics=numerics)
    for frequency in (20, 50):
        train = {"train": {"kind": "train", "frequency": frequency}}
        stpspec.sweep(made.copy_with(protocols=train), {"tau": [2, 5, 7, 10, 12]})
    assert list(equivalence._outcomes[independence.SORT].values()) == [True]
    assert caplog.text == ""


def test_shipped_mechanisms_need_no_proof():
    equivalence.forget()
    run(synapse(ONE), {"U": [0.2, 0.4, 0.6, 0.8]})
    assert independence.SORT not in equivalence._outcomes


UNREAD_CELL = """
from neuron import h

class Foreign:
    def __init__(self):
        self.soma = h.Section("soma", self)
        self.soma.L = self.soma.diam = 20
        self.soma.insert("Unread")
"""
UNREAD_LEAK = """
NEURON { SUFFIX Unread NONSPECIFIC_CURRENT i RANGE g }
PARAMETER { g = 1e-4 (S/cm2) }
ASSIGNED { v (mV) i (mA/cm2) }
BREAKPOINT { i = g * (v + 70) }
"""
UNREAD = """
import json
import logging
import stpspec
from stpspec.engine import nrn
from stpspec.specs.experiment import Experiment
logging.basicConfig(format="%(message)s")
nrn.hoc().nrn_load_dll(LIBRARY)
swept = stpspec.sweep(Experiment.from_data(json.loads(MADE)), {"U": [0.2, 0.4, 0.8]})
print(json.dumps(swept["one.amplitude"].values.tolist()))
"""


def test_what_comes_from_a_compiled_library_without_its_source_is_simulated_one_by_one(tmp_path):
    (tmp_path / "Unread.mod").write_text(UNREAD_LEAK)
    (tmp_path / "foreign.py").write_text(UNREAD_CELL)
    built = compilation.compile_library([tmp_path / "Unread.mod"])
    cell = {"file": str(tmp_path / "foreign.py"), "template": "Foreign"}
    recording = {"signals": ["synaptic_current"]}
    made = synapse(ONE, model={"cell": cell}, recording=recording).to_data()
    names = f"LIBRARY = {str(built)!r}\nMADE = {json.dumps(made)!r}\n"
    done = fresh_python(names + UNREAD, tmp_path)
    assert done.returncode == 0, done.stderr
    expected = values_of(run(synapse(ONE), {"U": [0.2, 0.4, 0.8]}), "amplitude", "one")
    np.testing.assert_allclose(json.loads(done.stdout.splitlines()[-1]), expected, rtol=1e-3)
    assert done.stderr.count("Unread comes from a compiled library, and its source") == 1


# -- sweeps ---------------------------------------------------------------------------------


def test_sweep_that_the_variable_step_cannot_make_is_made_on_the_reference(caplog):
    content = nmodl.read(MOD / "HiddenTime.mod")
    assert content.parsed
    assert not content.reads_time
    made = of("HiddenTime", ONE | {"train": {"kind": "train"}}, numerics={"settle": 500})
    found = stpspec.sweep(made, {"tau": [2, 5, 10]})
    np.testing.assert_allclose(found["one.amplitude"], 70, rtol=1e-3)
    ratios = found["train.paired_pulse_ratio"]
    np.testing.assert_allclose(ratios, [0.9995, 0.9078, 0.5733], atol=1e-4)
    assert found.attrs["confirmed"].startswith("2 of 3 rows were confirmed on the reference")
    assert "all 3 rows were simulated there" in found.attrs["confirmed"]
    assert "all 3 rows were simulated there" in caplog.text


def test_ends_of_a_sweep_are_confirmed_and_the_largest_difference_is_told(caplog, monkeypatch):
    made = synapse({"train": {"kind": "train"}}, recording={"signals": ["synaptic_current"]})
    swept = stpspec.sweep(made, {"U": [0.2, 0.4, 0.6], "tau_rec": [100, 200]})
    told = swept.attrs["confirmed"]
    assert told.startswith("4 of 6 rows were confirmed on the reference numerics (fixed step of")
    assert float(told.rpartition(" differs by ")[2].removesuffix(" %")) < 0.5
    assert caplog.text == ""
    monkeypatch.setattr("stpspec.engine.confirmation.measured_on_reference", None)
    again = stpspec.sweep(made, {"U": [0.2, 0.4, 0.6], "tau_rec": [100, 200]})
    assert again.identical(swept)  # and nothing was simulated on the reference again


def test_sweep_that_is_simulated_on_the_reference_is_not_simulated_again(monkeypatch):
    made = synapse(ONE, numerics={"integrator": "fixed"})
    monkeypatch.setattr("stpspec.engine.confirmation.measured_on_reference", None)
    swept = stpspec.sweep(made, {"U": [0.2, 0.4]})
    assert "confirmed" not in swept.attrs


def test_ends_are_where_all_axes_begin_or_end_and_where_each_one_ends():
    assert ends([5]) == [0, 4]
    assert ends([1]) == [0]
    assert ends([3, 2]) == [0, 1, 4, 5]
    assert ends([3, 4, 2]) == [0, 1, 6, 16, 23]


# -- the error of the reference -------------------------------------------------------------


def potential(rise, integrator="auto", sd=0.005, target=1.7, **numerics):
    """Return a fit of a postsynaptic potential, which a fast rise makes hard for a fixed step."""
    arguments = {"resistance": 51.82, "tau": 32.79, "e_pas": -72.85}
    made = synapse(
        ONE, fixed={"U": 0.5, "tau_rise": rise, "tau_decay": 1.3, "e": 0},
        model={"cell": {"file": "patch.py", "template": "Patch", "arguments": arguments}},
        recording={"kind": "current_clamp", "signals": ["somatic_voltage"]},
        numerics={"v_init": -72.85, "integrator": integrator} | numerics,
        parameters={"weight": {"min": 1, "max": 100, "start": 25}},
    )  # fmt: skip
    term = {"metric": "amplitude", "protocol": "one", "target": target, "sd": sd}
    return made.copy_with(objective={"terms": {"amp": term}})


@pytest.mark.parametrize("integrator", ["auto", "fixed"])
def test_note_tells_the_error_of_the_reference_and_the_step_that_helps(integrator):
    (note,) = stpspec.fit(potential(0.01, integrator)).notes["amp"]
    assert "(fixed step of 0.025 ms) are themselves off by about 1.4 sd (0.4" in note
    assert "numerics.dt=0.001 brings that below 0.1 sd" in note
    assert ("the search was nearer" in note) == (integrator == "auto")
    assert "integrator: fixed" not in note


def test_step_that_the_note_names_gives_the_right_weight_without_a_note():
    result = stpspec.fit(potential(0.01, dt=0.001))
    assert result.parameters["weight"] == pytest.approx(25.317, abs=0.002)
    assert not any("off by" in note for notes in result.notes.values() for note in notes)


def test_error_of_the_reference_is_told_of_a_target_without_an_sd():
    (note,) = stpspec.fit(potential(0.01, "fixed", sd=None)).notes["amp"]
    assert "off by about 0.4" in note
    assert "numerics.dt=0.005 brings that below 0.1 % of the target" in note


@pytest.mark.parametrize("integrator", ["auto", "fixed"])
def test_error_of_the_reference_that_does_not_matter_is_not_told(integrator):
    result = stpspec.fit(potential(0.01, integrator, sd=0.2))
    assert not any("off by" in note for notes in result.notes.values() for note in notes)


def test_note_names_the_search_where_that_is_what_is_off():
    train = {"train": {"kind": "train"}}
    made = synapse(train, recording={"signals": ["synaptic_current"]},
                   numerics={"integrator": "variable", "tolerance": 1.0},
                   parameters={"U": {"min": 0.1, "max": 0.9}})  # fmt: skip
    term = {"metric": "amplitude", "protocol": "train", "target": 30, "sd": 0.06}
    (note,) = stpspec.fit(made.copy_with(objective={"terms": {"a": term}})).notes["a"]
    assert "the search and the reference numerics (fixed step) differ by" in note
    assert "numerics.integrator: fixed" in note


def test_sweep_keeps_what_is_nearer_to_the_truth_than_the_reference(caplog):
    weights = [10, 20, 30]
    swept = stpspec.sweep(potential(0.01), {"weight": weights})
    fine = run(potential(0.01, dt=0.001), {"weight": [10, 20, 30]})
    np.testing.assert_allclose(swept["amp"], values_of(fine, "amplitude", "one"), rtol=3e-4)
    told = swept.attrs["confirmed"]
    assert "themselves off by about 0.4" in told
    assert "the rows are left as they are; numerics.dt=0.005 helps" in told
    assert told in caplog.text


def test_finer_step_is_a_round_number_and_no_finer_than_a_microsecond():
    assert [finer_step(0.025, f) for f in (0, 2.5, 4, 13, 25, 100)] == pytest.approx(
        [0.01, 0.01, 0.005, 0.001, 0.001, 0.001]
    )
    assert finer_step(0.001, 7) == 0.0005
