"""Limits on the size and depth of data: what lies beyond is refused before it is examined."""

from __future__ import annotations

from collections.abc import Mapping

from stpspec.errors import SpecProblem

VALUES = 10_000
"""Values of a file or of the data of an experiment; a number in data of Python's counts nothing."""
DEPTH = 40


def beyond_limits(data: object) -> SpecProblem | None:
    """Return why data are too many, too deep or endless to be an experiment; None if they are not.

    Parameters
    ----------
    data : object
        Mappings, lists and values. What occurs at several places counts at each.
    """
    count = 0
    stack: list[tuple[object, str, int]] = [(data, "", 0)]
    while stack:
        value, path, depth = stack.pop()
        if depth > DEPTH:  # also of what contains itself
            name = ".".join(path.split(".")[:3])
            return SpecProblem(f"{name} …", f"values lie more than {DEPTH} levels deep")
        if isinstance(value, Mapping):
            inner = list(value.items())
        elif isinstance(value, list | tuple):
            inner = list(enumerate(value))
        else:
            count += not isinstance(value, int | float)
            inner = []
        if len(inner) + count > VALUES:
            inner = [pair for pair in inner if not isinstance(pair[1], int | float)]
        if len(inner) + count > VALUES:
            rule = f"more than {VALUES:,} values, numbers aside: that is no experiment"
            return SpecProblem(path, rule)
        stack += [(v, f"{path}.{k}" if path else str(k), depth + 1) for k, v in inner]
    return None
