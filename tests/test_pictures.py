"""What Python shows while it works and when it is done: pictures for a notebook, and progress."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from small import experiment

import stpspec
from stpspec.view import plot_path, plot_targets
from stpspec.view.pictures import Panels


@pytest.fixture(scope="module")
def fitted():
    return stpspec.fit(experiment())


def test_a_figure_of_its_own_is_a_picture_and_one_in_given_axes_is_left_to_its_owner(fitted):
    own = [plot_targets(fitted), plot_path(fitted.history, fitted.experiment.parameters)]
    for shown in [*own, own[1][:1], fitted.plot(), fitted.experiment.plot()]:
        assert shown._repr_png_().startswith(b"\x89PNG")
    assert isinstance(own[1], Panels)
    assert not hasattr(plot_targets(fitted, ax=Figure().subplots()), "_repr_png_")


def test_the_plot_of_an_experiment_takes_values_and_shows_every_protocol_and_the_targets(fitted):
    figure = fitted.experiment.plot(fitted.parameters)
    n = len(fitted.experiment.protocols)
    assert len(figure.axes) == n + 1
    name, value = next(iter(fitted.parameters.items()))
    assert f"{name} = {value:.4g}" in figure.texts[0].get_text()
    untargeted = fitted.experiment.changed({"objective": None, "parameters": {}})
    assert len(untargeted.plot().axes) == n


def test_a_result_is_swept_at_its_fitted_values_unless_others_are_given(fitted):
    name, value = next(iter(fitted.parameters.items()))
    fields = {"recording.holding_potential": [-60.0, -70.0]}
    swept = stpspec.sweep(fitted, fields)
    there = stpspec.sweep(fitted.experiment, fields, values=fitted.parameters)
    elsewhere = stpspec.sweep(fitted, fields, values={name: value / 2})
    term = next(iter(fitted.metrics))
    assert np.array_equal(swept[term], there[term])
    assert not np.allclose(swept[term], elsewhere[term])


def test_progress_true_shows_a_bar_with_the_loss_and_false_shows_none(fitted, capsys):
    stpspec.fit(fitted.experiment, progress=True)
    shown = capsys.readouterr().err
    assert "simulation" in shown
    assert "loss " in shown
    fields = {"recording.holding_potential": [-60.0, -70.0]}
    stpspec.sweep(fitted, fields, progress=True)
    assert "combination" in capsys.readouterr().err
    stpspec.sweep(fitted, fields, progress=False)
    stpspec.fit(fitted.experiment, progress=False)
    assert capsys.readouterr().err == ""
