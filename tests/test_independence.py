"""No candidate, run or name stands for another: what one is given, no other changes."""

import numpy as np
import pytest
from helpers import MOD, run, synapse, values_of

import stpspec
from stpspec.engine.mechanisms import library
from stpspec.errors import MechanismError

ONE = {"one": {"kind": "single_event"}}
CURRENT = {"signals": ["synaptic_current"]}


def of(name, protocols=None, *, weight=0.001, fixed=None, file=None, **made):
    """Return an experiment with one of the mechanisms of these tests."""
    model = {"mod": [str(file or MOD / f"{name}.mod")], "net_con": {"weight": weight}}
    made.setdefault("recording", CURRENT)
    made.setdefault("numerics", {"settle": 50})
    return synapse(protocols or ONE, mechanism=name, fixed=fixed or {}, model=model, **made)


def amplitudes(experiment, values=None, protocol="one"):
    return values_of(run(experiment, values), "amplitude", protocol)


# -- one name, one thing --------------------------------------------------------------------


def test_parameter_called_weight_goes_before_the_weight_of_the_connection():
    once = of("OwnWeight", weight=1)
    fixed = of("OwnWeight", weight=1, fixed={"weight": 2})
    np.testing.assert_allclose(amplitudes(once), 70, rtol=0.006)
    np.testing.assert_allclose(amplitudes(fixed), 140, rtol=0.006)
    np.testing.assert_allclose(amplitudes(once, {"weight": [1, 2]}), [70, 140], rtol=0.006)
    searched = stpspec.sweep(once, {"weight": [1, 2]})
    np.testing.assert_allclose(searched["one.amplitude"], [70, 140], rtol=1e-3)


def decaying(name, path, g="0.001", tau="5"):
    """Write a synapse of one decaying conductance, and return its file."""
    text = (MOD / "OwnWeight.mod").read_text(encoding="utf-8").replace("OwnWeight", name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.replace("gmax = 0.001", f"gmax = {g}").replace("tau = 5", f"tau = {tau}"))
    return path


@pytest.mark.parametrize("places", [("a/x.mod", "b/x.mod"), ("a/x.mod", "a/old.mod")])
def test_mechanism_of_two_sources_that_differ_is_an_error_that_names_both(places, tmp_path):
    files = [decaying("Twice", tmp_path / p, g) for p, g in zip(places, ("0.001", "0.005"))]
    folders = list(dict.fromkeys(str(f.parent) for f in files))
    with pytest.raises(MechanismError, match="two files define the mechanism 'Twice'") as error:
        library.sources(folders)
    assert all(str(file) in str(error.value) for file in files)
    made = of("Twice").changed({"model.mod": folders})
    assert "two files define" in str(stpspec.check(made))


def test_identical_copies_of_a_mechanism_are_one_source(tmp_path):
    files = [decaying("Copied", tmp_path / place / "x.mod") for place in "ab"]
    made = of("Copied", weight=1).changed({"model.mod": [str(f) for f in files]})
    np.testing.assert_allclose(amplitudes(made), 70, rtol=0.006)
