"""Figures: labels and artists are there, nothing is cut, pulse numbers keep apart."""

from __future__ import annotations

import itertools
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from figure_cases import LONG, STEP, history_of, parameters_of, train, tree_of

from stpspec.errors import UnknownNameError
from stpspec.specs.figures import Figures
from stpspec.specs.objective import Objective
from stpspec.specs.protocol import Train
from stpspec.view.path import plot_path
from stpspec.view.save import write_figures
from stpspec.view.targets import plot_targets
from stpspec.view.traces import plot_traces


def result_of(**terms):
    terms = terms or {
        "ppr": ({"target": 0.63, "sd": 0.1}, 0.71, "1"),
        LONG: ({"target": -0.53, "sd": 0.12}, -0.5312, "1"),
        "recovery": ({"target": -0.2, "sd": 0.05, "weight": 0}, -0.33, "1"),
        "half_width": ({"target": 3.2}, 2.9, "ms"),
        "amplitudes": ({"target": [1.0, 0.6, 0.3], "sd": 0.1}, np.array([1.0, 0.7, 0.2]), "pA"),
    }
    made = {n: {"metric": "m", "protocol": "p", **t} for n, (t, _, _) in terms.items()}
    return SimpleNamespace(
        experiment=SimpleNamespace(
            objective=Objective.model_validate({"terms": made}),
            parameters=parameters_of("U", "tau_rec", "tau_facil", "weight"),
            protocols={"p": Train()},
            figures=Figures(),
        ),
        loss=0.02,
        parameters={"U": 0.3, "tau_rec": 200.0, "tau_facil": 5.0, "weight": 1.0},
        metrics={n: value for n, (_, value, _) in terms.items()},
        metric_units={n: unit for n, (_, _, unit) in terms.items()},
        history=history_of(names=("U", "tau_rec", "tau_facil", "weight")),
        traces=tree_of(train()),
    )


def boxes(axes):
    """Draw the figure; return (Text, its box) of all text that shows in it."""
    from matplotlib.text import Text

    figure = np.ravel(axes)[0].get_figure()
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    shown = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    found = [(t, Text.get_window_extent(t, renderer)) for t in shown]
    ticks = {
        id(label)
        for ax in figure.axes
        for axis in (ax.xaxis, ax.yaxis)
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        for label in (tick.label1, tick.label2)
    }
    drawn = {id(label) for ax in figure.axes for label in in_view(ax)}
    return [(t, b) for t, b in found if id(t) in drawn or id(t) not in ticks]


def in_view(ax):
    """Return the tick labels within the limits; others are kept, but not drawn."""
    for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
        low, high = min(limits), max(limits)
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
            if low <= tick.get_loc() <= high:
                yield from (tick.label1, tick.label2)


def assert_readable(axes):
    found = boxes(axes)
    bounds = np.ravel(axes)[0].get_figure().bbox
    for text, box in found:
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= bounds.x1 and box.y1 <= bounds.y1
        assert inside, f"cut: {text.get_text()!r} {box}"
    for (a, box_a), (b, box_b) in itertools.combinations(found, 2):
        assert not box_a.overlaps(box_b), f"{a.get_text()!r} overlaps {b.get_text()!r}"


def pulse_numbers(ax):
    return sorted(int(t.get_text()) for t in ax.texts)


@pytest.mark.parametrize(
    ("spikes", "expected"),
    [
        pytest.param([0.0], [1], id="single event"),
        pytest.param(train(), list(range(1, 13)), id="50 Hz"),
        pytest.param(train(100), list(range(1, 13)), id="100 Hz"),
        pytest.param(train(200, 1000), list(range(1, 13)), id="200 Hz, long delay"),
        pytest.param(train(n=100, n_recovery=0), [1, *range(10, 101, 10)], id="continuous"),
        pytest.param(train(200, n=1000, n_recovery=0), None, id="1000 pulses"),
    ],
)
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("decay", [2.0, 10.0])
def test_pulses_are_marked_and_numbered_readably(spikes, expected, sign, decay):
    ax = plot_traces(tree_of(spikes, sign=sign, decay=decay), "p")
    assert ax.get_xlabel() == "Time after stimulus onset (ms)"
    assert ax.get_ylabel() == "Synaptic current (pA)"
    np.testing.assert_allclose(ax.lines[1].get_xdata(), np.array(spikes) + 1.3)
    assert expected is None or pulse_numbers(ax) == expected
    border = {8, 9} if len(spikes) == 12 else set()
    assert {1, *border} <= set(pulse_numbers(ax))
    assert_readable(ax)


def test_numbers_stand_beyond_their_peaks():
    ax = plot_traces(tree_of(train()), "p")
    t, y = ax.lines[0].get_data()
    for text, spike in zip(sorted(ax.texts, key=lambda a: a.xy[0]), train(), strict=True):
        window = (t >= spike + 1.3) & (t < spike + 20)
        seen = t[window][y[window].argmin()], y[window].min()
        assert text.xy[0] == pytest.approx(seen[0], abs=0.1)  # between the samples
        assert seen[1] - 0.02 < text.xy[1] <= seen[1]


def test_trace_is_the_mean_of_the_trials_and_uses_the_given_axes():
    from matplotlib.figure import Figure

    given = Figure().subplots()
    assert plot_traces(tree_of([0.0], trials=3), "p", ax=given) is given
    assert given.get_title(loc="left") == "p (mean of 3 trials)"


def test_step_has_two_panels_or_shares_the_given_axes():
    from matplotlib.figure import Figure

    axes = plot_traces(tree_of(step=STEP), "p")
    assert [a.get_ylabel().replace("\n", " ") for a in axes] == [
        "Somatic voltage of cell 1 (mV)", "Somatic voltage of cell 2 (mV)",
    ]  # fmt: skip
    assert all(len(a.patches) == 1 for a in axes)
    assert_readable(axes)
    given = Figure(figsize=(7, 3), layout="constrained").subplots()
    ax = plot_traces(tree_of(step=STEP), "p", ax=given)
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert labels == ["Cell 1", "Cell 2", "−10 pA into cell 1"]
    changes = [np.abs(line.get_ydata()).max() for line in ax.lines]
    assert changes == pytest.approx([1.0, 0.015], rel=1e-3)
    one = plot_traces(tree_of(step=STEP), "p", signal="somatic_voltage_2")
    assert one.lines[0].get_ydata().min() == pytest.approx(-70.015)
    assert len(one.patches) == 1


def test_signal_is_drawn_where_the_usual_one_was_not_recorded():
    tree = tree_of([0.0])
    tree["p"] = xr.DataTree(tree["p"].to_dataset().rename(synaptic_current="clamp_current"))
    drawn = plot_traces(tree, "p").lines[0].get_ydata()
    assert drawn.min() == tree["p"]["clamp_current"].values.min()


def test_what_cannot_be_drawn_is_said():
    tree = tree_of([0.0])
    with pytest.raises(UnknownNameError, match=r"protocol 'q'.*: p"):
        plot_traces(tree, "q")
    with pytest.raises(UnknownNameError, match=r"signal 'v'.*: synaptic_current"):
        plot_traces(tree, "p", signal="v")
    with pytest.raises(IndexError):
        plot_traces(tree, "p", candidate=3)
    ax = plot_traces(tree_of([0.0], failure="p: NEURON stopped at $t"), "p")
    assert "NEURON stopped" in ax.texts[0].get_text()
    assert_readable(ax)


def test_event_beyond_the_end_is_no_trouble():
    ax = plot_traces(tree_of([0.0, 10.0], tail=1.0), "p")
    assert ax.lines[1].get_xdata() == pytest.approx([1.3])


def test_path_shows_best_bounds_and_failures():
    history = history_of(names=("U", "tau_rec", "tau_facil", "weight"))
    axes = plot_path(history, parameters_of("U", "tau_rec", "tau_facil", "weight"))
    assert [a.get_ylabel() for a in axes] == [
        "Loss", "U", "tau_rec (ms)", "tau_facil (ms)", "weight (µS)",
    ]  # fmt: skip
    assert [a.get_yscale() for a in axes] == ["log", "linear", "log", "log", "linear"]
    good = history["reason"].values == ""
    best = axes[0].lines[1].get_ydata()
    np.testing.assert_allclose(best, np.minimum.accumulate(history["loss"].values[good]))
    at = history["loss"].values[good].argmin()
    tau = history["parameter_tau_rec"].values[good][at]
    assert axes[2].lines[1].get_ydata()[-1] == pytest.approx(tau)
    assert axes[0].lines[2].get_xdata().tolist() == history["evaluation"].values[~good].tolist()
    dashed = [line.get_ydata()[0] for line in axes[1].lines if line.get_linestyle() == "--"]
    assert dashed == [4.0, 60.0]
    assert_readable(axes)


@pytest.mark.parametrize(("n", "failed"), [(1, 0.0), (1, 1.0), (5, 1.0)])
def test_path_of_few_or_failed_evaluations(n, failed):
    assert_readable(plot_path(history_of(n, failed), parameters_of("U", "tau_rec")))


def test_path_with_a_loss_of_zero_or_below_and_long_names():
    name = "tau_of_recovery_from_depression_slow"
    history = history_of(20, 0.0, (name,))
    history["loss"][:] = 0.0
    axes = plot_path(history, parameters_of(name))
    assert axes[0].get_yscale() == "linear"
    assert_readable(axes)
    with pytest.raises(ValueError, match="2 axes"):
        plot_path(history, parameters_of(name), axes=axes[:1])


def test_targets_show_misses_and_numbers():
    ax = plot_targets(result_of())
    texts = [t.get_text().strip() for t in ax.texts]
    assert "0.63 ± 0.1 → 0.71" in texts
    assert "3.2 → 2.9 ms" in texts
    assert "3 values, rms 0.82 sd" in texts
    labels = [t.get_text() for t in ax.get_yticklabels()]
    assert labels[1].replace("\n", "") == LONG
    assert labels[2] == "recovery (weight 0)"
    assert ax.get_xlabel() == "Achieved − target (SD of target)"
    percent = next(a for a in ax.get_figure().axes if a is not ax)
    assert percent.get_xlabel() == "Achieved − target (% of target)"
    assert percent.lines[-1].get_xdata() == pytest.approx([-9.375])
    assert_readable(ax)


@pytest.mark.parametrize(
    "terms",
    [
        {"zero": ({"target": 0.0}, 0.1, "mV")},
        {"negative": ({"target": -2.0}, -1.0, "mV")},
        {"one": ({"target": [2.0]}, np.array(1.0), "1")},
        {"trials": ({"target": 2.0, "sd": 1.0}, np.array([1.0, 2.0]), "1")},
        {"each": ({"target": [2.0, 1.0], "sd": [1.0, 2.0]}, np.ones((3, 2)), "pA")},
        {"far": ({"target": 1e-5, "sd": 1e-7}, 1.23456e6, "Mohm")},
        {f"term_{k}": ({"target": 1.0, "sd": 1.0}, 1.5, "ms") for k in range(15)},
    ],
)
def test_targets_of_every_shape(terms):
    assert_readable(plot_targets(result_of(**terms)))


def test_miss_of_a_negative_target_keeps_its_direction():
    ax = plot_targets(result_of(negative=({"target": -2.0}, -1.0, "mV")))
    assert ax.lines[1].get_xdata() == pytest.approx([50.0])


def test_figures_are_written_without_pyplot(tmp_path):
    loaded = "matplotlib.pyplot" in sys.modules
    paths = write_figures(result_of(), tmp_path)
    names = [f"{n}.{kind}" for n in ("traces_p", "path", "targets", "amplitudes")
             for kind in ("png", "csv")]  # fmt: skip
    assert [p.name for p in paths] == names
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in paths if p.suffix == ".png")
    assert ("matplotlib.pyplot" in sys.modules) == loaded
