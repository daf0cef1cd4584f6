"""Candidates on one clamped cell: they give what they give alone, or do not share it."""

import numpy as np
import pytest
from helpers import synapse, values_of
from test_variable_step import CURRENT_CLAMP, FS, TRAIN, with_numerics

from stpspec.engine.batch import run_batch
from stpspec.engine.binding.bind import bind
from stpspec.engine.candidates import candidates_of
from stpspec.engine.rigs.preparations import SharedRig
from stpspec.engine.shortcuts.shared_cell import may_share
from stpspec.engine.simulate import simulate, stimuli_of

CURRENT = {"signals": ["synaptic_current"]}
U = {"U": np.linspace(0.1, 0.9, 9)}


def variable(protocols=TRAIN, **made):
    made.setdefault("recording", CURRENT)
    return bind(with_numerics(synapse(protocols, **made), integrator="variable"))


def amplitudes(bound, columns):
    return values_of(simulate(bound, columns), "amplitudes", "train")


def alone(bound, columns):
    n = len(next(iter(columns.values())))
    each = [{k: v[i : i + 1] for k, v in columns.items()} for i in range(n)]
    return np.concatenate([amplitudes(bound, one) for one in each])


@pytest.mark.parametrize(
    "made",
    [
        {},
        {"mechanism": "GabaA", "fixed": {"e": -75}, "model": {"cell": FS},
         "recording": CURRENT | {"holding_potential": -50}},
        {"mechanism": "AmpaNmda", "fixed": {"nmda_ratio": 0.5},
         "recording": CURRENT | {"holding_potential": -30}},
    ],
    ids=["patch", "active cell", "voltage-dependent"],
)  # fmt: skip
def test_candidates_that_share_a_cell_respond_as_each_does_alone(made):
    bound = variable(**made)
    assert may_share(bound)
    np.testing.assert_allclose(amplitudes(bound, U), alone(bound, U), rtol=3e-4)


def test_currents_that_disturb_the_clamp_are_simulated_on_cells_of_their_own(monkeypatch):
    found = []
    real = SharedRig.disturbed
    seen = lambda *a: found.append(real(*a)) or found[-1]  # noqa: E731
    monkeypatch.setattr(SharedRig, "disturbed", seen)
    columns = U | {"weight": np.linspace(1.0, 10.0, 9)}  # up to 10 nS, which carry 0.7 nA
    bound = variable(recording=CURRENT | {"series_resistance": 0.01})
    together = amplitudes(bound, columns)
    assert found == [True]
    np.testing.assert_allclose(together, alone(bound, columns), rtol=3e-4)


def test_one_that_fails_spoils_none_of_those_on_its_cell():
    bound = variable()
    rows = [{"U": 0.3}, {"U": 0.3, "weight": np.nan}, {"U": 0.6}]
    rows = [{"weight": 1.0} | row for row in rows]
    runs = run_batch(bound, rows, stimuli_of(bound, candidates_of(bound, {"U": 0.3}), ["train"]))
    assert [bool(r.failure) for r in runs] == [False, True, False]


@pytest.mark.parametrize(
    "made",
    [
        {"recording": CURRENT_CLAMP},
        {"recording": {"signals": ["synaptic_current", "clamp_current"]}},
        {"recording": CURRENT | {"series_resistance": "5 Mohm"}},
        {"model": {"cell": FS, "section": "dend"}, "recording": CURRENT | {"electrode_section":
                                                                         "soma"}},
        {"mechanism": "Exp2Syn", "fixed": {"tau1": 0.3, "tau2": 3, "weight": 0.001}},
    ],
    ids=["current clamp", "current of the cell", "poor clamp", "dendrite", "unknown source"],
)  # fmt: skip
def test_candidates_share_no_cell_where_they_might_feel_each_other(made):
    assert not may_share(variable(**made))


def test_fixed_step_gives_each_candidate_a_cell_of_its_own():
    assert not may_share(bind(with_numerics(synapse(TRAIN), integrator="fixed")))


def test_mechanism_that_writes_an_ion_shares_no_cell(tmp_path):
    file = tmp_path / "Calcium.mod"
    file.write_text(
        "NEURON { POINT_PROCESS Calcium RANGE g, i USEION ca WRITE ica NONSPECIFIC_CURRENT i }\n"
        "PARAMETER { tau = 2 (ms) } ASSIGNED { v (mV) i (nA) ica (nA) g (uS) } STATE { s (uS) }\n"
        "INITIAL { s = 0 } BREAKPOINT { SOLVE d METHOD cnexp g = s i = 0.9*g*v ica = 0.1*g*v }\n"
        "DERIVATIVE d { s' = -s/tau } NET_RECEIVE (w (uS)) { s = s + w }\n"
    )
    made = synapse(TRAIN, mechanism="Calcium", fixed={"weight": 0.001}, recording=CURRENT,
                   model={"mod": [str(file)]})  # fmt: skip
    assert not may_share(bind(with_numerics(made, integrator="variable")))
