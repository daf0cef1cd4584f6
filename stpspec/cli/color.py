"""Color of what the verbs print: it stresses what the words say, and only where a terminal is."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TextIO

_BOLD, _DIM, _RED, _GREEN, _YELLOW, _CYAN = "1", "2", "31", "32", "33", "36"

# The first pattern that matches at a place has it. Nothing is said by color alone.
_MARKS: Mapping[str, str] = {
    r"^[\w.-]+(?=: \d+ free parameter)": _BOLD,
    r"MISSED|CANNOT BE REACHED|NOT CONVERGED": f"{_BOLD};{_RED}",
    r"◀ AT ITS BOUND(?: \(\w+\))?|◀ (?:min|max)\b|MORE PARAMETERS THAN TARGETS": (
        f"{_BOLD};{_YELLOW}"
    ),
    r"\ball hit\b|(?<=  )hit\b|\bno problems\b|^converged\b|(?<=  )(?:converged|done)\b": _GREEN,
    r"^(?:budget|stopped|interrupted|unreachable)(?=: )|(?<=  )warning(?=: )": _YELLOW,
    r"(?<=  )failed\b|\bfailed(?=: )|^no [\w, ().=-]+(?=: )|(?<![\w.])none\b(?=\s*$)": _RED,
    r"^note(?: on [^:]+)?(?=: )|^\[\d+\]|(?<= )\[\d+\](?=\s*$)": _CYAN,
    r"^how .* w(?:as|ere) calculated$|^[\w.-]+ \(\w+\)$": _BOLD,
}
_MARK = re.compile("|".join(f"(?P<m{k}>{pattern})" for k, pattern in enumerate(_MARKS)))
_FAR = re.compile(r"[+-](\d+(?:\.\d+)?(?:e[+-]?\d+)?) sd\b")
_RULE = re.compile(r"─[─ ]*")


def has_color(stream: TextIO) -> bool:
    """Tell whether a stream is to get color: NO_COLOR forbids it, FORCE_COLOR asks for it."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):  # replaced, or closed
        return False


def colored(text: str) -> str:
    """Return text of tables and notes with headers in bold, and color for what matters."""
    lines = text.split("\n")
    painted = [_line(line) for line in lines]
    for number, line in enumerate(lines):
        if _RULE.fullmatch(line):
            painted[number] = _paint(line, _DIM)
            head = number - 1
            while head >= 0 and lines[head]:  # a header may have several lines
                painted[head] = _paint(lines[head], _BOLD)
                head -= 1
    return "\n".join(painted)


def error_head(text: str, stream: TextIO) -> str:
    """Return the first words of an error, in color where the stream has any."""
    return _paint(text, f"{_BOLD};{_RED}") if has_color(stream) else text


def _line(line: str) -> str:
    line = _MARK.sub(lambda m: _paint(m[0], _code(m)), line)
    return _FAR.sub(lambda m: _paint(m[0], _RED) if float(m[1]) > 3 else m[0], line)


def _code(match: re.Match[str]) -> str:
    """Return the color of the pattern that matched: its group is named by its number."""
    return list(_MARKS.values())[int(str(match.lastgroup)[1:])]


def _paint(text: str, code: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if text else text
