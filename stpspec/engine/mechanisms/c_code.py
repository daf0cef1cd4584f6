"""C code in VERBATIM blocks: whether it keeps data of its own, in one place for all instances."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LEFT_OUT = re.compile(
    r"/\*.*?\*/|//[^\n]*|^[ \t]*\#(?:[^\n\\]|\\.)*|\"(?:[^\"\\\n]|\\.)*\"", re.DOTALL | re.MULTILINE
)
_KEEPS = re.compile(
    r"\b(?:static|thread_local|_Thread_local|__thread)\b(?!\s+(?:inline|constexpr))"
)
_INNERMOST = re.compile(r"\{[^{}]*\}|\([^()]*\)")
_NO_DATA = ("extern", "typedef", "struct", "enum", "union", "class", "using", "namespace")


def without_comments(text: str) -> str:
    """Return C code without its comments, its texts, and lines of the preprocessor."""
    return _LEFT_OUT.sub(" ", text)


def keeps_data(code: Iterable[str], outermost: Iterable[str]) -> bool:
    """Tell whether C code keeps data from one call to the next.

    Parameters
    ----------
    code : iterable of str
        All blocks.
    outermost : iterable of str
        Those outside of any other block: what they declare is kept, too.
    """
    functions = re.compile(r"\bstatic\b[^;={(]*\([^)]*\)\s*[;{]")  # a function, and no data
    every = [functions.sub("", _LEFT_OUT.sub(" ", text)) for text in code]
    return any(map(_KEEPS.search, every)) or any(map(_declares, outermost))


def _declares(text: str) -> bool:
    """Tell whether a text declares variables, beside prototypes and functions."""
    text, before = _LEFT_OUT.sub(" ", text), ""
    while text != before:  # a function becomes a statement of its own
        before, text = text, _INNERMOST.sub(lambda m: " ; " if m[0][0] == "{" else " @ ", text)
    statements = (s.split() for s in text.split(";"))
    return any(
        len(words) > 1 and words[0] not in _NO_DATA and ("@" not in words or "=" in words)
        for words in statements
    )
