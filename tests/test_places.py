"""Free parameters beyond the mechanism are found again: delay, membrane, electrode."""

import math
from typing import Any

import numpy as np
import pytest
from helpers import PATCH, gap, run, synapse, values_of

import stpspec
from stpspec.config.compose import compose
from stpspec.errors import SpecError
from stpspec.specs.experiment import Experiment

SINGLE = {"single": {"kind": "single_event", "duration": 100}}
VOLTAGE = {"kind": "voltage_clamp"}
CURRENT = {"kind": "current_clamp", "signals": ["somatic_voltage"]}
INTEGRATORS = ("auto", "variable", "fixed")


def experiment(
    parameters: dict[str, Any],
    terms: dict[str, Any] | None = None,
    recording: dict[str, Any] | None = None,
    **more: Any,
) -> Experiment:
    """Return an experiment with a synapse on a patch, and something free beyond it."""
    model = {
        "kind": "synapse", "cell": PATCH, "mechanism": "TsodyksMarkram",
        "fixed": {"tau_rise": 0.2, "tau_decay": 1.0, "e": 0, "weight": 0.05},
    }  # fmt: skip
    data = {
        "model": {**model, **more.pop("model", {})},
        "recording": recording or VOLTAGE,
        "protocols": SINGLE,
        "parameters": parameters,
        "objective": None if terms is None else {"terms": terms},
    }
    return Experiment.from_data({**data, **more})


def term(metric: str, target: float, protocol: str = "single", **options: Any) -> dict[str, Any]:
    own = {"metric": metric, "protocol": protocol, "target": target, "options": options}
    return {**own, "sd": max(1e-3 * abs(target), 1e-4)}


def targets(made: Experiment, truth: dict[str, Any], **asked: tuple[str, str]) -> dict[str, Any]:
    """Return terms that ask for what the truth gives."""
    tree = run(made, truth)
    return {
        name: term(metric, float(values_of(tree, metric, protocol)[0]), protocol)
        for name, (metric, protocol) in asked.items()
    }


# -- the connection ------------------------------------------------------------------------------


@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_each_candidate_has_its_delay_and_latency_grows_by_it(integrator):
    delays = [0.5, 1.3, 2.0, 2.0137, 3.9999]  # some are no multiples of dt
    made = experiment(
        {"net_con.delay": {"min": 0.5, "max": 4}}, numerics={"integrator": integrator}
    )
    tree = run(made, {"net_con.delay": delays})
    latency = values_of(tree, "latency", "single")
    assert latency - delays == pytest.approx(np.full(5, latency[0] - 0.5), abs=1e-5)
    assert tree["single"]["arrival_time"].values[:, 0] == pytest.approx(500 + np.array(delays))
    size = values_of(tree, "amplitude", "single")
    assert size == pytest.approx(np.full(5, size[0]), rel=1e-5)


@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_the_delay_is_found_from_the_latency(integrator):
    free = {"net_con.delay": {"min": "0.5 ms", "max": "0.004 s"}}
    terms = targets(experiment(free), {"net_con.delay": 2.7183}, lag=("latency", "single"))
    made = experiment(free, terms, numerics={"integrator": integrator})
    result = stpspec.fit(made)
    assert result.parameters["net_con.delay"] == pytest.approx(2.7183, abs=1e-3)
    assert result.units["net_con.delay"] == "ms"


def test_a_delay_that_is_fixed_and_one_that_is_set_give_the_same_to_the_bit():
    made = experiment({"net_con.delay": {"min": 0.5, "max": 4}})
    fixed = experiment({}, model={"net_con": {"delay": 4.0}})
    of_fixed = experiment(
        {"net_con.delay": {"min": 0.5, "max": 4}}, model={"net_con": {"delay": 4}}
    )
    one = run(made, {"net_con.delay": 4.0})["single"]["synaptic_current"].values
    assert np.array_equal(one, run(fixed)["single"]["synaptic_current"].values)
    assert np.array_equal(one, run(of_fixed, {"net_con.delay": 4.0})["single"]["synaptic_current"])


def test_every_pulse_of_a_train_comes_by_the_delay_later():
    train = {"train": {"kind": "train", "frequency": 35}}  # no multiple of dt
    made = synapse(train, parameters={"net_con.delay": {"min": 0, "max": 10}})
    tree = run(made, {"net_con.delay": [0.0, 0.313, 9.99]})
    first, *others = values_of(tree, "amplitudes", "train")
    for amplitudes in others:
        assert amplitudes == pytest.approx(first, rel=2e-3)
    arrivals = tree["train"]["arrival_time"]
    assert arrivals.dims == ("candidate", "pulse")
    assert (arrivals - arrivals[0]).values[1] == pytest.approx(np.full(12, 0.313))


# -- the cell ------------------------------------------------------------------------------------


def test_input_resistance_and_time_constant_follow_from_a_psp():
    """A brief small current Q leaves ∫V = Q·R, and V decays with the membrane time constant."""
    free = {
        "cell.arguments.resistance": {"min": 50, "max": 400},
        "cell.arguments.tau": {"min": 5, "max": 60},
    }
    made = experiment(
        free, recording={**CURRENT, "signals": ["somatic_voltage", "synaptic_current"]}
    )
    rows = {"cell.arguments.resistance": [100, 300], "cell.arguments.tau": [10, 30]}
    long = {"single": {"kind": "single_event", "duration": 400}}
    tree = run(made.changed({"protocols": long}), rows)
    potential = values_of(tree, "charge", "single")  # mV·ms
    current = values_of(tree, "charge", "single", signal="synaptic_current")  # pA·ms
    assert 1e3 * potential / current == pytest.approx([100, 300], rel=1e-3)  # MΩ
    assert values_of(tree, "decay_time", "single") == pytest.approx([10, 30], rel=0.05)


@pytest.mark.parametrize("integrator", ["auto", "fixed"])
def test_input_resistance_and_time_constant_are_found_from_a_psp(integrator):
    free = {
        "cell.arguments.resistance": {"min": 50, "max": 400},
        "cell.arguments.tau": {"min": 5, "max": 60},
    }
    truth = {"cell.arguments.resistance": 173.0, "cell.arguments.tau": 21.0}
    asked = {"size": ("amplitude", "single"), "decay": ("decay_time", "single")}
    terms = targets(experiment(free, recording=CURRENT), truth, **asked)
    result = stpspec.fit(experiment(free, terms, CURRENT, numerics={"integrator": integrator}))
    assert result.parameters == pytest.approx(truth, rel=2e-3)
    assert result.status == "converged"


def test_an_attribute_of_a_section_is_found_in_its_own_unit():
    free = {
        "cell.soma.g_pas": {"min": "0.02 mS/cm2", "max": "0.5 mS/cm2", "scale": "log"},
        "cell.soma.cm": {"min": 0.5, "max": 3},
    }
    truth = {"cell.soma.g_pas": 8e-5, "cell.soma.cm": 1.6}
    asked = {"size": ("amplitude", "single"), "decay": ("decay_time", "single")}
    terms = targets(experiment(free, recording=CURRENT), truth, **asked)
    result = stpspec.fit(experiment(free, terms, CURRENT))
    assert result.parameters == pytest.approx(truth, rel=2e-3)
    assert result.units == {"cell.soma.g_pas": "S/cm2", "cell.soma.cm": "uF/cm2"}


def test_input_resistance_is_found_from_a_gap_step():
    """R₁ = 200, R₂ = 100 MΩ and G = 1 nS give Rin = 169.2308 MΩ, and CC = G / (G + 1 / R₂)."""
    data = gap((100.0, 50.0), {"step": {"kind": "gap_step"}}).to_data()
    data["model"]["fixed"] = {"g": "1 nS"}
    data["parameters"] = {
        "cell.arguments.resistance": {"min": 50, "max": 500},
        "cell_2.arguments.resistance": {"min": 50, "max": 500},
    }
    data["objective"] = {
        "terms": {
            "rin": term("input_resistance", 169.2308, "step"),
            "cc": term("coupling_coefficient", 1 / 11, "step"),
        }
    }
    found = stpspec.fit(Experiment.from_data(data)).parameters
    assert found["cell.arguments.resistance"] == pytest.approx(200, rel=1e-3)
    assert found["cell_2.arguments.resistance"] == pytest.approx(100, rel=1e-3)


def test_the_second_cell_is_like_the_first_unless_it_is_given():
    data = gap((100.0, 100.0), {"step": {"kind": "gap_step"}}).to_data()
    data["model"] |= {"cell_2": None, "fixed": {"g": "1 nS"}}
    tree = run(Experiment.from_data(data), {"cell.arguments.resistance": [100.0, 200.0]})
    rin = [1 / (1 / r + 1 / (1000 + r)) for r in (100.0, 200.0)]
    assert values_of(tree, "input_resistance", "step") == pytest.approx(rin, rel=1e-4)


def test_an_array_or_all_sections_are_set_as_one_and_a_single_one_goes_before():
    cell = {"file": "pyramidal.py", "template": "PyramidalCell"}
    made = experiment({}, recording=CURRENT, model={"cell": cell, "section": "basal[1]"})
    all_of_it = run(made, {"cell.all.g_pas": 2e-4, "cell.all.cm": 2.0})
    each = {f"cell.{s}.{a}": v for s in ("soma", "basal", "apical")
            for a, v in (("g_pas", 2e-4), ("cm", 2.0))}  # fmt: skip
    same = run(made, each)
    name = "somatic_voltage"
    assert np.array_equal(all_of_it["single"][name], same["single"][name])
    one = run(made, {**each, "cell.basal[1].cm": 0.5})
    again = run(made, {"cell.basal[1].cm": 0.5, **each})
    assert np.array_equal(one["single"][name], again["single"][name])
    assert not np.array_equal(one["single"][name], same["single"][name])


def test_what_is_fixed_of_a_section_holds_and_a_free_value_goes_before():
    fixed = {"tau_decay": 1.0, "weight": 0.05, "cell.soma.cm": 2.0}
    made = experiment({}, recording=CURRENT, model={"fixed": fixed})
    free = experiment({"cell.soma.cm": {"min": 0.1, "max": 5}}, recording=CURRENT,
                      model={"fixed": fixed})  # fmt: skip
    name = "somatic_voltage"
    held = run(made)["single"][name]
    assert np.array_equal(held, run(free, {"cell.soma.cm": 2.0})["single"][name])
    assert not np.array_equal(held, run(free, {"cell.soma.cm": 1.0})["single"][name])


def test_a_candidate_whose_cell_cannot_be_built_fails_by_itself():
    free = {"cell.arguments.tau": {"min": -10, "max": 60}}
    tree = stpspec.simulate(
        experiment(free, recording=CURRENT), {"cell.arguments.tau": [10, -5, 20]}
    )
    failures = list(tree.dataset["failure"].values)
    assert failures[0] == failures[2] == ""
    assert "tau must be positive and finite (got -5.0)" in failures[1]
    single = tree.children["single"].to_dataset()
    assert np.isfinite(single["somatic_voltage"].values[2]).all()


# -- the electrode -------------------------------------------------------------------------------


@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_the_holding_potential_is_found_from_the_driving_force(integrator):
    free = {"recording.holding_potential": {"min": "-90 mV", "max": "-20 mV"}}
    at_70 = values_of(run(experiment({})), "amplitude", "single")[0]
    terms = {"size": term("amplitude", at_70 * 45 / 70)}  # e = 0 mV
    found = stpspec.fit(experiment(free, terms, numerics={"integrator": integrator}))
    assert found.parameters["recording.holding_potential"] == pytest.approx(-45, abs=0.02)


def test_the_holding_current_moves_the_potential_by_the_resistance():
    free = {"recording.holding_current": {"min": -0.2, "max": 0.2}}
    tree = run(experiment(free, recording=CURRENT), {"recording.holding_current": ["-50 pA", 0.1]})
    start = tree["single"]["somatic_voltage"].values[:, 0, 0]
    assert start == pytest.approx([-75, -60], abs=1e-4)  # 100 MΩ at −70 mV


def test_the_series_resistance_is_found_from_what_the_clamp_current_loses():
    free = {"recording.series_resistance": {"min": 0.001, "max": 50, "scale": "log"}}
    recording = {**VOLTAGE, "signals": ["clamp_current"]}
    terms = {"size": None}
    asked = Experiment.from_data
    made = experiment(free, recording=recording, model={"fixed": {"tau_decay": 5.0}})
    tree = run(made, {"recording.series_resistance": [0.001, 10.0]})
    ideal, lossy = values_of(tree, "amplitude", "single", signal="clamp_current")
    assert lossy < 0.9 * ideal
    data = made.to_data()
    terms = {"size": term("amplitude", float(lossy), signal="clamp_current")}
    found = stpspec.fit(asked({**data, "objective": {"terms": terms}}))
    assert found.parameters["recording.series_resistance"] == pytest.approx(10.0, rel=0.01)


# -- names ---------------------------------------------------------------------------------------

NEAREST = {
    "net_con.dealy": "net_con.delay",
    "net_con.weight": "weight",
    "cell.arguments.resistence": "cell.arguments.resistance",
    "cell.soma.g_pass": "cell.soma.g_pas",
    "cell.som.g_pas": "cell.soma.g_pas",
    "soma.g_pas": "cell.soma.g_pas",
    "recording.holding_potental": "recording.holding_potential",
    "model.net_con.delay": "net_con.delay",
}


@pytest.mark.parametrize(("name", "nearest"), NEAREST.items())
def test_a_misspelled_path_is_told_with_the_nearest(name, nearest):
    data = experiment({}).to_data() | {"parameters": {name: {"min": 1, "max": 2}}}
    (problem,) = stpspec.check(data)
    assert problem.path == f"parameters.{name}"
    assert problem.nearest == nearest


def test_bounds_beyond_what_a_place_allows_are_told():
    bounds = {
        "net_con.delay": (-1, 4), "cell.soma.Ra": (0, 100),
        "recording.series_resistance": (0, 10), "cell.soma.cm": ("1 mV", "2 mV"),
        "cell.arguments.tau": ("1 ms", "20 ms"),
    }  # fmt: skip
    data = experiment({}).to_data()
    data["parameters"] = {n: {"min": low, "max": high} for n, (low, high) in bounds.items()}
    told = {p.path: str(p) for p in stpspec.check(data)}
    assert "the NetCon allows 0 to 1000 ms" in told["parameters.net_con.delay.min"]
    assert "a section allows" in told["parameters.cell.soma.Ra.min"]
    assert "the recording allows" in told["parameters.recording.series_resistance.min"]
    assert "uF/cm2" in told["parameters.cell.soma.cm"]
    assert "without unit" in told["parameters.cell.arguments.tau"]


def test_a_value_that_has_a_field_of_its_own_is_not_fixed_elsewhere():
    with pytest.raises(SpecError, match=r"model\.net_con\.delay"):
        run(experiment({}, model={"fixed": {"net_con.delay": 2.0}}))


def test_parameters_may_be_nested_as_overrides_are_and_mean_the_same():
    flat = {"net_con.delay": {"min": 1, "max": 2}, "cell.dend[0].cm": {"min": 1, "max": 2}}
    nested = {
        "net_con": {"delay": {"min": 1, "max": 2}},
        "cell": {"dend": {"0": {"cm": {"min": 1, "max": 2}}}},
    }
    one, other = (experiment({}).to_data() | {"parameters": p} for p in (flat, nested))
    assert Experiment.from_data(one) == Experiment.from_data(other)
    assert list(Experiment.from_data(other).parameters) == list(flat)


def test_a_bound_is_changed_by_its_path():
    made = experiment({"net_con.delay": {"min": 1, "max": 2}})
    changed = made.changed({
        "parameters.net_con.delay.max": 3,
        "parameters.cell.soma.cm": {"min": 1, "max": 2},
    })  # fmt: skip
    assert changed.parameters["net_con.delay"].max == 3
    assert changed.parameters["cell.soma.cm"].max == 2


def test_a_sweep_goes_over_a_place_that_is_not_free():
    swept = stpspec.sweep(experiment({}), {"net_con.delay": [1.0, 2.5]})
    latency = swept["single.latency"].values
    assert math.isclose(latency[1] - latency[0], 1.5, abs_tol=1e-4)
    assert swept["delay"].attrs["units"] == "ms"


# -- files, overrides, results -------------------------------------------------------------------

FILE = """\
# @package _global_
defaults:
  - /protocol@protocols.single: single_event
  - override /model: tm_patch
  - _self_
name: dotted
parameters:
  net_con.delay: {min: 0.5 ms, max: 4 ms}
  cell.soma.cm: {min: 0.5, max: 2}
objective:
  terms:
    lag: {metric: latency, protocol: single, target: 2.2, sd: 0.05}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "dotted.yaml"
    path.write_text(FILE)
    return path


def test_overrides_find_dotted_names_of_a_file(file):
    words = ["parameters.net_con.delay.max=3", "parameters.cell.dend.0.cm={min: 1, max: 2}",
             "~parameters.cell.soma.cm"]  # fmt: skip
    made = stpspec.load(file, words)
    assert list(made.parameters) == ["net_con.delay", "cell.dend[0].cm"]
    assert made.parameters["net_con.delay"].max == 3


def test_a_fault_of_a_dotted_name_is_told_with_its_line(file):
    file.write_text(FILE.replace("max: 4 ms", "max: 4 mV"))
    told = stpspec.check(compose(file)[0])
    assert [p.path for p in told] == ["parameters.net_con.delay.max"]
    where = compose(file)[1].where(told[0].path)
    assert where is not None
    assert where.endswith("dotted.yaml:8")


def test_a_field_that_is_free_begins_at_what_the_command_line_says(file):
    words = ["model.net_con.delay=3.5", "recording.holding_potential=-45",
             "parameters.recording.holding_potential={min: -80, max: -20}"]  # fmt: skip
    made = stpspec.load(file, words)
    assert made.parameters["net_con.delay"].start == 3.5
    assert made.parameters["recording.holding_potential"].start == -45


def test_a_saved_fit_runs_again_with_its_delay_and_cell(file, tmp_path):
    result = stpspec.fit(stpspec.load(file, ["parameters.cell.soma.cm.max=1.5"]))
    result.save(tmp_path / "result")
    again = stpspec.FitResult.load(tmp_path / "result")
    assert again.parameters == result.parameters
    tree = stpspec.simulate(again.experiment, again.parameters)
    kept, now = (t["single"]["synaptic_current"].values for t in (again.traces, tree))
    assert now == pytest.approx(kept, abs=1e-4)  # kept in single precision
    assert again.traces["single"]["arrival_time"].values == tree["single"]["arrival_time"].values


# -- how they are simulated ----------------------------------------------------------------------


def test_what_cannot_matter_under_an_ideal_clamp_is_simulated_without_the_cell():
    from stpspec.engine.binding.bind import bind
    from stpspec.engine.binding.numerics import for_search
    from stpspec.engine.settings import settings_restored
    from stpspec.engine.shortcuts.ladder import choose

    def cell_of(name: str, low: float, high: float) -> str:
        made = experiment({name: {"min": low, "max": high}}, {"size": term("amplitude", 3.0)})
        bound = for_search(bind(made))
        with settings_restored():  # as around each batch
            return choose(bound, [{name: low}, {name: high}], bound.scheme).bound.scheme.cell

    assert cell_of("net_con.delay", 0.5, 4) == "none"
    assert cell_of("cell.arguments.resistance", 50, 200) == "none"
    assert cell_of("recording.holding_potential", -80, -20) == "own"


@pytest.mark.parametrize("recording", [VOLTAGE, CURRENT], ids=["voltage", "current"])
def test_a_trace_is_the_same_whatever_delays_are_simulated_beside_it(recording):
    """The events of others leave no samples in a trace: it can be interpolated as when alone."""
    made = experiment({"net_con.delay": {"min": 0.5, "max": 4}}, recording=recording,
                      numerics={"integrator": "variable"})  # fmt: skip
    name = "synaptic_current" if recording is VOLTAGE else "somatic_voltage"
    together = run(made, {"net_con.delay": [1.0, 1.0 + 3.5e-6, 2.7]})
    alone = run(made, {"net_con.delay": [1.0]})
    for metric in ("amplitude", "rise_time", "decay_time", "latency"):
        one = values_of(together, metric, "single", signal=name)[0]
        assert one == pytest.approx(values_of(alone, metric, "single", signal=name)[0], rel=1e-3)
    t = together["single"]["t"].values[0]
    assert np.nanmin(np.diff(t)[np.abs(t[1:] - 502.7) < 1]) > 1e-5
