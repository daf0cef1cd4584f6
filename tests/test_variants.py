"""Variants of short-term plasticity that people publish, in NEURON against their closed forms.

Voltage clamp of an isopotential patch with 0.001 MΩ in series, at most 1 nS; kernels so short that
the responses do not overlap.
"""

import numpy as np
import pytest
from helpers import run, synapse, values_of

from stpspec import analytic

RATES = (10.0, 20.0, 50.0, 100.0)  # Hz
QUICK = {"dt": 0.05, "settle": 20}
SHARP = {"tau_rise": 0.1, "tau_decay": 0.3, "e": 0}

EXTENDED = {
    "U": [0.5, 0.1, 0.3, 0.25], "f": [0.1, 0.4, 0.0, 0.9],
    "tau_rec": [671.0, 120.0, 300.0, 0.0], "tau_facil": [17.0, 500.0, 200.0, 80.0],
}  # fmt: skip
VARELA = {
    "f": [0.917, 0.0, 0.3, 2.0], "tau_facil": [94.0, 50.0, 0.0, 30.0],
    "d1": [0.416, 0.8, 1.0, 0.6], "tau_rec_1": [380.0, 634.0, 100.0, 0.0],
    "d2": [0.975, 0.99, 0.9, 0.95], "tau_rec_2": [9200.0, 4000.0, 2000.0, 700.0],
}  # fmt: skip
VARIANTS = {
    "ExtendedTsodyksMarkram": (EXTENDED, analytic.extended_event_map),
    "Varela": (VARELA, analytic.varela_map),
}


def spikes(rate):
    """Return the times of 8 pulses and 2 more after 200 ms, ms."""
    induction = np.arange(8) * 1000 / rate
    return [*induction, *(induction[-1] + 200 + np.arange(2) * 1000 / rate)]


@pytest.mark.parametrize("name", VARIANTS)
def test_trains_at_several_rates_follow_the_closed_form(name):
    values, closed_form = VARIANTS[name]
    protocols = {
        f"at_{rate:g}": {"kind": "spike_times", "times": spikes(rate), "tail": 9} for rate in RATES
    }
    tree = run(synapse(protocols, mechanism=name, fixed=SHARP, numerics=QUICK), values)
    one = run(
        synapse({"one": {"kind": "single_event", "duration": 9}}, mechanism=name,
                fixed=SHARP, numerics=QUICK), values,
    )  # fmt: skip
    rest = values_of(one, "amplitude", "one", signal="conductance")
    for rate in RATES:
        found = values_of(tree, "amplitudes", f"at_{rate:g}", signal="conductance")
        expected = closed_form(*values.values(), spikes(rate))
        np.testing.assert_allclose(found / rest[:, None], expected / expected[:, :1], rtol=1e-5)


@pytest.mark.parametrize("name", VARIANTS)
def test_peak_of_one_event_is_weight_times_gmax_times_release(name):
    values, closed_form = VARIANTS[name]
    fixed = {**SHARP, "weight": 2.5, "gmax": "3 nS"}
    one = {"one": {"kind": "single_event", "duration": 9}}
    tree = run(synapse(one, mechanism=name, fixed=fixed, numerics={"dt": 0.005, "settle": 20}),
               values)  # fmt: skip
    released = closed_form(*values.values(), [0.0])[:, 0]
    found = values_of(tree, "amplitude", "one", signal="conductance")  # nS
    np.testing.assert_allclose(found, 2.5 * 3 * released, rtol=1e-3)


def test_increment_of_u_is_tsodyks_and_markrams_own_where_f_is_U():
    U, D, F = np.array([0.5, 0.09, 0.9]), np.array([671.0, 138.0, 20.0]), np.array([17, 670.0, 0])
    extended = analytic.extended_event_map(U, U, D, F, spikes(40))
    np.testing.assert_allclose(extended, analytic.event_map(U, D, F, spikes(40)), rtol=1e-13)


def test_factors_of_varela_are_the_differential_equations_that_they_solve():
    f, tau_facil, d1, tau_rec_1, d2, tau_rec_2 = 0.917, 94.0, 0.416, 380.0, 0.975, 9200.0
    times = np.array([0.0, 13.0, 40.0, 240.0])
    factors, found = np.ones(3), []
    taus, dt = np.array([tau_facil, tau_rec_1, tau_rec_2]), 1e-3
    for begin, end in zip(times, [*times[1:], 241.0], strict=True):
        found.append(factors.prod())
        factors = np.array([factors[0] + f, factors[1] * d1, factors[2] * d2])
        for _ in range(round((end - begin) / dt)):
            middle = factors + dt / 2 * (1 - factors) / taus
            factors = factors + dt * (1 - middle) / taus
    exact = analytic.varela_map(f, tau_facil, d1, tau_rec_1, d2, tau_rec_2, times)[0]
    np.testing.assert_allclose(found, exact, rtol=1e-8)
    assert found[0] == 1
