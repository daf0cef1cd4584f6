"""What is drawn by chance is no measurement of the synapse, and is not fitted as one."""

import numpy as np
import pytest
from helpers import MOD, synapse

import stpspec
from stpspec import api
from stpspec.engine.binding.bind import bind
from stpspec.engine.simulate import simulate
from stpspec.engine.stochastic import differs, draws
from stpspec.errors import FitError


def coin(seeded: int, **changes):
    made = synapse(
        {"one": {"kind": "single_event"}}, mechanism="Coin",
        fixed={"seeded": seeded, "weight": 0.001}, model={"mod": [str(MOD / "Coin.mod")]},
        recording={"signals": ["synaptic_current"]}, parameters={"tau": {"min": 1, "max": 9}},
        numerics={"settle": 20},
    )  # fmt: skip
    term = {"metric": "decay_time", "protocol": "one", "target": 5, "sd": 1}
    return made.copy_with(objective={"terms": {"decay": term}}, **changes)


def test_stochastic_synapse_is_not_fitted_and_the_mechanism_is_named():
    with pytest.raises(FitError, match=r"Coin draws random numbers"):
        api.fit(coin(0))


def test_run_and_sweep_of_a_stochastic_synapse_say_that_it_is_one_realization(caplog):
    api.run(coin(0))
    assert "Coin draws random numbers: this is one realization" in caplog.text
    caplog.clear()
    stpspec.sweep(coin(0), {"model.fixed.weight": [0.001, 0.002]})
    assert caplog.text.count("this is one realization") == 1
    caplog.clear()
    api.run(coin(1))
    assert caplog.text == ""


def test_stochastic_synapse_whose_numbers_are_seeded_is_fitted():
    bound = bind(coin(1))
    assert draws(bound) == ["Coin"]
    assert not differs(bound)
    result = api.fit(coin(1))
    assert result.metrics["decay"] == pytest.approx(5, rel=1e-3)


def test_seeded_synapse_gives_among_others_what_it_gives_alone():
    bound = bind(coin(1))
    alone = simulate(bound, {"tau": 3.0})["one"]["synaptic_current"].values[0]
    among = simulate(bound, {"tau": [5.0, 3.0, 9.0]})["one"]["synaptic_current"].values[1]
    np.testing.assert_array_equal(among, alone)


def test_mechanisms_without_random_numbers_cost_no_second_look():
    assert draws(bind(synapse({"one": {"kind": "single_event"}}))) == []
