"""What a response says when it cannot be measured, or only with a caveat."""

import numpy as np
import pytest
from helpers import dataset_of, gap, measure, run, synapse, tree_of, values_of
from test_metrics import AMPLITUDES, DELAY, SPIKES, one, reason, single, train

from stpspec import analytic


def every(milliseconds):
    """Return the spikes of 12 pulses at one interval."""
    return 500 + milliseconds * np.arange(12)


def notes(tree, metric="amplitudes", protocol="train", **options):
    (measured,) = measure(tree, metric, protocol, **options)
    assert not measured.reason
    return measured.notes


# -- a residue that is no single exponential ----------------------------------------------------


@pytest.mark.parametrize(
    ("kernel", "interval"), [((1.0, 10.0), 5.0), ((2.0, 65.0), 10.0), ((5.0, 50.0), 20.0)]
)
def test_extrapolated_amplitudes_over_1_percent_off_carry_a_note(kernel, interval):
    tree = tree_of({"train": train(AMPLITUDES, kernel=kernel, spikes=every(interval))})
    off = np.abs(values_of(tree, "amplitudes", "train")[0] / AMPLITUDES - 1).max()
    assert off > 0.01
    assert any("no single exponential" in note for note in notes(tree))
    given = values_of(tree, "amplitudes", "train", decay=kernel[1])[0]
    assert np.abs(given / AMPLITUDES - 1).max() < 0.6 * off  # what the note recommends helps


@pytest.mark.parametrize("kernel", [(0.2, 2.0), (0.5, 5.0), (1.0, 10.0), (2.0, 65.0)])
def test_extrapolated_amplitudes_without_a_note_are_within_1_percent(kernel):
    tree = tree_of({"train": train(AMPLITUDES, kernel=kernel, spikes=SPIKES)})
    np.testing.assert_allclose(values_of(tree, "amplitudes", "train")[0], AMPLITUDES, rtol=0.01)
    assert notes(tree) == []


def test_mixture_of_a_fast_and_a_slow_component_is_measured_or_noted():
    spikes = every(20.0)
    time = np.arange(450, spikes[-1] + 400, 0.025)
    parts = [(1.0, (0.2, 2.0)), (0.2, (5.0, 80.0))]
    signal = sum(w * analytic.trace(spikes + DELAY, AMPLITUDES, time, *k) for w, k in parts)
    tree = tree_of({"train": dataset_of(time, signal, spikes, n_induction=8)})
    s = np.arange(0, 20, 0.001)
    peak = sum(w * analytic.kernel(s, *k) for w, k in parts).max()
    np.testing.assert_allclose(
        values_of(tree, "amplitudes", "train")[0], peak * AMPLITUDES, rtol=0.01
    )
    assert notes(tree) == []


def test_notes_on_many_pulses_are_one_line():
    tree = tree_of({"train": train(AMPLITUDES, kernel=(1.0, 10.0), spikes=every(5.0))})
    (text,) = notes(tree)
    assert text.startswith("the residue before pulses 2–8")


def test_coarse_step_still_tells_how_the_residue_decays():
    tree = tree_of({"train": train(AMPLITUDES, kernel=(1.0, 10.0), dt=0.5)})
    np.testing.assert_allclose(values_of(tree, "amplitudes", "train")[0], AMPLITUDES, rtol=0.02)
    assert notes(tree) == []


# -- 0 means that nothing was released, and nothing else ----------------------------------------


@pytest.mark.parametrize("cell", ["patch.py Patch", "fast_spiking.hoc FastSpikingInterneuron"])
def test_no_current_at_the_reversal_potential_is_a_reason_that_names_it(cell):
    file, template = cell.split()
    experiment = synapse(
        {"one": {"kind": "single_event"}}, model={"cell": {"file": file, "template": template}},
        recording={"holding_potential": 0},
    )  # fmt: skip
    tree = run(experiment)
    for metric in ("amplitude", "rise_time", "charge"):
        told = reason(tree, metric, "one")
        assert "the holding potential is the reversal potential (0 mV)" in told
    assert values_of(tree, "amplitude", "one", signal="conductance") > 0
    assert values_of(run(experiment, {"e": -60}), "amplitude", "one") > 1


def slow_summing():
    """Return potentials at 200 Hz so slow that the later ones never rise above what is left."""
    amplitudes = np.array([8, *[0.3] * 11])
    return tree_of({"train": train(amplitudes, kernel=(3.0, 12.0), spikes=every(10.0))})


def test_response_hidden_in_the_decay_before_it_is_no_amplitude_of_0():
    why = reason(slow_summing(), "amplitudes", baseline="local")
    assert "response to event 2 does not rise above its baseline (local)" in why
    assert "extrapolated" in why


def test_pulse_without_release_in_a_decaying_residue_has_amplitude_0():
    amplitudes = np.array([4, 0, 3, 0, 2, 0, 1, 0, 3, 0, 2, 0])
    tree = tree_of({"train": train(amplitudes, kernel=(0.5, 5.0), spikes=every(10.0))})
    for baseline in ("local", "extrapolated"):
        measured = values_of(tree, "amplitudes", "train", baseline=baseline)[0]
        np.testing.assert_allclose(measured[1::2], 0, atol=1e-4)
        assert (measured[::2] > 0.8 * amplitudes[::2]).all()


@pytest.mark.parametrize(("direction", "amplitude"), [("negative", 10.0), ("positive", -10.0)])
def test_response_against_the_direction_asked_for_is_no_amplitude_of_0(direction, amplitude):
    tree = single((0.5, 5.0), amplitude=amplitude)
    assert f"direction: {direction}" in reason(tree, "amplitude", "one", direction=direction)
    assert one(tree, "amplitude") == pytest.approx(10, rel=1e-4)


# -- action potentials --------------------------------------------------------------------------


def spiking(weight):
    """Return the free voltage of an active interneuron after one excitatory event."""
    experiment = synapse(
        {"one": {"kind": "single_event"}},
        kernel=(0.2, 2.0),
        model={
            "cell": {"file": "fast_spiking.hoc", "template": "FastSpikingInterneuron"},
            "net_con": {"weight": weight},
        },
        recording={"kind": "current_clamp", "signals": ["somatic_voltage", "synaptic_current"]},
    )
    return run(experiment)


def test_action_potential_is_not_measured_as_a_synaptic_potential():
    tree = spiking(100.0)
    assert tree["one"]["somatic_voltage"].values.max() > 0
    for metric in ("amplitude", "rise_time", "half_width", "charge"):
        why = reason(tree, metric, "one")
        assert why.startswith("the cell spiked")
        assert "holding_current" in why


def test_potential_below_threshold_is_measured_in_the_same_cell():
    tree = spiking(1.0)
    height = one(tree, "amplitude", "one")
    assert 0 < height < 20
    assert not notes(tree, "amplitude", "one")


def test_spike_that_peaks_below_0_mv_is_seen_and_a_passive_decay_is_not():
    time = np.arange(450, 600, 0.025)
    passive = -70 + analytic.trace([500 + DELAY], [52.0], time, 0.5, 8.0)
    low_spike = -70 + analytic.trace([500 + DELAY], [60.0], time, 0.2, 0.7)
    for voltage, spikes in ((passive, False), (low_spike, True)):
        dataset = dataset_of(time, voltage, [500.0], name="somatic_voltage")
        (measured,) = measure(tree_of({"one": dataset}), "amplitude", "one")
        assert bool(measured.reason) is spikes


# -- charge and coupling that come to no end ----------------------------------------------------


def test_charge_of_a_response_that_has_not_ended_carries_a_note():
    cut = notes(single((2.0, 65.0), duration=100.0), "charge", "one")
    assert any("charge lacks what follows" in note for note in cut)
    assert notes(single((2.0, 65.0), duration=600.0), "charge", "one") == []


def test_single_event_runs_until_a_slow_response_has_ended():
    experiment = synapse({"one": {"kind": "single_event"}}, kernel=(2.0, 65.0))
    tree = run(experiment)
    assert tree["one"]["time"].values[-1] >= 500 + DELAY + 5 * 65
    assert notes(tree, "charge", "one") == []


@pytest.mark.parametrize("delay", [0.0, 1.3, 20.0, 150.0])
def test_last_event_of_a_train_has_as_long_a_window_as_the_others(delay):
    experiment = synapse({"train": {"kind": "train"}}, model={"net_con": {"delay": delay}})
    tree = run(experiment, {"tau_rec": 200.0})
    last = tree["train"]["arrival_time"].values[-1]
    assert tree["train"]["time"].values[-1] - last >= 20 - 1e-6
    reference = run(synapse({"train": {"kind": "train"}}), {"tau_rec": 200.0})
    np.testing.assert_allclose(
        values_of(tree, "amplitudes", "train"),
        values_of(reference, "amplitudes", "train"),
        rtol=1e-6,
    )


def test_current_step_too_short_to_settle_carries_a_note():
    def step(duration):
        return run(
            gap((100.0, 100.0), {"forth": {"kind": "gap_step", "duration": duration}}),
            {"g": 0.001},
        )

    short = notes(step(60.0), "coupling_coefficient", "forth")
    assert any("has not settled by the end of the step" in note for note in short)
    assert notes(step(500.0), "coupling_coefficient", "forth") == []


def test_coupling_window_longer_than_the_record_says_which_window_was_used():
    tree = run(gap((100.0, 100.0), {"forth": {"kind": "gap_step"}}), {"g": 0.001})
    (measured,) = measure(tree, "coupling_coefficient", "forth", window=300.0)
    assert any("the window is 100 ms, not 300 ms" in note for note in measured.notes)
    assert any("last 100 ms of the step and 100 ms before it" in step for step in measured.steps)
