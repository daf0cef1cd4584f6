"""Traps of other people's mechanisms, one small mechanism each: the right value comes out."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from helpers import MOD, measure, run, synapse, values_of

from stpspec.engine.binding.bind import bind
from stpspec.engine.mechanisms import library
from stpspec.errors import SpecError

TRAPS = MOD / "traps"
ONE = {"one": {"kind": "single_event"}}
# nS, whatever unit the file has: a state is recorded at the end of a step, the first of 0.025 ms.
NANOSIEMENS = np.exp(-0.025 / 5)
PAIR = {"pair": {"kind": "train", "frequency": 20, "n_induction": 2, "n_recovery": 0}}


@pytest.fixture(autouse=True, scope="module")
def compiled():
    """Compile all of them at once: that takes a fraction of the time of one after the other."""
    library.ensure_loaded([str(TRAPS)])


def trap(mechanism, weight=0.001, protocols=ONE, **more):
    model = {"mod": [str(TRAPS)], "net_con": {"weight": weight}, **more.pop("model", {})}
    return synapse(protocols, mechanism=mechanism, model=model, fixed=more.pop("fixed", {}), **more)


@pytest.mark.parametrize(("mechanism", "weight"), [("NanoWeight", 1), ("HiddenGain", 1)])
def test_weight_of_1_in_nS_or_times_a_hidden_gain_is_1_nS(mechanism, weight):
    tree = run(trap(mechanism, weight))
    np.testing.assert_allclose(values_of(tree, "amplitude", "one"), 70, rtol=1e-3)  # pA at −70 mV
    conductance = values_of(tree, "amplitude", "one", signal="conductance")
    np.testing.assert_allclose(conductance, NANOSIEMENS, rtol=1e-6)


def test_plasticity_that_the_instance_keeps_is_the_same_and_starts_fresh_in_each_run():
    tree = run(trap("InstanceState", 0.002, {**PAIR, "again": PAIR["pair"]}))
    exact = 1 - 0.5 * np.exp(-50 / 500)
    for protocol in ("pair", "again"):
        found = values_of(tree, "paired_pulse_ratio", protocol)
        np.testing.assert_allclose(found, exact, rtol=1e-3)


def test_plasticity_that_the_instance_keeps_is_its_own_for_each_candidate():
    tree = run(trap("InstanceState", 0.002, PAIR), {"U": [0.2, 0.5, 0.8]})
    exact = 1 - np.array([0.2, 0.5, 0.8]) * np.exp(-50 / 500)
    np.testing.assert_allclose(values_of(tree, "paired_pulse_ratio", "pair"), exact, rtol=1e-3)


def test_rate_made_of_the_time_step_is_simulated_in_fixed_steps(caplog):
    with caplog.at_level(logging.WARNING, "stpspec.engine"):
        varied = run(trap("StepFactor", numerics={"integrator": "variable"}))
    assert "StepFactor does depends on the time itself" in caplog.text
    fixed = run(trap("StepFactor"))
    np.testing.assert_array_equal(
        values_of(varied, "decay_time", "one"), values_of(fixed, "decay_time", "one")
    )


def test_range_name_that_is_declared_nowhere_can_neither_be_recorded_nor_set():
    with pytest.raises(SpecError, match="no recordable variable of this name; it has g, i"):
        bind(trap("ScaledCurrent", recording={"variables": ["ghost"]}))
    with pytest.raises(SpecError, match="no parameter of this name"):
        bind(trap("ScaledCurrent", fixed={"ghost": 1}))


def test_current_with_a_gain_that_the_conductance_has_not_is_recorded_as_it_is():
    tree = run(trap("ScaledCurrent"))
    np.testing.assert_allclose(values_of(tree, "amplitude", "one"), 210, rtol=1e-3)
    np.testing.assert_allclose(
        values_of(tree, "amplitude", "one", signal="clamp_current"),
        210,
        rtol=1e-2,  # the capacitance of the cell is charged, too
    )
    conductance = values_of(tree, "amplitude", "one", signal="conductance")
    np.testing.assert_allclose(conductance, NANOSIEMENS, rtol=1e-6)


@pytest.mark.parametrize(("reversal", "sign"), [(0, -1), (-90, 1)])
def test_nonspecific_current_is_outward_positive_and_its_amplitude_has_no_sign(reversal, sign):
    tree = run(trap("HiddenGain", 1, fixed={"e": reversal}))
    current = tree["one"]["synaptic_current"].values.ravel()
    assert np.sign(current[np.abs(current).argmax()]) == sign
    size = values_of(tree, "amplitude", "one")
    np.testing.assert_allclose(size, abs(-70 - reversal), rtol=1e-3)


def test_response_on_a_cell_that_has_not_come_to_rest_says_so():
    free = {"kind": "current_clamp", "signals": ["somatic_voltage"]}
    moving = {"v_init": -60, "settle": 25}
    for numerics, noted in ((moving, True), ({"v_init": -70, "settle": 25}, False)):
        tree = run(trap("HiddenGain", 1, recording=free, numerics=numerics))
        (measured,) = measure(tree, "amplitude", "one")
        assert any("settle" in note for note in measured.notes) is noted
