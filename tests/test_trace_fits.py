"""Fits to recorded traces: a known synapse on a passive cell is found again, from any file."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from recorded_psps import DECAY, HOLDING, REST, REVERSAL, RISE, SPIKES, TRUTH, recorded, voltage

import stpspec
from stpspec.view.save import write_traces

BOUNDS = {
    "U": (0.05, 0.95),
    "tau_rec": ("20 ms", "2000 ms"),
    "tau_facil": ("1 ms", "1000 ms"),
    "weight": (1, 60),
    "net_con.delay": ("0.5 ms", "5 ms"),
    "cell.arguments.resistance": (30, 600),
    "cell.arguments.tau": (3, 60),
}
ONSET = 50.0  # ms of the file


def write_csv(path, time, values):
    rows = "".join(f"{t:.4f},{v:.5f}\n" for t, v in zip(time + ONSET, values, strict=True))
    path.write_text(f"time (ms),Vm (mV)\n{rows}")


def write_nwb(path, time, values):
    from pynwb import NWBHDF5IO, NWBFile
    from pynwb.epoch import TimeIntervals
    from pynwb.icephys import CurrentClampSeries

    file = NWBFile("EPSPs", "cell 7", datetime(2026, 11, 30, tzinfo=UTC))
    device = file.create_device("amplifier", description="any")
    electrode = file.create_icephys_electrode("pipette", description="any", device=device)
    about = {"electrode": electrode, "gain": 1.0, "rate": 1e3 / (time[1] - time[0])}
    file.add_acquisition(CurrentClampSeries(name="Vm", data=values * 1e-3, **about))
    stimuli = TimeIntervals(name="stimuli", description="presynaptic spikes")
    for spike in (SPIKES + ONSET) * 1e-3:
        stimuli.add_interval(start_time=spike, stop_time=spike + 1e-3)
    file.add_time_intervals(stimuli)
    with NWBHDF5IO(str(path), "w") as io:
        io.write(file)


def experiment(target, free=tuple(BOUNDS), spikes=SPIKES, dt=0.005, **options):
    """Return the fit of a synapse on a patch whose holding current and rest are known."""
    arguments = {"e_pas": REST}
    fixed = {"tau_rise": RISE, "tau_decay": DECAY, "e": REVERSAL}
    fixed |= {n: TRUTH[n] for n in ("U", "tau_rec", "tau_facil") if n not in free}
    arguments |= {
        n: TRUTH[f"cell.arguments.{n}"]
        for n in ("resistance", "tau")
        if f"cell.arguments.{n}" not in free
    }
    return stpspec.Experiment.from_data({
        "name": "recorded",
        "model": {
            "kind": "synapse", "mechanism": "TsodyksMarkram", "fixed": fixed,
            "cell": {"file": "patch.py", "template": "Patch", "arguments": arguments},
            "net_con": {"delay": TRUTH["net_con.delay"], "weight": TRUTH["weight"]},
        },
        "recording": {"kind": "current_clamp", "holding_current": HOLDING},
        "protocols": {"train": {"kind": "spike_times", "times": spikes.tolist(), "tail": 60.0}},
        "parameters": {n: {"min": BOUNDS[n][0], "max": BOUNDS[n][1]} for n in free},
        "objective": {"terms": {"psp": {
            "metric": "trace", "protocol": "train", "target": {"source": "trace", **target},
            "options": options,
        }}},
        "numerics": {"dt": dt},
    })  # fmt: skip


def assert_found(result, n=3.0):
    for name, value in result.parameters.items():
        assert name in result.errors, result.undetermined.get(name)
        assert abs(value - TRUTH[name]) <= n * result.errors[name], (name, value)


@pytest.mark.long
@pytest.mark.parametrize("ending", ["csv", "nwb"])
def test_a_noisy_trace_gives_the_synapse_the_delay_and_the_cell(tmp_path, monkeypatch, ending):
    monkeypatch.chdir(tmp_path)
    time, noisy = recorded()
    target = {"file": f"cell.{ending}"}
    if ending == "csv":
        write_csv(tmp_path / "cell.csv", time, noisy)
        target["stimulus"] = [f"{ONSET} ms"]
    else:
        write_nwb(tmp_path / "cell.nwb", time, noisy)
    result = stpspec.fit(experiment(target, subtract_baseline=False))
    assert result.status == "converged"
    assert set(result.parameters) == set(TRUTH)
    assert_found(result)
    assert any("the residual of the trace is white noise" in n for n in result.notes["psp"])
    result.save(tmp_path / "result")
    rows = (tmp_path / "result" / "traces_train.csv").read_text()
    assert "recorded" in rows
    assert "model" in rows


@pytest.mark.long
def test_a_free_scale_stands_in_for_the_weight_where_only_its_effect_is_known(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "cell.csv", *recorded())
    target = {"file": "cell.csv", "stimulus": [ONSET]}
    free = tuple(n for n in BOUNDS if n != "weight")
    fitted = experiment(target, free).changed({"objective.terms.psp.scale": "free"})
    result = stpspec.fit(fitted)
    assert_found(result)
    assert any("the residual of the trace is white noise" in n for n in result.notes["psp"])


@pytest.mark.long
def test_weight_and_resistance_are_told_apart_by_a_known_current_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "cell.csv", *recorded())
    result = stpspec.fit(experiment({"file": "cell.csv", "stimulus": [ONSET]}))
    product = result.parameters["weight"] * result.parameters["cell.arguments.resistance"]
    true = TRUTH["weight"] * TRUTH["cell.arguments.resistance"]
    assert product == pytest.approx(true, rel=0.02)
    assert "trades off against" in result.undetermined["weight"]
    assert "weight" in result.undetermined["cell.arguments.resistance"]


SHORT = SPIKES[:3]  # a run of 160 ms


@pytest.fixture
def short(tmp_path, monkeypatch):
    """Return the fit of the scale to three noisy EPSPs in a file beside it, every 0.5 ms."""
    monkeypatch.chdir(tmp_path)
    time = np.arange(0, 200, 0.5) - ONSET
    noise = np.random.default_rng(4).normal(0, 0.1, time.size)
    write_csv(tmp_path / "cell.csv", time, voltage(time, SHORT) + noise)
    return experiment({"file": "cell.csv", "stimulus": [ONSET]}, ("weight", "U"), SHORT, 0.025)


def test_a_fit_to_a_trace_is_drawn_over_it_saved_and_run_again(short, tmp_path):
    result = stpspec.fit(short)
    assert_found(result)
    assert any("is white noise" in n for n in result.notes["psp"])
    term = result.experiment.objective.terms["psp"]
    assert len(term.target) == len(term.options["times"])
    result.save(tmp_path / "result", figures=False)
    loaded = stpspec.FitResult.load(tmp_path / "result")
    assert loaded.parameters == result.parameters
    write_traces(loaded.traces, tmp_path, loaded.experiment)
    rows = [line.split(",") for line in (tmp_path / "traces_train.csv").read_text().splitlines()]
    drawn = {s: [(float(r[2]), float(r[3])) for r in rows if r[1] == s and "volt" in r[0]]
             for s in ("recorded", "model")}  # fmt: skip
    t, y = np.array(drawn["recorded"]).T
    model = np.interp(t, *np.array(drawn["model"]).T)
    assert np.std(y - model) == pytest.approx(0.1, rel=0.2)  # at the level of the model
    assert np.mean(y - model) == pytest.approx(0, abs=0.02)
    (tmp_path / "cell.csv").unlink()
    again = stpspec.load(str(tmp_path / "result"))  # which keeps the recording
    assert stpspec.check(again) == []


def test_a_sample_that_is_missing_changes_nothing_but_the_number_of_data(short, tmp_path):
    whole = stpspec.fit(short)
    lines = (tmp_path / "cell.csv").read_text().splitlines()
    (tmp_path / "cell.csv").write_text("\n".join(lines[:110] + lines[150:]))
    result = stpspec.fit(short)
    sizes = [r.experiment.objective.terms["psp"].size for r in (whole, result)]
    assert sizes[0] - sizes[1] == 40
    assert_found(result, 4.0)


def test_an_inverted_recording_is_told_of_and_fits_when_it_is_turned(short, tmp_path):
    time = np.arange(0, 200, 0.5) - ONSET
    write_csv(tmp_path / "cell.csv", time, -voltage(time, SHORT))
    result = stpspec.fit(short)
    assert any("invert: true" in n for n in result.notes["psp"])
    turned = stpspec.fit(short.changed({"objective.terms.psp.target.invert": True}))
    assert turned.parameters["weight"] == pytest.approx(TRUTH["weight"], rel=0.02)


def test_a_recording_behind_a_filter_is_fitted_by_a_model_behind_the_same(short, tmp_path):
    from stpspec.metrics.samples import filtered

    fine = np.arange(0, 200, 0.02) - ONSET
    time, slow = filtered(fine, voltage(fine, SHORT), 100.0)
    write_csv(tmp_path / "cell.csv", time[::10], slow[::10])
    off = stpspec.fit(short)
    path = "objective.terms.psp.options.lowpass"
    on = stpspec.fit(short.changed({path: "0.1 kHz"}))
    assert on.parameters["weight"] == pytest.approx(TRUTH["weight"], rel=0.02)
    assert on.loss < off.loss / 100


def test_stimuli_at_other_times_than_those_of_the_protocol_are_refused(short):
    path = "objective.terms.psp.target.stimulus"
    wrong = short.changed({path: [50.0, 110.0, 150.0]})
    (problem,) = stpspec.check(wrong)
    assert problem.path == "objective.terms.psp.target"
    assert "come at 0, 60, 100 ms after the first, and the 3 of the protocol" in problem.rule
