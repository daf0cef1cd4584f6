"""What Python and a notebook show: experiments, results, problems; and copies with changes."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from small import data, experiment

import stpspec
from stpspec.cli.color import colored, has_color
from stpspec.errors import SpecError, SpecProblem
from stpspec.formatting import columns, html_table, outline, wrapped
from stpspec.formatting.layout import fitted, numbered
from stpspec.resources import experiments
from stpspec.specs.experiment import Experiment
from stpspec.specs.protocol import Train
from stpspec.specs.quantities import unit_of


class Texts(HTMLParser):
    """The texts of a piece of HTML, cell by cell, and whether every tag is closed."""

    def __init__(self, html):
        super().__init__()
        self.texts, self.open = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append(text)


# -- tables -------------------------------------------------------------------------------------


def test_a_table_of_text_has_a_rule_under_its_header_and_numbers_to_the_right():
    assert columns([("a", "value"), ("bb", "1")], right=[1]) == "a   value\n──  ─────\nbb      1"


def test_an_outline_wraps_its_last_column_beside_the_names():
    text = outline([("one", "some words that go on"), ("two", "")], width=35)
    assert text == "one  some words that go on\ntwo"
    text = outline([("one", "word " * 12)], width=30)
    assert [line[:5] for line in text.splitlines()] == ["one  ", "     "]


@pytest.mark.parametrize("pair", ["delay 250", "250 ms", "20 °C", "holding -70"])
def test_a_number_stays_with_its_name_and_unit(pair):
    for width in range(12, 40):
        assert pair in "\n".join(wrapped(f"some words before {pair}, and after", width))


def test_html_is_escaped_and_leaves_out_empty_columns():
    html = html_table([("<b>", "", "x"), ("a & b", "", "<script>")])
    read = Texts(html)
    assert read.texts == ["<b>", "x", "a & b", "<script>"]
    assert read.open == []
    assert "<script>" not in html


@pytest.mark.parametrize(
    ("field", "unit"),
    [("frequency", "Hz"), ("recovery_delay", "ms"), ("n_induction", "")],
)
def test_a_field_knows_its_unit(field, unit):
    assert unit_of(Train.model_fields[field]) == unit


# -- experiments --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(experiments()))
def test_a_shipped_experiment_fits_on_a_screen_and_shows_its_parts(name):
    made = stpspec.load(name)
    text = repr(made)
    assert str(made) == text
    assert len(text.splitlines()) <= 50
    assert max(len(line) for line in text.splitlines()) <= 100
    for word in (name, made.model.mechanism, made.recording.kind, made.fitter.kind, "numerics"):
        assert word in text
    flat = " ".join(text.split())
    for _, entry, said in made.overview():
        assert entry in flat
        assert said in Texts(made._repr_html_()).texts or said == ""


def test_an_experiment_says_what_was_chosen():
    term = {"metric": "amplitude", "protocol": "single", "target": [1, 2], "sd": 0.5, "weight": 2}
    made = experiment(
        parameters={"U": {"min": 0.1, "max": 0.9, "start": 0.3, "scale": "log"}},
        protocols__late={"kind": "spike_times", "times": list(range(20))},
        fitter={"kind": "minimize", "method": "Powell", "budget": {"seconds": 60}},
        numerics__temperature=32,
    )
    text = " ".join(repr(made).split())
    for said in (
        "TsodyksMarkram in soma(0.5) of Patch (patch.py)",
        "tau_decay = 2 ms",
        "voltage_clamp: holding_potential -70 mV",
        "single_event: duration 20 ms",
        "times [0, 1, 2, 3, 4, 5, 6, 7, … 20 values] ms",
        "0.1 … 0.9 (log), start 0.3",
        "amplitude of single: 42 ± 1",
        "minimize, Powell, at most 1000 evaluations or 60 s",
        "temperature 32 °C",
    ):
        assert said in text, said
    assert "weight 2" in repr(experiment(objective__terms__size={**term, "target": 1}))


def test_more_than_a_screen_of_entries_is_counted():
    many = {f"p{i}": {"kind": "single_event"} for i in range(40)}
    text = repr(experiment(protocols={"single": {"kind": "single_event"}, **many}))
    assert "p10" in text
    assert "p11" not in text
    assert "and 29 more" in text


def test_a_description_with_markup_is_only_text():
    html = experiment(description="<img src=x onerror=alert(1)>")._repr_html_()
    assert "<img" not in html
    assert "<img src=x onerror=alert(1)>" in Texts(html).texts


def test_a_part_shows_its_fields_and_a_problem_its_sentence():
    made = experiment()
    assert repr(made.protocols["single"]) == "SingleEvent(duration=20.0)"
    assert str(made.parameters["U"]) == "Parameter(min=0.1, max=0.9, scale='linear')"
    assert repr([SpecProblem("a.b", "too large", 3)]) == "[<a.b: too large; received 3>]"


# -- results ------------------------------------------------------------------------------------


def test_a_result_in_a_notebook_says_what_it_prints():
    made = stpspec.fit(experiment())
    notes = {"size": ["a <note>"]}
    shown = replace(made, notes=notes, at_bound={"U": "max"}, errors={})
    read = Texts(shown._repr_html_())
    assert read.open == []
    printed = str(shown)
    assert "note on size: a <note>" in printed
    # The rules under headers, and the column of units where all are empty, are for text only.
    words = [w for w in printed.split() if not set(w) <= {"─"} and w != "unit"]
    assert [w for w in " ".join(read.texts).split() if w != "unit"] == words


# -- copies with changes ------------------------------------------------------------------------


def test_fields_are_changed_by_their_paths_and_the_original_stays():
    made = experiment()
    other = made.changed(
        {
            "protocols.single.duration": "0.03 s",
            "model.fixed.e": "-70 mV",
            "protocols.pair": {"kind": "spike_times", "times": [0, 50]},
            "parameters.U.max": np.float64(0.8),
            "seed": np.int64(4),
        }
    )
    assert other.protocols["single"].duration == 30
    assert other.protocols["pair"].times == [0, 50]
    assert other.model.fixed["e"] == "-70 mV"
    assert (other.parameters["U"].max, other.seed) == (0.8, 4)
    assert made == Experiment.from_data(data())


def test_another_kind_keeps_what_both_have_in_common():
    made = experiment(
        fitter={"kind": "minimize", "method": "Powell", "budget": {"evaluations": 7}},
    )
    other = made.changed({"fitter.sampler": "qmc", "fitter.kind": "optuna"})
    assert (other.fitter.kind, other.fitter.sampler) == ("optuna", "qmc")
    assert other.fitter.budget.evaluations == 7
    back = other.changed({"fitter.kind": "minimize", "fitter.budget.seconds": 3})
    assert back.fitter.method == "SLSQP"
    assert (back.fitter.budget.evaluations, back.fitter.budget.seconds) == (7, 3)


def test_a_kind_whose_fields_are_required_takes_them_in_the_same_call():
    made = experiment()
    other = made.changed({"protocols.single.kind": "spike_times", "protocols.single.times": [0, 9]})
    assert other.protocols["single"].times == [0, 9]
    with pytest.raises(SpecError, match=r"protocols\.single\.times"):
        made.changed({"protocols.single.kind": "spike_times"})


@pytest.mark.parametrize("turned", [False, True], ids=["as given", "turned round"])
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"parameters": {"U": {"min": 0, "max": 1}}, "parameters.U.max": 0.7},
         r"parameters\.U\.max.*lies in parameters, which is changed as a whole beside it"),
        ({"parameters": None, "parameters.model": None}, "lies in parameters, which"),
        ({"recording": {"kind": "current_clamp"}, "recording.kind": "voltage_clamp"},
         "lies in recording, which"),
        ({"parameters.cell.soma[0]": {}, "parameters.cell.soma.0.g_pas.max": 1},
         r"lies in parameters\.cell\.soma\[0\], which"),
        ({"fitter": "optuna", "fitter.kind": "minimize"}, r"given twice, also as fitter"),
        ({"parameters.cell.soma[0].L": {}, "parameters.cell.soma.0.L": {}}, "given twice"),
    ],
    ids=["part", "no value", "kind", "brackets", "kind twice", "brackets twice"],
)  # fmt: skip
def test_changes_that_would_undo_each_other_are_refused(changes, told, turned):
    with pytest.raises(SpecError, match=told):
        experiment().changed(dict(reversed(changes.items())) if turned else changes)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("protocls.single.duration", 3, "did you mean 'protocols'"),
        ("protocols.sngle.duration", 3, "did you mean 'single'"),
        ("protocols.single.durations", 3, "did you mean 'duration'"),
        ("fitter.kind", "optna", "Did you mean 'optuna'"),
        ("model.cell_2.file", "x.py", "no such field"),
        ("seed.x", 1, "no such field"),
        ("", 1, "no such field"),
        ("protocols.", {"kind": "train"}, "no such field"),
        ("protocols.single.duration", "5 mV", "another dimension"),
        ("objective.terms.size.metric", "amplitud", "did you mean 'amplitude'"),
    ],
)
def test_a_change_that_cannot_be_made_says_why(path, value, told):
    with pytest.raises(SpecError, match=told):
        experiment().changed({path: value})


def test_what_is_not_set_cannot_be_changed_in_part():
    made = stpspec.load("fs_fs_gap")
    with pytest.raises(SpecError, match=r"model\.cell_2 is not set: give the whole of it"):
        made.changed({"model.cell_2.file": "patch.py"})
    whole = made.changed({"model.cell_2": made.model.cell})
    assert whole.model.cell_2 == made.model.cell


def test_all_problems_of_a_change_come_at_once():
    with pytest.raises(SpecError) as caught:
        experiment().changed({"protocols.sngle.duration": 3, "seed": -1, "numerics.dtt": 2})
    assert [p.path for p in caught.value.problems] == [
        "protocols.sngle.duration", "numerics.dtt", "seed",
    ]  # fmt: skip


# -- on a screen of 80 columns ------------------------------------------------------------------

SENTENCE = "the best point seen is no optimum; fitted anew, least_squares finds it"


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("n", [1, 4, 9, 30])
def test_a_table_of_any_number_of_columns_fits_the_screen_and_breaks_no_name(n, width):
    names = [f"train.paired_pulse_ratio_{k}" for k in range(n)]
    rows = [("tau_rec (ms)", *names), *((f"{r}", *[f"{r / 7:.4f}"] * n) for r in range(3))]
    text = columns(rows, right=range(n + 1), width=width)
    assert max(map(len, text.splitlines())) <= width
    assert all(name.partition(".")[2] in text for name in names)
    assert text.count("0.1429") == n
    assert len(re.findall("^tau_rec", text, re.MULTILINE)) == 1 + text.count("\n\n")


def test_a_remark_of_several_rows_is_said_once_below_the_table():
    rows = [("parameter", ""), *((f"p{k}", f"no SE: {SENTENCE}") for k in range(5)), ("q", "")]
    shown, notes = numbered(rows)
    assert [row[1] for row in shown] == ["", *["no SE [1]"] * 5, ""]
    assert notes == [f"[1] {SENTENCE}"]
    alone, none = numbered(rows[:2])
    assert (alone, none) == ([list(row) for row in rows[:2]], [])


def test_sentences_without_room_beside_their_table_go_below_it():
    rows = [("a" * 30, "b" * 30, "status"), ("1", "2", f"failed: {SENTENCE}")]
    text = columns(rows, width=80)
    assert "failed [1]" in text
    assert " ".join(text.partition("\n\n")[2].split()) == f"[1] {SENTENCE}"
    assert max(map(len, text.splitlines())) <= 80


def test_wide_letters_take_two_columns():
    first, rule, second = columns([("名前", "x"), ("a", "y")]).splitlines()
    assert (first, rule, second) == ("名前  x", "────  ─", "a     y")


def test_a_line_that_is_too_long_is_broken_between_words_and_paths_stay_whole():
    text = fitted("  note: " + "word " * 30 + "/a/path" * 20, 80)
    lines = text.splitlines()
    assert lines[-1].strip() == "/a/path" * 20
    assert max(map(len, lines[:-1])) <= 80
    assert {len(line) - len(line.lstrip()) for line in lines} == {2, 4}


# -- color ----------------------------------------------------------------------------------------

FIT = """\
small: 1 free parameter, 2 targets: MISSED: ppr -7.9 sd

metric  miss
──────  ───────
size    hit
ppr     -7.9 sd
other   +1.2 sd"""


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "given", "has"),
    [
        (Terminal(), {}, True),
        (io.StringIO(), {}, False),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (io.StringIO(), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_color_is_for_terminals_and_for_those_who_want_it(stream, given, has, monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert has_color(stream) is has


def test_color_changes_no_word_and_marks_header_hit_and_far_miss():
    text = colored(FIT)
    assert re.sub(r"\x1b\[[\d;]*m", "", text) == FIT
    for part in ("\x1b[1mmetric  miss", "\x1b[32mhit", "\x1b[1;31mMISSED", "\x1b[31m-7.9 sd"):
        assert part in text
    assert "m+1.2 sd" not in text


@pytest.mark.parametrize("width", [80, 120])
def test_a_verb_in_a_terminal_is_in_color_and_fits_it_and_in_a_pipe_neither(width, tmp_path):
    words = [sys.executable, "-m", "stpspec.cli", "list", "metrics", "fitters"]
    environment = {n: v for n, v in os.environ.items() if n not in ("NO_COLOR", "COLUMNS")}
    environment |= {"TERM": "xterm"}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    with os.fdopen(ours, "rb", buffering=0) as screen:
        process = subprocess.Popen(words, stdout=theirs, env=environment, cwd=tmp_path)
        os.close(theirs)
        shown = b""
        try:
            while piece := screen.read(65536):
                shown += piece
        except OSError:  # the other end is closed
            pass
        assert process.wait() == 0
    text = shown.decode().replace("\r\n", "\n")
    assert "\x1b[1mmetric" in text
    lines = re.sub(r"\x1b\[[\d;]*m", "", text).splitlines()
    assert 0.7 * width < max(map(len, lines)) <= width
    piped = subprocess.run(
        words, stdout=subprocess.PIPE, env=environment, cwd=tmp_path, text=True, check=True
    ).stdout
    assert "\x1b" not in piped
    words_shown = {word for line in lines for word in line.split() if "─" not in word}
    assert words_shown == {word for word in piped.split() if "─" not in word}
