"""References between the fields of an experiment file, and how much they would expand to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

LENGTH = 2_000_000  # characters: twice what a file may have
_CHAIN = 200  # references, and levels of what they name, that lead one to the next
_BEGIN = r"(?<!\\)(?:\\\\)*\$\{"  # a backslash makes it plain text
_REFERENCE = re.compile(_BEGIN + r"(?:oc\.[a-z.]+:)?\s*([\w.\[\]-]+)")
_DYNAMIC = re.compile(_BEGIN + r"(?!oc\.env:)[^}]*\$\{")

Path = tuple[str, ...]


def endless_reference(data: object) -> tuple[str, str] | None:
    """Return a text whose references nobody can follow, and why; None if there is none.

    Parameters
    ----------
    data : object
        Of a file, with nothing resolved; a reference to what it does not set counts nothing.
    """
    expansion = _Expansion(data)
    stack: list[tuple[object, Path]] = [(data, ())]
    while stack:
        value, path = stack.pop()
        if isinstance(value, str) and "${" in value:
            if _DYNAMIC.search(value):
                return value, "a reference stands inside of another"
            if expansion.size(value, path) > LENGTH:
                return value, f"references expand to more than {LENGTH:,} characters"
        stack += [(inner, (*path, key)) for key, inner in reversed(_inside(value))]
    return None


@dataclass
class _Expansion:
    """Sizes of values, in characters, once their references are followed."""

    data: object
    known: dict[Path, int] = field(default_factory=dict)

    def size(self, value: object, path: Path, depth: int = 0) -> int:
        """Return the size of a value; more than any is allowed where references go on and on."""
        if path in self.known:
            return self.known[path]
        if depth > _CHAIN:
            return LENGTH + 1
        self.known[path] = 0  # of what refers to itself, which is told where it is resolved
        size = len(value) if isinstance(value, str) else 1
        for name in _REFERENCE.findall(value) if isinstance(value, str) else ():
            target = _target(name, path)
            size += self.size(_at(self.data, target), target, depth + 1)
        for key, inner in _inside(value):
            size += self.size(inner, (*path, key), depth + 1)
        self.known[path] = min(size, LENGTH + 1)
        return self.known[path]


def _inside(value: object) -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return [(str(key), inner) for key, inner in value.items()]
    return [(str(n), inner) for n, inner in enumerate(value)] if isinstance(value, list) else []


def _target(name: str, path: Path) -> Path:
    """Return the path of what a reference names; dots before it lead outwards."""
    plain = name.replace("[", ".").replace("]", "")
    inner = plain.lstrip(".")
    outwards = len(plain) - len(inner)
    base = path[: max(len(path) - outwards, 0)] if outwards else ()
    return (*base, *inner.split("."))


def _at(data: object, path: Path) -> object:
    for part in path:
        if isinstance(data, dict):
            data = data.get(part, data.get(int(part)) if part.isdecimal() else None)
        elif isinstance(data, list) and part.isdecimal() and int(part) < len(data):
            data = data[int(part)]
        else:
            return None
    return data
