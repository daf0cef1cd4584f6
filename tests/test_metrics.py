"""Metrics of traces whose exact values are known."""

import numpy as np
import pytest
from helpers import (
    KERNELS,
    SYNAPSES,
    candidates,
    dataset_of,
    measure,
    run,
    synapse,
    tree_of,
    values_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq, curve_fit

from stpspec import analytic
from stpspec.metrics.measure import measure_candidates
from stpspec.metrics.requests import Request

SPIKES = 500.0 + np.array([*(20.0 * np.arange(8)), *(390.0 + 20.0 * np.arange(4))])
DELAY = 1.3
AMPLITUDES = np.array([4, 5, 3, 2.5, 2, 1.5, 1, 0.5, 3.5, 3, 2.8, 2.2])  # pA


def train(amplitudes, *, kernel=(0.2, 2.0), spikes=SPIKES, dt=0.025, **options):
    """Return a Dataset: the sum of kernels of given amplitudes, shape (…, pulse)."""
    time = np.arange(450, spikes[-1] + 120, dt)
    signal = analytic.trace(np.asarray(spikes) + DELAY, amplitudes, time, *kernel)
    return dataset_of(time, signal, spikes, **({"n_induction": 8} | options))


def single(kernel, *, amplitude=-10.0, dt=0.025, duration=200.0):
    """Return a tree with one event of a known kernel."""
    time = np.arange(450, 500 + duration, dt)
    signal = analytic.trace([500 + DELAY], [amplitude], time, *kernel)
    return tree_of({"one": dataset_of(time, signal, [500.0], kind="single_event")})


def one(tree, metric, protocol="one", **options):
    """Return the value of one metric of the only candidate."""
    return float(values_of(tree, metric, protocol, **options)[0])


def reason(tree, metric, protocol="train", **options):
    """Return why the only candidate has no value; the value must be NaN."""
    (measured,) = measure(tree, metric, protocol, **options)
    assert np.isnan(measured.value).all()
    assert measured.reason
    return measured.reason


# -- kinetics -----------------------------------------------------------------------------------


def rising(kernel, fraction):
    peak = float(analytic.peak_time(*kernel))
    return brentq(lambda t: float(analytic.kernel(t, *kernel)) - fraction, 0, peak)


def falling(kernel, fraction):
    peak = float(analytic.peak_time(*kernel))
    return brentq(lambda t: float(analytic.kernel(t, *kernel)) - fraction, peak, 500)


@pytest.mark.parametrize(("interval", "published"), [((0.8, 0.2), "10.3"), ((0.5, 0.05), "10.03")])
def test_decay_time_depends_on_the_window_as_documented(interval, published):
    measured = one(single((2.0, 10.0)), "decay_time", interval=interval)
    digits = len(published.split(".")[1])
    assert f"{measured:.{digits}f}" == published


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("interval", [(0.8, 0.2), (0.5, 0.05), (0.9, 0.1), (0.37, 0.1)])
def test_decay_time_is_the_least_squares_fit_between_the_two_fractions(kernel, interval):
    start, stop = (falling(kernel, f) for f in interval)
    t = np.linspace(start, stop, 201)
    fitted, _ = curve_fit(
        lambda t, a, tau: a * np.exp(-(t - start) / tau),
        t,
        analytic.kernel(t, *kernel),
        (1, kernel[1]),
    )
    tree = single(kernel, duration=30 * kernel[1])
    np.testing.assert_allclose(one(tree, "decay_time", interval=interval), fitted[1], rtol=1e-4)


@pytest.mark.parametrize("kernel", KERNELS)
def test_rise_half_width_and_latency_are_those_of_the_kernel(kernel):
    tree = single(kernel)
    for interval in ((0.2, 0.8), (0.1, 0.9)):
        exact = rising(kernel, interval[1]) - rising(kernel, interval[0])
        np.testing.assert_allclose(one(tree, "rise_time", interval=interval), exact, rtol=2e-3)
    onset, peak = rising(kernel, 0.05), float(analytic.peak_time(*kernel))
    to_peak = one(tree, "rise_time", interval="onset_to_peak")
    np.testing.assert_allclose(to_peak, peak - onset, rtol=2e-3)
    half = falling(kernel, 0.5) - rising(kernel, 0.5)
    np.testing.assert_allclose(one(tree, "half_width"), half, rtol=1e-4)
    np.testing.assert_allclose(one(tree, "latency"), DELAY + onset, rtol=1e-4)
    t20, t80 = rising(kernel, 0.2), rising(kernel, 0.8)
    line = t20 - (t80 - t20) / 3  # the line through both meets the baseline here
    extrapolated = one(tree, "latency", method="extrapolated")
    np.testing.assert_allclose(extrapolated, DELAY + line, rtol=1e-3)


def test_half_width_does_not_contain_the_latency():
    tree = single((0.5, 5.0))
    late = single((0.5, 5.0))
    stimulus = late["one"].attrs["stimulus"].replace('"spikes": [500.0]', '"spikes": [480.0]')
    late["one"].attrs["stimulus"] = stimulus.replace('"delay": 1.3', '"delay": 21.3')
    np.testing.assert_allclose(one(late, "latency") - one(tree, "latency"), 20, rtol=1e-9)
    np.testing.assert_allclose(one(late, "half_width"), one(tree, "half_width"), rtol=1e-9)


@pytest.mark.parametrize("kernel", KERNELS)
def test_charge_and_amplitude_are_the_integral_and_the_peak(kernel):
    tree = single(kernel)
    area = quad(lambda t: float(analytic.kernel(t, *kernel)), 0, 200 - DELAY, limit=500)[0]
    np.testing.assert_allclose(one(tree, "charge"), 10 * area, rtol=1e-3)
    np.testing.assert_allclose(one(tree, "amplitude"), 10, rtol=1e-5)
    (charge,) = measure(tree, "charge", "one")
    (amplitude,) = measure(tree, "amplitude", "one")
    assert (charge.unit, amplitude.unit) == ("pA ms", "pA")


@pytest.mark.parametrize("dt", [0.025, 0.1])
def test_charge_of_a_train_is_the_integral_to_the_next_event(dt):
    spikes, kernel = 500 + 5.0 * np.arange(4), (0.5, 5.0)
    tree = tree_of({"train": train(AMPLITUDES[:4], kernel=kernel, spikes=spikes, dt=dt)})
    s = np.linspace(0, 5.0, 100_001)
    area = AMPLITUDES[0] * np.trapezoid(analytic.kernel(s, *kernel), s)
    np.testing.assert_allclose(one(tree, "charge", "train"), area, rtol=3e-4)


@pytest.mark.parametrize(
    "metric", ["rise_time", "half_width", "decay_time", "latency", "amplitude"]
)
def test_kinetics_move_with_the_trace_and_not_in_steps_of_dt(metric):
    values = [one(single((1.0, tau), dt=0.1), metric) for tau in np.linspace(10.0, 10.1, 6)]
    steps = np.diff(values)
    assert np.ptp(steps) <= 1e-3 + 0.2 * abs(steps).max()
    assert abs(steps).max() < 0.05


def test_response_that_does_not_decay_within_its_window_gives_no_decay_time():
    tree = tree_of({"train": train(AMPLITUDES[:8], kernel=(2.0, 60.0), spikes=SPIKES[:8])})
    assert "falls only to" in reason(tree, "decay_time")
    assert "of its peak before its window ends" in reason(tree, "half_width")


def test_decay_between_two_samples_is_that_of_the_step_and_no_decay_time():
    tree = single((0.02, 0.03), dt=0.1)
    assert "between two samples" in reason(tree, "decay_time", "one")


def test_trace_in_windows_is_the_recorded_one_above_its_rest():
    dataset = train(-AMPLITUDES)
    dataset["synaptic_current"][:] += 3.0
    tree = tree_of({"train": dataset})
    (measured,) = measure(tree, "trace", "train", windows=[[0, 5], [20, 22]], interval=0.5)
    times = np.array([*np.arange(0, 5.1, 0.5), *np.arange(20, 22.1, 0.5)]) + 500
    exact = analytic.trace(SPIKES + DELAY, -AMPLITUDES, times, 0.2, 2.0)
    np.testing.assert_allclose(measured.value, exact, atol=1e-9)
    assert measured.unit == "pA"


# -- plasticity ---------------------------------------------------------------------------------


def expected(metric, a, n, average=np.mean):
    """Return a metric of an amplitude vector by its definition."""
    if metric == "induction":
        return (average(a[5:8]) - a[0]) / n
    if metric == "recovery" and average is np.median:
        return np.median(a[8:12] - a[0:4]) / n
    if metric == "recovery":
        return (a[8:12].mean() - a[0:4].mean()) / n
    return {"recovery_single": a[8] - a[0], "initial": a[1] - a[0]}[metric] / n


P90 = np.percentile(AMPLITUDES, 90)
NORMALIZED = ["induction", "recovery", "recovery_single", "initial"]


@pytest.mark.parametrize("metric", NORMALIZED)
@pytest.mark.parametrize(
    ("options", "n", "average"),
    [
        ({}, 5.0, np.mean),
        ({"preset": "max"}, 5.0, np.mean),
        ({"preset": "percentile_90"}, P90, np.mean),
        ({"normalizer": "first"}, 4.0, np.mean),
        ({"normalizer": "value", "value": 8.0}, 8.0, np.mean),
        ({"preset": "percentile_90", "average": "median"}, P90, np.median),
        ({"average": "median"}, 5.0, np.median),
        ({"scale": 2.0}, 10.0, np.mean),
        ({"preset": "allen"}, P90, np.median),
        ({"preset": "allen", "normalizer": "value", "value": 8.0}, 8.0, np.median),
    ],
)
def test_each_preset_is_its_definition(metric, options, n, average):
    tree = tree_of({"train": train(AMPLITUDES)})
    measured = one(tree, metric, "train", **options)
    np.testing.assert_allclose(measured, expected(metric, AMPLITUDES, n, average), atol=1e-5)


@pytest.mark.parametrize("metric", NORMALIZED)
def test_allen_preset_normalizes_over_all_stimuli_of_the_pair(metric):
    other = 3 * AMPLITUDES[::-1]
    tree = tree_of({"train": train(AMPLITUDES), "more": train(other)})
    n = np.percentile([*AMPLITUDES, *other], 90)
    measured = one(tree, metric, "train", preset="allen")
    np.testing.assert_allclose(measured, expected(metric, AMPLITUDES, n, np.median), atol=1e-5)
    alone = one(tree, metric, "train", preset="percentile_90")
    np.testing.assert_allclose(alone, expected(metric, AMPLITUDES, P90), atol=1e-5)


def test_paired_pulse_ratio_max_amplitude_and_vector_are_their_definitions():
    tree = tree_of({"train": train(-AMPLITUDES)})
    np.testing.assert_allclose(one(tree, "paired_pulse_ratio", "train"), 1.25, rtol=1e-5)
    np.testing.assert_allclose(one(tree, "max_amplitude", "train"), 5, rtol=1e-5)
    vector = values_of(tree, "amplitudes", "train")[0]
    np.testing.assert_allclose(vector, AMPLITUDES, rtol=1e-4)
    ratios = values_of(tree, "amplitudes", "train", normalizer="first")[0]
    np.testing.assert_allclose(ratios, AMPLITUDES / 4, rtol=1e-4)
    (measured,) = measure(tree, "amplitudes", "train", normalizer="first")
    assert measured.unit == "1"


@pytest.mark.parametrize(
    ("kernel", "pre_train", "local"), [((0.2, 2.0), 1e-4, 3e-5), ((1.0, 10.0), 0.39, 0.11)]
)
def test_bias_of_the_other_baselines_is_as_large_as_documented(kernel, pre_train, local):
    events = analytic.event_map(*np.array(SYNAPSES).T, SPIKES)
    tree = tree_of({"train": train(events, kernel=kernel)})
    worst = {
        baseline: abs(
            values_of(tree, "amplitudes", "train", baseline=baseline, normalizer="first")
            - events / events[:, :1]
        ).max()
        for baseline in ("pre_train", "local", "extrapolated")
    }
    assert pre_train / 2 < worst["pre_train"] < pre_train * 2
    assert local / 2 < worst["local"] < local * 2
    assert worst["extrapolated"] < 5e-6


def test_slow_nmda_like_residue_is_removed_best_with_its_time_constant_known():
    kernel = (2.0, 65.0)
    events = analytic.event_map(*np.array(SYNAPSES).T, SPIKES)
    tree = tree_of({"train": train(events, kernel=kernel)})

    def worst(**options):
        ratios = values_of(tree, "amplitudes", "train", normalizer="first", **options)
        return abs(ratios - events / events[:, :1]).max()

    assert worst(decay=65.0) < 3.5e-3
    assert worst(decay=65.0) < worst() < 1e-2


# -- failures -----------------------------------------------------------------------------------

RATIOS = ["paired_pulse_ratio", "induction", "recovery", "recovery_single", "initial"]
KINETICS = ["latency", "rise_time", "decay_time", "half_width", "charge"]


@pytest.mark.parametrize("rest", [0.0, -37.2])
def test_event_without_release_has_amplitude_0_and_no_ratio(rest):
    dataset = train(0 * AMPLITUDES)
    dataset["synaptic_current"][:] += rest
    tree = tree_of({"train": dataset})
    np.testing.assert_array_equal(values_of(tree, "amplitudes", "train"), np.zeros((1, 12)))
    assert one(tree, "amplitude", "train") == 0
    assert "a1 is 0" in reason(tree, "paired_pulse_ratio")
    for metric in RATIOS[1:]:
        assert "N must be above 0" in reason(tree, metric)
    for metric in KINETICS:
        assert "nothing was released" in reason(tree, metric)


@pytest.mark.parametrize("holding", [-70.0, -60.0, -83.7])
@pytest.mark.parametrize("signal", ["synaptic_current", "clamp_current", "conductance"])
def test_synapse_with_utilization_0_has_amplitude_0_and_no_ratio(signal, holding):
    experiment = synapse({"train": {"kind": "train"}}, recording={"holding_potential": holding})
    tree = run(experiment, {"U": 0.0})
    amplitudes = values_of(tree, "amplitudes", "train", signal=signal)
    np.testing.assert_array_equal(amplitudes, np.zeros((1, 12)))
    (measured,) = measure(tree, "amplitudes", "train", signal=signal)
    assert measured.notes == []
    for metric in RATIOS:
        assert reason(tree, metric, signal=signal)


@pytest.mark.parametrize("metric", [*RATIOS, *KINETICS, "amplitude", "amplitudes"])
def test_trace_with_nan_gives_a_reason_and_never_a_number(metric):
    dataset = train(AMPLITUDES)
    dataset["synaptic_current"][..., 3000] = np.nan
    assert "not finite" in reason(tree_of({"train": dataset}), metric)


def test_protocol_that_was_not_run_and_signal_that_was_not_recorded_are_named():
    tree = tree_of({"train": train(AMPLITUDES)})
    assert "'other' was not run" in reason(tree, "amplitude", "other")
    assert "'conductance' was not recorded" in reason(tree, "amplitude", signal="conductance")


def test_candidate_that_failed_carries_its_reason_and_its_neighbour_a_value():
    both = train(np.stack([AMPLITUDES, AMPLITUDES]))
    both["synaptic_current"][0] = np.nan
    first, second = measure(tree_of({"train": both}, ["NEURON stopped", ""]), "amplitude", "train")
    assert np.isnan(first.value)
    assert first.reason == "NEURON stopped"
    np.testing.assert_allclose(second.value, 4, rtol=1e-5)


@pytest.mark.parametrize("late", [0.05, 0.4, 2.0, 7.3])
@pytest.mark.parametrize("dt", [0.0125, 0.025, 0.1])
def test_a_current_that_jumps_later_than_its_event_has_the_height_of_the_jump(late, dt):
    """As of a synapse that sends itself an event: a polynomial across the jump is 13 % too high."""
    time = np.arange(450, 550, dt)
    after = time - (500 + DELAY + late)
    signal = np.where(after > -1e-6, -70.0 * np.exp(-np.maximum(after, 0) / 5), 0.0)
    tree = tree_of({"one": dataset_of(time, signal, [500.0], kind="single_event")})
    first = after[signal < 0][0]  # of the first sample after the jump
    assert one(tree, "amplitude") == pytest.approx(70 * np.exp(-first / 5), rel=1e-6)
    assert one(tree, "decay_time") == pytest.approx(5, rel=1e-3)
    assert one(tree, "half_width") == pytest.approx(5 * np.log(2), abs=2 * dt)


def test_maximum_at_the_end_of_its_window_is_noted_as_truncated():
    spikes = 500 + 5.0 * np.arange(12)  # 200 Hz; the response peaks after 12.8 ms
    tree = tree_of({"train": train(AMPLITUDES, kernel=(5.0, 50.0), spikes=spikes)})
    (measured,) = measure(tree, "amplitudes", "train", baseline="pre_train")
    assert any("a1–a5, a9–a11 are truncated" in note for note in measured.notes), measured.notes
    (slow,) = measure(tree_of({"train": train(AMPLITUDES)}), "amplitudes", "train")
    assert slow.notes == []


# -- trials -------------------------------------------------------------------------------------

TRIALS = np.array([[1.0, 0.2], [0.0, 0.8], [2.0, 0.5]])  # pA; a1 fails in the second trial


def trials():
    """Return a tree with one candidate whose three trials differ."""
    time = np.arange(450, 640, 0.025)
    signal = analytic.trace(SPIKES[:2] + DELAY, TRIALS, time, 0.2, 2.0)[None]
    return tree_of({"pair": dataset_of(time, signal, SPIKES[:2])})


def test_ratio_of_trials_is_that_of_the_mean_trace_not_the_mean_of_ratios():
    tree = trials()
    assert tree["pair"].sizes["trial"] == 3
    np.testing.assert_allclose(one(tree, "amplitude", "pair"), 1.0, rtol=1e-5)
    np.testing.assert_allclose(one(tree, "paired_pulse_ratio", "pair"), 0.5, rtol=1e-4)


def test_each_trial_can_be_measured_and_a_failure_of_release_counts_as_0():
    each = values_of(trials(), "amplitude", "pair", trials="each")[0]
    np.testing.assert_allclose(each, TRIALS[:, 0], atol=1e-5)
    assert "a1 is 0" in reason(trials(), "paired_pulse_ratio", "pair", trials="each")


# -- explanations -------------------------------------------------------------------------------


def test_explanation_of_induction_names_the_pulses_and_the_numbers():
    (measured,) = measure(tree_of({"train": train(AMPLITUDES)}), "induction", "train")
    text = "\n".join(measured.steps)
    for piece in ("a6…a8 = 1.5, 1, 0.5 pA", "largest amplitude of this train = 5 pA", "a1",
                  "(1 − 4) / 5 = -0.6"):  # fmt: skip
        assert piece in text


def test_explanation_of_recovery_names_the_pulses_and_the_numbers():
    (measured,) = measure(
        tree_of({"train": train(AMPLITUDES)}), "recovery", "train", preset="allen"
    )
    text = "\n".join(measured.steps)
    difference = np.median(AMPLITUDES[8:] - AMPLITUDES[:4])
    for piece in ("a9…a12 = 3.5, 3, 2.8, 2.2 pA", "a1…a4 = 4, 5, 3, 2.5 pA",
                  f"{difference:.5g}", "90th percentile"):  # fmt: skip
        assert piece in text


def test_explanation_is_that_of_this_candidate():
    tree = run(synapse({"train": {"kind": "train"}}), candidates())
    for measured in measure(tree, "induction", "train"):
        assert f"= {float(measured.value):.5g}" in measured.steps[-1]
        assert len(measured.steps) == 3


# -- invariance ---------------------------------------------------------------------------------

amplitude_vectors = st.lists(
    st.floats(0.05, 5, allow_subnormal=False), min_size=12, max_size=12
).map(np.array)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    amplitudes=amplitude_vectors,
    exponent=st.floats(-9, 9),
    sign=st.sampled_from([-1.0, 1.0]),
    shift=st.floats(-400, 1e5),
    rest=st.floats(-100, 100),
    kernel=st.sampled_from(KERNELS),
    baseline=st.sampled_from(["pre_train", "local", "extrapolated"]),
)
def test_ratios_do_not_change_with_size_sign_time_or_rest_of_the_response(
    amplitudes, exponent, sign, shift, rest, kernel, baseline
):
    reference = train(amplitudes, kernel=kernel, dt=0.1)
    size = sign * 10.0**exponent
    signal = size * (reference["synaptic_current"].values + rest)
    moved = dataset_of(reference["time"].values + shift, signal, SPIKES + shift, n_induction=8)
    wanted = (
        ("paired_pulse_ratio", {}),
        ("induction", {}),
        ("induction", {"preset": "percentile_90"}),
        ("recovery", {}),
        ("recovery", {"preset": "allen"}),
        ("recovery_single", {}),
        ("initial", {}),
        ("amplitudes", {"normalizer": "first"}),
    )
    requests = [
        Request(str(k), metric, "train", options | {"baseline": baseline})
        for k, (metric, options) in enumerate(wanted)
    ]
    before, after = (
        measure_candidates(tree_of({"train": d}), requests)[0] for d in (reference, moved)
    )
    for name, value in before.items():
        assert value.reason == after[name].reason == ""
        np.testing.assert_allclose(after[name].value, value.value, rtol=1e-6, atol=1e-6)
