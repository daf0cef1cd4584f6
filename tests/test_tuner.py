"""The tuner without its page: knobs, state, what is asked of the engine, and its process."""

import json
import queue
import re
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.models import Column
from bokeh.protocol import Protocol
from recorded_psps import SPIKES, TRUTH, voltage
from small import cli, data, experiment, python
from test_trace_fits import ONSET, write_csv
from test_trace_fits import experiment as psp_fit
from test_workers import ABORT, LOOP, SEGFAULT, faulty

import stpspec
from stpspec.engine.binding.bind import bind, bind_again, can_bind_again
from stpspec.errors import SpecError, StpspecError, TunerError
from stpspec.metrics.miss import Miss
from stpspec.specs.protocol import FREQUENCIES
from stpspec.tuner import Tuner, TunerServer, experiments_of
from stpspec.tuner.changes import CLAMP, changes_to, from_link
from stpspec.tuner.controls import Controls
from stpspec.tuner.decimation import shown_samples
from stpspec.tuner.figures import LossFigure, ResponseFigure
from stpspec.tuner.knobs import addable, knobs_of
from stpspec.tuner.layout import Layout
from stpspec.tuner.messages import (
    AskFacts,
    AskFit,
    AskMetrics,
    AskTargets,
    AskTraces,
    Better,
    Facts,
    Fitted,
    Measured,
    Metric,
    Point,
    Refused,
    Targets,
    Traces,
    value_of,
)
from stpspec.tuner.palette import LIGHT, palette
from stpspec.tuner.process import Engine
from stpspec.tuner.response_view import ResponseView
from stpspec.tuner.state import State, fit_data
from stpspec.tuner.tables import metrics_html, targets_html
from stpspec.tuner.views import first_view, questions, views_of, with_protocol
from stpspec.units import UnitError

FACTS = Facts(
    units={"weight": "1", "U": "1", "tau_decay": "ms", "tau_rec": "ms", "e": "mV", "gmax": "uS"},
    defaults={"U": 0.5, "tau_decay": 2.0, "tau_rec": 800.0, "e": 0.0, "gmax": 0.001},
    limits={"U": (0.0, 1.0), "tau_decay": (1e-6, 1e4)},
    recordable={"g": "uS", "i": "nA"},
)


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def engine():
    """Return an engine and the queue of what it answers."""
    answers = queue.Queue()
    made = Engine(lambda question, answer: answers.put(answer), patience=20.0)
    yield made, answers
    made.close()


def ask_once(question):
    """Ask one question of a process that ends with it; return the answer."""
    return ask([question])[0]


def ask(questions):
    """Ask questions of a process that ends with them; return the answers."""
    answers = queue.Queue()
    made = Engine(lambda question, answer: answers.put(answer), patience=60.0)
    try:
        made.submit(questions)
        return [answers.get(timeout=300) for _ in questions]
    finally:
        made.close()


def simulated(made, protocol):
    """Return the traces of a protocol, and what is measured in them."""
    data = made.to_data()
    return ask([AskTraces(data, (), protocol, 600), AskMetrics(data, (), protocol)])


def knob_named(name, knobs):
    return next(k for k in knobs if k.label == name)


def state(changes=None, **fields):
    return State(experiment(**fields), FACTS, changes, Clock())


# -- knobs ------------------------------------------------------------------------------------


def test_each_free_parameter_has_a_knob_with_its_unit_bounds_and_scale():
    made = experiment(parameters={
        "U": {"min": 0.1, "max": 0.9}, "tau_rec": {"min": "0.02 s", "max": "2 s", "scale": "log"},
    })  # fmt: skip
    knob = knob_named("tau_rec", knobs_of(made, FACTS, "single"))
    assert (knob.low, knob.high, knob.unit, knob.scale) == (20.0, 2000.0, "ms", "log")
    assert knob.bounds == "20 … 2000 (log)"
    assert knob.value == pytest.approx(200.0)  # the middle of a log scale
    assert knob.position() == pytest.approx(0.5)
    assert [knob.value_at(x) for x in (0.0, 0.5, 1.0)] == [20.0, 200.0, 2000.0]


@pytest.mark.parametrize("position", np.linspace(0, 1, 21))
def test_what_a_slider_gives_is_what_its_number_box_shows(position):
    for knob in knobs_of(experiment(), FACTS, "single"):
        value = knob.value_at(position)
        assert knob.low <= value <= knob.high
        assert knob.read(f"{value:.10g}") == value


def test_a_number_box_takes_a_unit_and_says_what_is_wrong_with_another():
    knob = knob_named("tau_decay", knobs_of(experiment(), FACTS, "single"))
    assert knob.read("0.005 s") == 5.0
    assert knob.read("−3") == -3.0
    for text, why in (("", "expected a number in ms"), ("fast", "."), ("3 mV", "mV")):
        with pytest.raises(UnitError, match=why):
            knob.read(text)


def test_the_other_parameters_of_the_mechanism_can_be_added_at_their_defaults():
    made = experiment()
    knobs = {k.label: k for k in addable(made, FACTS)}
    assert set(knobs) == {"tau_rec", "e", "gmax"}
    assert knobs["tau_rec"].value == 800.0
    assert (knobs["tau_rec"].low, knobs["tau_rec"].high) == (0.0, 16000.0)  # twenty times
    assert (knobs["e"].low, knobs["e"].high) == (-120.0, 80.0)


def test_the_slider_of_a_frequency_has_the_sixteen_values():
    made = experiment(protocols={"train": {"kind": "train"}}, objective=None)
    knob = knob_named("frequency", knobs_of(made, FACTS, "train"))
    assert {knob.value_at(x) for x in np.linspace(0, 1, 400)} == {float(f) for f in FREQUENCIES}
    assert knob.read("33.3") == 33.3
    delay = knob_named("recovery_delay", knobs_of(made, FACTS, "train"))
    assert (delay.low, delay.high, delay.scale) == (125.0, 4000.0, "log")


def test_the_coupling_of_a_gap_junction_has_a_slider_from_1e_5_to_1e_2_microsiemens():
    made = stpspec.load("fs_fs_gap").copy_with(parameters={}, objective=None)
    facts = Facts({"g": "uS"}, {"g": 0.0}, {"g": (0.0, 1000.0)})
    (knob,) = addable(made, facts)
    assert (knob.low, knob.high, knob.scale) == (1e-5, 1e-2, "log")


# -- state ------------------------------------------------------------------------------------


def test_undo_redo_and_reset_walk_through_what_was_changed_by_hand():
    made = state()
    opened = made.experiment
    made.change("parameters.U.start", 0.3)
    made.change("model.fixed.tau_decay", 4.0)
    assert made.experiment.parameters["U"].start == 0.3
    assert made.experiment.model.fixed["tau_decay"] == 4.0
    made.undo()
    assert made.experiment.model.fixed["tau_decay"] == "2 ms"
    made.undo()
    assert made.experiment == opened
    assert not made.can_undo
    made.redo()
    made.redo()
    assert made.experiment.model.fixed["tau_decay"] == 4.0
    made.reset()
    assert made.experiment == opened
    made.undo()
    assert made.experiment.parameters["U"].start == 0.3


def test_the_moves_of_one_drag_are_undone_together_and_those_of_two_are_not():
    made = state()
    clock = made._clock
    for value in (0.3, 0.4, 0.5):
        made.change("parameters.U.start", value)
        clock.now += 0.1
    clock.now += 5
    made.change("parameters.U.start", 0.6)
    made.undo()
    assert made.experiment.parameters["U"].start == 0.5
    made.undo()
    assert made.experiment.parameters["U"].start is None


def test_a_change_that_is_not_valid_changes_nothing_and_names_its_field():
    made = state({"parameters.U.start": 0.3})
    with pytest.raises(SpecError) as told:
        made.change("parameters.U.start", 0.95)
    assert [p.path for p in told.value.problems] == ["parameters.U"]
    assert "start must be within the bounds" in str(told.value)
    assert made.experiment.parameters["U"].start == 0.3
    made.undo()
    assert not made.can_undo


def test_a_link_restores_the_state():
    made = state()
    made.change("parameters.U.start", 0.3)
    made.change(CLAMP, False)
    made.change("recording.variables", ["g"])
    again = state(from_link(made.link()))
    assert again.experiment == made.experiment
    assert again.can_undo  # to the experiment as it was opened


@pytest.mark.parametrize(
    "changes",
    [
        {"model.mod": ["/tmp/evil.mod"]}, {"plugins": ["os"]}, {"model.cell.file": "x.py"},
        {"study.storage": "x"}, {"parameters": {}}, {"model.cell.arguments.x": 1},
    ],
)  # fmt: skip
def test_a_link_can_name_no_file_and_no_module(changes):
    with pytest.raises(SpecError, match="cannot be changed here"):
        state(changes)


def test_a_damaged_link_is_told():
    for text in ("{", "[1]", "7"):
        with pytest.raises(StpspecError, match="the link is damaged"):
            from_link(text)


def test_without_a_clamp_the_terms_that_need_it_are_set_aside_and_come_back():
    made = state(objective={"terms": {
        "size": {"metric": "amplitude", "protocol": "single", "target": 42.0, "sd": 1.0},
        "rise": {"metric": "rise_time", "protocol": "single", "target": 1.0,
                 "options": {"signal": "clamp_current"}},
        "late": {"metric": "latency", "protocol": "single", "target": 1.5},
    }})  # fmt: skip
    made.change(CLAMP, False)
    assert made.experiment.recording.kind == "current_clamp"
    assert list(made.experiment.objective.terms) == ["late"]
    assert "voltage clamp" in made.aside["size"]  # pA would be compared with mV
    assert "clamp_current" in made.aside["rise"]
    made.change(CLAMP, True)
    assert made.experiment == made.base
    assert not made.aside


def test_a_train_too_short_for_a_target_sets_it_aside():
    made = state(
        protocols={"train": {"kind": "train"}},
        objective={"terms": {"recovery": {"metric": "recovery", "protocol": "train",
                                          "target": -0.2}}},
    )  # fmt: skip
    made.change("protocols.train.n_recovery", 2)
    assert made.experiment.objective is None
    assert "recovery" in made.aside


def test_values_of_the_command_line_are_changes_of_free_and_of_fixed_parameters():
    assert changes_to(experiment(), {"U": 0.2, "e": "-10 mV"}) == {
        "parameters.U.start": 0.2, "model.fixed.e": "-10 mV",
    }  # fmt: skip


def test_the_yaml_of_a_state_is_the_same_experiment_again(tmp_path):
    made = state({"parameters.U.start": 0.37, "protocols.single.duration": 30.0})
    file = tmp_path / "tuned.yaml"
    file.write_text(made.yaml(), encoding="utf-8")
    assert stpspec.load(file) == made.experiment


# -- views ------------------------------------------------------------------------------------


def test_the_tabs_are_the_protocols_that_a_model_can_have():
    synapse = [v.title for v in views_of(stpspec.load("pvalb_pyr"))]
    assert synapse == ["single event", "train", "continuous", "frequency response"]
    assert [v.title for v in views_of(stpspec.load("fs_fs_gap"))] == ["gap step"]
    assert first_view(views_of(stpspec.load("pvalb_pyr"))).title == "train"


def test_looking_at_a_protocol_adds_none_to_the_experiment():
    made = experiment()
    view = next(v for v in views_of(made) if v.title == "continuous")
    shown, _, targets = questions(made, view, view.name, 800)
    assert "continuous" in shown.data["protocols"]
    assert "continuous" not in targets.data["protocols"]
    assert with_protocol(made, "single", "single_event") is made


def test_a_frequency_response_asks_for_each_of_the_sixteen():
    made = experiment()
    view = views_of(made)[-1]
    asked = questions(made, view, view.name, 800)
    assert isinstance(asked[0], AskTargets)
    assert [q.frequency for q in asked[1:]] == list(FREQUENCIES)


def test_a_point_that_was_simulated_while_a_knob_was_moved_is_not_drawn():
    made = experiment()
    view = views_of(made)[-1]
    layout = Layout(palette("default"), Controls(lambda *_: "", lambda _: None), "default")
    drawn = ResponseView(layout)
    before, now = (questions(made, view, view.name, 800)[1:] for _ in range(2))
    drawn.begin(before)
    drawn.begin(now)
    for asked in (before[0], *now):
        is_last = drawn.add(asked, Point(view.name, asked.frequency, ()))
        assert is_last == (asked is now[-1])
    column = layout.response.log.select_one({"name": "frequency response"}).data["frequency"]
    assert list(column) == list(FREQUENCIES)


# -- what is shown ----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [100, 4_001, 26_037])
def test_a_decimated_trace_keeps_both_ends_and_the_extremes_of_each_pixel(n):
    rng = np.random.default_rng(n)
    t, pixels = np.sort(rng.uniform(0, 500, n)), 600
    y = rng.normal(size=n)
    chosen = shown_samples(y, t, pixels)
    assert chosen.size <= max(4 * pixels, 0)
    assert (chosen[0], chosen[-1]) == (0, n - 1)
    assert (np.diff(chosen) > 0).all()
    pixel = np.minimum((pixels * (t - t[0]) / (t[-1] - t[0])).astype(int), pixels - 1)
    for k in range(0, pixels, 37):
        inside = np.flatnonzero(pixel == k)
        if inside.size:
            kept = np.intersect1d(chosen, inside)
            assert y[kept].max() == y[inside].max()
            assert y[kept].min() == y[inside].min()


def test_the_table_of_targets_says_how_far_off_each_is_in_words_too():
    near = Metric("size", "amplitude", "single", "pA", 42.5)
    far = Metric("late", "latency", "single", "ms", 9.0)
    none = Metric("rise", "rise_time", "single", "ms", float("nan"), "no <response>")
    misses = {"size": Miss.of(42.5, 42.0, 2.0, 4), "late": Miss.of(9.0, 1.0, 1.0)}
    html = targets_html(Targets((near, far, none), 64.25, "", misses), {"ppr": "two pulses"})
    assert "42 ± 1" in html
    assert '<td class="hit">▲ +0.5 sd</td>' in html
    assert '<td class="far">▲ +8 sd</td>' in html
    assert "no &lt;response&gt;" in html
    assert "not asked: two pulses" in html
    assert "loss <b>64.25</b>" in html


def test_a_target_of_many_values_leaves_room_for_its_name():
    many = Metric("psp", "trace", "train", "mV", (1.0,) * 900)
    html = targets_html(
        Targets((many,), 1.0, "", {"psp": Miss.of([1.0] * 900, [1.5] * 900, 0.5)}), {}
    )
    assert html.count("900 values") == 2
    assert "▼" not in html  # some may be above, some below
    assert len(re.sub("<[^>]+>", "", html)) < 120


def test_each_line_of_the_arithmetic_stands_once():
    steps = ("a1…a4 = 4, 3, 2, 1 pA",)
    html = metrics_html([
        Metric("train.induction", "induction", "train", "1", -0.5, "", steps, ("drifts",)),
        Metric("train.recovery", "recovery", "train", "1", -0.1, "", steps, ("drifts",)),
    ])  # fmt: skip
    assert html.count("a1…a4") == 1
    assert html.count("drifts") == 1


# -- the engine's process ---------------------------------------------------------------------


def test_the_mechanism_tells_units_defaults_limits_and_variables():
    facts = ask_once(AskFacts(data()))
    assert isinstance(facts, Facts)
    assert facts.units["tau_rec"] == "ms"
    assert facts.limits["U"] == (0.0, 1.0)
    assert "g" in facts.recordable


def test_pulses_are_measured_as_the_metrics_are():
    made = experiment(protocols={"train": {"kind": "train"}}, objective=None)
    answer, measured = simulated(made, "train")
    assert isinstance(answer, Traces), answer
    tree = stpspec.simulate(made)
    values = stpspec.measure(made, tree)
    assert answer.pulses.amplitude[0] == float(values["train.amplitude"].values[0])
    assert value_of(measured.metrics, "induction") == float(values["train.induction"].values[0])
    size = np.abs(answer.pulses.top - answer.pulses.base)
    assert size == pytest.approx(answer.pulses.amplitude, rel=1e-12)
    (current,) = [t for t in answer.traces if t.signal == "synaptic_current"]
    at_peaks = np.interp(answer.pulses.peak, current.t, current.y)
    assert at_peaks == pytest.approx(answer.pulses.top, rel=0.01)
    assert current.t.size <= 4 * 600


@pytest.mark.parametrize(
    ("changes", "unit"),
    [
        ({}, 1.0),
        (
            {
                "options": {"normalizer": "first"},
                "protocol": "stp.50Hz",
                "target": [1, 0.6, 0.5, 0.8],
            },
            None,
        ),
        ({"scale": "g"}, None),
    ],
    ids=["pA", "relative to the first", "relative to a free scale"],
)
def test_targets_of_amplitudes_are_told_in_the_unit_of_each_trace(changes, unit):
    trains = {"kind": "trains", "frequencies": [20, 50], "n_induction": 3, "n_recovery": 1}
    target = [1.0, 0.8, 0.7, 0.9, 1.0, 0.6, 0.5, 0.8]  # of both trains
    term = {"metric": "amplitudes", "protocol": "stp", "target": target, "sd": 0.1, **changes}
    made = experiment(protocols={"stp": trains}, objective={"terms": {"a": term}})
    data = made.to_data()
    drawn, told = ask([AskTraces(data, (), "stp.50Hz", 600), AskTargets(data)])
    marks, sd = told.amplitudes["stp.50Hz"]
    achieved = told.misses["a"].achieved[-4:]
    unit = unit or drawn.pulses.amplitude[0] / achieved[0]
    assert marks == pytest.approx(np.array(target[-4:]) * unit, rel=1e-9)
    assert sd == pytest.approx(0.1 * unit, rel=1e-9)
    assert drawn.pulses.amplitude == pytest.approx(achieved * unit, rel=1e-9)


def test_both_voltages_of_a_gap_step_come_with_the_means_that_are_compared():
    made = stpspec.load("fs_fs_gap")
    answer, measured = simulated(made, "step")
    assert {"somatic_voltage_1", "somatic_voltage_2"} <= {t.signal for t in answer.traces}
    rest1, moved1, rest2, moved2 = [level.value for level in answer.levels]
    coefficient = value_of(measured.metrics, "coupling_coefficient")
    assert (moved2 - rest2) / (moved1 - rest1) == pytest.approx(coefficient, rel=1e-9)


def test_what_was_recorded_comes_with_the_trace_at_its_level_and_a_place_can_be_moved(tmp_path):
    spikes, free = SPIKES[:2], ("U", "net_con.delay")
    time = np.arange(-20.0, 150.0, 0.1)
    write_csv(tmp_path / "cell.csv", time, voltage(time, spikes))
    target = {"file": str(tmp_path / "cell.csv"), "stimulus": [f"{ONSET} ms"]}
    made = psp_fit(target, free, spikes, subtract_baseline=True)
    names = {f"parameters.{n}.start": TRUTH[n] for n in free}
    answer = ask_once(AskTraces(made.changed(names).to_data(), (), "train", 600))
    assert isinstance(answer, Traces), answer
    (recorded,) = answer.recorded
    (model,) = (t for t in answer.traces if t.signal == recorded.signal)
    there = np.isfinite(recorded.y)
    at_model = np.interp(recorded.t[there], model.t, model.y)
    assert recorded.y[there] == pytest.approx(at_model, abs=0.05)  # mV
    facts = ask_once(AskFacts(made.to_data()))
    moved = State(made, facts, {"parameters.net_con.delay.start": 2.5})
    assert moved.experiment.parameters["net_con.delay"].start == 2.5
    labels = [k.label for k in knobs_of(made, facts, "train")]
    assert [n for n in labels if "delay" in n] == ["net_con.delay"]
    assert all(k.path.startswith("model.fixed.") for k in addable(made, facts))


@pytest.mark.parametrize("name", ["pvalb_pyr", pytest.param("fs_fs_gap", marks=pytest.mark.long)])
def test_a_saved_state_gives_the_same_metrics_to_the_digit_by_the_command(name, tmp_path, engine):
    made, answers = engine
    opened = stpspec.load(name)
    made.submit([AskFacts(opened.to_data())])
    tuned = State(opened, answers.get(timeout=120))
    first = next(iter(opened.parameters))
    knob = knob_named(first, knobs_of(opened, tuned.facts, next(iter(opened.protocols))))
    tuned.change(knob.path, knob.value_at(0.34))
    made.submit([AskTargets(tuned.experiment.to_data())])
    shown = answers.get(timeout=120)
    (tmp_path / "tuned.yaml").write_text(tuned.yaml(), encoding="utf-8")
    done = cli("run", "tuned.yaml", "--out", "again", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = stpspec.load(tmp_path / "again")
    values = stpspec.measure(again, stpspec.simulate(again))
    for metric in shown.metrics:
        assert metric.value == float(values[metric.name].values[0]), metric.name


def test_what_waits_is_overtaken_and_the_latest_is_run(engine):
    made, answers = engine
    asked = [
        experiment(parameters={"U": {"min": 0.1, "max": 0.9, "start": u}}).to_data()
        for u in np.linspace(0.15, 0.85, 40)
    ]
    for each in asked:
        made.submit([AskTraces(each, (), "single", 500), AskMetrics(each, (), "single")])
    shown = []
    while not shown or len(shown) < len(asked):
        try:
            answer = answers.get(timeout=60 if not shown else 3)
        except queue.Empty:
            break
        if isinstance(answer, Measured):
            shown.append(answer)
    assert len(shown) < len(asked)
    last = stpspec.Experiment.from_data(asked[-1])
    amplitude = float(stpspec.measure(last, stpspec.simulate(last))["size"].values[0])
    assert value_of(shown[-1].metrics, "amplitude") == amplitude


@pytest.mark.parametrize(
    "changes",
    [
        {"parameters.U.start": 0.3}, {"parameters.tau_rec.start": "0.3 s"},
        {"protocols.train.frequency": 20},
        {"parameters.U.start": 0.3, "protocols.train.recovery_delay": "1 s"},
    ],
)  # fmt: skip
def test_a_start_or_a_protocol_is_bound_again_as_it_is_bound_anew(changes):
    made = stpspec.load("pvalb_pyr")
    moved = made.changed(changes)
    assert can_bind_again(moved, made)
    assert bind_again(bind(made), moved).experiment == bind(moved).experiment


@pytest.mark.parametrize(
    "changes",
    [
        {"parameters.U.max": 0.8}, {"model.fixed.tau_decay": "9 ms"}, {"objective": None},
        {"recording.holding_potential": "-60 mV"}, {"protocols.more": {"kind": "single_event"}},
    ],
)  # fmt: skip
def test_all_else_is_bound_anew(changes):
    made = stpspec.load("pvalb_pyr")
    assert not can_bind_again(made.changed(changes), made)


def test_terms_that_share_a_scale_say_why_it_is_not_known():
    pair = {"single": {"kind": "single_event"}, "train": {"kind": "train"}}
    terms = {
        "size": {"metric": "amplitude", "protocol": "single", "target": 1.0, "scale": "g"},
        "second": {"metric": "amplitude", "protocol": "train", "target": 0.5, "scale": "g",
                   "options": {"pulse": 40}},
    }  # fmt: skip
    terms["second"] |= {"metric": "amplitudes", "target": [1.0] * 12, "options": {}}
    silent = experiment(protocols=pair, objective={"terms": terms}, model__net_con={"weight": 0.0})
    told = ask_once(AskTargets(silent.to_data()))
    assert told.misses == {}
    assert all(metric.reason for metric in told.metrics)
    assert "values, the metric gives" not in told.reason


def test_moves_in_quick_succession_are_simulated_as_each_is_alone(engine):
    made, answers = engine
    opened = stpspec.load("pvalb_pyr").changed({"objective": None})
    moves = [
        {"parameters.U.start": 0.3}, {"parameters.U.start": 0.55},
        {"protocols.train.frequency": 20, "parameters.tau_rec.start": "300 ms"},
        {"model.fixed.tau_decay": "9 ms"},
    ]  # fmt: skip
    for move in moves:
        moved = opened.changed(move)
        made.submit([AskMetrics(moved.to_data(), (), "train")])
        told = value_of(answers.get(timeout=120).metrics, "induction")
        values = stpspec.measure(moved, stpspec.simulate(moved))
        assert told == float(values["train.induction"].values[0]), move


def test_a_value_that_the_mechanism_refuses_is_a_failure_with_its_reason():
    refusing = faulty(ABORT, workers=0).changed({"parameters.U.start": 0.9})
    told = ask_once(AskTraces(refusing.to_data(), (), "single", 500))
    assert isinstance(told, Traces)
    assert not told.traces
    assert "the value of U is not allowed" in told.failure


def test_a_mechanism_that_crashes_costs_one_message_and_the_next_move_works(engine):
    made, answers = engine

    def ask(u):
        broken = faulty(SEGFAULT, workers=0)
        data = broken.changed({"parameters.U.start": u}).to_data()
        made.submit([AskTraces(data, (), "single", 500), AskMetrics(data, (), "single"),
                     AskTargets(data)])  # fmt: skip
        return answers.get(timeout=300)

    def assert_the_rest_comes():
        assert isinstance(answers.get(timeout=300), Measured)
        assert isinstance(answers.get(timeout=300), Targets)

    assert isinstance(ask(0.3), Traces)
    assert_the_rest_comes()
    refused = ask(0.9)  # its targets are not asked: they would cost another process
    assert isinstance(refused, Refused)
    assert refused.ended
    assert "was killed by SIG" in refused.text
    assert isinstance(ask(0.4), Traces)  # what comes meanwhile is not dropped
    assert_the_rest_comes()
    assert answers.empty()


@pytest.mark.long
def test_a_mechanism_that_hangs_is_given_up_after_the_limit():
    answers = queue.Queue()
    made = Engine(lambda question, answer: answers.put(answer), patience=12.0)
    try:
        for u, kind in ((0.9, Refused), (0.3, Traces)):
            hanging = faulty(LOOP, workers=0).changed({"parameters.U.start": u})
            made.submit([AskTraces(hanging.to_data(), (), "single", 500)])
            answer = answers.get(timeout=300)
            assert isinstance(answer, kind), answer
            if kind is Refused:
                assert "had not ended after 12 s" in answer.text
    finally:
        made.close()


def test_what_the_mechanism_does_not_allow_is_told_with_the_path_of_its_field():
    made = experiment().changed({"model.fixed.tau_rise": "5 mV"})
    refused = ask_once(AskTraces(made.to_data(), (), "single", 500))
    assert isinstance(refused, Refused)
    assert [path for path, _ in refused.problems] == ["model.fixed.tau_rise"]
    assert not refused.ended


def test_a_fit_tells_its_course_and_can_be_stopped(engine):
    made, answers = engine
    slow = experiment(fitter={"kind": "optuna", "budget": {"evaluations": 100_000}})
    made.submit([AskFit(fit_data(slow), tuple(sys.path))])
    first = answers.get(timeout=120)
    assert isinstance(first, Better)
    assert 0.1 <= first.values["U"] <= 0.9
    made.stop()
    on_their_way = answers.qsize() + 1
    made.submit([AskTraces(experiment().to_data(), (), "single", 500)])
    later = [answers.get(timeout=120)]
    while isinstance(later[-1], Better):
        later.append(answers.get(timeout=120))
    assert isinstance(later[-1], Traces)
    assert len(later) - 1 <= on_their_way


def test_a_fit_from_here_begins_at_the_values_of_the_knobs_and_is_that_of_the_command(engine):
    made, answers = engine
    tuned = state({"parameters.U.start": 0.2})
    made.submit([AskFit(fit_data(tuned.experiment), tuple(sys.path))])
    answer = first = answers.get(timeout=120)
    while isinstance(answer, Better):
        answer = answers.get(timeout=120)
    assert isinstance(answer, Fitted), answer
    assert first.values["U"] == pytest.approx(0.2, abs=1e-3)  # or a small step beside it
    start = {"fitter.start": "given"}
    assert answer.values == dict(stpspec.fit(tuned.experiment.changed(start)).parameters)


# -- sources, server, missing extra -----------------------------------------------------------


def test_a_table_gives_the_experiment_of_each_row(tmp_path):
    (tmp_path / "table.csv").write_text("connection,induction\npv→pyr,-0.5\nsst→pyr,-0.2\n")
    found = experiments_of(tmp_path / "table.csv", ["experiment=pvalb_pyr"])
    assert list(found) == ["pv→pyr", "sst→pyr"]
    assert found["sst→pyr"].objective.terms["induction"].target == -0.2


def test_a_yaml_table_is_told_from_an_experiment(tmp_path):
    from stpspec.tuner.sources import is_table

    (tmp_path / "rows.yaml").write_text("- {connection: a, induction: -0.5}\n")
    (tmp_path / "named.yaml").write_text("a: {induction: -0.5}\nb: {induction: -0.2}\n")
    (tmp_path / "one.yaml").write_text("name: a\nmodel: {kind: synapse}\n")
    (tmp_path / "composed.yaml").write_text("defaults: [{override /model: tm_patch}]\n")
    assert is_table(tmp_path / "rows.yaml")
    assert is_table(tmp_path / "named.yaml")
    assert not is_table(tmp_path / "one.yaml")
    assert not is_table(tmp_path / "composed.yaml")


def test_a_result_is_tuned_from_its_fitted_values():
    result = stpspec.fit(experiment())
    (made,) = experiments_of(result).values()
    assert made.parameters["U"].start == result.parameters["U"]


def test_what_cannot_be_tuned_is_told():
    with pytest.raises(TypeError, match="an Experiment is needed, and not int"):
        experiments_of(7)


def answer(port, path="/", **headers):
    """Return the status and the text that the server answers."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.read().decode(), reply.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def test_other_hosts_and_origins_are_refused():
    with Tuner({"small": experiment()}) as tuner:
        port = int(tuner.address.rstrip("/").rpartition(":")[2])
        assert tuner.address == f"http://127.0.0.1:{port}/"
        for name in ("127.0.0.1", "localhost"):
            assert answer(port, Host=f"{name}:{port}")[0] == 200
        for name in ("evil.example", f"evil.example:{port}", "127.0.0.1:1", "127.0.0.1"):
            status, text, _ = answer(port, Host=name)
            assert status == 403, name
            assert "this tuner is not at" in text
        assert answer(port, Origin=f"http://127.0.0.1:{port}")[0] == 200
        for origin in ("http://evil.example", "null", f"http://127.0.0.1:{port + 1}"):
            assert answer(port, Origin=origin)[0] == 403, origin
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                   "Sec-WebSocket-Key": "x", "Origin": "http://evil.example"}  # fmt: skip
        assert answer(port, "/ws", **upgrade)[0] == 403


def test_the_page_may_load_nothing_from_elsewhere():
    with Tuner({"small": experiment()}) as tuner:
        port = int(tuner.address.rstrip("/").rpartition(":")[2])
        _, page, headers = answer(port)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "http://" not in policy.partition("frame-ancestors")[0].replace("ws://", "")
        assert 'src="http' not in page


def test_where_another_host_is_allowed_the_address_has_a_token():
    server = TunerServer({"small": experiment()}, host="0.0.0.0")
    server.begin()
    try:
        port = server.port
        assert server.token
        assert server.address.endswith(f"/?token={server.token}")
        for path in ("/", "/?token=wrong", "/static/js/bokeh.min.js", "/autoload.js"):
            status, text, _ = answer(port, path)
            assert status == 403, path
            assert "needs the token" in text
        status, _, headers = answer(port, f"/?token={server.token}")
        assert status == 200
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert answer(port, "/static/js/bokeh.min.js", Cookie=cookie.partition(";")[0])[0] == 200
    finally:
        server.stop()


def test_a_port_that_is_taken_is_told():
    with (
        Tuner({"small": experiment()}) as tuner,
        pytest.raises(TunerError, match=r"cannot be listened on: .*another --port"),
    ):
        Tuner({"small": experiment()}, port=int(tuner.address.rstrip("/").rpartition(":")[2]))


def test_without_panel_one_line_says_what_to_install(tmp_path):
    (tmp_path / "panel.py").write_text("raise ImportError('no panel here')\n")
    done = cli("tune", "pvalb_pyr", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.strip().endswith("pip install 'stpspec[tuner]'")
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_verb_is_there_without_loading_panel():
    done = python(
        "import sys, stpspec.cli.main as m\nfrom stpspec.cli.verb import load_verb\n"
        "load_verb('tune'); import stpspec; stpspec.tune\n"
        "print([n for n in ('panel', 'bokeh', 'tornado', 'neuron') if n in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_a_problem_of_the_experiment_is_told_before_anything_is_served(tmp_path):
    (tmp_path / "wrong.yaml").write_text(json.dumps(data(model__position=3)))
    done = cli("tune", "wrong.yaml", cwd=tmp_path)
    assert done.returncode != 0
    assert "model.position" in done.stderr


@pytest.mark.parametrize("kind", ["frequency response", "loss"])
def test_a_point_that_comes_while_its_figure_is_put_on_the_page_is_drawn_once(kind):
    ours, events = Document(), []
    ours.add_root(Column())
    theirs = Document.from_json(ours.to_json())
    ours.on_change(events.append)
    if kind == "loss":
        drawn = LossFigure(LIGHT)
        ours.roots[0].children = [drawn.figure]
        for n in range(1, 17):
            drawn.add(n, 1 / n)
    else:
        drawn = ResponseFigure(LIGHT)
        ours.roots[0].children = [drawn.log]
        for n in range(1, 17):
            drawn.add(n, lambda _: 0.5)
    theirs.apply_json_patch(Protocol().create("PATCH-DOC", events).payload)
    shown = theirs.get_model_by_name(kind).data
    assert list(shown["n" if kind == "loss" else "frequency"]) == list(range(1, 17))
