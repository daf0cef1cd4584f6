"""Catalog of all names to choose from, each with one line that says what it is."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path

from stpspec.config.compose import experiments
from stpspec.formatting import Rows
from stpspec.formatting.layout import screen_width
from stpspec.registry import FITTERS, LOSSES, METRICS, MODELS, PROTOCOLS, RECORDINGS, Registry
from stpspec.resources import extra_folders, shipped
from stpspec.view.tables import columns, unit_text

_REGISTRIES: dict[str, Registry] = {
    "models": MODELS, "recordings": RECORDINGS, "protocols": PROTOCOLS, "metrics": METRICS,
    "losses": LOSSES, "fitters": FITTERS,
}  # fmt: skip


def text(sorts: Sequence[str]) -> str:
    """Return the tables of the given sorts of names."""
    return "\n\n".join(_table(sort) for sort in sorts)


def _table(sort: str) -> str:
    if sort == "experiments":
        rows = [("experiment", "what it is")]
        rows += [(name, _description(path)) for name, path in experiments().items()]
        return _columns(rows)
    if sort in ("mechanisms", "templates"):
        files = _files("mod" if sort == "mechanisms" else "templates", (".mod", ".py", ".hoc"))
        return _columns([(sort[:-1], "what it is"), *((p.name, _first_line(p)) for p in files)])
    registry = _REGISTRIES[sort]
    if sort == "metrics":
        rows3 = [("metric", "unit", "needs", "what it is")]
        for name in registry.names():
            m = registry.get(name)
            rows3.append((name, unit_text(m.unit) or ("" if m.unit == "1" else "of the signal"),
                          ", ".join(m.needs), _doc(m.function)))  # fmt: skip
        return _columns(rows3)
    rows = [(sort[:-1] if sort != "losses" else "loss", "what it is")]
    rows += [
        (n, _doc(getattr(registry.get(n), "function", registry.get(n)))) for n in registry.names()
    ]
    table = _columns(rows)
    group = {
        "models": "model",
        "protocols": "protocol",
        "fitters": "fitter",
        "recordings": "recording",
    }
    if sort in group:
        names = sorted({p.stem for p in _files(group[sort], (".yaml",), of="conf")})
        table += f"\nready to choose, {group[sort]}=: {', '.join(names)}"
    return table


def _files(folder: str, endings: Sequence[str], *, of: str = "") -> list[Path]:
    """Return the files in a folder of one's own (``--config-dir``) and in the shipped one."""
    ours = shipped(of) / folder if of else shipped(folder)
    places = [*(f / folder for f in extra_folders()), ours]
    return [p for place in places if place.is_dir() for p in sorted(place.iterdir())
            if p.suffix in endings and not p.name.startswith((".", "_"))]  # fmt: skip


def _columns(rows: Rows) -> str:
    return columns(rows, width=screen_width())


def _doc(thing: object) -> str:
    return (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")


def _description(path: Path) -> str:
    from stpspec.config.yaml_files import document
    from stpspec.errors import StpspecError

    try:
        data = document(path).data
    except StpspecError as error:  # one file that cannot be read hides no other
        return str(error)
    return str(data.get("description", "")) if isinstance(data, dict) else ""


def _first_line(path: Path) -> str:
    first = path.read_text(encoding="utf-8").lstrip().splitlines()[0]
    return first.removeprefix("TITLE").strip(' "/*:')
