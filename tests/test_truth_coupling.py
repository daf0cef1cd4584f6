"""Two coupled passive cells in NEURON against the closed forms of electrical coupling."""

import json

import numpy as np
import pytest
from helpers import MOD, PATCH, TESTS, gap, measure, run, values_of

from stpspec import analytic
from stpspec.specs.experiment import Experiment

GOLDEN = json.loads((TESTS / "golden" / "coupling.json").read_text(encoding="utf-8"))
G = np.array(GOLDEN["G"], float)  # nS
PAIRS = [(200.0, 100.0), (100.0, 100.0), (100.0, 200.0), (50.0, 450.0)]  # MΩ


@pytest.fixture(scope="module", params=PAIRS, ids=lambda p: f"{p[0]:g}-{p[1]:g}MOhm")
def coupled(request):
    """A pair of patches, coupled by each golden conductance, stepped from both sides."""
    return request.param, run(gap(request.param), {"g": G * 1e-3})


@pytest.mark.parametrize("pair", GOLDEN["pairs"], ids=lambda p: f"{p['R1']}-{p['R2']}MOhm")
@pytest.mark.parametrize("metric", ["coupling_coefficient", "input_resistance"])
def test_every_golden_row_comes_out_of_neuron(pair, metric):
    tree = run(gap((pair["R1"], pair["R2"])), {"g": G * 1e-3})
    np.testing.assert_allclose(values_of(tree, metric, "forth"), pair[metric], rtol=1e-4)


@pytest.mark.parametrize("pair", GOLDEN["pairs"], ids=lambda p: f"{p['R1']}-{p['R2']}MOhm")
def test_closed_form_gives_the_golden_rows_to_their_rounding(pair):
    exact = analytic.gap_pair(pair["R1"], pair["R2"], G)
    np.testing.assert_allclose(
        exact.coupling_coefficient, pair["coupling_coefficient"], atol=5.01e-7
    )
    np.testing.assert_allclose(exact.input_resistance_1, pair["input_resistance"], atol=5.01e-5)


def test_coupling_and_resistances_are_the_closed_forms_from_either_side(coupled):
    (R1, R2), tree = coupled
    for protocol, exact in (
        ("forth", analytic.gap_pair(R1, R2, G)),
        ("back", analytic.gap_pair(R2, R1, G)),
    ):
        for metric, expected in (
            ("coupling_coefficient", exact.coupling_coefficient),
            ("input_resistance", exact.input_resistance_1),
            ("transfer_resistance", exact.transfer_resistance),
        ):
            np.testing.assert_allclose(values_of(tree, metric, protocol), expected, rtol=1e-4)


def test_transfer_resistance_is_the_same_in_both_directions(coupled):
    _, tree = coupled
    forth, back = (values_of(tree, "transfer_resistance", p) for p in ("forth", "back"))
    np.testing.assert_allclose(forth, back, rtol=1e-6)


def test_junctional_conductance_is_what_was_put_in_by_either_formula(coupled):
    (R1, R2), tree = coupled
    for protocol, isolated in (("forth", R2), ("back", R1)):
        both = values_of(tree, "junctional_conductance", protocol)
        np.testing.assert_allclose(both, G, rtol=1e-4)
        one = values_of(tree, "junctional_conductance", protocol, isolated_resistance=isolated)
        np.testing.assert_allclose(one, G, rtol=1e-4)


def test_coupled_input_resistance_in_the_isolated_formula_errs_by_1_to_25_percent():
    tree = run(gap((200.0, 100.0)), {"g": G * 1e-3})
    excess = []
    for k, coupled_2 in enumerate(values_of(tree, "input_resistance", "back")):
        options = {"isolated_resistance": float(coupled_2)}
        excess.append(values_of(tree, "junctional_conductance", "forth", **options)[k] / G[k] - 1)
    np.testing.assert_allclose(excess, 1 / (1e3 / G + 200) / (1 / 100), rtol=2e-3)
    np.testing.assert_allclose([excess[0], excess[-1]], [0.01, 0.25], atol=5e-4)


def test_uncoupled_cells_have_no_coupling_and_their_own_resistance():
    tree = run(gap((200.0, 100.0)), {"g": 0.0})
    np.testing.assert_allclose(values_of(tree, "coupling_coefficient", "forth"), 0, atol=1e-12)
    np.testing.assert_allclose(values_of(tree, "input_resistance", "forth"), 200, rtol=1e-4)
    np.testing.assert_allclose(values_of(tree, "input_resistance", "back"), 100, rtol=1e-4)


@pytest.mark.parametrize("amplitude", [-0.02, 0.01])
def test_passive_measures_do_not_depend_on_size_or_sign_of_the_step(amplitude):
    steps = {"forth": {"kind": "gap_step", "amplitude": amplitude}}
    tree = run(gap((200.0, 100.0), steps), {"g": G * 1e-3})
    exact = analytic.gap_pair(200.0, 100.0, G)
    measured = values_of(tree, "coupling_coefficient", "forth")
    np.testing.assert_allclose(measured, exact.coupling_coefficient, rtol=1e-4)
    resistance = values_of(tree, "input_resistance", "forth")
    np.testing.assert_allclose(resistance, exact.input_resistance_1, rtol=1e-4)


def test_junctional_conductance_without_the_reverse_step_says_what_it_needs():
    tree = run(gap((200.0, 100.0), {"forth": {"kind": "gap_step"}}), {"g": 0.001})
    (measured,) = measure(tree, "junctional_conductance", "forth")
    assert np.isnan(measured.value)
    assert "gap_step into the other cell" in measured.reason
    assert "isolated_resistance" in measured.reason


@pytest.mark.parametrize(
    "metric", ["coupling_coefficient", "transfer_resistance", "junctional_conductance"]
)
def test_inverted_sign_of_the_junctional_current_is_refused(metric):
    experiment = gap((100.0, 100.0), mechanism="InvertedGap", mod=[str(MOD)])
    (measured,) = measure(run(experiment, {"g": 0.0005}), metric, "forth")
    assert np.isnan(measured.value)
    assert "negative" in measured.reason
    assert "inverted" in measured.reason


def test_cell_that_spikes_during_the_step_gives_no_passive_measure():
    cell = {"file": "fast_spiking.hoc", "template": "FastSpikingInterneuron"}
    experiment = Experiment.from_data(
        {
            "model": {
                "kind": "gap_junction",
                "cell": cell,
                "cell_2": PATCH,
                "mechanism": "GapJunction",
            },
            "recording": {"kind": "current_clamp", "signals": ["somatic_voltage"]},
            "protocols": {"strong": {"kind": "gap_step", "amplitude": 1.0, "duration": 100}},
            "numerics": {"settle": 100},
        }
    )
    tree = run(experiment, {"g": 0.0005})
    for metric in ("coupling_coefficient", "input_resistance", "transfer_resistance"):
        (measured,) = measure(tree, metric, "strong")
        assert np.isnan(measured.value)
        assert "cell 1 spiked" in measured.reason


def test_explanation_of_coupling_names_both_deflections_and_the_quotient():
    (measured, *_) = measure(
        run(gap((200.0, 100.0)), {"g": G * 1e-3}), "coupling_coefficient", "forth"
    )
    text = "\n".join(measured.steps)
    assert "ΔV1" in text
    assert "ΔV2" in text
    assert f"{float(measured.value):.6g}" in text
