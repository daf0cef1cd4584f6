"""Tokens of a .mod file: its words in their blocks, without comments.

They find the files to include before any parser runs, and are all there is where no parser can
read a file: on NEURON 8, or in a file that is not quite NMODL.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

KINDS = ("SUFFIX", "POINT_PROCESS", "ARTIFICIAL_CELL")

_TOKEN = re.compile(
    r"\bCOMMENT\b.*?(?:\bENDCOMMENT\b|\Z)"
    r"|^[ \t]*TITLE\b[^\n]*"
    r"|[:?][^\n]*"
    r"|\bVERBATIM\b(?P<c>.*?)(?:\bENDVERBATIM\b|\Z)"
    r'|"(?P<string>[^"\n]*)"'
    r"|(?P<word>\w+)"
    r"|(?P<mark>[^\s\w])",
    re.DOTALL | re.MULTILINE,
)


class Token(NamedTuple):
    """A token and its place.

    Attributes
    ----------
    kind : str
        ``word``, ``string`` (without its quotes), ``mark``, or ``c``: the text of a VERBATIM.
    text : str
    block : str
        The last word before the outermost brace: NEURON, PARAMETER; ``""`` outside of blocks.
    line : int
        From 1.
    """

    kind: str
    text: str
    block: str
    line: int


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of the text of a .mod file."""
    depth, block, last = 0, "", ""
    line, counted = 1, 0
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind is None:
            continue
        line += text.count("\n", counted, match.start())
        counted = match.start()
        found = match[kind]
        if found == "{" and kind == "mark":
            depth, block = depth + 1, block if depth else last
        elif found == "}" and kind == "mark":
            depth = max(depth - 1, 0)
            block = block if depth else ""
        last = found
        yield Token(kind, found, block, line)


def declaration(found: list[Token]) -> tuple[str, str]:
    """Return the kind and the name of the mechanism; two empty texts if none is declared."""
    words = [t for t in found if t.kind == "word" and t.block == "NEURON"]
    for kind, name in itertools.pairwise(words):
        if kind.text in KINDS:
            return kind.text, name.text
    return "", ""


def includes(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the name of each file that is included, and where its quotes begin and end."""
    before = ""
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "string" and before == "INCLUDE":
            yield match["string"], *match.span()
        if match.lastgroup is not None:  # a comment may stand between them
            before = match[0] if match.lastgroup == "word" else ""


def pointers(found: list[Token]) -> list[str]:
    """Return the names declared as POINTER or BBCOREPOINTER."""
    names: list[str] = []
    place = ""  # before a name, after one, or in no such list
    for token in (t for t in found if t.block == "NEURON"):
        if token.text in ("POINTER", "BBCOREPOINTER"):
            place = "before"
        elif place == "before" and token.kind == "word":
            names.append(token.text)
            place = "after"
        else:
            place = "before" if place == "after" and token.text == "," else ""
    return names
