"""Figures for others: readable in hard cases, what they say, and the data that are behind them."""

from __future__ import annotations

import csv
import io
import re

import figure_cases as cases
import numpy as np
import pytest
import small
from test_plots import assert_readable, boxes

import stpspec
from stpspec.errors import SpecError
from stpspec.results.multirun import Job
from stpspec.view.amplitudes import plot_amplitudes
from stpspec.view.campaign_figure import plot_campaign
from stpspec.view.data import csv_of
from stpspec.view.multirun import jobs_table, plot_jobs, seeds_note
from stpspec.view.path import plot_path
from stpspec.view.save import write_figure, write_figures
from stpspec.view.sweep import plot_sweep
from stpspec.view.traces import plot_traces


def texts(axes):
    return [" ".join(text.get_text().split()) for text, _ in boxes(axes)]


def data_of(axes):
    """Return (panel, series) → x and y as the CSV of a figure has them."""
    found = {}
    for row in csv.DictReader(io.StringIO(csv_of(np.ravel(axes)[0].get_figure()))):
        found.setdefault((row["panel"], row["series"]), []).append((row["x"], row["y"], row["sd"]))
    return found


@pytest.mark.parametrize("name", list(cases.CASES))
def test_no_text_of_a_hard_case_is_cut_or_lies_on_another(name):
    assert_readable(cases.CASES[name]())


# -- traces -------------------------------------------------------------------------------------


@pytest.mark.parametrize("frequency", [20, 100, 200])
@pytest.mark.parametrize("delay", [125, 4000])
def test_every_pulse_of_a_train_has_its_number_however_close(frequency, delay):
    ax = plot_traces(cases.tree_of(cases.train(frequency, delay)), "p")
    numbers = [int(t.get_text()) for t in ax.texts]
    assert numbers == list(range(1, 13))
    assert_readable(ax)


def test_amplitudes_stand_on_their_baselines_as_they_are_measured():
    tree = cases.tree_of(cases.train(100), decay=10)
    shown = data_of(plot_traces(tree, "p"))
    panel = "Synaptic current (pA)"
    base, peak = (np.array(shown[panel, s], dtype=object)[:, 1].astype(float)
                  for s in ("baseline at the peak", "peak"))  # fmt: skip
    experiment = small.experiment(
        protocols={"p": {"kind": "train", "frequency": 100}},
        objective={"terms": {"a": {"metric": "amplitudes", "protocol": "p", "target": [1.0] * 12}}},
    )
    measured = stpspec.measure(experiment, tree)["a"].values[0]
    np.testing.assert_allclose(base - peak, measured, rtol=1e-9)
    assert (np.abs(base[1:8]) > 0.1).all()  # it is what is left of the pulse before


def test_each_recorded_signal_has_its_panel_and_the_measured_one_its_numbers():
    more = {"clamp_current": 1.0, "conductance": 0.02, "u_last": 0.01}
    axes = plot_traces(cases.tree_of(cases.train(), more=more), "p")
    labels = [ax.get_ylabel() for ax in axes]
    assert labels == ["Synaptic current (pA)", "Clamp current (pA)",
                      "Synaptic conductance (nS)", "u_last"]  # fmt: skip
    assert [len(ax.texts) for ax in axes] == [12, 0, 0, 0]
    alone = plot_traces(cases.tree_of(cases.train(), more=more), "p", signal="clamp_current")
    assert len(alone.texts) == 12


def test_both_cells_are_shown_with_the_coefficient_and_its_arithmetic():
    for bars in (False, True):
        axes = plot_traces(cases.tree_of(step=cases.STEP), "p", scale_bars=bars)
        assert len(axes) == 2
        told = "Coupling coefficient 0.015 = ΔV2 / ΔV1 = −0.015 mV / −0.999 mV"
        assert told in axes[-1].get_xlabel()
        levels = [line for line in axes[0].lines if line.get_label() == "Means that are compared"]
        assert [line.get_ydata()[0] for line in levels] == pytest.approx([-70, -70.9987], abs=1e-3)


def test_scale_bars_take_the_place_of_axes_and_have_the_length_that_they_say():
    ax = plot_traces(cases.tree_of(cases.train()), "p", scale_bars=True)
    bars = [line for line in ax.lines if line.get_gid() == "scale bar"]
    up, across = np.ptp(bars[0].get_ydata()), np.ptp(bars[1].get_xdata())
    assert {f"{up:g} pA", f"{across:g} ms"} <= {t.get_text() for t in ax.texts}
    assert not any(spine.get_visible() for spine in ax.spines.values())
    assert ax.get_xlabel() == ""


def test_a_recorded_trace_is_drawn_over_the_fitted_one_window_by_window():
    tree, experiment = cases.recorded_result()
    ax = plot_traces(tree, "p", experiment=experiment)
    (line,) = [x for x in ax.lines if x.get_label() == "Recorded ± SD"]
    drawn = line.get_ydata()
    target = experiment.objective.terms["recorded"].target
    np.testing.assert_allclose(drawn[np.isfinite(drawn)], target, atol=1e-9)
    assert np.isnan(drawn).sum() == 1  # nothing is drawn between the windows
    assert line.get_xdata()[0] == -5
    assert len(data_of(ax)["Synaptic current (pA)", "recorded"]) == len(target)


# -- amplitude against pulse number -------------------------------------------------------------


def test_each_frequency_has_a_panel_with_data_sd_and_model():
    result = cases.amplitudes_result([50, 5, 20], sd=0.12, n=9)
    axes = plot_amplitudes(result)
    assert [ax.get_title(loc="left") for ax in axes] == ["5 Hz", "20 Hz", "50 Hz"]
    shown = data_of(axes)
    rows = shown["20 Hz", "data"]
    assert [float(y) for _, y, _ in rows] == pytest.approx(
        result.experiment.objective.terms["a20"].target
    )
    assert {float(sd) for _, _, sd in rows} == {0.04}  # of the mean of nine
    assert "Data ± s.e.m. (n = 9)" in texts(axes)
    model = [float(y) for _, y, _ in shown["20 Hz", "model"]]
    assert model == pytest.approx(result.metrics["a20"].tolist())
    assert len({ax.get_ylim() for ax in axes}) == 1
    assert "250 ms" in texts(axes)


def test_protocols_without_data_show_the_model_and_single_events_nothing():
    result = cases.amplitudes_result([50])
    result.experiment.objective = None
    (ax,) = plot_amplitudes(result)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["Model"]
    assert ax.get_ylabel() == "Amplitude (pA)"
    result.traces = cases.tree_of([0.0])
    assert plot_amplitudes(result).size == 0


# -- sweeps -------------------------------------------------------------------------------------


def test_a_sweep_names_its_axes_as_people_say_them_and_marks_the_target_where_it_holds():
    axes = plot_sweep(cases.swept_of())
    assert axes[-1].get_xlabel() == "Frequency (Hz)"
    assert [ax.get_ylabel() for ax in axes] == ["ppr", "Induction"]
    assert data_of(axes)["ppr", "target"] == [("50", "0.7", "0.08")]
    assert "The same everywhere: recovery −0.33; rise 0.61 ms" in texts(axes)
    ticks = [t.get_text() for t in axes[-1].get_xticklabels() if t.get_text()]
    assert {"1", "10", "100"} <= set(ticks)


def test_a_target_outside_of_the_sweep_is_no_point_of_it():
    assert ("ppr", "target") not in data_of(plot_sweep(cases.swept_of(3)))


def test_where_nothing_changes_or_has_a_value_the_figure_says_so():
    assert any(
        "The same everywhere: ppr 0.63" in t for t in texts(plot_sweep(cases.swept_of(flat=True)))
    )
    told = texts(plot_sweep(cases.swept_of(missing=True), ["train.recovery"]))
    assert "No value: train.recovery: a1 is 0" in told


def test_a_sweep_keeps_targets_and_own_values_of_its_experiment():
    experiment = small.experiment(
        protocols={"t": {"kind": "train", "frequency": "50 Hz"}},
        objective={"terms": {"ppr": {"metric": "paired_pulse_ratio", "protocol": "t",
                                     "target": 0.6, "sd": 0.2, "n": 4}}},
    )  # fmt: skip
    swept = stpspec.sweep(experiment, {"protocols.t.frequency": [20, "0.1 kHz"]})
    assert swept["ppr"].attrs["target"] == 0.6
    assert swept["ppr"].attrs["target_sd"] == pytest.approx(0.1)
    assert swept["frequency"].attrs["own"] == 50


# -- campaigns ----------------------------------------------------------------------------------


def test_a_campaign_shows_the_targets_of_failed_rows_and_reference_lines():
    axes = plot_campaign(cases.connections_of(12, failed=3, long=False))
    shown = data_of(axes)
    assert len(shown["ppr", "target"]) == 12
    assert len(shown["ppr", "achieved"]) == 9
    assert shown["amplitude (pA)", "target"][0] == ("L1 no. 0→pvalb", "20", "3")
    lines = {ax.get_title(): [x.get_xdata()[0] for x in ax.lines if x.get_linestyle() == "--"]
             for ax in axes}  # fmt: skip
    assert (lines["ppr"], lines["recovery"], lines["amplitude (pA)"]) == ([1.0], [0.0], [])
    assert "L1 no. 0→pvalb (failed)" in texts(axes)


def test_a_value_of_zero_is_a_point_that_can_be_seen():
    (connection,) = cases.connections_of(1, failed=0)
    connection.summary["metrics"]["recovery"]["achieved"] = 0.0
    ax = next(a for a in plot_campaign([connection]) if a.get_title() == "recovery")
    (points,) = [x for x in ax.lines if x.get_marker() == "o"]
    assert points.get_xdata().tolist() == [0.0]
    assert ax.get_xlim()[0] < 0 < ax.get_xlim()[1]


# -- multiruns ----------------------------------------------------------------------------------


def test_losses_are_steps_and_equal_jobs_are_named_on_one_line():
    axes = plot_jobs(cases.jobs_of())
    drawn = [x for x in axes[0].lines if len(x.get_xdata())]
    assert {x.get_drawstyle() for x in drawn} == {"steps-post"}
    assert len(drawn) == 4  # one of the three equal ones
    assert len({(x.get_color(), x.get_linestyle()) for x in drawn}) == 2
    assert "Jobs 0, 1, 2 (equal)" in texts(axes)
    assert any("no sign of robustness" in t for t in texts(axes))


def test_only_jobs_that_differ_in_nothing_but_their_seed_get_the_note():
    assert "jobs 0, 1, 2 (slsqp)" in seeds_note(cases.jobs_of())
    assert seeds_note(cases.jobs_of(equal=False)) == ""
    same = np.array([2.0, 1.0])
    by_bound = [Job(str(k), {"parameters.U.max": str(k)}, "done", "", {"name": "a"}, same, same)
                for k in range(2)]  # fmt: skip
    assert seeds_note(by_bound) == ""
    assert "no sign of robustness" in jobs_table(cases.jobs_of(), ["seed"])


# -- paths --------------------------------------------------------------------------------------


def test_the_legend_of_a_path_names_only_what_is_drawn_and_its_dots_lie_on_top():
    panels = plot_path(cases.history_of(20, 0.0), cases.parameters_of("U"))
    assert "Failed" not in texts(panels)
    dots, best = panels[0].lines[:2]
    assert dots.get_zorder() > best.get_zorder()
    failed = plot_path(cases.history_of(5, 1.0), cases.parameters_of("U"))
    assert "Best so far" not in texts(failed)
    assert "Failed" in texts(failed)


# -- files --------------------------------------------------------------------------------------


def test_a_figure_is_written_in_each_format_twice_the_same_with_the_data_that_it_shows(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        axes = plot_amplitudes(cases.amplitudes_result([5, 50]))
        written = write_figure(
            lambda axes=axes: axes, tmp_path / folder / "amplitudes", ["png", "svg", "pdf"]
        )
        assert [p.suffix for p in written] == [".png", ".svg", ".pdf", ".csv"]
    a, b = tmp_path / "a", tmp_path / "b"
    for file in sorted(a.iterdir()):
        assert file.read_bytes() == (b / file.name).read_bytes()
    assert (a / "amplitudes.pdf").read_bytes().startswith(b"%PDF")
    assert "<svg" in (a / "amplitudes.svg").read_text(encoding="utf-8")
    text = (a / "amplitudes.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    for ax in axes:
        title = ax.get_title(loc="left")
        line = next(x for x in ax.lines if x.get_label() == "Model").get_ydata()
        written = [float(r["y"]) for r in rows if (r["panel"], r["series"]) == (title, "model")]
        np.testing.assert_allclose(written, line[np.isfinite(line)], rtol=1e-9)


def test_the_experiment_says_how_the_figures_of_its_result_are_written(tmp_path):
    experiment = small.experiment(figures={"format": ["svg", "pdf"], "scale_bars": True})
    result = stpspec.fit(experiment)
    names = {p.name for p in write_figures(result, tmp_path)}
    assert names == {f"{n}.{kind}" for n in ("traces_single", "path", "targets")
                     for kind in ("svg", "pdf", "csv")}  # fmt: skip
    assert small.experiment(figures={"format": "svg"}).figures.format == ["svg"]
    with pytest.raises(SpecError, match=re.escape("figures.format")):
        small.experiment(figures={"format": ["jpeg"]})


def test_a_long_trace_keeps_its_extremes_in_few_points():
    tree = cases.tree_of(cases.train(20, 4000, n=8))
    ax = plot_traces(tree, "p")
    whole, drawn = tree["p"]["synaptic_current"].values, ax.lines[0].get_ydata()
    assert whole.size > 4000 >= drawn.size - 2
    assert (drawn.min(), drawn.max()) == (whole.min(), whole.max())
    assert len(csv_of(ax.figure)) < 300_000
