"""Our synapses in NEURON against the closed forms of short-term plasticity.

Voltage clamp of an isopotential patch with 0.001 MΩ in series, at most 1 nS.
"""

import itertools
import json

import numpy as np
import pytest
from helpers import (
    GOLDEN,
    KERNELS,
    SYNAPSES,
    candidates,
    dataset_of,
    like,
    measure,
    run,
    synapse,
    tree_of,
    values_of,
)

from stpspec import analytic
from stpspec.engine.binding.bind import bind
from stpspec.engine.simulate import simulate
from stpspec.metrics.measure import measure_candidates
from stpspec.metrics.requests import Request
from stpspec.specs.experiment import Experiment

TRAIN = {"train": {"kind": "train"}}
SPIKES = np.array([*(20.0 * np.arange(8)), *(390.0 + 20.0 * np.arange(4))])  # ms
EVENTS = analytic.event_map(*np.array(SYNAPSES).T, SPIKES)
COLUMNS = GOLDEN["columns"]
COARSE = {"dt": 0.05, "replicas": 64}


@pytest.fixture(scope="module", params=KERNELS, ids=lambda k: f"{k[0]}-{k[1]}ms")
def golden_trains(request):
    """The five golden synapses through TsodyksMarkram, for each kernel."""
    return request.param, run(synapse(TRAIN, kernel=request.param), candidates())


# -- the closed forms themselves ----------------------------------------------------------------


@pytest.mark.parametrize("column", COLUMNS)
def test_event_map_gives_the_golden_table_to_its_rounding(column):
    time = np.arange(0, 600, 0.5)
    trace = analytic.trace(SPIKES, EVENTS, time, 0.001, 0.01)  # pulses without overlap
    trace[:, np.searchsorted(time, SPIKES) + 1] = EVENTS
    tree = tree_of({"train": dataset_of(time, trace, SPIKES, delay=0.0, n_induction=8)})
    measured = values_of(tree, COLUMNS[column]["metric"], "train", **COLUMNS[column]["options"])
    golden = [row[column] for row in GOLDEN["synapses"]]
    np.testing.assert_allclose(measured, golden, rtol=0, atol=5.01e-4)


def test_event_map_gives_the_golden_train_recovery_series_and_1_over_f_law():
    U, D, F = SYNAPSES[0]
    first = EVENTS[0] / EVENTS[0, 0]
    np.testing.assert_allclose(first, GOLDEN["train_of_first_synapse"], atol=5.01e-4)
    series = GOLDEN["recovery_of_first_synapse"]
    recovered = analytic.recovery(U, D, F, 8, 50.0, series["gap_ms"])
    np.testing.assert_allclose(recovered, series["ratio"], atol=5.01e-7)
    law = GOLDEN["one_over_f_law_of_first_synapse"]
    f = np.array(law["frequency_Hz"])
    steady = analytic.steady_state(U, D, F, f) * f * 1e-3 * D
    np.testing.assert_allclose(steady, law["steady_times_frequency_times_D"], atol=5.01e-3)


def test_closed_forms_agree_with_the_event_map_they_are_solutions_of():
    rng = np.random.default_rng(0)
    U, D, F = rng.uniform(0.02, 0.98, 200), rng.uniform(1, 900, 200), rng.uniform(1, 900, 200)
    D[:20], F[10:30] = 0.0, 0.0
    pair = analytic.event_map(U, D, F, [0.0, 35.0])
    ratio = analytic.paired_pulse_ratio(U, D, F, 35.0)
    np.testing.assert_allclose(pair[:, 1] / pair[:, 0], ratio, rtol=1e-12)
    times = [*(25.0 * np.arange(10)), 225.0 + 310.0]
    after = analytic.event_map(U, D, F, times)
    recovered = analytic.recovery(U, D, F, 10, 40.0, 310.0)
    np.testing.assert_allclose(after[:, -1] / after[:, 0], recovered, rtol=1e-12)
    drive = analytic.event_map(U, D, F, 50.0 * np.arange(2000))
    np.testing.assert_allclose(drive[:, -1], analytic.steady_state(U, D, F, 20.0), rtol=1e-12)


def test_time_constant_of_0_switches_depression_or_facilitation_off():
    np.testing.assert_array_equal(analytic.event_map(0.3, 0, 0, SPIKES), [[0.3] * 12])
    tiny = analytic.event_map(0.3, 1e-3, 1e-3, SPIKES)
    np.testing.assert_allclose(tiny, 0.3, rtol=1e-12)
    fixed_u = analytic.event_map(0.3, 500, 0, SPIKES[:2])[0]
    np.testing.assert_allclose(fixed_u[1], 0.3 * (1 - 0.3 * np.exp(-20 / 500)), rtol=1e-12)


# -- trains -------------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", ["synaptic_current", "clamp_current", "conductance"])
def test_extrapolated_amplitude_ratios_are_the_event_map(golden_trains, signal):
    _, tree = golden_trains
    measured = values_of(tree, "amplitudes", "train", normalizer="first", signal=signal)
    np.testing.assert_allclose(measured, EVENTS / EVENTS[:, :1], rtol=0, atol=1e-3)


@pytest.mark.parametrize("column", COLUMNS)
def test_every_metric_column_of_the_golden_table_is_reproduced(golden_trains, column):
    _, tree = golden_trains
    measured = values_of(tree, COLUMNS[column]["metric"], "train", **COLUMNS[column]["options"])
    golden = [row[column] for row in GOLDEN["synapses"]]
    np.testing.assert_allclose(measured, golden, rtol=0, atol=2e-3)


@pytest.mark.parametrize("baseline", ["local", "pre_train", "extrapolated"])
def test_each_baseline_gives_what_it_gives_on_the_analytic_trace(golden_trains, baseline):
    kernel, tree = golden_trains
    train = tree["train"].to_dataset()
    driving = -70.0 - 0.0  # mV; 1 nS × 1 mV = 1 pA
    exact = analytic.trace(
        train["arrival_time"].values, driving * EVENTS, train["time"].values, *kernel
    )
    ideal = tree_of({"train": like(train, exact)})
    options = {"baseline": baseline, "normalizer": "first"}
    in_neuron = values_of(tree, "amplitudes", "train", **options)
    np.testing.assert_allclose(
        in_neuron, values_of(ideal, "amplitudes", "train", **options), rtol=0, atol=1e-3
    )


@pytest.mark.parametrize(
    ("mechanism", "fixed", "holding", "driving"),
    [
        ("GabaA", {"e": -70}, 0.0, 70.0),
        ("GabaA", {"e": -70}, -90.0, -20.0),
        ("AmpaNmda", {"nmda_ratio": 0, "e": 0}, -70.0, -70.0),
    ],
)
def test_other_mechanisms_keep_the_same_promise(mechanism, fixed, holding, driving):
    kernel = {"tau_rise": 0.5, "tau_decay": 5}
    experiment = synapse(
        TRAIN, mechanism=mechanism, fixed=fixed | kernel, recording={"holding_potential": holding}
    )
    tree = run(experiment, candidates())
    measured = values_of(tree, "amplitudes", "train")
    np.testing.assert_allclose(measured, abs(driving) * EVENTS, rtol=1e-3)
    sign = np.sign(tree["train"]["synaptic_current"].values.sum(axis=(1, 2)))
    np.testing.assert_array_equal(sign, np.sign(driving))
    for column, definition in COLUMNS.items():
        golden = [row[column] for row in GOLDEN["synapses"]]
        got = values_of(tree, definition["metric"], "train", **definition["options"])
        np.testing.assert_allclose(got, golden, rtol=0, atol=2e-3)


def test_ampa_nmda_without_nmda_is_tsodyks_markram():
    kernel = {"tau_rise": 0.5, "tau_decay": 5, "e": 0}
    plain = run(synapse(TRAIN, fixed=kernel), candidates())
    mixed = synapse(TRAIN, mechanism="AmpaNmda", fixed=kernel | {"nmda_ratio": 0})
    other = run(mixed, candidates())
    for signal in ("conductance", "synaptic_current"):
        a, b = (t["train"][signal].values for t in (plain, other))
        b = b[..., : a.shape[-1]]  # the NMDA decay asks for a longer run
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * abs(a).max())


# -- one event ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", KERNELS)
def test_error_of_the_absolute_peak_falls_threefold_per_halving_of_dt(kernel):
    U, errors = 0.5, []
    for dt in (0.1, 0.05, 0.025):
        experiment = synapse({"one": {"kind": "single_event"}}, kernel=kernel, numerics={"dt": dt})
        tree = run(experiment, {"U": U})
        conductance = values_of(tree, "amplitude", "one", signal="conductance")[0]
        current = values_of(tree, "amplitude", "one", signal="synaptic_current")[0]
        error = abs(conductance / U - 1)  # gmax 0.001 µS × weight 1 × U, in nS
        errors.append(error)
        # 0.001 MΩ × 0.5 nS in series costs the current 5e-7, whatever dt.
        assert abs(current / (70 * U) - 1) <= 2e-6 + error
    assert errors[1] <= errors[0] / 3
    assert errors[2] <= errors[1] / 3


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dt", [0.1, 0.025])
def test_conductance_trace_is_the_kernel_at_every_sample(kernel, dt):
    experiment = synapse({"one": {"kind": "single_event"}}, kernel=kernel, numerics={"dt": dt})
    one = run(experiment, {"U": 0.5})["one"].to_dataset()
    exact = 0.5 * analytic.kernel(one["time"].values - 501.3, *kernel)
    np.testing.assert_allclose(one["conductance"].values[0, 0], exact, rtol=0, atol=1e-9)


@pytest.mark.parametrize("delay", [0.0, 0.5, 1.3, 7.2])
@pytest.mark.parametrize("dt", [0.1, 0.025])
def test_first_conductance_appears_at_spike_plus_delay(delay, dt):
    experiment = synapse(TRAIN, model={"net_con": {"delay": delay}}, numerics={"dt": dt})
    train = run(experiment, candidates())["train"].to_dataset()
    time, g = train["time"].values, train["conductance"].values[:, 0]
    arrival = 500.0 + delay
    np.testing.assert_allclose(train["arrival_time"].values, arrival + SPIKES, rtol=1e-12)
    first = time[(g != 0).argmax(axis=1)]
    assert (first > arrival).all()
    assert (first <= arrival + dt + 1e-9).all()
    assert (g[:, time <= arrival + 1e-9] == 0).all()


@pytest.mark.parametrize("frequency", [15, 35, 60])
@pytest.mark.parametrize("kernel", KERNELS)
def test_pulses_between_the_steps_of_neuron_keep_their_amplitudes(kernel, frequency):
    # 1000/35 ms is no multiple of dt: NEURON starts the response up to half a step early or late.
    trains = {"train": {"kind": "train", "frequency": frequency}}
    tree = run(synapse(trains, kernel=kernel), candidates())
    train = tree["train"].to_dataset()
    spikes = train["spike_time"].values
    assert abs(spikes / 0.025 - np.round(spikes / 0.025)).max() > 0.3
    events = analytic.event_map(*np.array(SYNAPSES).T, spikes)
    measured = values_of(tree, "amplitudes", "train", normalizer="first")
    np.testing.assert_allclose(measured, events / events[:, :1], rtol=0, atol=1e-3)
    exact = analytic.trace(train["arrival_time"].values, -events, train["time"].values, *kernel)
    ideal = tree_of({"train": like(train, exact)})
    for baseline in ("local", "pre_train"):
        options = {"baseline": baseline, "normalizer": "first"}
        np.testing.assert_allclose(
            values_of(tree, "amplitudes", "train", **options),
            values_of(ideal, "amplitudes", "train", **options),
            rtol=0,
            atol=1e-2,  # the times of the responses differ by up to half a step
        )


@pytest.mark.parametrize("offset", [0.0, 0.004, 0.0125, 0.02])
def test_latency_and_kinetics_do_not_depend_on_where_the_arrival_falls_between_samples(offset):
    time = np.arange(450, 700, 0.025)
    trace = analytic.trace([501.3 + offset], [-10.0], time, 0.5, 5.0)
    tree = tree_of({"one": dataset_of(time, trace, [500.0 + offset])})
    reference = dataset_of(time, analytic.trace([501.3], [-10.0], time, 0.5, 5.0), [500.0])
    for metric in ("latency", "rise_time", "half_width", "decay_time", "amplitude"):
        np.testing.assert_allclose(
            values_of(tree, metric, "one"),
            values_of(tree_of({"one": reference}), metric, "one"),
            rtol=2e-3,
            err_msg=metric,
        )


def test_recovery_pulses_come_through_the_stream_that_was_depleted():
    tree = run(synapse(TRAIN), candidates())
    a = values_of(tree, "amplitudes", "train")
    np.testing.assert_allclose(a[0, 8] / a[0, 0], 0.3253, atol=1e-4)  # 1 from a second NetCon
    assert (abs(a[:, 8:] / a[:, :4] - 1) > 0.05).any(axis=1).all()


# -- steady state, pairs, recovery --------------------------------------------------------------

GRID = list(itertools.product((0.1, 0.5, 0.9), (0, 50, 400), (0, 30, 400)))  # U, D, F


@pytest.mark.parametrize(("f", "seconds"), [(5, 6.0), (20, 3.0), (50, 2.0), (100, 1.5)])
def test_steady_state_is_the_closed_form(f, seconds):
    drive = {"drive": {"kind": "continuous", "frequency": f, "duration": 1e3 * seconds}}
    tree = run(synapse(drive, numerics=COARSE), candidates(GRID))
    U, D, F = np.array(GRID, float).T
    measured = measure(tree, "steady_state", "drive")
    assert [m.notes for m in measured] == [[]] * len(GRID)  # steady: no drift to speak of
    np.testing.assert_allclose(
        [float(m.value) for m in measured], analytic.steady_state(U, D, F, f) / U, rtol=1e-4
    )


def test_a_drive_that_is_too_short_says_that_it_is_not_steady():
    drive = {"drive": {"kind": "continuous", "frequency": 20, "duration": 300}}
    (measured,) = measure(run(synapse(drive), candidates(SYNAPSES[1:2])), "steady_state", "drive")
    assert any("not steady" in note for note in measured.notes)


@pytest.mark.parametrize("interval", [10.0, 20.0, 50.0, 200.0, 1000.0])
def test_paired_pulse_ratio_is_the_closed_form(interval):
    pair = {"pair": {"kind": "spike_times", "times": [0, interval]}}
    tree = run(synapse(pair, numerics=COARSE), candidates(GRID))
    exact = analytic.paired_pulse_ratio(*np.array(GRID, float).T, interval)
    measured = values_of(tree, "paired_pulse_ratio", "pair")
    np.testing.assert_allclose(measured, exact, rtol=1e-4)


def test_recovery_series_from_125_to_4000_ms_is_the_closed_form():
    series = GOLDEN["recovery_of_first_synapse"]
    trains = {
        f"after_{gap}": {"kind": "train", "recovery_delay": gap, "n_recovery": 1}
        for gap in series["gap_ms"]
    }
    tree = run(synapse(trains, numerics=COARSE), candidates())
    for gap, golden in zip(series["gap_ms"], series["ratio"], strict=True):
        a = values_of(tree, "amplitudes", f"after_{gap}", normalizer="first")[:, 8]
        exact = analytic.recovery(*np.array(SYNAPSES).T, 8, 50.0, gap)
        np.testing.assert_allclose(a, exact, rtol=1e-4)
        assert abs(a[0] - golden) < 1e-5


def test_recovery_formula_holds_over_a_grid_of_synapses():
    train = {"train": {"kind": "train", "frequency": 40, "recovery_delay": 175, "n_recovery": 1}}
    tree = run(synapse(train, numerics=COARSE), candidates(GRID))
    exact = analytic.recovery(*np.array(GRID, float).T, 8, 40.0, 175.0)
    measured = values_of(tree, "recovery_single", "train", normalizer="first")
    np.testing.assert_allclose(measured, exact - 1, rtol=0, atol=1e-4)


def test_stimulus_on_the_dataset_says_what_was_delivered():
    stimulus = json.loads(run(synapse(TRAIN), {"U": 0.5})["train"].attrs["stimulus"])
    assert stimulus["onset"] == 500.0
    assert stimulus["delay"] == 1.3
    assert stimulus["n_induction"] == 8
    np.testing.assert_allclose(np.array(stimulus["spikes"]) - 500.0, SPIKES)


def test_an_instantaneous_synapse_has_its_amplitude_and_charge():
    """ExpSyn of NEURON jumps at the arrival: that sample belongs to the response, not to rest."""
    data = {
        "model": {
            "cell": {"file": "patch.py", "template": "Patch"},
            "mechanism": "ExpSyn",
            "net_con": {"weight": 0.001},
            "fixed": {"tau": 2},
        },
        "protocols": {"train": {"kind": "train"}, "single": {"kind": "single_event"}},
    }
    bound = bind(Experiment.from_data(data))
    tree = simulate(bound)
    for baseline in ("extrapolated", "local"):
        options = {"baseline": baseline}
        requests = [
            Request("all", "amplitudes", "train", options),
            Request("charge", "charge", "single", options),
        ]
        measured = measure_candidates(tree, requests)[0]
        np.testing.assert_allclose(measured["all"].value, 70.0, rtol=1e-4)
        np.testing.assert_allclose(measured["charge"].value, 140.0, rtol=1e-4)
        assert measured["all"].notes == []
