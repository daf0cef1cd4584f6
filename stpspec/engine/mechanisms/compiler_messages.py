"""Messages of the compilers of .mod files, with the places in the user's own sources."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from stpspec.engine.mechanisms.nmodl import text_of
from stpspec.engine.mechanisms.tokens import tokens

_MOST = 8  # lines of the compilers that are told


def summary(output: str, named: Mapping[str, Path]) -> str:
    """Return what of the compilers' output tells why, and where.

    Parameters
    ----------
    output : str
        Of NEURON's translator and of g++.
    named : mapping of str to Path
        Name under which each was compiled → .mod file.
    """
    telling = [
        re.sub(r"\S*/(?=\w+\.(?:cpp|c|mod):\d)", "", line.strip())  # it was compiled elsewhere
        for line in output.splitlines()
        if re.search(r"error|at line|illegal|undefined|not found|\.mod:", line, re.IGNORECASE)
        and not re.match(r"\s*(make|g\+\+|\(cd|NOTE:|raise |subprocess\.)", line)
    ]
    lines = list(dict.fromkeys(telling)) or [x for x in output.splitlines() if x.strip()][-_MOST:]
    more = [f"… and {len(lines) - _MOST} lines more"] if len(lines) > _MOST else []
    text = "\n    ".join([*lines[:_MOST], *more])
    places = ", ".join(_places(output, named))
    return f"the mechanisms do not compile:{' ' if places else ''}{places}\n    {text}"


def _places(output: str, named: Mapping[str, Path]) -> list[str]:
    """Return file:line of the user's own sources, as far as the compilers' output tells."""
    found: dict[Path, str] = {}
    for told in re.finditer(r"at line (\d+) in file (\S+)\.mod|(\w+)\.mod:(\d+)", output):
        path = named.get(Path(told[2] or told[3]).stem)
        if path is not None:
            line = told[1] or told[4]
            if "Non-Ascii" in output:  # nocmodl counts the lines before it
                line = _not_ascii(path) or line
            found.setdefault(path, f"{path}:{line}")
    # g++ counts lines of the translation; what it quotes stands in the source too (VERBATIM),
    # and so does a name that it does not know.
    for said in re.finditer(r"(\w+)\.(?:cpp|c):\d+:.*error(.*)(?:\n\s*\d+ \|(.*))?", output):
        path = named.get(said[1])
        if path is not None:
            line = _line_of(path, said[2], (said[3] or "").strip())
            found.setdefault(path, f"{path}:{line}" if line else str(path))
    return list(found.values())


def _not_ascii(path: Path) -> int:
    """Return the first line that holds anything but ASCII; 0 if there is none."""
    lines = path.read_bytes().splitlines()
    return next((n for n, line in enumerate(lines, 1) if not line.isascii()), 0)


def _line_of(path: Path, message: str, quoted: str) -> int | None:
    text = text_of(path)
    for number, line in enumerate(text.splitlines(), 1):
        if quoted and line.strip() == quoted:
            return number
    unknown = re.search(r"[‘'](\w+)[’'] (?:was not declared|undeclared)", message)
    if unknown is None:
        return None
    for token in tokens(text):
        if token.kind == "word" and token.text == unknown[1]:
            return token.line
        use = re.search(rf"\b{unknown[1]}\b", token.text) if token.kind == "c" else None
        if use is not None:
            return token.line + token.text.count("\n", 0, use.start())
    return None
