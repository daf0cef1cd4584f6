"""A sweep is one Dataset over the swept fields, and equals the runs one by one."""

import csv

import numpy as np
import pytest
import small
import xarray as xr

import stpspec
from stpspec import analytic
from stpspec.config.sweep_overrides import list_overrides
from stpspec.errors import SpecError, StpspecError, UnknownNameError
from stpspec.specs.protocol import FREQUENCIES
from stpspec.view.sweep import default_metrics, plot_sweep
from stpspec.view.tables import sweep_table

TRAIN = {
    "protocols": {"train": {"kind": "train", "recovery_delay": "100 ms"}},
    "parameters": {},
    "objective": None,
}


@pytest.fixture(scope="module")
def experiment():
    return small.experiment(**TRAIN)


def test_a_swept_field_becomes_a_dimension_with_its_values(experiment):
    swept = stpspec.sweep(experiment, {"protocols.train.frequency": [20, 50]})
    assert swept["train.induction"].dims == ("frequency",)
    assert swept["frequency"].values.tolist() == [20, 50]
    assert swept["frequency"].attrs["long_name"] == "protocols.train.frequency"


def test_fields_and_parameters_are_swept_over_their_grid_and_equal_single_runs(experiment):
    grid = {"protocols.train.frequency": [20, 50], "U": [0.2, 0.4, 0.6]}
    swept = stpspec.sweep(experiment, grid)
    assert swept["train.recovery"].shape == (2, 3)
    one = small.experiment(**TRAIN | {"protocols__train__frequency": 50})
    tree = stpspec.simulate(one, {"U": 0.4})
    alone = stpspec.measure(one, tree)
    for name in ("train.recovery", "train.amplitude", "train.paired_pulse_ratio"):
        assert swept[name].sel(frequency=50, U=0.4).item() == pytest.approx(
            alone[name].item(), 1e-4
        )


def test_a_swept_field_of_several_trains_has_the_scalars_of_each_beside_vector_targets():
    several = small.experiment(
        protocols={"stp": {"kind": "trains", "frequencies": [10, 40], "n_induction": 2,
                           "n_recovery": 1, "recovery_delays": 100}},
        parameters={}, model__fixed={"U": 0.4, "tau_rec": 300, "tau_facil": 0, "tau_decay": 0.5},
        objective={"terms": {"sizes": {"metric": "amplitudes", "protocol": "stp",
                                       "target": [40, 30, 35, 40, 20, 30], "sd": 1}}},
    )  # fmt: skip
    swept = stpspec.sweep(several, {"protocols.stp.recovery_delays": [100, 400]})
    for interval, name in ((100, "stp.10Hz"), (25, "stp.40Hz")):
        sizes = [
            analytic.event_map(0.4, 300, 0, [0, interval, interval + d])[0] for d in (100, 400)
        ]
        exact = [(a[2] - a[0]) / max(a) for a in sizes]
        np.testing.assert_allclose(swept[f"{name}.recovery_single"], exact, atol=2e-3)
    shown = default_metrics(swept)
    assert {"stp.10Hz.recovery_single", "stp.40Hz.recovery_single"} <= set(shown)
    assert "stp.40Hz.recovery_single" in sweep_table(swept)


def test_sweep_with_the_fixed_step_equals_single_runs_to_the_bit():
    fixed = small.experiment(**TRAIN | {"numerics__integrator": "fixed"})
    swept = stpspec.sweep(fixed, {"protocols.train.frequency": [20, 50], "U": [0.2, 0.4]})
    one = small.experiment(**TRAIN | {"protocols__train__frequency": 50})  # auto: a run is fixed
    alone = stpspec.measure(one, stpspec.simulate(one, {"U": 0.4}))
    for name in ("train.recovery", "train.amplitude", "train.paired_pulse_ratio"):
        assert swept[name].sel(frequency=50, U=0.4).item() == alone[name].item()


def test_sweep_of_the_step_shows_what_the_step_does():
    amplitude = stpspec.sweep(small.experiment(**TRAIN), {"numerics.dt": [0.1, 0.4]})
    coarse, fine = amplitude["train.amplitude"].sel(dt=[0.4, 0.1]).values
    assert abs(coarse / fine - 1) > 1e-3


def test_the_paired_pulse_ratio_over_the_frequency_follows_the_closed_form(experiment):
    frequencies = [5, 10, 20, 50]
    swept = stpspec.sweep(experiment, {"protocols.train.frequency": frequencies})
    defaults = (0.5, 671.0, 17.0)
    expected = [analytic.paired_pulse_ratio(*defaults, 1000 / f).item() for f in frequencies]
    np.testing.assert_allclose(swept["train.paired_pulse_ratio"], expected, rtol=1e-4)


def test_without_fields_the_frequency_is_swept_over_its_default_grid():
    experiment = small.experiment(
        **TRAIN | {"protocols": {"train": {"kind": "train", "n_induction": 2, "n_recovery": 0}}}
    )
    swept = stpspec.sweep(experiment)
    assert tuple(swept["frequency"].values) == FREQUENCIES


def test_an_experiment_without_any_frequency_says_that_a_field_must_be_named():
    with pytest.raises(SpecError, match="name the field to sweep"):
        stpspec.sweep(small.experiment())


def test_a_numerics_or_recording_field_is_swept_too(experiment):
    swept = stpspec.sweep(
        experiment, {"recording.holding_potential": ["-70 mV", "-35 mV"], "numerics.dt": [0.1]}
    )
    ratio = swept["train.amplitude"].values[0] / swept["train.amplitude"].values[1]
    assert ratio == pytest.approx(2.0, rel=1e-5)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"protocols.train.frequncy": [1]}, "did you mean 'frequency'"),
        ({"protocols.trian.frequency": [1]}, "did you mean 'train'"),
        ({"protocols.train.frequency": []}, "needs a list"),
        ({"protocols.train.frequency": ["5 mV"]}, "another dimension"),
        ({"Use": [0.5]}, "no parameter of this name"),
        ({"seed": [1, 2]}, "nothing of a simulation depends on it"),
        ({"fitter.n_starts": [1, 2]}, "nothing of a simulation depends on it"),
    ],
)
def test_a_sweep_that_cannot_be_done_says_why(experiment, fields, told):
    with pytest.raises(SpecError, match=told):
        stpspec.sweep(experiment, fields)


def test_a_combination_that_cannot_be_measured_has_a_reason_and_no_number(experiment):
    swept = stpspec.sweep(experiment, {"U": [0.0, 0.5]})
    assert np.isnan(swept["train.induction"].values[0])
    assert "train.induction" in str(swept["reason"].values[0])
    assert np.isfinite(swept["train.induction"].values[1])
    assert "none" not in sweep_table(swept)
    assert "is missing" in sweep_table(swept)


def test_the_figure_has_reference_lines_and_a_line_for_each_value_of_the_second_field(experiment):
    swept = stpspec.sweep(experiment, {"protocols.train.frequency": [5, 100], "U": [0.2, 0.5]})
    axes = plot_sweep(swept, ["train.paired_pulse_ratio", "train.induction"])
    assert [ax.lines[0].get_ydata()[0] for ax in axes] == [1.0, 0.0]
    assert {line.get_label() for line in axes[0].lines[1:]} == {"U = 0.2", "U = 0.5"}
    assert axes[-1].get_xscale() == "log"
    assert plot_sweep(swept, scale="linear")[-1].get_xscale() == "linear"
    with pytest.raises(UnknownNameError):
        plot_sweep(swept, ["nothing"])


def test_a_sweep_saved_by_an_earlier_version_is_still_plotted_the_same(experiment, tmp_path):
    swept = stpspec.sweep(experiment, {"protocols.train.frequency": [5, 50]})
    assert swept["train.induction"].attrs["metric"] == "induction"
    assert swept["train.induction"].attrs["protocol"] == "train"
    former = swept.copy()
    for variable in former.data_vars.values():
        for attribute in ("metric", "protocol"):
            variable.attrs.pop(attribute, None)
    former.to_netcdf(tmp_path / "sweep.nc")
    with xr.open_dataset(tmp_path / "sweep.nc") as saved:
        assert default_metrics(saved) == default_metrics(swept)
        for now, then in zip(plot_sweep(swept), plot_sweep(saved), strict=True):
            assert len(now.lines) == len(then.lines)


def test_values_given_in_different_units_lie_on_one_axis_in_the_unit_of_the_field(experiment):
    swept = stpspec.sweep(
        experiment,
        {"protocols.train.frequency": ["20 Hz", "0.05 kHz"], "model.fixed.tau_decay": ["2 ms"],
         "tau_rec": ["0.1 s", 300]},
    )  # fmt: skip
    assert swept["frequency"].values.tolist() == [20, 50]
    assert swept["tau_decay"].values.tolist() == [2]
    assert swept["tau_rec"].values.tolist() == [100, 300]
    units = {str(d): swept[d].attrs["units"] for d in swept.dims}
    assert units == {"frequency": "Hz", "tau_decay": "ms", "tau_rec": "ms"}
    axes = plot_sweep(swept, ["train.induction"])
    assert axes[0].get_xlabel() == "Frequency (Hz)"
    assert "frequency (Hz)  tau_decay (ms)  tau_rec (ms)" in sweep_table(swept)


def test_a_whole_recording_is_swept_and_both_units_of_an_amplitude_are_named(experiment):
    swept = stpspec.sweep(experiment, {"recording": ["voltage_clamp", "current_clamp"]})
    assert swept["recording"].values.tolist() == ["voltage_clamp", "current_clamp"]
    assert swept["train.amplitude"].attrs["units"] == "pA or mV"
    named = stpspec.sweep(experiment, {"recording": {"held": {"kind": "voltage_clamp"}}})
    assert named["recording"].values.tolist() == ["held"]
    assert named["train.amplitude"].item() == swept["train.amplitude"][0].item()


def test_what_only_some_combinations_can_give_is_missing_in_the_others(experiment):
    swept = stpspec.sweep(experiment, {"protocols.train.n_recovery": [0, 1]})
    assert np.isnan(swept["train.recovery_single"].values[0])
    assert swept["train.recovery_single"].values[1] < 0
    assert "'train' gives no recovery_single" in str(swept["reason"].values[0])


def test_a_figure_of_three_swept_fields_keeps_its_axes_and_legend_in_sight():
    dims = {"frequency": [1.0, 10.0], "delay": [125.0, 250.0, 500.0], "U": np.linspace(0.1, 0.9, 9)}
    values = np.zeros([len(v) for v in dims.values()])
    swept = xr.Dataset({n: (list(dims), values) for n in ("a", "b", "c")}, dims)
    axes = plot_sweep(swept)
    assert len(axes[0].lines) >= 27
    texts = [t.get_text() for t in axes[0].get_legend().get_texts()]
    assert len(texts) <= 10
    assert {"U = 0.1", "U = 0.9", "delay = 125", "delay = 500"} <= set(texts)
    figure = axes[0].figure
    figure.draw_without_rendering()
    legend = axes[0].get_legend().get_window_extent()
    assert figure.bbox.x0 <= legend.x0 < legend.x1 <= figure.bbox.x1
    assert all(ax.get_window_extent().width > figure.bbox.width / 2 for ax in axes)
    assert all(ax.get_window_extent().height > figure.bbox.height / 5 for ax in axes)


def test_shown_are_ratios_the_terms_that_change_and_the_amplitude_where_nothing_else_does():
    names = {
        "late": "recovery_single of train", "rise": "rise_time of single",
        "train.recovery": "recovery of train", "train.amplitude": "amplitude of train",
        "train.charge": "charge of train",
    }  # fmt: skip
    changing, constant = ("delay", [0.1, 0.2]), ("delay", [0.1, 0.1])
    data = {n: (*changing, {"long_name": text}) for n, text in names.items()}
    data["rise"] = (*constant, {"long_name": names["rise"]})
    assert default_metrics(xr.Dataset(data)) == ["train.recovery", "late"]
    data["train.recovery"] = (*constant, {"long_name": names["train.recovery"]})
    data["late"] = (*constant, {"long_name": names["late"]})
    assert default_metrics(xr.Dataset(data)) == ["train.recovery", "train.amplitude"]


def test_a_plot_says_how_many_axes_it_needs(experiment):
    swept = stpspec.sweep(experiment, {"U": [0.2, 0.4]})
    axes = plot_sweep(swept, ["train.induction"])
    with pytest.raises(StpspecError, match=r"2 axes are needed.*got 1"):
        plot_sweep(swept, ["train.induction", "train.recovery"], axes=axes)


def test_the_command_sweeps_ranges_choices_and_groups(tmp_path):
    (tmp_path / "mine.yaml").write_text(small.YAML)
    fields, rest = list_overrides(
        tmp_path / "mine.yaml",
        ["U=range(0.1,0.4,0.1)", "recording=voltage_clamp,current_clamp", "numerics.dt=0.1",
         "protocols.single.duration=[20 ms,0.03 s]", "recording.variables=[u_last]",
         "+protocol@protocols.more=[train,continuous]", "model.fixed.tau_facil=1,10"],
    )  # fmt: skip
    assert rest == ["numerics.dt=0.1", "recording.variables=[u_last]"]
    assert fields["U"] == [0.1, 0.2, 0.3]
    assert {k: v["kind"] for k, v in fields["recording"].items()} == {
        "voltage_clamp": "voltage_clamp", "current_clamp": "current_clamp"
    }  # fmt: skip
    assert fields["protocols.single.duration"] == ["20 ms", "0.03 s"]
    assert fields["model.fixed.tau_facil"] == [1, 10]
    assert list(fields["protocols.more"]) == ["train", "continuous"]


@pytest.mark.long
def test_the_command_sweeps_lists_and_leaves_table_csv_netcdf_and_figure(tmp_path):
    text = small.YAML.replace("single_event", "train").replace("single", "train")
    text = text.replace("train: {duration: 20 ms}", "train: {recovery_delay: 50 ms}")
    (tmp_path / "mine.yaml").write_text(text)
    done = small.cli(
        "sweep", "mine.yaml", "protocols.train.frequency=[20,50,100]", "U=[0.2,0.4]",
        "--out", "swept", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len([x for x in done.stdout.splitlines() if x.strip()[:3].strip().isdigit()]) == 6
    with (tmp_path / "swept/sweep.csv").open() as file:
        assert len(list(csv.reader(file))) == 7
    with xr.open_dataset(tmp_path / "swept/sweep.nc") as stored:
        assert dict(stored.sizes) == {"frequency": 3, "U": 2}
    assert (tmp_path / "swept/sweep.png").stat().st_size > 10_000
    assert (tmp_path / "swept/experiment.yaml").is_file()


@pytest.mark.long
def test_a_saved_result_is_run_and_swept_at_its_fitted_values(tmp_path):
    (tmp_path / "small.yaml").write_text(small.YAML)
    assert small.cli("fit", "small.yaml", "--out", "fit", cwd=tmp_path).returncode == 0
    shown = small.cli("run", "fit", "--out", "run", cwd=tmp_path).stdout
    assert "small at U = 0.6" in shown


def test_a_list_for_a_field_that_is_a_list_is_no_sweep(tmp_path):
    text = small.YAML.replace("single_event", "spike_times").replace(
        "single: {duration: 20 ms}", "single: {tail: 20 ms, n_induction: null}"
    )
    (tmp_path / "mine.yaml").write_text(text)
    done = small.cli(
        "sweep", "mine.yaml", "protocols.single.times=[0,10]", "U=[0.2,0.4]", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "paired_pulse_ratio" in done.stdout
