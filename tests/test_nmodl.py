"""What a .mod file says is read by NEURON's own parser; where it cannot, caution rules."""

import pytest
from helpers import TESTS, synapse

from stpspec.engine.binding.bind import bind
from stpspec.engine.mechanisms import library, mod_file, nmodl, syntax
from stpspec.errors import MechanismError
from stpspec.resources import shipped

FILES = sorted([*shipped("mod").glob("*.mod"), *(TESTS / "mod").glob("*.mod")])


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a .mod file of this test's own."""

    def write(text, name="one.mod", **how):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, **how)
        return file

    return write


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return the folder of a cache of its own, of a process that has read nothing yet."""
    monkeypatch.setenv("STPSPEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(nmodl, "_read", {})
    return tmp_path / "cache" / "nmodl"


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("TITLE the SUFFIX of a POINT_PROCESS Other\nNEURON { POINT_PROCESS Right }\n",
         "POINT_PROCESS", "Right"),
        ("COMMENT\nNEURON { SUFFIX other }\nENDCOMMENT\nNEURON { SUFFIX right }\n",
         "SUFFIX", "right"),
        ("NEURON { : SUFFIX other\n ? SUFFIX other\n ARTIFICIAL_CELL Right }\n",
         "ARTIFICIAL_CELL", "Right"),
        ("VERBATIM\n/* NEURON { SUFFIX other } */\nENDVERBATIM\nNEURON { SUFFIX right }\n",
         "SUFFIX", "right"),
        ("UNITS { (mV) = (millivolt) }\nNEURON { RANGE x SUFFIX nothing }\n", "SUFFIX", "nothing"),
        ("NEURON { RANGE POINT_PROCESS_x POINT_PROCESS Right }\n", "POINT_PROCESS", "Right"),
        ("NEURON { }\n", "", ""),
    ],
    ids=["title", "comment", "comments of a line", "C", "nothing", "part of a word", "none"],
)  # fmt: skip
def test_name_of_a_mechanism_is_the_one_that_it_declares(text, kind, name, written):
    found = nmodl.read(written(text))
    assert found.parsed
    assert (found.kind, found.name) == (kind, name)
    words = mod_file.from_words(text)
    assert (words.kind, words.name) == (kind, name)


def test_file_that_declares_nothing_is_no_mechanism(written):
    file = written("NEURON { RANGE x }\n: SUFFIX other\n")
    with pytest.raises(MechanismError, match=r"one\.mod: no SUFFIX, POINT_PROCESS or ARTIFICIAL"):
        library.sources([str(file)])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_words_alone_tell_the_same_where_they_tell_anything(file):
    parsed = nmodl.read(file)
    assert parsed.parsed
    words = mod_file.from_words(file.read_text())
    for known in ("kind", "name", "pointers", "pointers_read", "receives_events", "verbatim",
                  "draws_random"):  # fmt: skip
        assert getattr(words, known) == getattr(parsed, known), known


# -- what a file declares and does -----------------------------------------------------------------


def test_limits_and_units_are_those_of_the_parameters_however_they_are_written(written):
    found = nmodl.read(
        written(
            "NEURON { SUFFIX one }\n"
            "PARAMETER { a = -3 (mV) <-5, 1e3> b c=2 <0,1> : d = 3 (ms) <1, 2>\n"
            " e = 1 (ms)\n <1e-9, 1e9> }\nSTATE { s (uS) <1e-4> }\n"
        )
    )
    assert found.parameters == {"a": "mV", "b": "", "c": "", "e": "ms"}
    assert found.limits == {"a": (-5, 1000), "c": (0, 1), "e": (1e-9, 1e9)}


def test_description_of_a_file_has_what_the_loaded_mechanism_has():
    info = bind(synapse({"one": {"kind": "single_event"}})).mechanism
    found = nmodl.read(shipped("mod") / "TsodyksMarkram.mod")
    settable = found.parameters.keys() & (found.range_variables | found.global_variables)
    assert {n: found.parameters[n] for n in settable} == info.parameters
    assert set(found.states) == info.states
    assert found.event_arguments == {"weight": "1", "u": "1", "R": "1", "tlast": "ms"}
    assert found.stream_states == ("u", "R", "tlast")
    assert found.methods == ("cnexp",)


RICH = """\
NEURON {
    POINT_PROCESS Rich
    RANGE tau, mg, q
    GLOBAL shared
    POINTER p BBCOREPOINTER rng RANGE x, y
    USEION ca READ cai WRITE ica
    USEION k READ ek
    NONSPECIFIC_CURRENT i
    ELECTRODE_CURRENT ie
    RANDOM r
}
PARAMETER { tau = 3 (ms) mg = 1 (mM) q = 2 shared = 1 }
ASSIGNED { v (mV) i (nA) ie (nA) ica (nA) b p rng }
STATE { s (uS) z }
INITIAL { s = 0 rates() net_send(1, 2) }
BREAKPOINT { SOLVE d METHOD derivimplicit block(v) i = s*b*p ica = s ie = 0 }
DERIVATIVE d { s' = -s/tau z' = -z }
PROCEDURE rates() { tau = tau*q }
PROCEDURE block(v (mV)) { TABLE b DEPEND mg FROM -140 TO 80 WITH 10 b = mg*exp(v)*shared }
PROCEDURE setRNG() { VERBATIM
    _p_rng = 0; /* } */
ENDVERBATIM }
NET_RECEIVE (w (uS), R, unit (uS)) { R = R + random_negexp(r) s = s + w*R*unit }
"""


def test_all_that_a_loaded_mechanism_does_not_tell_is_read(written):
    found = nmodl.read(written(RICH))
    assert found.range_variables == {"tau", "mg", "q", "x", "y"}
    assert found.global_variables == {"shared"}
    assert found.pointers == ("p", "rng")
    assert found.pointers_read == ("p",)
    assert found.ions == {"ca": ("ica",), "k": ()}
    assert found.nonspecific_currents == ("i",)
    assert found.electrode_currents == ("ie",)
    assert found.random_variables == ("r",)
    assert found.states == ("s", "z")
    assert found.methods == ("derivimplicit",)
    assert found.event_arguments == {"w": "uS", "R": "", "unit": "uS"}
    assert found.stream_states == ("R",)
    assert found.verbatim
    assert found.uncalled_c == ("setRNG",)
    assert found.draws_random
    assert found.calls == {"exp", "net_send", "random_negexp"}
    assert found.sends_initially
    assert found.assigned_initially == ("tau",)
    assert found.tabulated == ("mg",)
    assert not found.exact
    assert mod_file.from_words(RICH).pointers == ("p", "rng")
    assert mod_file.from_words(RICH).pointers_read == ("p",)


@pytest.mark.parametrize(
    ("text", "draws"),
    [
        ("FUNCTION f() { f = scop_random() }", True),
        ("FUNCTION f() { VERBATIM\nreturn nrnran123_dblpick(0);\nENDVERBATIM }", True),
        ("COMMENT\nno scop_random() here\nENDCOMMENT", False),
        ("FUNCTION f() { LOCAL random f = random }", False),
    ],
    ids=["NMODL", "C", "comment", "name of a variable"],
)
def test_chance_is_what_is_called_not_what_is_spoken_of(text, draws, written):
    assert nmodl.read(written(f"NEURON {{ SUFFIX one }}\n{text}\n")).draws_random is draws


def test_mechanism_shares_only_the_voltage_unless_it_says_more(written):
    plain = "NEURON { POINT_PROCESS One RANGE g : USEION ca\n NONSPECIFIC_CURRENT i }\n"
    assert not nmodl.read(written(plain)).sees_others
    for more in ("USEION ca READ cai", "POINTER p", "BBCOREPOINTER p", "ELECTRODE_CURRENT ie",
                 "RANDOM r"):  # fmt: skip
        text = plain.replace("RANGE g", f"RANGE g {more}")
        assert nmodl.read(written(text, f"{more}.mod")).sees_others, more


# -- files that are not like others ----------------------------------------------------------------


def test_file_that_the_parser_cannot_read_keeps_its_name_and_its_cell(written):
    text = "NEURON { POINT_PROCESS Odd POINTER p }\nBREAKPOINT { i = p*(v - 3 }\n"
    found = nmodl.read(written(text))
    assert (found.parsed, found.kind, found.name) == (False, "POINT_PROCESS", "Odd")
    assert found.pointers_read == ("p",)
    assert found.sees_others
    assert not found.exact


@pytest.mark.long
def test_brackets_within_brackets_are_not_read_rather_than_wrongly(written):
    text = f"NEURON {{ SUFFIX deep }} BREAKPOINT {{ i = {'(' * 3000}1{')' * 3000} }}\n"
    found = nmodl.read(written(text))
    assert (found.parsed, found.name) == (False, "deep")


def test_comments_may_be_in_any_encoding(written):
    text = "TITLE Müller's synapse, µS\nNEURON { SUFFIX one } : größer\n"
    for encoding in ("latin-1", "utf-8"):
        found = nmodl.read(written(text, f"{encoding}.mod", encoding=encoding))
        assert (found.parsed, found.name) == (True, "one")


def test_what_ends_the_parser_leaves_the_other_files_readable(written, monkeypatch):
    monkeypatch.setattr(syntax, "_TIME_LIMIT", 6.0)  # s; where the stack is large it takes long
    first, last = (written(f"NEURON {{ SUFFIX {n} }}\n", f"{n}.mod") for n in ("first", "last"))
    ends = first.with_name("ends.mod")
    texts = {p: p.read_text() for p in (first, last)}
    deep = f"NEURON {{ SUFFIX one }}\nINITIAL {{ a = {'(' * 100_000}1{')' * 100_000} }}\n"
    found = syntax.trees({first: texts[first], ends: deep, last: texts[last]})
    assert found.keys() == {first, last}


def test_what_a_file_includes_is_part_of_it(written):
    file = written('NEURON { SUFFIX one }\nINCLUDE "parts/more.inc"\n')
    part = written("PARAMETER { a = 1 (ms) }\nINITIAL { a = 2 }\n", "parts/more.inc")
    found = nmodl.read(file)
    assert found.parameters == {"a": "ms"}
    assert found.assigned_initially == ("a",)
    assert nmodl.included_in(file) == {"parts/more.inc": part}
    part.write_text("PARAMETER { a = 1 (ms) other = 2 (mV) }\n")
    assert nmodl.read(file).parameters == {"a": "ms", "other": "mV"}


def test_include_in_a_comment_is_none(written):
    written("PARAMETER { a = 1 }\n", "more.inc")
    assert nmodl.included_in(written('NEURON { SUFFIX one }\n: INCLUDE "more.inc"\n')) == {}


# -- cache ----------------------------------------------------------------------------------------


def test_what_a_file_says_is_kept_by_content(written, cache, monkeypatch):
    found = nmodl.read(written(RICH))
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr(nmodl, "_read", {})
    assert nmodl.read(written(RICH, "copy.mod")) == found
    assert len(list(cache.iterdir())) == 1
    assert nmodl.read(written(RICH.replace("tau = 3", "tau = 4"), "other.mod")) == found
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"kind": "SUFFIX"}', "\udcff", "name of another type"]
)
def test_damaged_entry_of_the_cache_is_made_anew(damage, written, cache, monkeypatch):
    found = nmodl.read(written(RICH))
    (entry,) = cache.iterdir()
    whole = entry.read_text()
    broken = whole.replace('"Rich"', "3") if "type" in damage else damage
    assert broken != whole
    entry.write_text(broken, errors="surrogateescape")
    monkeypatch.setattr(nmodl, "_read", {})
    assert nmodl.read(written(RICH)) == found
    assert entry.read_text() == whole


def test_files_are_read_where_no_cache_can_be_kept(written, cache, monkeypatch):
    blocked = written("no folder", "file")
    monkeypatch.setenv("STPSPEC_CACHE", str(blocked / "cache"))
    assert nmodl.read(written(RICH)).name == "Rich"
    assert not cache.exists()
