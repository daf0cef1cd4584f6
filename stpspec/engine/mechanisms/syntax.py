"""Syntax trees of .mod files, by the parser that NEURON 9 brings."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TIME_LIMIT = 60.0  # s; a file takes some milliseconds


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a syntax tree.

    Attributes
    ----------
    kind : str
        As NEURON's parser names it, such as ``BinaryExpression``.
    text : str
        Of a name, a number, an operator; empty for what only has children.
    children : tuple of Node
    """

    kind: str
    text: str = ""
    children: tuple[Node, ...] = ()

    def walk(self, *kinds: str) -> Iterator[Node]:
        """Yield this node and all below it, of the given kinds only if there are any."""
        waiting: list[Node] = [self]
        while waiting:
            node = waiting.pop()
            if not kinds or node.kind in kinds:
                yield node
            waiting.extend(reversed(node.children))

    def names(self) -> set[str]:
        """Return all names in this node and below it."""
        return {node.text for node in self.walk("Name", "PrimeName")}

    def calls(self) -> set[str]:
        """Return the names of the functions and procedures that are called."""
        return {node.children[0].text for node in self.walk("FunctionCall")}

    def child(self, kind: str) -> Node | None:
        """Return the first child of a kind."""
        return next((node for node in self.children if node.kind == kind), None)


# {kind: [children]}, or {kind: text}.
Written = dict[str, "list[Written] | str"]


def available() -> bool:
    """Tell whether this NEURON brings the parser."""
    neuron = importlib.util.find_spec("neuron")
    places = neuron.submodule_search_locations if neuron is not None else None
    return bool(sys.executable) and any((Path(p) / "nmodl").is_dir() for p in places or ())


def trees(texts: Mapping[Path, str]) -> dict[Path, Node | None]:
    """Return the syntax tree of the text of each .mod file; None for one that is not NMODL.

    All are read in one process, as its start takes longer than to read them. A file at which the
    parser aborts, or which it does not finish in a minute, is left out.
    """
    found: dict[Path, Node | None] = {}
    waiting = list(texts)
    while waiting:
        lines = _lines([texts[p] for p in waiting])
        if not lines:  # not even the parser could be loaded
            break
        found |= {p: _tree(line) for p, line in zip(waiting, lines[1:], strict=False)}
        waiting = waiting[len(lines) :]  # behind the one at which it ended, if any
    return found


def _lines(texts: Sequence[str]) -> list[str]:
    """Return the complete lines that the parser's process has written."""
    script = Path(__file__).with_name("parser_process.py")
    with tempfile.TemporaryDirectory(prefix="stpspec-") as folder:
        source, target = Path(folder) / "texts", Path(folder) / "trees"
        source.write_text(json.dumps(list(texts)), encoding="utf-8")
        # -P: this folder holds modules whose names are not meant for that process. The working
        # folder is a neutral one: NEURON loads compiled mechanisms that it finds there.
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [sys.executable, "-P", str(script), str(target), str(source)],
                cwd=folder, check=False, timeout=_TIME_LIMIT, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={"NEURON_MODULE_OPTIONS": "-nogui", **os.environ},
            )  # fmt: skip
        text = target.read_text(encoding="utf-8") if target.exists() else ""
    return text.split("\n")[:-1]


def _tree(line: str) -> Node | None:
    try:
        written = json.loads(line)
        return None if written is None else _node(written)
    except RecursionError:  # brackets within brackets, by the hundred
        return None


def _node(written: Written) -> Node:
    """Return the node of one that the parser wrote as {kind: [children]}; a text is a child."""
    kind, below = next(iter(written.items()))
    if isinstance(below, str):  # {"name": text}
        return Node("String", below)
    children = tuple(_node(child) for child in below)
    first = children[0] if children else None
    if first is not None and first.kind == "String":
        return Node(kind, first.text, children[1:])
    return Node(kind, "", children)
