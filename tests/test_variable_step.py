"""The variable step: as right as the fixed one, and never used where it cannot be."""

import logging

import numpy as np
import pytest
from helpers import MOD, TESTS, gap, measure, run, synapse, values_of

import stpspec
from stpspec import api
from stpspec.engine.binding.bind import bind
from stpspec.engine.nrn import cvode, hoc
from stpspec.engine.shortcuts import equivalence, steady_state
from stpspec.engine.shortcuts.ladder import feasible
from stpspec.engine.simulate import evaluate, simulate
from stpspec.engine.survey.point_process import survey_file
from stpspec.metrics.requests import Request
from stpspec.view.path import plot_path
from stpspec.view.tables import fit_table

TRAIN = {"train": {"kind": "train"}}
FS = {"file": "fast_spiking.hoc", "template": "FastSpikingInterneuron"}
PYRAMIDAL = {"file": "pyramidal.py", "template": "PyramidalCell"}
CURRENT_CLAMP = {"kind": "current_clamp", "signals": ["somatic_voltage"]}
CASES = {
    "our synapse on a patch": {},
    "a slow kernel": {"kernel": (1.0, 10.0)},
    "states in µS without a declared scale": {
        "mechanism": "Exp2Syn", "fixed": {"tau1": 0.3, "tau2": 3, "weight": 0.001},
    },
    "an instantaneous rise": {"mechanism": "ExpSyn", "fixed": {"tau": 3, "weight": 0.001}},
    "an active cell, clamped": {
        "mechanism": "GabaA", "fixed": {"e": -75}, "model": {"cell": FS},
        "recording": {"holding_potential": -50, "signals": ["synaptic_current"]},
    },
    "the clamp current of a dendritic synapse": {
        "mechanism": "GabaA", "fixed": {"e": -75},
        "model": {"cell": FS, "section": "dend", "position": 0.9},
        "recording": {"holding_potential": -50, "signals": ["clamp_current"]},
        "options": {"signal": "clamp_current"},
    },
    "the potential of an active cell": {"model": {"cell": FS}, "recording": CURRENT_CLAMP},
    "the potential of a pyramidal cell": {
        "mechanism": "Exp2Syn", "fixed": {"tau1": 0.3, "tau2": 3, "weight": 0.0003},
        "model": {"cell": PYRAMIDAL, "section": "basal[0]"}, "recording": CURRENT_CLAMP,
    },
}  # fmt: skip


def with_numerics(experiment, **changes):
    return experiment.copy_with(numerics=experiment.numerics.model_dump() | changes)


@pytest.mark.parametrize("case", CASES)
def test_amplitudes_of_a_train_are_those_of_a_very_fine_fixed_step_to_a_thousandth(case):
    made = dict(CASES[case])
    options = made.pop("options", {})
    if "signals" in made.get("recording", {}):
        options = options or {"signal": made["recording"]["signals"][0]}
    experiment = synapse(TRAIN, **made)
    fine = values_of(run(with_numerics(experiment, dt=0.0025)), "amplitudes", "train", **options)
    quick = run(with_numerics(experiment, integrator="variable"))
    assert quick["train"].sizes["sample"] < 4000
    np.testing.assert_allclose(values_of(quick, "amplitudes", "train", **options), fine, rtol=1e-3)


def test_kinetics_do_not_depend_on_the_integrator():
    experiment = synapse({"one": {"kind": "single_event"}}, kernel=(0.5, 5.0))
    fixed, variable = run(experiment), run(with_numerics(experiment, integrator="variable"))
    for metric in ("amplitude", "latency", "rise_time", "decay_time", "half_width", "charge"):
        a, b = (values_of(t, metric, "one")[0] for t in (fixed, variable))
        assert b == pytest.approx(a, rel=1e-3), metric


def test_coupling_does_not_depend_on_the_integrator():
    experiment = gap((100.0, 150.0))
    for metric in ("coupling_coefficient", "junctional_conductance", "input_resistance"):
        a, b = (
            values_of(run(with_numerics(experiment, integrator=i), {"g": 0.001}), metric, "forth")
            for i in ("fixed", "variable")
        )
        np.testing.assert_allclose(b, a, rtol=1e-4)


def test_long_steps_at_rest_leave_the_whole_window_before_a_current_step():
    experiment = with_numerics(gap((100.0, 150.0)), integrator="variable")
    tree = run(experiment, {"g": 0.001})
    assert np.nanmin(tree["forth"]["t"].values) <= experiment.numerics.settle - 100
    (measured,) = measure(tree, "coupling_coefficient", "forth", window=80.0)
    assert measured.value == pytest.approx(0.15 / 1.15, rel=1e-4)
    assert measured.notes == []


def test_candidates_of_several_batches_each_have_their_own_times():
    experiment = with_numerics(synapse(TRAIN), integrator="variable", replicas=2)
    u = [0.2, 0.4, 0.6]
    tree = run(experiment, {"U": u})
    t = tree["train"]["t"].values
    assert t.shape[0] == 3
    alone = run(experiment, {"U": u[2:]})
    n = np.isfinite(t[2]).sum()
    np.testing.assert_array_equal(t[2][:n], alone["train"]["t"].values[0])


NO_CVODE = """\
NEURON { POINT_PROCESS NoCvode RANGE g, i, tau, e NONSPECIFIC_CURRENT i }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) }
PARAMETER { tau = 2 (ms) e = 0 (mV) }
ASSIGNED { v (mV) i (nA) g (uS) dt (ms) }
STATE { s (uS) }
INITIAL { s = 0 }
BREAKPOINT { SOLVE advance g = s i = g * (v - e) }
PROCEDURE advance() { s = s * (1 - dt / tau) }
NET_RECEIVE (w (uS)) { s = s + w }
"""


def test_mechanism_that_cannot_vary_falls_back_to_the_fixed_step_and_says_so_once(tmp_path, caplog):
    file = tmp_path / "NoCvode.mod"
    file.write_text(NO_CVODE)
    experiment = synapse(
        {"one": {"kind": "single_event"}}, mechanism="NoCvode", fixed={"weight": 0.001},
        model={"mod": [str(file)]},
    )  # fmt: skip
    with caplog.at_level(logging.WARNING, "stpspec.engine"):
        for _ in range(2):
            tree = simulate(bind(with_numerics(experiment, integrator="variable")))
    told = [r.getMessage() for r in caplog.records if "NoCvode" in r.getMessage()]
    assert len(told) == 1
    assert "cannot be used with CVODE" in told[0]
    assert "fixed step is used instead" in told[0]
    fixed = run(experiment)
    np.testing.assert_array_equal(
        values_of(tree, "amplitude", "one"), values_of(fixed, "amplitude", "one")
    )


def test_variable_step_of_the_program_stays_on_where_a_mechanism_cannot_vary(tmp_path):
    file = tmp_path / "NoCvodeEither.mod"
    file.write_text(NO_CVODE.replace("NoCvode", "NoCvodeEither"))
    experiment = synapse(
        {"one": {"kind": "single_event"}}, mechanism="NoCvodeEither", fixed={"weight": 0.001},
        model={"mod": [str(file)]},
    )  # fmt: skip
    fixed = run(experiment)
    cvode().active(1)
    try:
        tree = simulate(bind(with_numerics(experiment, integrator="variable")))
        survey_file(file)
        survey_file(TESTS.parent / "mod/GapJunction.mod")
        assert cvode().active()
    finally:
        cvode().active(0)
    np.testing.assert_array_equal(
        values_of(tree, "amplitude", "one"), values_of(fixed, "amplitude", "one")
    )


@pytest.mark.parametrize("file", ["NoCvodeAtAll", "GabaA", "GapJunction"])
def test_survey_of_a_mechanism_leaves_the_settings_of_neuron(file, tmp_path):
    path = TESTS.parent / "mod" / f"{file}.mod"
    if not path.exists():
        path = tmp_path / path.name
        path.write_text(NO_CVODE.replace("NoCvode", file))
    h = hoc()
    names = ("celsius", "dt", "steps_per_ms", "secondorder", "v_init", "tstop")

    def settings():
        return [getattr(h, n) for n in names], cvode().active(), cvode().atol(), cvode().rtol()

    before = settings()
    survey_file(path)
    assert settings() == before


# -- the settled state --------------------------------------------------------------------------

REQUESTS = [Request("a", "amplitudes", "train")]


def amplitudes(bound, values):
    return np.stack([m["a"].value for m in evaluate(bound, values, ["train"], REQUESTS)])


def settling(integrator, **made):
    """Return a bound experiment whose free parameters the mechanism has."""
    free = {"U": {"min": 0.1, "max": 0.9}, "tau_rec": {"min": 50, "max": 900}}
    experiment = synapse(TRAIN, **({"parameters": free} | made))
    return bind(with_numerics(experiment, integrator=integrator))


@pytest.mark.parametrize("cell", [FS, PYRAMIDAL], ids=["active", "passive"])
@pytest.mark.parametrize("recording", [{}, CURRENT_CLAMP], ids=["clamped", "free"])
def test_restored_settled_state_gives_the_same_to_the_bit_in_fixed_step(
    cell, recording, monkeypatch
):
    bound = settling("fixed", model={"cell": cell, "net_con": {"weight": 0.3}}, recording=recording)
    values = {"U": [0.2, 0.5, 0.8], "tau_rec": [100.0, 500.0, 800.0]}
    equivalence.forget()
    restored = amplitudes(bound, values)
    assert [s is not None for s in equivalence._outcomes[steady_state.SORT].values()] == [True]
    monkeypatch.setattr(steady_state, "_WORTH", np.inf)
    np.testing.assert_array_equal(restored, amplitudes(bound, values))


def test_settled_state_is_not_used_where_a_free_parameter_touches_it():
    bound = settling(
        "fixed", mechanism="Resting", fixed={}, model={"mod": [str(MOD / "Resting.mod")]},
        parameters={"leak": {"min": 0.0, "max": 1e-4}},
    )  # fmt: skip
    equivalence.forget()
    simulated = amplitudes(bound, {"leak": [0.0, 1e-4, 2e-5, 5e-5]})
    assert list(equivalence._outcomes[steady_state.SORT].values()) == [None]
    alone = amplitudes(bound, {"leak": [1e-4]})
    np.testing.assert_array_equal(simulated[1], alone[0])


# -- fits ---------------------------------------------------------------------------------------


def known_fit(**changes):
    truth = {"U": 0.35, "tau_rec": 300.0, "tau_facil": 60.0}
    bounds = {
        "U": {"min": 0.05, "max": 0.9}, "tau_rec": {"min": 20, "max": 1000},
        "tau_facil": {"min": 5, "max": 1000},
    }  # fmt: skip
    experiment = synapse(TRAIN, parameters=bounds)
    tree = run(experiment, truth)
    terms = {
        f"the_{m}": {"metric": m, "protocol": "train", "sd": 0.05,
                     "target": float(values_of(tree, m, "train")[0])}
        for m in ("paired_pulse_ratio", "induction", "recovery")
    }  # fmt: skip
    made = experiment.copy_with(objective={"terms": terms}, **changes)
    return truth, stpspec.fit(made)


ODD_CELL = (
    "from neuron import h\n"
    "class Odd:\n"
    "    def __init__(self):\n"
    "        self.soma = h.Section(name='soma', cell=self)\n"
    "        self.soma.insert('Odd')\n"
)
ODD = NO_CVODE.replace("POINT_PROCESS NoCvode RANGE g, i, tau, e", "SUFFIX Odd RANGE i, g, tau, e")
ODD = ODD.replace("i (nA)", "i (mA/cm2)").partition("NET_RECEIVE")[0]


def test_synapse_varies_elsewhere_when_one_cell_cannot(tmp_path):
    (tmp_path / "Odd.mod").write_text(ODD)
    (tmp_path / "odd.py").write_text(ODD_CELL)
    odd = {"cell": {"file": str(tmp_path / "odd.py"), "template": "Odd"}}
    one = {"one": {"kind": "single_event"}}
    for model, varies in (({**odd, "mod": [str(tmp_path / "Odd.mod")]}, False), ({}, True)):
        bound = bind(with_numerics(synapse(one, model=model), integrator="variable"))
        assert feasible(bound).scheme.is_fixed is not varies


def weighted(low, high):
    """Return the amplitudes of a train for two weights, with these bounds of the weight."""
    made = synapse(
        TRAIN, mechanism="Exp2Syn", fixed={"tau1": 0.3, "tau2": 3},
        parameters={"weight": {"min": low, "max": high}}, recording={"signals": ["clamp_current"]},
        numerics={"integrator": "variable"},
    )  # fmt: skip
    found = evaluate(bind(made), {"weight": [0.001, 0.002]}, ["train"],
                     [Request("a", "amplitudes", "train")])  # fmt: skip
    return [row["a"].value for row in found]


def test_what_ran_before_does_not_change_how_a_candidate_is_integrated():
    first = weighted(1e-4, 1e-2)
    scale = cvode().atolscale("Exp2Syn.A")
    weighted(1e-4, 10)
    assert cvode().atolscale("Exp2Syn.A") == scale == 1.0
    np.testing.assert_array_equal(weighted(1e-4, 1e-2), first)


def test_wide_bounds_do_not_make_small_candidates_inexact():
    np.testing.assert_allclose(weighted(1e-4, 10), weighted(1e-3, 2e-3), rtol=1e-3)


@pytest.mark.parametrize("delay", [0, 1.3])
def test_trace_around_events_does_not_depend_on_the_integrator(delay):
    spikes = {"kind": "spike_times", "times": [0, 500, 1000]}  # NEURON stops there by itself, too
    experiment = synapse({"train": spikes}, model={"net_con": {"delay": delay}})
    found = [
        values_of(run(with_numerics(experiment, integrator=i)), "trace", "train",
                  windows=[[-9, 5], [499, 505]])
        for i in ("variable", "fixed")
    ]  # fmt: skip
    np.testing.assert_allclose(*found, atol=0.1)  # of 70 pA


def test_fit_ends_with_a_confirmation_on_the_reference_numerics():
    truth, result = known_fit()
    assert result.parameters == pytest.approx(truth, rel=0.01)
    assert "time" in result.traces["train"].dims  # the fixed step, whatever searched
    assert result.loss != result.loss_search
    assert result.loss < 1e-4
    assert "on the reference numerics" in str(result)


def test_the_last_step_of_a_fit_is_taken_on_the_reference_numerics():
    coarse = {"integrator": "variable", "tolerance": 1.0}
    truth, result = known_fit(numerics=coarse)
    best = int(np.argmin(result.history["loss"].values))
    searched = {n: float(result.history[f"parameter_{n}"][best]) for n in truth}
    tree = api.simulate(with_numerics(result.experiment, integrator="fixed"), searched)
    achieved = api.measure(result.experiment, tree)
    terms = result.experiment.objective.terms.items()
    before = sum(((float(achieved[n][0]) - t.target) / t.sd) ** 2 for n, t in terms)
    assert result.loss < 0.01 * before
    for name, value in truth.items():
        assert abs(result.parameters[name] - value) < abs(searched[name] - value)


def test_difference_between_search_and_reference_that_matters_is_flagged():
    coarse = {"integrator": "variable", "tolerance": 1.0}
    _, result = known_fit(numerics=coarse)
    told = [n for notes in result.notes.values() for n in notes]
    if not any("differ by" in n for n in told):  # then it must not have mattered
        assert abs(result.loss - result.loss_search) < 0.1


def test_seed_changes_nothing_where_the_fitter_draws_no_numbers():
    fits = [
        stpspec.fit(stpspec.load("pvalb_pyr", ["fitter.budget.evaluations=20", f"seed={seed}"]))
        for seed in (0, 3)
    ]
    for name in ("loss", "parameter_U", "parameter_tau_rec"):
        np.testing.assert_array_equal(fits[0].history[name], fits[1].history[name])


def test_path_and_words_show_the_last_step_on_the_reference():
    result = stpspec.fit(
        stpspec.load("pvalb_pyr", ["fitter=slsqp", "fitter.budget.evaluations=60"])
    )
    assert result.loss < result.loss_search / 10
    assert "after a last step on the reference numerics" in fit_table(result)
    ends = [line.get_ydata()[-1] for line in result_marks(result)]
    assert ends == [result.loss, *result.parameters.values()]


def result_marks(result):
    panels = plot_path(result.history, result.experiment.parameters, result=result)
    return [line for ax in panels for line in ax.lines if line.get_label() == "Result"]


def test_closed_form_start_needs_a_few_simulations_where_the_middle_needs_many():
    truth, quick = known_fit()
    _, slow = known_fit(fitter={"kind": "least_squares", "start": "middle"})
    assert quick.parameters == pytest.approx(truth, rel=0.01)
    assert quick.n_evaluations * 2 <= slow.n_evaluations


def test_candidate_that_stops_the_variable_step_does_not_take_its_batch_along(capfd):
    experiment = synapse(
        {"one": {"kind": "single_event"}}, mechanism="Faulty", fixed={"fault": 3},
        model={"mod": [str(MOD / "Faulty.mod")]},
    )  # fmt: skip
    tree = simulate(bind(with_numerics(experiment, integrator="variable")), {"U": [0.9, 0.3, 0.6]})
    failed, *fine = tree["failure"].values
    assert failed
    assert fine == ["", ""]
    assert "".join(capfd.readouterr()) == ""  # the reason is kept; the solver's own words are noise


def test_variable_step_that_gives_up_within_a_current_step_is_a_failed_candidate():
    # An inverted junction of more than half the leak is unstable: the voltages run away for ever.
    runaway = gap((100.0, 100.0), mechanism="InvertedGap", mod=[str(MOD)])
    tree = simulate(bind(with_numerics(runaway, integrator="variable")), {"g": [1e-3, 0.05]})
    fine, failed = tree["failure"].values
    assert fine == ""
    assert "the variable step gave up at t = " in failed


def test_targets_with_units_are_measured_too():
    term = {"metric": "amplitude", "protocol": "one", "target": "30 pA", "sd": "1 pA"}
    experiment = synapse({"one": {"kind": "single_event"}})
    experiment = experiment.copy_with(objective={"terms": {"size": term}})
    measured = stpspec.measure(experiment, run(experiment))
    assert measured["size"].attrs["units"] == "pA"
    assert "size" in {request.name for request in api.run(experiment)[1]}
