"""Every fitter finds known parameters again, in NEURON."""

import pytest
import recovery

import stpspec

MIDDLE = ["fitter.start=middle", "fitter.n_starts=1"]


def test_least_squares_from_four_sobol_starts_finds_all_three_parameters_to_1_percent():
    truth = recovery.truths()[4]
    result = stpspec.fit(recovery.problem(truth))
    assert recovery.worst_error(result, truth) < 0.01
    assert result.status == "converged"


def test_slsqp_from_four_sobol_starts_finds_all_three_parameters_to_1_percent():
    truth = recovery.truths()[1]
    result = stpspec.fit(recovery.problem(truth, "fitter=slsqp"))
    assert recovery.worst_error(result, truth) < 0.01


def test_tpe_brings_the_loss_below_1_percent_of_that_at_the_middle():
    truth = recovery.truths()[0]
    result = stpspec.fit(
        recovery.problem(truth, "fitter=tpe", *MIDDLE, "fitter.budget.evaluations=200")
    )
    middle = {"U": 0.475, "tau_rec": 510.0, "tau_facil": 502.5}
    first = {k: float(result.history[f"parameter_{k}"][0]) for k in middle}
    assert first == pytest.approx(middle)
    assert result.loss < 0.01 * result.loss_start


def test_bounded_finds_one_parameter():
    truth = recovery.truths()[2]
    keep = [
        "fitter=bounded", *MIDDLE, "~parameters.tau_rec", "~parameters.tau_facil",
        f"model.fixed.tau_rec={truth['tau_rec']}", f"model.fixed.tau_facil={truth['tau_facil']}",
    ]  # fmt: skip
    result = stpspec.fit(recovery.problem(truth, *keep))
    assert result.parameters["U"] == pytest.approx(truth["U"], rel=1e-4)


@pytest.mark.parametrize("conductance", [2e-5, 3e-4, 4e-3])
def test_bounded_finds_the_conductance_of_a_gap_from_its_coupling_coefficient(conductance):
    experiment = stpspec.load("fs_fs_gap", ["model=gap_patches"])
    resistance = 100.0  # MΩ, of each patch: CC = G / (G + 1/R)
    data = experiment.to_data()
    coefficient = conductance / (conductance + 1 / resistance)
    data["objective"]["terms"]["coupling_coefficient"]["target"] = coefficient
    result = stpspec.fit(stpspec.Experiment.from_data(data))
    assert result.parameters["g"] == pytest.approx(conductance, rel=1e-3)


@pytest.mark.long
def test_least_squares_recovers_at_least_18_of_20_truths():
    found = [recovery.worst_error(stpspec.fit(recovery.problem(t)), t) for t in recovery.truths()]
    assert sum(error < 0.01 for error in found) >= 18, found


@pytest.mark.long
def test_tpe_falls_below_1_percent_of_the_middle_for_at_least_18_of_20_truths():
    spec = ["fitter=tpe", *MIDDLE, "fitter.budget.evaluations=400"]
    results = [stpspec.fit(recovery.problem(t, *spec)) for t in recovery.truths()]
    ratios = [r.loss / r.loss_start for r in results]
    assert sum(ratio < 0.01 for ratio in ratios) >= 18, ratios
