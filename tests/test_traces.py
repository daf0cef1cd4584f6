"""Recorded traces: whatever a laboratory's file looks like, its samples are what was recorded."""

from __future__ import annotations

import csv
import functools
import re
from datetime import UTC, datetime

import numpy as np
import pytest
import small
from recorded_psps import SPIKES, voltage

import stpspec
from stpspec.data.recording import Recording, rising_edges
from stpspec.data.sources.trace import RecordedTrace
from stpspec.data.traces import read_trace
from stpspec.errors import DataError, SpecError
from stpspec.fitters.trace_notes import ljung_box
from stpspec.metrics.samples import filtered
from stpspec.specs.protocol import SpikeTimes
from stpspec.specs.stimulus import Stimulus
from stpspec.specs.target_source import Wanted
from stpspec.specs.trace_file import TraceFile


def read(tmp_path, text, dimension=None, *, name="cell.csv", encoding="utf-8", **spec):
    """Write a text file and read it as a recorded trace."""
    (tmp_path / name).write_bytes(text.encode(encoding))
    return read_trace(tmp_path / name, TraceFile(file=name, **spec), dimension)


# -- what text files say of themselves ------------------------------------------------------------

HEADERS = [
    "time (ms),Vm (mV)\n{}",
    "Time [ms],Voltage [mV]\n{}",
    "t_ms,v_mV\n{}",
    "t/ms,U/mV\n{}",
    "time,voltage\nms,mV\n{}",
    "# rig 3, 2026-11-30\n# time (ms),membrane potential (mV)\n{}",
    '"time (ms)","Vm (mV)"\n{}',
    "cell 7\n\ntime (ms),Vm (mV)\n{}",
    "\ufefftime (msec),Vm (millivolts)\n{}",
    "ms,mV\n{}",
    "Time (ms),Trace #1 (mV)\n{}",
    "sweep time (ms),V_m in mV\n{}",
    "% t (ms), v (mV)\n{}",
]


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_of_any_style_tells_time_signal_and_units(tmp_path, header):
    recording = read(tmp_path, header.format("0,-70\n0.1,-69.5\n0.2,-69\n"))
    np.testing.assert_allclose(recording.time, [0, 0.1, 0.2])
    np.testing.assert_allclose(recording.mean, [-70, -69.5, -69])
    assert recording.unit == "mV"


@pytest.mark.parametrize(
    ("unit", "value", "expected", "held"),
    [("V", -0.07, -70, "mV"), ("mV", -70, -70, "mV"), ("uV", -7e4, -70, "mV"),
     ("A", -2e-11, -20, "pA"), ("nA", -0.02, -20, "pA"), ("pA", -20, -20, "pA"),
     ("µA", -2e-5, -20, "pA")],
)  # fmt: skip
def test_any_unit_of_voltage_or_current_is_converted(tmp_path, unit, value, expected, held):
    rows = "".join(f"{k * 1e-4},{value!r}\n" for k in range(3))
    for encoding in ("utf-8", "latin-1", "utf-16"):
        recording = read(tmp_path, f"time (s),signal ({unit})\n{rows}", encoding=encoding)
        assert recording.unit == held
        np.testing.assert_allclose(recording.mean, expected)
        np.testing.assert_allclose(recording.time, [0, 0.1, 0.2])
    told = read(tmp_path, f"time (s),signal\n{rows}", unit=unit)
    np.testing.assert_allclose(told.mean, expected)


@pytest.mark.parametrize(
    "text",
    ["time (ms)\tVm (mV)\n0\t-70\n0.5\t-69\n", "time (ms);Vm (mV)\n0,0;-70,0\n0,5;-69,0\n",
     "time (ms)  Vm (mV)\n0 -70\n0.5  -69\n", "time (ms),Vm (mV),\n0,-70,\n0.5,-69,\n",
     "time (ms),Vm (mV)\r\n0,\u221270\r\n0.5,\u221269\r\n"],
)  # fmt: skip
def test_delimiter_and_decimal_sign_are_recognized(tmp_path, text):
    recording = read(tmp_path, text)
    np.testing.assert_allclose([recording.time, recording.mean], [[0, 0.5], [-70, -69]])


def test_a_sampling_rate_takes_the_place_of_times(tmp_path):
    by_option = read(tmp_path, "Vm (mV)\n-70\n-69\n-68\n", sampling_rate="20 kHz")
    by_comment = read(tmp_path, "# Sampling rate: 20 kHz\nVm (mV)\n-70\n-69\n-68\n")
    for recording in (by_option, by_comment):
        np.testing.assert_allclose(recording.time, [0, 0.05, 0.1])
    with pytest.raises(DataError, match="no column of times: name it"):
        read(tmp_path, "Vm (mV)\n-70\n-69\n")
    with pytest.raises(DataError, match=r"0.1 ms apart, and a sampling_rate of 20000 Hz"):
        read(tmp_path, "time (ms),Vm (mV)\n0,1\n0.1,2\n0.2,3\n", sampling_rate=20000)


def test_an_axon_text_file_is_read_below_its_own_header(tmp_path):
    text = ('ATF\t1.0\n2\t3\n"AcquisitionMode=Episodic"\n"SweepStartTimesMS=0,10"\n'
            '"Time (s)"\t"Trace #1 (pA)"\t"Trace #2 (pA)"\n0\t1\t3\n0.0001\t2\t4\n')  # fmt: skip
    recording = read(tmp_path, text, name="cell.atf")
    np.testing.assert_allclose(recording.sweeps, [[1, 2], [3, 4]])
    np.testing.assert_allclose(recording.time, [0, 0.1])


@pytest.mark.parametrize("missing", ["", "NaN", "NA", "-", "inf"])
def test_a_missing_sample_is_missing_and_never_a_number(tmp_path, missing):
    recording = read(tmp_path, f"time (ms),Vm (mV)\n0,-70\n1,{missing}\n2,-68\n3,-67\n")
    assert recording.counts.tolist() == [1, 0, 1, 1]
    assert np.isnan(recording.mean[1])
    assert recording.gaps == [(0.0, 2.0)]
    no_row = read(tmp_path, "time (ms),Vm (mV)\n0,-70\n1,-69\n5,-68\n6,-68\n7,-68\n")
    assert no_row.gaps == [(1.0, 5.0)]


@pytest.mark.parametrize(
    "text",
    ["time (ms),sweep 1 (mV),sweep 2 (mV)\n0,1,3\n1,2,4\n2,5,9\n",
     "sweep,time (ms),Vm (mV)\n1,0,1\n1,1,2\n1,2,5\n2,0,3\n2,1,4\n2,2,9\n",
     "time (ms),Vm (mV)\n0,1\n1,2\n2,5\n0,3\n1,4\n2,9\n"],
)  # fmt: skip
def test_sweeps_are_columns_or_numbered_rows_or_times_that_start_anew(tmp_path, text):
    recording = read(tmp_path, text)
    np.testing.assert_allclose(recording.sweeps, [[1, 2, 5], [3, 4, 9]])
    np.testing.assert_allclose(recording.mean, [2, 3, 7])
    np.testing.assert_allclose(read(tmp_path, text, sweeps=[2]).mean, [3, 4, 9])
    with pytest.raises(DataError, match="2 sweeps, and no sweep 3"):
        read(tmp_path, text, sweeps=[3])


def test_sweeps_of_unlike_lengths_are_averaged_where_they_are(tmp_path):
    recording = read(tmp_path, "time (ms),Vm (mV)\n0,1\n1,2\n2,5\n0,3\n1,4\n")
    assert recording.counts.tolist() == [2, 2, 1]
    np.testing.assert_allclose(recording.mean, [2, 3, 5])


def test_descending_and_shuffled_times_are_put_in_order(tmp_path):
    down = read(tmp_path, "time (ms),Vm (mV)\n2,5\n1,2\n0,1\n")
    shuffled = read(tmp_path, "time (ms),Vm (mV)\n0,1\n2,5\n1,2\n")
    for recording in (down, shuffled):
        np.testing.assert_allclose(recording.time, [0, 1, 2])
        np.testing.assert_allclose(recording.mean, [1, 2, 5])
    irregular = read(tmp_path, "time (ms),Vm (mV)\n0,1\n0.13,2\n0.2,3\n0.34,4\n")
    np.testing.assert_allclose(irregular.time, [0, 0.13, 0.2, 0.34])
    with pytest.raises(DataError, match="more than one value at 1 ms"):
        read(tmp_path, "time (ms),Vm (mV)\n0,1\n1,5\n1,2\n")


@pytest.mark.parametrize(
    ("text", "spec"),
    [("time (ms),Vm (mV),stim\n0,1,0\n1,2,5\n2,4,5\n3,3,0\n4,3,5\n5,3,0\n6,3,0\n", {}),
     ("time (ms),Vm (mV),TTL\n0,1,5\n1,2,0\n2,4,0\n3,3,5\n4,3,0\n5,3,5\n6,3,5\n7,3,5\n", {}),
     ("time (ms),Vm (mV),stimulus (s)\n0,1,0.001\n1,2,0.004\n2,4,\n3,3,\n4,3,\n", {}),
     ("time (ms),Vm (mV),light\n0,1,0\n1,2,5\n2,4,5\n3,3,0\n4,3,5\n5,3,0\n6,3,0\n",
      {"stimulus": "light"}),
     ("time (ms),Vm (mV)\n0,1\n1,2\n2,4\n3,3\n4,3\n", {"stimulus": ["1 ms", "0.004 s"]})],
)  # fmt: skip
def test_stimulus_times_come_from_a_trigger_a_column_of_times_or_the_spec(tmp_path, text, spec):
    assert read(tmp_path, text, "voltage", **spec).stimuli.tolist() == [1.0, 4.0]


def test_a_trigger_that_is_on_at_the_beginning_has_its_first_edge_there():
    time = np.arange(6.0)
    assert rising_edges(time, np.array([1, 0, 0, 1, 0, 0])).tolist() == [0, 3]
    assert rising_edges(time, np.zeros(6)).size == 0


def test_the_signal_of_the_wanted_dimension_is_chosen_and_may_be_inverted(tmp_path):
    text = "time (ms),Vm (mV),Im (pA)\n0,-70,-5\n1,-69,-6\n"
    assert read(tmp_path, text, "current").mean.tolist() == [-5, -6]
    assert read(tmp_path, text, "current", invert=True).mean.tolist() == [5, 6]
    assert read(tmp_path, text, column="Vm").mean.tolist() == [-70, -69]
    assert read(tmp_path, text, column=3).mean.tolist() == [-5, -6]
    with pytest.raises(DataError, match="which of the columns"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "spec", "says"),
    [("time,Vm (mV)\n0,1\n0.1,2\n", {}, r"names no unit: give time_unit \(its steps of 0.1"),
     ("time (ms),V\n0,-70\n1,-69\n", {}, r"names no unit: give unit.*-70 … -69"),
     ("time (ms),Vm (mV)\n0,-70\n1,minus\n", {}, r"line 3, column 2 of cell.csv: 'minus' is no"),
     ("time (ms),Vm (mV)\n0,-70\n1\n", {}, "line 3 of cell.csv has 1 values, and the first row"),
     ("nothing here\n", {}, "no columns of numbers"),
     ("time (ms),Vm (mV)\n0,-70\n1,-69\n", {"column": "Vn"}, "did you mean 'Vm"),
     ("time (ms),Vm (mV)\n0,-70\n1,-69\n", {"unit": "kg"}, "must be one of voltage or current"),
     ("time (ms),Vm (mV)\n0,-70\n1,-69\n", {"column": 3}, "2 columns, and no column 3")],
)  # fmt: skip
def test_a_file_that_does_not_tell_what_it_holds_is_refused_with_what_helps(
    tmp_path, text, spec, says
):
    with pytest.raises(DataError, match=says):
        read(tmp_path, text, **spec)


def test_a_trace_of_the_other_dimension_or_kind_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no column of cell.csv is a current"):
        read(tmp_path, "time (ms),Vm (mV)\n0,-70\n1,-69\n", "current")
    with pytest.raises(DataError, match=r"of no kind that can be read \(.csv"):
        read(tmp_path, "x", name="cell.xyz")
    with pytest.raises(DataError, match="there is no file"):
        read_trace(tmp_path / "gone.csv", TraceFile(file="gone.csv"))


# -- NWB and ABF ----------------------------------------------------------------------------------

RATE = 1e4


def nwb_file():
    pynwb = pytest.importorskip("pynwb")
    file = pynwb.NWBFile("EPSPs", "cell 7", datetime(2026, 11, 30, tzinfo=UTC))
    device = file.create_device("amplifier", description="any")
    electrode = file.create_icephys_electrode("pipette", description="any", device=device)
    return file, electrode


def write_nwb(file, path):
    from pynwb import NWBHDF5IO

    with NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return path


def test_nwb_sweeps_have_their_unit_and_the_stimuli_of_their_commands(tmp_path):
    from pynwb.icephys import CurrentClampSeries, CurrentClampStimulusSeries

    file, electrode = nwb_file()
    command = np.zeros(100)
    command[[20, 21, 70, 71]] = 1e-9
    for k in range(3):
        about = {"electrode": electrode, "gain": 1.0, "rate": RATE, "starting_time": 10.0 * k}
        data = np.linspace(-70, -69, 100) + k
        file.add_acquisition(
            CurrentClampSeries(
                name=f"v{k}", data=data, conversion=1e-3, sweep_number=np.uint32(k), **about
            )
        )
        file.add_stimulus(CurrentClampStimulusSeries(
            name=f"i{k}", data=command, sweep_number=np.uint32(k), **about))  # fmt: skip
    path = write_nwb(file, tmp_path / "cell.nwb")
    recording = read_trace(path, TraceFile(file="cell.nwb"), "voltage")
    np.testing.assert_allclose(recording.sweeps[:, 0], [-70, -69, -68])
    np.testing.assert_allclose(recording.stimuli, [2, 7])
    assert recording.interval == pytest.approx(0.1)
    one = read_trace(path, TraceFile(file="cell.nwb", column="v1", stimulus=[3.5]))
    np.testing.assert_allclose(one.mean[0], -69)
    assert one.stimuli.tolist() == [3.5]
    with pytest.raises(DataError, match=r"no acquired series of cell.nwb is a current"):
        read_trace(path, TraceFile(file="cell.nwb"), "current")


def test_nwb_intervals_and_timestamps_count_from_the_start_of_the_sweep(tmp_path):
    from pynwb.epoch import TimeIntervals
    from pynwb.icephys import CurrentClampSeries, VoltageClampSeries

    file, electrode = nwb_file()
    data, about = np.linspace(-70, -69, 100), {"electrode": electrode, "gain": 1.0}
    stamps = 5 + np.arange(100) / 2e4
    file.add_acquisition(
        VoltageClampSeries(name="i", data=data * 1e-12, timestamps=stamps, **about)
    )
    file.add_acquisition(
        CurrentClampSeries(name="v", data=data * 1e-3, rate=RATE, starting_time=5.0, **about)
    )
    table = TimeIntervals(name="stimuli", description="light")
    for start in (4.0, 5.001, 5.003):
        table.add_interval(start_time=start, stop_time=start + 1e-4)
    file.add_time_intervals(table)
    path = write_nwb(file, tmp_path / "cell.nwb")
    with pytest.raises(DataError, match=r"which of the series of cell.nwb is the signal \(i, v\)"):
        read_trace(path, TraceFile(file="cell.nwb"))
    for dimension, unit, interval in (("current", "pA", 0.05), ("voltage", "mV", 0.1)):
        recording = read_trace(path, TraceFile(file="cell.nwb"), dimension)
        assert (recording.unit, recording.stimuli.tolist()) == (unit, [1.0, 3.0])
        assert recording.interval == pytest.approx(interval)
        np.testing.assert_allclose(recording.mean, data)


def test_a_damaged_nwb_or_abf_file_is_named_as_such(tmp_path):
    for name in ("cell.nwb", "cell.abf"):
        (tmp_path / name).write_bytes(b"ABF2 and nothing else")
        with pytest.raises(DataError, match=rf"{name} cannot be read as {name[-3:].upper()}"):
            read_trace(tmp_path / name, TraceFile(file=name))


def test_abf_sweeps_are_read_at_their_sampling_rate(tmp_path):
    from pyabf.abfWriter import writeABF1

    time = np.arange(2000) / 10
    sweeps = np.stack([np.sin(time / 20), 2 * np.sin(time / 20)])
    writeABF1(sweeps, str(tmp_path / "cell.abf"), RATE, units="pA")
    spec = TraceFile(file="cell.abf", stimulus=["2 ms"])
    recording = read_trace(tmp_path / "cell.abf", spec, "current")
    np.testing.assert_allclose(recording.time, time)
    np.testing.assert_allclose(recording.sweeps, sweeps, atol=1e-3)
    assert (recording.unit, recording.stimuli.tolist()) == ("pA", [2.0])
    inverted = read_trace(tmp_path / "cell.abf", spec.copy_with(invert=True), "current")
    np.testing.assert_allclose(inverted.sweeps, -recording.sweeps)
    with pytest.raises(DataError, match=r"which channel of cell.abf is the signal"):
        read_trace(tmp_path / "cell.abf", spec, "voltage")


# -- from samples to a target ---------------------------------------------------------------------


def wanted(**options):
    """Return what a term with the metric trace asks for, with some of its options set."""
    defaults = {"windows": None, "interval": 0.1, "times": None, "bin_width": None,
                "lowpass": None, "subtract_baseline": True, "signal": None}  # fmt: skip
    run = SpikeTimes(times=[0.0, 10.0], tail=20.0)
    return Wanted("trace", {**defaults, **options}, options, "somatic_voltage", "mV", True, "pair",
                  {"pair": run}, {"pair": Stimulus((0.0, 10.0), 30.0)})  # fmt: skip


def source_of(tmp_path, time, *sweeps, monkeypatch, **spec):
    rows = [",".join(f"{v:.9g}" for v in row) for row in np.column_stack([time, *sweeps])]
    head = ",".join(["time (ms)", *(f"sweep {k} (mV)" for k in range(len(sweeps)))])
    (tmp_path / "cell.csv").write_text("\n".join([head, *rows]).replace("nan", ""))
    monkeypatch.chdir(tmp_path)
    return RecordedTrace(file="cell.csv", **spec)


def test_samples_are_aligned_with_the_protocol_and_gaps_are_left_out(tmp_path, monkeypatch):
    time = np.arange(0, 60, 0.5)
    signal = np.sin(time)
    signal[40:44] = np.nan
    source = source_of(tmp_path, time, signal, monkeypatch=monkeypatch, stimulus=[15.0, 25.0])
    data = source.read(wanted(subtract_baseline=False, windows=[(-5, 12)]))
    there = (time >= 10) & (time <= 27) & np.isfinite(signal)
    np.testing.assert_allclose(data.options["times"], time[there] - 15)
    np.testing.assert_allclose(data.target, signal[there], atol=1e-8)
    assert data.sd == pytest.approx(np.std(signal[:30], ddof=1))
    assert 1 <= data.sd_degrees < 29  # a sine is no white noise
    whole = source.read(wanted())
    assert whole.options["subtract_baseline"] == "mean"
    assert np.mean(whole.target) == pytest.approx(0)
    assert max(whole.options["times"]) <= 30  # where the run ends


def test_what_was_sampled_faster_is_averaged_over_bins_that_leave_white_noise_white(
    tmp_path, monkeypatch
):
    rng, time = np.random.default_rng(2), np.arange(0, 60, 0.01)
    noise = rng.normal(0, 1, time.size)
    source = source_of(tmp_path, time, noise, monkeypatch=monkeypatch, stimulus=[20.0])
    data = source.read(wanted(interval=0.1, subtract_baseline=False))
    assert data.options["bin_width"] == pytest.approx(0.1)
    np.testing.assert_allclose(np.diff(data.options["times"]), 0.1)
    first = data.options["times"][0] + 20
    inside = np.abs(time - first) < 0.05
    assert data.target[0] == pytest.approx(noise[inside].mean(), abs=1e-6)
    assert np.std(data.target) == pytest.approx(1 / 10**0.5, rel=0.15)
    assert ljung_box(np.array(data.target))[1] > 1e-3
    fast = np.sin(2 * np.pi * 10 * time)  # 10 kHz, which every 0.1 ms would look like a constant
    aliased = source_of(tmp_path, time, fast, monkeypatch=monkeypatch, stimulus=[20.0])
    assert np.abs(aliased.read(wanted(subtract_baseline=False)).target).max() < 1e-6


def test_the_sd_of_sweeps_goes_with_their_number_sample_by_sample(tmp_path, monkeypatch):
    rng, time = np.random.default_rng(3), np.arange(0, 50, 0.5)
    sweeps = rng.normal(0, 1, (4, time.size))
    sweeps[1, 60:] = np.nan
    source = source_of(tmp_path, time, *sweeps, monkeypatch=monkeypatch, stimulus=[15.0])
    data = source.read(wanted(subtract_baseline=False))
    places = np.round((np.array(data.options["times"]) + 15) / 0.5).astype(int)
    assert data.n == [4 if k < 60 else 3 for k in places]
    expected = np.nanstd(sweeps[:, places], axis=0, ddof=1)
    np.testing.assert_allclose(data.sd, expected, rtol=1e-6)
    np.testing.assert_allclose(data.target, np.nanmean(sweeps[:, places], axis=0), atol=1e-7)


@pytest.mark.parametrize(
    ("spec", "options", "says"),
    [({"stimulus": [15.0, 22.0]}, {}, r"come at 0, 7 ms after the first, and the 2 of the protocol "
      r"'pair' at 0, 10 ms"),
     ({"stimulus": [15.0, 25.0, 35.0]}, {}, "the 3 stimuli of cell.csv"),
     ({}, {}, "does not tell when the stimuli came: give stimulus"),
     ({"stimulus": [15.0]}, {"windows": [(100, 120)]}, "has no sample where the protocol"),
     ({"stimulus": [0.0]}, {"subtract_baseline": True}, "no sample before the first stimulus")],
)  # fmt: skip
def test_a_recording_that_does_not_fit_the_protocol_is_refused(
    tmp_path, monkeypatch, spec, options, says
):
    time = np.arange(0, 60, 0.5)
    source = source_of(tmp_path, time, np.sin(time), monkeypatch=monkeypatch, **spec)
    with pytest.raises(SpecError, match=says):
        source.read(wanted(**options))


def test_a_filter_lets_through_half_of_the_power_at_its_corner():
    time = np.arange(0, 200, 0.025)
    for frequency, gain in ((100, 1.0), (1000, 0.5**0.5), (8000, 0.0)):
        _, out = filtered(time, np.sin(2 * np.pi * frequency * time / 1000), 1000.0)
        assert np.ptp(out[out.size // 2 :]) / 2 == pytest.approx(gain, abs=0.012)
    _, constant = filtered(time, np.full(time.size, -70.0), 1000.0)
    np.testing.assert_allclose(constant, -70)


def test_ljung_box_finds_white_noise_white_and_correlated_noise_not():
    rng = np.random.default_rng(5)
    white = [ljung_box(rng.normal(size=500))[1] for _ in range(200)]
    assert np.mean(np.array(white) < 0.1) == pytest.approx(0.1, abs=0.06)
    walk = np.convolve(rng.normal(size=600), np.ones(5), "valid")
    assert ljung_box(walk)[1] < 1e-6


# -- measured by the code that measures a model ---------------------------------------------------


def write_trace(path, time, values, unit="mV"):
    rows = "".join(f"{t:.6g},{v:.8g}\n" for t, v in zip(time, values, strict=True) if v == v)
    path.write_text(f"time (ms),signal ({unit})\n{rows}")
    return path


@functools.cache
def epsps():
    """Return the potentials of the known synapse, without noise."""
    time = np.arange(0, 1150, 0.1)
    return time, voltage(time - 50)


def test_a_recorded_trace_is_measured_as_a_trace_of_the_model(tmp_path):
    time, v = epsps()
    path = write_trace(tmp_path / "cell.csv", time, v)
    stimuli = (SPIKES + 50).tolist()
    measured = stpspec.measure_file(path, stimulus=stimuli, n_induction=8, delay=1.9)
    assert measured.units["amplitude"] == "mV"
    assert measured.metrics["latency"] == pytest.approx(1.9, abs=0.3)
    amplitudes = measured.metrics["amplitudes"]
    assert measured.metrics["paired_pulse_ratio"] == pytest.approx(amplitudes[1] / amplitudes[0])
    assert measured.metrics["amplitude"] == pytest.approx(v[:1000].max() - v[0], rel=1e-3)
    assert {"induction", "recovery_single", "decay_time"} <= set(measured.metrics)
    in_volts = write_trace(tmp_path / "volts.csv", time, v * 1e-3, "V")
    same = stpspec.measure_file(in_volts, ["amplitudes"], stimulus=stimuli, delay=1.9)
    np.testing.assert_allclose(same.metrics["amplitudes"], amplitudes, rtol=1e-4)


def test_a_sign_inverted_trace_has_the_same_amplitudes(tmp_path):
    time, v = epsps()
    about = {"stimulus": [50.0], "delay": 1.9}
    up, down, inverted = (
        stpspec.measure_file(write_trace(tmp_path / "cell.csv", time, w), ["amplitude"], **o)
        for w, o in ((v, about), (2 * v[0] - v, about), (-v, {**about, "invert": True}))
    )
    assert down.metrics["amplitude"] == pytest.approx(up.metrics["amplitude"])
    assert inverted.metrics["amplitude"] == pytest.approx(up.metrics["amplitude"])


def test_no_metric_reads_across_a_gap(tmp_path):
    time, v = epsps()
    stimuli = (SPIKES + 50).tolist()
    hidden = v.copy()
    hidden[(time > 103) & (time < 109)] = np.nan  # the second peak
    path = write_trace(tmp_path / "cell.csv", time, hidden)
    measured = stpspec.measure_file(path, stimulus=stimuli, delay=1.9)
    assert "samples are missing from" in measured.reasons["amplitudes"]
    assert "in the response to event 2" in measured.reasons["paired_pulse_ratio"]
    assert "amplitude" in measured.metrics
    harmless = v.copy()
    harmless[(time > 700) & (time < 800)] = np.nan
    path = write_trace(tmp_path / "cell.csv", time, harmless)
    whole = stpspec.measure_file(path, stimulus=stimuli, delay=1.9)
    assert whole.metrics["amplitudes"].size == 9


def test_several_sweeps_have_an_sd_and_are_measured_in_their_mean(tmp_path):
    time, v = epsps()
    rng = np.random.default_rng(1)
    sizes = rng.normal(1, 0.1, 5)
    rows = np.column_stack([time, *(v[0] + s * (v - v[0]) for s in sizes)])
    head = ",".join(["time (ms)", *(f"sweep {k} (mV)" for k in range(5))])
    np.savetxt(tmp_path / "cell.csv", rows, delimiter=",", header=head, comments="")
    measured = stpspec.measure_file(tmp_path / "cell.csv", stimulus=[50.0], delay=1.9)
    one = v[:1000].max() - v[0]
    assert measured.n_sweeps == 5
    assert measured.metrics["amplitude"] == pytest.approx(one * sizes.mean(), rel=1e-3)
    assert measured.spreads["cell.amplitude"] == pytest.approx(one * sizes.std(ddof=1), rel=1e-3)
    assert " sd " in str(measured)


def test_a_recording_tells_the_noise_before_the_first_stimulus():
    rng = np.random.default_rng(7)
    time = np.arange(0, 400, 0.1)
    recording = Recording(time, rng.normal(-70, 0.2, (1, time.size)), "mV", np.array([300.0]), "x")
    sd, degrees = recording.noise(300.0)
    assert sd == pytest.approx(0.2, rel=0.05)
    assert degrees == pytest.approx(2999, rel=0.02)
    assert recording.noise(1.0) is None


# -- the command ----------------------------------------------------------------------------------


def stpspec_command(*words):
    """Run the command; return its exit code."""
    from stpspec.cli.main import main

    return main(list(words))


def test_measure_prints_every_metric_with_its_unit_and_saves_nothing(tmp_path):
    write_trace(tmp_path / "cell.csv", *epsps())
    words = ("measure", "cell.csv", "--stimulus", "50", "--protocol", "train", "frequency=20 Hz",
             "n_recovery=1", "recovery_delay=0.55 s", "--delay", "1.9 ms")  # fmt: skip
    done = small.cli(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    assert "cell (train)" in shown
    for line in (r"amplitude +\d\.\d+ +mV", r"decay_time +1\d\.\d+ +ms", r"induction +-0\.\d+"):
        assert re.search(line, shown), line
    assert [p.name for p in tmp_path.iterdir()] == ["cell.csv"]
    done = small.cli(*words, "--metric", "amplitude,latency", "--out", "kept", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "kept" / "metrics.csv").read_text().splitlines()))
    assert [r["metric"] for r in rows] == ["amplitude", "latency"]
    assert (tmp_path / "kept" / "traces_cell.png").is_file()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [((), 2, "measure takes the file of a recorded trace"),
     (("gone.csv",), 1, "there is no file gone.csv"),
     (("cell.csv",), 1, "does not tell when the stimuli came"),
     (("cell.csv", "frequency=20"), 2, "frequency=… is a field of a protocol: name it, --protocol"),
     (("cell.csv", "--stimulus", "50", "--delay", "2 mV"), 2, "--delay and --bin are times"),
     (("cell.csv", "--stimulus", "50", "--metric", "amplitud"), 1, "Did you mean 'amplitude"),
     (("cell.csv", "--stimulus", "50", "--metric", "induction"), 1, "needs other stimuli"),
     (("cell.csv", "--stimulus", "5000"), 1, "and the stimuli come at 5000"),
     (("cell.csv", "--stimulus", "50,60", "--protocol", "train"), 1, "come at 0, 10 ms after")],
)  # fmt: skip
def test_a_command_that_cannot_measure_says_what_it_lacks(
    tmp_path, monkeypatch, capsys, words, code, says
):
    monkeypatch.chdir(tmp_path)
    write_trace(tmp_path / "cell.csv", *epsps())
    assert stpspec_command("measure", *words) == code
    assert says in " ".join(capsys.readouterr().err.split())
