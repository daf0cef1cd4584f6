"""The names of metrics and losses, from their decorators: importing them takes too long.

Parsing the sources and searching the installed packages takes longer than the rest of an answer,
so the names are kept in the cache until a source, or a folder with packages, has changed.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from stpspec.resources import cache_folder

METRICS = Path(__file__).resolve().parents[2] / "metrics"
_GROUPS = {"metric": "stpspec.metrics", "loss": "stpspec.losses"}


def registered(sort: str, folder: Path = METRICS) -> list[str]:
    """Return the names of all metrics or losses, also those of installed plug-ins.

    Parameters
    ----------
    sort : str
        ``"metric"`` or ``"loss"``: the name of the decorator.
    folder : Path
        Where the sources are.
    """
    sources = sorted(folder.glob("*.py"))
    state = [_state(path) for path in (*sources, *map(Path, sys.path))]
    cache = cache_folder("completion") / "registered.json"
    listing = _read(cache)
    if listing.get("state") != state:
        listing = {"state": state, **_names(sources)}
        with contextlib.suppress(OSError):  # a cache that cannot be written is no reason to stop
            cache.parent.mkdir(parents=True, exist_ok=True)
            whole = cache.with_suffix(f".{os.getpid()}")
            whole.write_text(json.dumps(listing), encoding="utf-8")
            whole.replace(cache)
    return [str(name) for name in listing[sort]]


def _state(path: Path) -> list[str | int]:
    try:
        found = path.stat()
    except OSError:  # an entry of sys.path that does not exist
        return [str(path)]
    return [str(path), found.st_mtime_ns, found.st_size]


def _read(cache: Path) -> Mapping[str, Sequence[object]]:
    try:
        listing = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return listing if isinstance(listing, dict) and _GROUPS.keys() <= listing.keys() else {}


def _names(sources: list[Path]) -> dict[str, list[str]]:
    from importlib.metadata import entry_points

    own = [pair for path in sources for pair in _decorated(path)]
    return {
        sort: sorted(
            {name for decorator, name in own if decorator == sort}
            | {point.name for point in entry_points(group=group)}
        )
        for sort, group in _GROUPS.items()
    }


def _decorated(path: Path) -> Iterator[tuple[str, str]]:
    """Yield decorator and first argument of each decorated function of a module."""
    import ast

    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        for call in getattr(node, "decorator_list", []):
            match call:
                case ast.Call(
                    func=ast.Name(id=decorator), args=[ast.Constant(value=str(name)), *_]
                ):
                    yield decorator, name
