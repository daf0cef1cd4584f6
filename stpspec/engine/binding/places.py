"""Places of free parameters beyond the mechanism in a loaded model: units, limits, faults."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic.fields import FieldInfo

from stpspec.engine.binding.facts import CellFacts
from stpspec.errors import SpecProblem, nearest
from stpspec.specs.model import NetCon
from stpspec.specs.places import DELAY, Place, canonical, field_of, is_place, place_of
from stpspec.specs.plausible import Range

# What an electrode is set to while a rig is there, and the unit.
OF_ELECTRODE = {"holding_potential": "mV", "series_resistance": "Mohm", "holding_current": "nA"}
_LEAST, _MOST = 1e-9, 1e9
_LEAST_OF = {"L": _LEAST, "diam": _LEAST, "Ra": _LEAST, "cm": 0.0}  # of a section
_SHOWN = 30  # names in a message


@dataclass(frozen=True)
class Places:
    """What may be a free parameter beyond the mechanism.

    Attributes
    ----------
    units : dict of str to str
        By the dotted path of each.
    limits : dict of str to (float, float)
        Of those that have any.
    """

    units: dict[str, str] = field(default_factory=dict)
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)


def places_of(
    model: Any,
    default: Any,
    protocols: Mapping[str, Any],
    recordings: Mapping[str, Any],
    facts: Sequence[CellFacts],
) -> Places:
    """Return what may be free of the connection, the cells and the recordings.

    Parameters
    ----------
    model : Synapse or GapJunction
    default : recording, optional
        That of the experiment.
    protocols : mapping of str to Protocol
    recordings : mapping of str to recording
        How each protocol is recorded.
    facts : sequence of CellFacts
        Of the cells of the model.
    """
    found = Places()
    if model.stimulated_by == "event":
        found.units[DELAY] = "ms"
        found.limits[DELAY] = _limits(NetCon.model_fields["delay"])
    for head, told in zip(("cell", "cell_2"), facts, strict=False):
        _add_cell(found, head, told)
    of = [(name, r, protocols[name].recording or {}) for name, r in recordings.items()]
    for name, recording, changes in of or ([] if default is None else [("", default, {})]):
        _add_recording(found, name, recording, changes)
    return found


def _add_cell(found: Places, head: str, told: CellFacts) -> None:
    for n in told.arguments:
        found.units[canonical(f"{head}.arguments.{n}")] = "1"
    for section, attributes in told.attributes.items():
        for name, unit in attributes.items():
            path = f"{head}.{section}.{name}"
            found.units[path] = unit
            if name in _LEAST_OF:
                found.limits[path] = (_LEAST_OF[name], _MOST)


def _add_recording(
    found: Places, protocol: str, recording: Any, changes: Mapping[str, Any]
) -> None:
    for field_name, unit in OF_ELECTRODE.items():
        info = type(recording).model_fields.get(field_name)
        if info is None:
            continue
        paths = [f"protocols.{protocol}.recording.{field_name}"] if protocol else []
        paths += [] if field_name in changes else [f"recording.{field_name}"]
        for path in paths:
            found.units[path], found.limits[path] = unit, _limits(info)


def _limits(info: FieldInfo) -> tuple[float, float]:
    """Return what a field of a spec allows."""
    low, high = -math.inf, math.inf
    for mark in info.metadata:
        if isinstance(mark, Range):
            low, high = max(low, mark.least), min(high, mark.most)
        low = max(low, getattr(mark, "ge", low))
        low = max(low, getattr(mark, "gt", low - _LEAST) + _LEAST)
    return low, high


def unknown_place(
    path: str, name: str, model: Any, facts: Sequence[CellFacts], known: Mapping[str, str]
) -> SpecProblem | None:
    """Return what is wrong with a dotted path that is no place of this model.

    Parameters
    ----------
    path : str
        Of the field where it is written.
    name : str
        The dotted path itself.
    model : Synapse or GapJunction
    facts : sequence of CellFacts
    known : mapping of str to str
        All that may be free, and the units.

    Returns
    -------
    SpecProblem or None
        None where the cell cannot be built: that is told elsewhere.
    """
    place = place_of(name)
    heads: list[str] = ["cell", "cell_2"]
    told = dict(zip(heads, facts, strict=False)).get(place.cell if place else "")
    if told is not None and told.error:
        return None
    guess = _guess(name, place, known)
    return SpecProblem(path, _rule(name, place, model, told, known), name, guess)


def _guess(name: str, place: Place | None, known: Mapping[str, str]) -> str | None:
    if name == "net_con.weight" and "weight" in known:
        return "weight"
    for prefix in ("model.", "model.fixed.") if name.startswith("model.") else ():
        if name.removeprefix(prefix) in known:
            return name.removeprefix(prefix)
    if place is None and f"cell.{name}" in known:
        return f"cell.{name}"
    head = name.partition(".")[0]
    near = [n for n in known if n.partition(".")[0] == head] or [n for n in known if is_place(n)]
    return nearest(name, near)


def _rule(
    name: str, place: Place | None, model: Any, told: CellFacts | None, known: Mapping[str, str]
) -> str:
    if place is None:
        return ("no such path: free beyond the mechanism are net_con.delay, "
                "cell.arguments.NAME, cell.SECTION.ATTRIBUTE and recording.FIELD")  # fmt: skip
    if place.part == "net_con":
        if model.stimulated_by != "event":
            return "a gap junction has no NetCon"
        return "of the NetCon its delay is free, and its weight by the name 'weight'"
    if place.part == "recording":
        of = [n for n in known if (p := place_of(n)) is not None and p.part == "recording"]
        return (
            f"no recording of a protocol has this number, or leaves it open; free are {_list(of)}"
        )
    if told is None:
        return "cell_2 is like the first unless it is given: model.cell_2 gives it"
    if place.part == "argument":
        return (f"the template takes no number by this name; it takes "
                f"{_list(told.arguments)}")  # fmt: skip
    if place.section not in told.attributes:
        return f"the cell has no section {place.section!r}; it has {_list(told.attributes)}"
    return (f"{place.section} has no attribute {place.name!r} that can be set; it has "
            f"{_list(told.attributes[place.section])}")  # fmt: skip


def _list(names: Any) -> str:
    listed = list(names)
    more = f" … ({len(listed)} in all)" if len(listed) > _SHOWN else ""
    return (", ".join(listed[:_SHOWN]) or "none") + more


def fixed_elsewhere(path: str, name: str) -> SpecProblem | None:
    """Return where a value belongs that has a field of its own; None if ``fixed`` is the place."""
    place = place_of(name)
    if place is None or place.part == "section":
        return None
    return SpecProblem(path, f"this has a field of its own: {field_of(name)}", name, field_of(name))


def owner(name: str) -> str:
    """Return whose limits those of a parameter are, in words."""
    place = place_of(name) if is_place(name) else None
    words = {"net_con": "the NetCon", "recording": "the recording", "section": "a section"}
    return "the mechanism" if place is None else words.get(place.part, "the template")
