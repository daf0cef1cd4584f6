"""Grammars of hostile input: documents mutated at any place, texts mutated by words and by bits."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from watch import MARK

DEEP = [40, 300, 3000]


def _nested(depth: int, *, mapping: bool) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value} if mapping else [value]
    return value


_WORDS = [
    "",
    " ",
    "x",
    "1",
    "-1",
    "0.5 s",
    "20 mV",
    "1e999",
    "1e400 ms",
    "nan",
    "inf",
    "-inf pA",
    "1,5 s",
    "µ",
    "\x1b[2J\x1b]0;owned\x07",
    "\u202egnp.exe",
    "\x9b31m",
    "a\nb",
    "a\tb",
    "\x00",
    "\ud800",
    "../../../etc/passwd",
    "/etc/passwd",
    "..\\..\\x",
    "C:\\x",
    "~/x",
    "=1+1",
    "@SUM(A1)",
    "+cmd|' /C x'!A0",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "```\n<b>",
    "${oc.env:HOME}",
    "${seed}",
    "${a.b}",
    "${",
    "$",
    "{}",
    "[]",
    "???",
    "null",
    "~",
    "!!python/object/apply:os.system [x]",
    "*a",
    "&a",
    "train",
    "synapse",
    "single_event",
    "amplitude",
    "squared",
    "least_squares",
    "optuna",
    "postgresql://me:secret99@h/db",
    "sqlite:///x?password=secret99",
    MARK,
    "os",
    "None",
    "True",
    "é" * 50,
    "9" * 400,
    "0x10",
    "1_000",
    "1:30",
    "2026-01-01",
    ".",
    "..",
    "a.b.c",
    "parameters.U.min",
]

words = st.one_of(
    st.sampled_from(_WORDS), st.text(max_size=12), st.floats().map(repr), st.integers().map(str)
)
numbers = st.one_of(
    st.sampled_from(
        [
            0,
            1,
            -1,
            0.0,
            -0.0,
            1e308,
            -1e308,
            5e-324,
            1e-300,
            2**31,
            2**63,
            2**64,
            10**400,
            -(10**400),
            float("nan"),
            float("inf"),
            float("-inf"),
            True,
            False,
        ]
    ),
    st.integers(),
    st.floats(),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, words)
junk = st.one_of(
    scalars,
    st.lists(scalars, max_size=4),
    st.dictionaries(words, scalars, max_size=3),
    st.builds(_nested, st.sampled_from(DEEP[:2]), mapping=st.booleans()),
    st.builds(lambda n, v: [v] * n, st.sampled_from([100, 2000]), scalars),
    st.recursive(
        scalars,
        lambda s: st.lists(s, max_size=3) | st.dictionaries(words, s, max_size=3),
        max_leaves=6,
    ),
)


def _places(data: Any) -> list[tuple[Any, ...]]:
    """Return the paths of all places in a document, in their order."""
    found: list[tuple[Any, ...]] = []
    waiting: list[tuple[tuple[Any, ...], Any]] = [((), data)]
    while waiting and len(found) < 2000:
        path, here = waiting.pop()
        found.append(path)
        if isinstance(here, dict):
            waiting += [((*path, key), value) for key, value in here.items()]
        elif isinstance(here, list):
            waiting += [((*path, i), value) for i, value in enumerate(here[:20])]
    return found


def _at(data: Any, path: Sequence[Any]) -> Any:
    for part in path:
        data = data[part]
    return data


@st.composite
def documents(draw: Any, *bases: Any, most: int = 3) -> Any:
    """Draw a document with up to ``most`` places replaced, taken out, renamed or doubled."""
    data = copy.deepcopy(draw(st.sampled_from(bases)))
    for _ in range(draw(st.integers(1, most))):
        places = _places(data)
        path = draw(st.sampled_from(places))
        if path:
            _mutate(draw, data, path, places)
        elif draw(st.integers(0, 9)) == 0:
            return draw(junk)
    return data


def _mutate(draw: Any, data: Any, path: tuple[Any, ...], places: list[tuple[Any, ...]]) -> None:
    parent, last = _at(data, path[:-1]), path[-1]
    value = parent[last]
    kind = draw(st.sampled_from(["put", "put", "drop", "rename", "add", "wrap", "swap"]))
    if kind == "put":
        parent[last] = draw(junk)
    elif kind == "drop":
        del parent[last]
    elif kind == "wrap":
        parent[last] = draw(st.sampled_from([[value], {"value": value}, str(value)]))
    elif kind == "swap":
        other = draw(st.sampled_from(places))
        parent[last] = copy.deepcopy(_at(data, other)) if len(places) < 500 else 0
    elif isinstance(parent, list):
        parent.insert(0, draw(junk))
    else:
        parent[draw(words)] = parent.pop(last) if kind == "rename" else draw(junk)


_NAMES = """
    model cell file arguments fixed tau_decay mod 0 -1 recording kind signals protocols single
    duration parameters U min start objective terms size target sd options loss_options cost fitter
    budget evaluations numerics dt study name seed workers plugins format net_con weight x size_sd
    experiment connection description
""".split()  # noqa: SIM905
paths = st.lists(st.sampled_from(["", *_NAMES]), min_size=1, max_size=6).map(".".join)

_TOKENS = [
    ":",
    ": ",
    ",",
    "\n",
    "\n\n",
    "  ",
    "\t",
    "- ",
    "#",
    "[",
    "]",
    "{",
    "}",
    '"',
    "'",
    "|",
    ">",
    "&a ",
    "*a",
    "!!",
    "%",
    "---\n",
    "...",
    "\\",
    "\r",
    "\x00",
    "\x85",
    "\ufeff",
    "=",
    "+",
    "~",
    "@",
    "/",
    "(",
    ")",
    "$",
    "? ",
    "<<: ",
    "±",
    ";",
    "e",
    "-",
    ".",
    "0",
]


@st.composite
def texts(draw: Any, *bases: str, most: int = 4) -> str:
    """Draw a text in which spans are taken out, doubled or moved, and words put in."""
    text = draw(st.sampled_from(bases))
    for _ in range(draw(st.integers(1, most))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.sampled_from([0, 0, 1, 2, 5, 20, 80])))
        put = draw(
            st.one_of(st.sampled_from(_TOKENS), words, st.just(""), st.just(text[start:end] * 2))
        )
        text = text[:start] + put + text[end:]
    return text


@st.composite
def bits(draw: Any, base: bytes, most: int = 6) -> bytes:
    """Draw bytes of which some are changed, or the end is missing."""
    data = bytearray(base)
    for _ in range(draw(st.integers(1, most))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        if draw(st.integers(0, 7)) == 0:
            del data[place:]
        elif data:
            data[place] = draw(st.integers(0, 255))
    return bytes(data)
