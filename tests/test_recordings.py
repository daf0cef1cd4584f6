"""A recording per protocol: potentials and currents, and two holding potentials, in one fit."""

from typing import Any

import numpy as np
import pytest
from helpers import PATCH, run, synapse, values_of

import stpspec
from stpspec.errors import SpecError
from stpspec.specs.experiment import Experiment

TRAIN = {"kind": "train", "n_recovery": 0}
SINGLE = {"kind": "single_event"}
CURRENT = {"kind": "current_clamp"}


def made(protocols: dict[str, Any], **more: Any) -> Experiment:
    fixed = {"tau_rise": 0.2, "tau_decay": 2.0, "e": 0, "weight": 0.1}
    data = {
        "model": {"kind": "synapse", "cell": PATCH, "mechanism": "TsodyksMarkram", "fixed": fixed},
        "recording": {"kind": "voltage_clamp"},
        "protocols": protocols,
    }
    return Experiment.from_data({**data, **more})


def term(metric: str, target: float, protocol: str, **options: Any) -> dict[str, Any]:
    own = {"metric": metric, "protocol": protocol, "target": target, "options": options}
    return {**own, "sd": max(1e-3 * abs(target), 1e-4)}


def test_each_protocol_gives_what_an_experiment_of_its_recording_gives():
    both = made({"psc": SINGLE, "psp": {**SINGLE, "recording": CURRENT}})
    psc = made({"psc": SINGLE})
    psp = made({"psp": SINGLE}, recording=CURRENT)
    tree = run(both)
    assert np.array_equal(tree["psc"]["synaptic_current"], run(psc)["psc"]["synaptic_current"])
    assert np.array_equal(tree["psp"]["somatic_voltage"], run(psp)["psp"]["somatic_voltage"])
    assert values_of(tree, "amplitude", "psc")[0] == pytest.approx(
        values_of(run(psc), "amplitude", "psc")[0]
    )
    assert "somatic_voltage" not in tree["psc"]


def test_a_part_changes_some_fields_and_keeps_the_others():
    whole = made(
        {"low": SINGLE, "high": {**SINGLE, "recording": {"holding_potential": "-35 mV"}}},
        recording={"kind": "voltage_clamp", "signals": ["clamp_current"], "series_resistance": 5},
    )
    high = whole.recording_of("high")
    assert high.holding_potential == -35
    assert (high.series_resistance, high.signals) == (5, ["clamp_current"])
    assert whole.recording_of("low") == whole.recording


def test_two_holding_potentials_give_the_reversal_potential_and_the_conductance():
    high = {**SINGLE, "recording": {"holding_potential": -40}}
    parameters = {"e": {"min": -20, "max": 40}, "weight": {"min": 0.02, "max": 0.5}}
    truth = {"e": 12.0, "weight": 0.13}
    whole = made({"low": SINGLE, "high": high}, parameters=parameters)
    tree = run(whole, truth)
    low, up = (float(values_of(tree, "amplitude", p)[0]) for p in ("low", "high"))
    assert low / up == pytest.approx(82 / 52, rel=1e-3)
    terms = {"a": term("amplitude", low, "low"), "b": term("amplitude", up, "high")}
    found = stpspec.fit(whole.changed({"objective": {"terms": terms}})).parameters
    assert found == pytest.approx(truth, rel=1e-3)


@pytest.mark.parametrize("integrator", ["auto", "fixed"])
def test_potential_and_current_in_one_fit_find_membrane_and_synapse(integrator):
    """A PSC gives the conductance and its decay; with it a PSP gives the membrane."""
    parameters = {
        "weight": {"min": 0.02, "max": 0.5},
        "tau_decay": {"min": 1, "max": 10},
        "cell.arguments.resistance": {"min": 50, "max": 400},
        "cell.arguments.tau": {"min": 5, "max": 60},
        "net_con.delay": {"min": 0.5, "max": 4},
    }
    truth = {
        "weight": 0.12, "tau_decay": 3.3, "cell.arguments.resistance": 210.0,
        "cell.arguments.tau": 18.0, "net_con.delay": 2.21,
    }  # fmt: skip
    whole = made({"psc": SINGLE, "psp": {**SINGLE, "recording": CURRENT}}, parameters=parameters,
                 numerics={"integrator": integrator})  # fmt: skip
    asked = [("amplitude", "psc"), ("decay_time", "psc"), ("latency", "psc"),
             ("amplitude", "psp"), ("decay_time", "psp")]  # fmt: skip
    tree = run(whole.changed({"numerics.integrator": "fixed"}), truth)
    terms = {f"{m}_{p}": term(m, float(values_of(tree, m, p)[0]), p) for m, p in asked}
    result = stpspec.fit(whole.changed({"objective": {"terms": terms}}))
    assert result.parameters == pytest.approx(truth, rel=3e-3)


def test_a_free_number_of_one_protocol_leaves_the_others_alone():
    name = "protocols.high.recording.holding_potential"
    whole = made(
        {"low": SINGLE, "high": {**SINGLE, "recording": {"holding_potential": -40}}},
        parameters={name: {"min": -60, "max": -10}},
    )
    tree = run(whole, {name: [-50.0, -20.0]})
    assert np.ptp(values_of(tree, "amplitude", "low")) == 0
    low, high = values_of(tree, "amplitude", "high")
    assert low / high == pytest.approx(50 / 20, rel=1e-3)


def test_a_free_number_of_the_recording_is_that_of_all_that_leave_it_open():
    name = "recording.holding_potential"
    own = {**SINGLE, "recording": {"holding_potential": -40}}
    rest = {**SINGLE, "recording": {"series_resistance": 0.002}}
    whole = made({"a": SINGLE, "own": own, "rest": rest, "psp": {**SINGLE, "recording": CURRENT}},
                 parameters={name: {"min": -80, "max": -10}})  # fmt: skip
    tree = run(whole, {name: [-60.0, -30.0]})
    assert np.ptp(values_of(tree, "amplitude", "own")) == 0
    assert np.ptp(values_of(tree, "amplitude", "psp")) == 0
    for protocol in ("a", "rest"):
        first, second = values_of(tree, "amplitude", protocol)
        assert first / second == pytest.approx(2.0, rel=1e-3)


def test_metrics_read_what_their_own_protocol_records():
    whole = made({"psc": SINGLE, "psp": {**SINGLE, "recording": CURRENT}}).to_data()
    options = {"signal": "somatic_voltage"}
    wrong = {
        "a": term("amplitude", 1.0, "psc", **options),
        "b": term("amplitude", 1.0, "psp", signal="clamp_current"),
    }
    right = {"c": term("amplitude", 1.0, "psp", **options)}
    right["c"]["target"] = "1 mV"
    whole["objective"] = {"terms": {**wrong, **right}}
    paths = {p.path for p in stpspec.check(whole)}
    assert paths == {"objective.terms.a.options.signal", "objective.terms.b.options.signal"}
    whole["objective"] = {"terms": {"a": {**right["c"], "target": "1 pA"}}}
    (problem,) = stpspec.check(whole)
    assert problem.path == "objective.terms.a.target"


FAULTY = {
    "kind": ({"kind": "curent_clamp"}, "protocols.psp.recording.kind"),
    "field": ({"holding_potental": -50}, "protocols.psp.recording.holding_potental"),
    "of another kind": (
        {"kind": "current_clamp", "holding_potential": -50},
        "protocols.psp.recording.holding_potential",
    ),
    "unit": ({"holding_potential": "-50 pA"}, "protocols.psp.recording.holding_potential"),
    "section": ({"electrode_section": "dendd"}, "protocols.psp.recording.electrode_section"),
    "variable": ({"variables": ["gg"]}, "protocols.psp.recording.variables.0"),
}


@pytest.mark.parametrize(("changes", "path"), FAULTY.values(), ids=FAULTY)
def test_faults_of_a_recording_are_told_at_the_protocol(changes, path):
    data = made({"psc": SINGLE, "psp": SINGLE}).to_data()
    data["protocols"]["psp"]["recording"] = changes
    assert [p.path for p in stpspec.check(data)] == [path]


def test_coupled_cells_stay_in_current_clamp():
    from helpers import gap

    with pytest.raises(SpecError, match=r"protocols\.back\.recording\.kind"):
        gap((100.0, 100.0), {"forth": {"kind": "gap_step"},
                             "back": {"kind": "gap_step", "cell": 2,
                                      "recording": "voltage_clamp"}})  # fmt: skip


def test_an_experiment_without_changes_is_written_as_before():
    data = synapse({"train": TRAIN}).to_data()
    assert "recording" not in data["protocols"]["train"]
    whole = made({"psp": {**SINGLE, "recording": "current_clamp"}})
    assert whole.to_data()["protocols"]["psp"]["recording"] == {"kind": "current_clamp"}
    assert Experiment.from_data(whole.to_data()) == whole


def test_a_sweep_goes_over_the_recording_of_one_protocol():
    whole = made({"low": SINGLE, "high": {**SINGLE, "recording": {"holding_potential": -40}}})
    path = "protocols.high.recording.holding_potential"
    swept = stpspec.sweep(whole, {path: [-60, "-0.03 V"]})
    first, second = swept["high.amplitude"].values
    assert first / second == pytest.approx(2, rel=1e-3)
    assert list(swept["holding_potential"].values) == [-60, -30]
    assert swept["holding_potential"].attrs["units"] == "mV"
