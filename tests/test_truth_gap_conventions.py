"""Gap junctions of every convention in the wild: coupled as the closed form says, or refused."""

import numpy as np
import pytest
from helpers import MOD, PATCH, measure, run, values_of

import stpspec
from stpspec import analytic
from stpspec.engine import nrn
from stpspec.engine.binding.bind import bind
from stpspec.engine.mechanisms import library
from stpspec.engine.mechanisms.coupling import RESISTANCE, measure_coupling
from stpspec.engine.simulate import simulate
from stpspec.errors import SpecError
from stpspec.specs.experiment import Experiment

GAPS = MOD / "gaps"
R1, R2 = 200.0, 100.0  # MΩ
G = np.array([0.1, 0.5, 1.0, 5.0])  # nS
# Mechanism → parameter, its value for a conductance in nS, variable of the partner's voltage.
SOUND = {
    "RangeGap": ("g", lambda g: g * 1e-3, "vgap"),
    "RangeNonspecific": ("g", lambda g: g, "vpre"),
    "PointerNonspecific": ("g", lambda g: g * 1e-3, "vgap"),
    "ResistanceGap": ("r", lambda g: 1e3 / g, "vgap"),
    "PlainGap": ("g", lambda g: g, "vgap"),
}


@pytest.fixture(autouse=True, scope="module")
def compiled():
    """Compile all of them at once: that takes a fraction of the time of one after the other."""
    library.ensure_loaded([str(GAPS)])


def data(mechanism, *, partner="vgap", signals=("somatic_voltage",), **more):
    cell, cell_2 = ({**PATCH, "arguments": {"resistance": r}} for r in (R1, R2))
    return {
        "model": {
            "kind": "gap_junction", "cell": cell, "cell_2": cell_2, "mechanism": mechanism,
            "mod": [str(GAPS)], "partner_voltage": partner,
        },
        "recording": {"kind": "current_clamp", "signals": list(signals)},
        "protocols": {"forth": {"kind": "gap_step"}, "back": {"kind": "gap_step", "cell": 2}},
        **more,
    }  # fmt: skip


def free(mechanism, low, high, name="g"):
    return data(mechanism, parameters={name: {"min": low, "max": high}})


def refusal(experiment_data):
    with pytest.raises(SpecError) as refused:
        bind(Experiment.from_data(experiment_data))
    (problem,) = refused.value.problems
    return problem


@pytest.mark.parametrize("mechanism", SOUND)
def test_every_convention_gives_the_coupling_of_the_closed_form(mechanism):
    name, value_of, partner = SOUND[mechanism]
    tree = run(Experiment.from_data(data(mechanism, partner=partner)), {name: value_of(G)})
    exact = analytic.gap_pair(R1, R2, G)
    found = values_of(tree, "coupling_coefficient", "forth")
    np.testing.assert_allclose(found, exact.coupling_coefficient, rtol=1e-4)
    np.testing.assert_allclose(values_of(tree, "junctional_conductance", "forth"), G, rtol=1e-4)


@pytest.mark.parametrize("mechanism", SOUND)
def test_junctional_current_is_positive_into_cell_1_in_every_convention(mechanism):
    name, value_of, partner = SOUND[mechanism]
    tree = run(
        Experiment.from_data(data(mechanism, partner=partner)), {name: [value_of(1.0)]}, "forth"
    )
    trace = tree["forth"]
    v1, v2, i = (
        trace[n].values[0, 0, 26_000 // 2] for n in
        ("somatic_voltage_1", "somatic_voltage_2", "junctional_current")
    )  # fmt: skip
    assert i == pytest.approx(1.0 * (v2 - v1), rel=1e-3)  # nS · mV = pA
    assert i > 0  # the step hyperpolarizes cell 1


@pytest.mark.parametrize("integrator", ["fixed", "variable"])
def test_transferred_voltage_gives_what_a_pointer_gives(integrator):
    traces = [
        run(
            Experiment.from_data(data(mechanism, numerics={"integrator": integrator})),
            {"g": [1e-3, 2e-3]},
        )["forth"]["somatic_voltage_2"].values
        for mechanism in ("RangeGap", "GapJunction")
    ]
    tolerance = 0 if integrator == "fixed" else 1e-4
    assert np.abs(traces[0] - traces[1]).max() <= tolerance


def test_fit_through_transferred_voltages_finds_the_conductance():
    term = {
        "metric": "coupling_coefficient", "protocol": "forth", "sd": 0.001,
        "target": float(analytic.gap_pair(R1, R2, 0.8).coupling_coefficient),
    }  # fmt: skip
    found = stpspec.fit(
        Experiment.from_data(
            free("RangeGap", 1e-4, 1e-2)
            | {"objective": {"terms": {"cc": term}}, "fitter": {"kind": "least_squares"}}
        )
    )
    assert found.parameters["g"] == pytest.approx(0.8e-3, rel=1e-3)


def test_nothing_is_transferred_once_a_rig_is_gone():
    """A transfer to a point process that is gone would stop NEURON at its next step."""
    experiment = Experiment.from_data(data("RangeGap"))
    one = run(experiment, {"g": [1e-3]})
    two = run(experiment, {"g": [1e-3]})
    for protocol in ("forth", "back"):
        np.testing.assert_array_equal(
            one[protocol]["somatic_voltage_2"], two[protocol]["somatic_voltage_2"]
        )
    nrn.cvode().active(1)
    nrn.cvode().active(0)


@pytest.mark.parametrize("mechanism", SOUND)
def test_calibration_finds_the_conductance_that_is_declared(mechanism):
    bind(Experiment.from_data(data(mechanism, partner=SOUND[mechanism][2])))
    found = measure_coupling(mechanism, SOUND[mechanism][2])
    assert found is not None
    exponent = -1 if mechanism == "ResistanceGap" else 1
    assert found.exponent == pytest.approx(exponent, abs=1e-4)
    due = 1e-3 * found.value if mechanism == "PlainGap" else found.declared
    assert found.conductance == pytest.approx(due, rel=1e-4)
    closed = found.conductance / (found.conductance + 1 / RESISTANCE)
    assert found.coefficient == pytest.approx(closed, rel=1e-9)


def test_inverted_junction_is_refused_before_a_fit_with_its_sign():
    problem = refusal(free("InvertedRange", 1e-4, 1e-2))
    assert problem.path == "model.mechanism"
    assert "the sign of its current is inverted" in problem.rule
    assert "NONSPECIFIC_CURRENT i needs i = g·(v − vgap)" in problem.rule


def test_inverted_resistance_is_refused_with_the_current_of_a_resistance():
    problem = refusal(
        data("InvertedResistance", partner="vother", parameters={"r": {"min": 100, "max": 1e4}})
    )
    assert "the sign of its current is inverted" in problem.rule
    assert "NONSPECIFIC_CURRENT i needs i = (v − vother)/r" in problem.rule


@pytest.mark.parametrize(
    ("mechanism", "size", "unit"),
    [("TooWeak", "1000 times too small", "(nS)"), ("TooStrong", "1000 times too large", "(uS)")],
)
def test_coupling_that_is_off_by_a_thousand_is_refused_with_the_unit_that_is_meant(
    mechanism, size, unit
):
    problem = refusal(free(mechanism, 1e-4, 1e-2))
    assert size in problem.rule
    assert f"takes g in {unit}" in problem.rule


def test_resistance_that_is_declared_as_a_conductance_is_refused():
    problem = refusal(free("Resists", 100, 1e4))
    assert "g is declared in uS, a conductance, and acts as a resistance" in problem.rule


def test_parameter_without_a_unit_is_taken_as_it_acts():
    bind(Experiment.from_data(free("PlainGap", 0.1, 10)))
    problem = refusal(free("PlainGap", 1e-4, 1e-2))
    assert problem.path == "parameters.g"
    assert "g = 1 is 1 nS" in problem.rule


def test_check_finds_an_inverted_junction_too():
    (problem,) = stpspec.check(Experiment.from_data(free("InvertedRange", 1e-4, 1e-2)))
    assert "inverted" in problem.rule


def test_partner_voltage_that_does_not_exist_is_told_with_what_could_hold_it():
    problem = refusal(data("RangeNonspecific", partner="vpree"))
    assert problem.path == "model.partner_voltage"
    assert "it has vpre" in problem.rule


def test_only_variable_for_the_partner_voltage_needs_no_name():
    tree = run(Experiment.from_data(data("RangeNonspecific")), {"g": [1.0]}, "forth")
    exact = analytic.gap_pair(R1, R2, 1.0).coupling_coefficient
    np.testing.assert_allclose(values_of(tree, "coupling_coefficient", "forth"), exact, rtol=1e-4)


def test_inverted_junction_may_be_simulated_and_its_metrics_say_what_it_is(caplog):
    tree = simulate(bind(Experiment.from_data(data("InvertedRange"))), {"g": [1e-4]})
    assert "the sign of its current is inverted" in caplog.text
    (measured,) = measure(tree, "coupling_coefficient", "forth")
    assert "negative" in measured.reason
