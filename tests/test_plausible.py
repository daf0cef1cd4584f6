"""What physics or practice forbids is told before it is simulated, with the likely slip."""

import pytest
from small import data

from stpspec import api
from stpspec.campaigns.plan import plan
from stpspec.errors import SpecError
from stpspec.specs.experiment import Experiment

SIZE = {"metric": "amplitude", "protocol": "single", "target": 42.0, "sd": 1.0}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(**changes):
    """Return path → text of every problem."""
    return {p.path: str(p) for p in api.check(data(**changes))}


def check_term(**changes):
    term = SIZE | {"target": -20, "options": {}} | changes
    return check(
        protocols={
            "single": {"kind": "single_event", "duration": "20 ms"},
            "train": {"kind": "train"},
        },
        objective={"terms": {"size": term}},
    )


# -- signs ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "term",
    [{}, {"target": "-20 pA"}, {"metric": "max_amplitude"}, {"metric": "charge"},
     {"options": {"direction": "negative"}},
     {"metric": "amplitudes", "protocol": "train", "target": [-20.0] * 12}],
    ids=str,
)  # fmt: skip
def test_a_current_written_with_its_sign_is_refused_with_the_cure(term):
    (told,) = check_term(**term).values()
    assert told.startswith("objective.terms.size.target")
    assert "write it without its sign" in told
    assert "options.direction: negative" in told


@pytest.mark.parametrize("metric", ["decay_time", "rise_time", "half_width"])
def test_what_is_no_size_of_the_signal_is_never_below_0(metric):
    (told,) = check_term(metric=metric).values()
    assert f"{metric} is never below 0" in told
    assert "direction" not in told


def test_the_size_with_its_direction_is_understood():
    assert check_term(target=20, options={"direction": "negative"}) == {}


@pytest.mark.parametrize("metric", ["induction", "recovery", "initial"])
def test_metrics_with_a_sign_keep_it(metric):
    assert check_term(metric=metric, protocol="train", target=-0.3) == {}


def test_a_campaign_refuses_a_signed_amplitude_in_its_row_and_column(tmp_path):
    (tmp_path / "base.yaml").write_text(
        "defaults: [{/protocol@protocols.single: single_event}, {override /model: tm_patch},\n"
        "           {override /recording: current_clamp}, _self_]\n"
        "name: signed\n"
        "parameters:\n  weight: {min: 0.01, max: 50, scale: log}\n"
        "objective:\n  terms:\n    psp: {metric: amplitude, protocol: single, sd: 0.02}\n"
    )
    (tmp_path / "signed.csv").write_text(
        "connection,psp [mV],model.fixed.e\npvalb→pyr,-0.462044,-80\npyr→pyr,0.2132,0\n"
    )
    with pytest.raises(SpecError) as caught:
        plan(tmp_path / "signed.csv", tmp_path / "base.yaml", (), tmp_path)
    (told,) = (str(p) for p in caught.value.problems)
    assert "pvalb→pyr" in told or "row" in told
    assert "options.direction: negative" in told


# -- what is clamped ------------------------------------------------------------------------


def test_a_potential_read_where_the_voltage_is_clamped_is_refused_with_the_cure():
    term = SIZE | {"options": {"signal": "somatic_voltage"}}
    signals = ["synaptic_current", "somatic_voltage"]
    found = check(recording__signals=signals, objective={"terms": {"size": term}})
    assert "recording=current_clamp" in found["objective.terms.size.options.signal"]
    assert check(recording={"kind": "current_clamp"}, objective={"terms": {"size": term}}) == {}


# -- units by their long names --------------------------------------------------------------

LONG_NAMES = """
NEURON {{ POINT_PROCESS {name} RANGE tau, e, g, i NONSPECIFIC_CURRENT i }}
UNITS {{ (nA) = (nanoamp) (mV) = (millivolt) }}
PARAMETER {{ tau = 3 (ms) <1e-9,1e9>  e = 0 (millivolts) }}
ASSIGNED {{ v (mV) i ({current}) }}
STATE {{ g ({conductance}) }}
INITIAL {{ g = 0 }}
BREAKPOINT {{ SOLVE state METHOD cnexp  i = 0.001 * g * (v - e) }}
DERIVATIVE state {{ g' = -g/tau }}
NET_RECEIVE(w) {{ g = g + w }}
"""


@pytest.mark.parametrize(
    ("conductance", "peak"),
    [("nS", 1.0), ("nanosiemens", 1.0), ("microsiemens", 1e3), ("picosiemens", 1e-3)],
)
def test_a_conductance_is_in_the_unit_that_its_mechanism_declares(conductance, peak, here):
    name = f"Declared_{conductance}"
    text = LONG_NAMES.format(name=name, conductance=conductance, current="nanoamp")
    (here / f"{name}.mod").write_text(text)
    term = {"metric": "amplitude", "protocol": "single", "target": 1, "sd": 1}
    experiment = Experiment.from_data(data(
        model__mechanism=name, model__mod=[f"{name}.mod"], model__fixed={"e": "0.01 volts"},
        recording__signals=["conductance", "synaptic_current"],
        parameters={"weight": {"min": 0.5, "max": 2}, "tau": {"min": "2 milliseconds", "max": 4}},
        objective={"terms": {
            "g": term | {"options": {"signal": "conductance"}}, "i": term,
        }},
    ))  # fmt: skip
    values = api.measure(experiment, api.simulate(experiment, {"weight": 1, "tau": 3}))
    # An instantaneous rise, sampled at the end of the first step of 0.1 ms.
    assert float(values["g"][0]) == pytest.approx(peak, rel=0.04)
    assert float(values["i"][0]) == pytest.approx(80.0, rel=0.04)  # 1 (unit) × 80 mV, in pA
