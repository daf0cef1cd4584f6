"""The tuner in a real Chromium: each thing that the tuners of the predecessor do, and better."""

import contextlib
import json
import re
import time
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from small import cli, experiment
from test_workers import SEGFAULT, faulty
from tuner_page import (
    box,
    changed,
    chromium,
    commanded,
    eventually,
    latencies,
    median,
    opened,
    same,
    served,
    slider,
    source,
    tab,
    text_of,
    write,
)

import stpspec
from stpspec.specs.protocol import FREQUENCIES
from stpspec.tuner import experiments_of

pytestmark = pytest.mark.needs("chromium")

NOW, GAP = "trace synaptic_current", "trace somatic_voltage_1"


@pytest.fixture(scope="module")
def browser():
    with chromium() as made:
        yield made


TABLE = "connection,experiment,induction\npv→pyr,pvalb_pyr,-0.5236\npyr→sst,pyr_sst,0.2\n"
HOME = "pvalb_pyr"


@pytest.fixture(scope="module")
def tuner(browser, tmp_path_factory):
    """Return the address of a tuner of several connections."""
    table = tmp_path_factory.mktemp("table") / "table.csv"
    table.write_text(TABLE)
    connections = {
        HOME: stpspec.load("pvalb_pyr"),
        **experiments_of(table),
        "gap": stpspec.load("fs_fs_gap"),
        "crashing": faulty(SEGFAULT, workers=0).changed({"parameters.U.start": 0.5}),
        "long": stpspec.load("pvalb_pyr", ["fitter=tpe", "fitter.budget.evaluations=100000"]),
    }
    with served(connections) as server:
        yield server.address


class Session:
    """One page for many tests: each finds it as it was opened, and a new one after a failure."""

    def __init__(self, browser, address):
        self._browser, self._address = browser, address
        self._page = None
        self._opened_with = []
        self.asked, self.complaints = [], []

    def page(self):
        """Return the page at its first connection, without any change."""
        if self._page is None or not self._is_restored():
            self.close()
            self._page = opened(
                self._browser, self._address, watch=self._watch,
                viewport={"width": 1280, "height": 800},
            )  # fmt: skip
            self._opened_with = eventually(self._page, NOW, bool)
        return self._page

    def _watch(self, page):
        """Note what the page asks for, and what it complains of."""
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)

    def _is_restored(self):
        page = self._page
        choice = page.locator("header select")
        try:
            if choice.input_value() != HOME:
                choice.select_option(HOME)
                page.locator("h1", has_text="pvalb_pyr").wait_for()
            elif page.get_by_role("button", name="Reset").is_enabled():
                page.get_by_role("button", name="Reset").click()
            tab(page, "train").click()
            slider(page, "recovery_delay").wait_for()
            slider(page, "frequency").wait_for()  # which a frequency response has not
            while (pin := page.locator("main").get_by_role("button", name="✕").first).count():
                with contextlib.suppress(PlaywrightTimeoutError):  # its row is exchanged just now
                    pin.click(timeout=1000)
                page.wait_for_timeout(50)
            eventually(page, NOW, lambda y: same(y, self._opened_with))
            page.wait_for_timeout(300)  # rows that are exchanged take no key
            assert box(page, "U").input_value() == "0.475"
        except (AssertionError, PlaywrightError):
            return False
        return True

    def close(self):
        """Close the page."""
        if self._page is not None:
            self._page.context.close()
            self._page = None


@pytest.fixture(scope="module")
def session(browser, tuner):
    made = Session(browser, tuner)
    yield made
    made.close()


@pytest.fixture
def page(session):
    return session.page()


def choose(page, label):
    """Choose a connection, and wait until its targets are shown."""
    page.locator("header select").select_option(label)
    page.wait_for_url(lambda url: parse_qs(urlsplit(url).query).get("connection") == [label])


def numbers(page):
    return text_of(page, "aside")


# -- each row of SynapseTuner and GapJunctionTuner ---------------------------------------------


def test_synapse_tuner_single_event(page):
    """One event: amplitude, latency, rise, decay, half width, charge; trace and clamp current."""
    tab(page, "single event").click()
    page.locator("aside").get_by_text("half_width").wait_for()
    eventually(page, "pulses synaptic_current", lambda peaks: len(peaks) == 1, "peak")
    for metric in ("amplitude", "latency", "rise_time", "decay_time", "half_width", "charge"):
        assert page.locator("aside").get_by_role("rowheader", name=metric).count(), metric
    assert source(page, "trace clamp_current")


def test_synapse_tuner_train_of_8_and_4_numbered_with_the_arithmetic(page):
    assert source(page, "pulses synaptic_current", "number") == [str(k) for k in range(1, 13)]
    tops = np.array(source(page, "pulses synaptic_current", "top"))
    bases = np.array(source(page, "pulses synaptic_current", "base"))
    made = stpspec.load("pvalb_pyr")
    tree = stpspec.simulate(made, protocols="train")
    values = stpspec.measure(made, tree, all_metrics=True)
    amplitude = float(values["train.amplitude"].values[0])
    assert abs(tops - bases)[0] == pytest.approx(amplitude, rel=1e-12)
    text = numbers(page)
    for line in ("a6…a8 = ", "N = largest amplitude of this train", "mean(a6…a8) − a1",
                 "mean(a9…a12) − mean(a1…a4)", "paired_pulse_ratio = a2 / a1 = "):  # fmt: skip
        assert line in text, line


def test_synapse_tuner_continuous_drive_for_a_duration(page):
    tab(page, "continuous").click()
    write(page, "duration", "250 ms")
    write(page, "frequency", "50")
    # ceil(frequency × duration) + 1
    eventually(page, "pulses synaptic_current", lambda peaks: len(peaks) == 14, "peak")
    page.locator("aside").get_by_text("steady_state =").wait_for()


def test_synapse_tuner_frequency_response_with_reference_lines_and_progress(page):
    tab(page, "frequency response").click()
    shown = eventually(page, "frequency response", lambda f: len(f) == 16, "frequency")
    assert shown == list(FREQUENCIES)
    ratios = source(page, "frequency response", "paired_pulse_ratio")
    made = stpspec.load("pvalb_pyr", ["protocols.train.frequency=50"])
    ratio = stpspec.measure(made, stpspec.simulate(made), all_metrics=True)
    assert ratios[13] == float(ratio["train.paired_pulse_ratio"].values[0])
    for name in ("induction", "recovery"):
        assert np.isfinite(source(page, "frequency response", name)).all()
    assert page.locator("progress").get_attribute("value") == "100"
    levels = page.evaluate(
        "[...Bokeh.documents[0]._all_models.values()].filter(m => m.type == 'HSpan')"
        ".map(m => m.y.value)"
    )
    assert sorted(set(levels)) == [0, 1]
    tab(page, "linear").click()
    page.wait_for_function(
        "[...Bokeh.documents[0]._all_models.values()].some(m => m.type == 'LinearScale')"
    )


def test_synapse_tuner_sliders_of_frequency_delay_and_every_parameter(page):
    for knob in ("U", "tau_rec", "tau_rise", "tau_decay", "e", "tau_facil", "weight", "delay",
                 "frequency", "recovery_delay", "n_induction", "n_recovery", "holding_potential",
                 "series_resistance"):  # fmt: skip
        assert slider(page, knob).count() == 1, knob
        assert box(page, knob).count() == 1, knob
    before = source(page, NOW)
    slider(page, "frequency").press("ArrowLeft")
    changed(page, NOW, before)
    assert box(page, "frequency").input_value() == "35"
    write(page, "frequency", "33.3")  # and any
    write(page, "recovery_delay", "4 s")
    eventually(page, "pulses synaptic_current", lambda a: a and a[-1] > 4000, "arrival")
    assert float(box(page, "recovery_delay").input_value().split()[0]) in (4, 4000)


def test_synapse_tuner_any_numeric_parameter_of_the_mechanism_can_be_added(page):
    before = source(page, NOW)
    choice = page.get_by_label("Add a parameter of the mechanism")
    choice.select_option("gmax (0.001 µS; 0 … 1000)")
    slider(page, "gmax").wait_for()
    write(page, "gmax", "0.002")
    after = changed(page, NOW, before)
    assert max(after) == pytest.approx(2 * max(before), rel=1e-3)
    page.locator("nav").get_by_role("button", name="✕").click()
    eventually(page, NOW, lambda y: same(y, before))
    assert slider(page, "gmax").count() == 0


def test_synapse_tuner_clamp_off_is_a_free_cell(page):
    write(page, "e", "-90 mV")  # away from rest
    page.get_by_label("Voltage clamp").uncheck()
    voltage = eventually(page, "trace somatic_voltage", lambda y: len(y) > 100)
    assert max(voltage) - min(voltage) > 0.01  # it moves
    assert "not asked: rise_time reads the signal" in numbers(page)
    slider(page, "holding_current").wait_for()
    page.get_by_label("Voltage clamp").check()
    eventually(page, "trace clamp_current", lambda y: len(y) > 100)


def test_synapse_tuner_every_recorded_variable_is_drawn(page):
    page.get_by_label("u_last").check()
    used = eventually(page, "trace u_last", lambda y: len(y) > 100)
    assert max(used) == pytest.approx(0.6, abs=0.1)


def test_synapse_tuner_table_of_connections_is_a_list_to_choose_from(page):
    choice = page.locator("header select")
    assert {"pv→pyr", "pyr→sst"} <= set(choice.inner_text().split())
    before = source(page, NOW)
    choose(page, "pyr→sst")
    changed(page, NOW, before)
    page.locator("h1", has_text="pyr_sst").wait_for()


def test_gap_junction_tuner_both_voltages_and_the_coupling_coefficient(page):
    choose(page, "gap")
    assert tab(page, "gap step").count() == 1
    one = eventually(page, GAP, lambda y: len(y) > 100)
    two = source(page, "trace somatic_voltage_2")
    moved = [max(y) - min(y) for y in (one, two)]
    assert moved[1] / moved[0] == pytest.approx(0.04736, abs=2e-3)
    page.locator("aside").get_by_text("coupling_coefficient = ").wait_for()
    assert slider(page, "g").count() == 1  # log, 1e-5 … 1e-2 µS
    write(page, "g", "10 nS")
    stronger = changed(page, "trace somatic_voltage_2", two)
    assert max(stronger) - min(stronger) > 5 * moved[1]
    for knob in ("amplitude", "duration"):  # of the current step
        assert slider(page, knob).count() == 1


# -- what is better than there -----------------------------------------------------------------


def test_an_invalid_input_shows_its_error_beside_the_field_and_changes_nothing(page):
    before = source(page, NOW)
    for text, why in (("7", "start must be within the bounds"), ("fast", "fast"), ("3 mV", "mV")):
        write(page, "U", text)
        page.locator("nav").get_by_text(re.compile(f"⚠.*{why}", re.DOTALL)).wait_for()
    eventually(page, NOW, lambda y: y == before)
    write(page, "U", "0.3")
    changed(page, NOW, before)
    assert page.locator("nav").get_by_text("⚠").count() == 0


def test_undo_redo_reset_and_a_kept_trace(page):
    opened_with = source(page, NOW)
    page.get_by_role("button", name="Keep trace").click()
    write(page, "U", "0.3")
    moved = changed(page, NOW, opened_with)
    pins = page.evaluate(
        "[...Bokeh.documents[0]._all_models.values()].filter(m => m.type == 'ColumnDataSource')"
        ".map(m => Array.from(m.data.y ?? [])).filter(y => y.length > 100)"
    )
    assert pins.count(opened_with) >= 1
    page.get_by_role("button", name="Undo").click()
    eventually(page, NOW, lambda y: same(y, opened_with))
    assert box(page, "U").input_value() == "0.475"
    page.get_by_role("button", name="Redo").click()
    eventually(page, NOW, lambda y: same(y, moved))
    page.get_by_role("button", name="Reset").click()
    eventually(page, NOW, lambda y: same(y, opened_with))


def test_the_trace_before_the_move_is_a_ghost(page):
    before = source(page, NOW)
    page.wait_for_timeout(1500)
    write(page, "U", "0.3")
    changed(page, NOW, before)
    assert source(page, "ghost synaptic_current") == before


@pytest.mark.long
def test_a_link_restores_the_state_in_another_browser_and_the_dark_theme_keeps_it(page, browser):
    before = source(page, NOW)
    write(page, "U", "0.3")
    moved = changed(page, NOW, before)
    tab(page, "single event").click()
    page.wait_for_url(re.compile("single.*state=|state=.*single"))
    query = parse_qs(urlsplit(page.url).query)
    assert json.loads(query["state"][0]) == {"parameters.U.start": 0.3}
    other = opened(browser, page.url)
    assert box(other, "U").input_value() == "0.3"
    tab(other, "train").click()
    eventually(other, NOW, lambda y: same(y, moved))
    other.wait_for_url(re.compile("view=train"))
    other.get_by_role("button", name="Dark").click()
    other.wait_for_url(re.compile("theme=dark"))
    other.get_by_text("simulated in").wait_for()
    eventually(other, NOW, lambda y: same(y, moved))
    assert box(other, "U").input_value() == "0.3"
    color = other.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", color))) < 60
    other.context.close()


@pytest.mark.long
def test_a_link_that_names_a_file_is_refused_and_the_page_opens_all_the_same(browser, tuner):
    page = opened(browser, f"{tuner}?state={quote(json.dumps({'model.mod': ['/tmp/x.mod']}))}")
    page.get_by_text("this cannot be changed here").wait_for()
    assert box(page, "U").input_value() == "0.475"
    page.context.close()


def test_two_browsers_on_one_tuner_do_not_disturb_each_other(page, browser, tuner):
    other = opened(browser, tuner)
    mine, theirs = source(page, NOW), source(other, NOW)
    assert same(mine, theirs)
    write(page, "U", "0.3")
    write(other, "tau_rec", "200")
    one, two = changed(page, NOW, mine), changed(other, NOW, theirs)
    assert one != two
    assert box(page, "tau_rec").input_value() == "760"
    assert box(other, "U").input_value() == "0.475"
    other.context.close()
    write(page, "U", "0.4")
    changed(page, NOW, one)


def test_a_mechanism_that_crashes_at_one_end_of_a_slider_costs_one_message(page):
    choose(page, "crashing")
    good = source(page, NOW)
    slider(page, "U").press("End")
    message = page.get_by_text("was killed by SIG")
    message.wait_for()
    assert message.count() == 1
    eventually(page, NOW, lambda y: y == good)  # the last good trace stays
    slider(page, "U").press("Home")
    changed(page, NOW, good)
    message.wait_for(state="hidden")


def test_nothing_is_loaded_from_elsewhere(page, session, tuner):
    for title in ("single event", "frequency response"):
        tab(page, title).click()
    eventually(page, "frequency response", lambda f: len(f) == 16, "frequency")
    assert len(session.asked) > 5
    mine = (tuner, "data:", f"blob:{tuner}")
    assert [u for u in session.asked if not u.startswith(mine)] == []
    assert session.complaints == []  # nor was anything refused by the policy of the page


def test_the_page_is_used_by_the_keyboard_alone(page):
    before = source(page, NOW)
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        role = page.evaluate("""() => {
          let e = document.activeElement
          while (e && e.shadowRoot && e.shadowRoot.activeElement) e = e.shadowRoot.activeElement
          return e ? (e.getAttribute('role') ?? e.tagName) : ''
        }""")
        reached.append(role.lower())
        if role == "slider":
            break
    assert "button" in reached
    assert reached[-1] == "slider"
    page.keyboard.press("ArrowRight")
    changed(page, NOW, before)


def test_a_fit_from_here_moves_the_parameters_hits_the_targets_and_can_be_undone(page):
    write(page, "U", "0.3")
    page.get_by_role("button", name="Fit from here").click()
    page.get_by_text("converged").wait_for()
    page.locator("aside").get_by_text("✓ hit").first.wait_for()
    losses = source(page, "loss", "loss")
    assert len(losses) > 2
    assert losses[-1] < losses[0]
    assert float(box(page, "U").input_value()) == pytest.approx(0.216, abs=0.01)
    page.get_by_role("button", name="Undo").click()
    end = time.monotonic() + 20
    while box(page, "U").input_value() != "0.3" and time.monotonic() < end:
        page.wait_for_timeout(50)
    assert box(page, "U").input_value() == "0.3"


def test_a_fit_can_be_stopped_and_leaves_its_best_values(page):
    choose(page, "long")
    page.get_by_role("button", name="Fit from here").click()
    page.get_by_text("lowest loss").wait_for()
    eventually(page, "loss", lambda n: len(n) > 1, "n")
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("stopped after").wait_for()
    assert box(page, "U").input_value() != "0.475"
    assert page.get_by_role("button", name="Fit from here").is_enabled()


def test_what_is_saved_gives_the_same_metrics_to_the_digit_by_the_command(page, tmp_path):
    before = source(page, NOW)
    write(page, "U", "0.31")
    changed(page, NOW, before)
    page.wait_for_url(re.compile("0.31"))  # the targets, too, are those of this state
    with page.expect_download() as saving:
        page.get_by_text("Save as YAML").click()
    saving.value.save_as(tmp_path / "tuned.yaml")
    done = cli("run", "tuned.yaml", "--out", "again", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = dict(re.findall(r"^(\w+)\s+(-?[\d.]+)(?: |$)", done.stdout, re.MULTILINE))
    shown = numbers(page)
    for metric in ("amplitude", "paired_pulse_ratio", "recovery_single", "initial"):
        assert said[metric] in shown, metric
    assert cli("check", "tuned.yaml", cwd=tmp_path).returncode == 0


@pytest.mark.long
def test_the_command_opens_a_result_at_its_fitted_values(browser, tmp_path):
    stpspec.fit(experiment()).save(tmp_path / "fitted")
    with commanded("tune", "fitted", "--port", "0", cwd=tmp_path) as address:
        page = opened(browser, address)
        result = stpspec.FitResult.load(tmp_path / "fitted")
        assert float(box(page, "U").input_value()) == pytest.approx(result.parameters["U"])
        page.locator("aside").get_by_text("✓ hit").wait_for()
        page.context.close()


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "knob", "signal"),
    [("pvalb_pyr", "U", "synaptic_current"), ("fs_fs_gap", "g", "somatic_voltage_1")],
)
def test_the_time_from_a_key_to_the_paint_is_told(browser, name, knob, signal, capsys):
    """No time is asserted: what else the machine does decides it. `make bench` prints it, too."""
    with served({name: stpspec.load(name)}) as server:
        page = opened(browser, server.address)
        times = latencies(page, knob, signal)
        page.context.close()
    assert len(times) == 50
    with capsys.disabled():
        print(f"\n{name}: median of 50 moves {median(times):.0f} ms")  # noqa: T201
