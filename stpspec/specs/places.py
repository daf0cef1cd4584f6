"""Places of free parameters beyond the mechanism: connection, cell and recording, by dotted path.

======================================  =====================================================
name                                    sets
======================================  =====================================================
``net_con.delay``                       the delay of the NetCon
``cell.arguments.resistance``           an argument of the template, by its name or number
``cell.soma.g_pas``, ``cell.dend.Ra``   an attribute of a section, or of all of an array or list
``cell.all.cm``                         the same of every section that has it
``cell_2.…``                            of the second cell of a gap junction
``recording.holding_current``           a number of the recording, of all protocols that have it
``protocols.x.recording.…``             the same of one protocol
======================================  =====================================================
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

DELAY = "net_con.delay"
_CELLS = ("cell", "cell_2")
HEADS = ("net_con", *_CELLS, "recording", "protocols")
_ENTRY = ("min", "max", "start", "scale")  # fields of a parameter

Part = Literal["net_con", "argument", "section", "recording"]


@dataclass(frozen=True)
class Place:
    """What a free parameter beyond the mechanism sets.

    Attributes
    ----------
    part : {"net_con", "argument", "section", "recording"}
    name : str
        Of the field, the argument or the attribute.
    cell : str
        ``cell`` or ``cell_2``, of an argument or a section.
    section : str
        A section, an array or list of sections, or ``all``.
    protocol : str
        Of a recording: the one protocol whose it is; empty for the default.
    """

    part: Part
    name: str
    cell: str = ""
    section: str = ""
    protocol: str = ""


def is_place(name: str) -> bool:
    """Tell whether a name is a dotted path, which no parameter of a mechanism is."""
    return "." in name


@functools.lru_cache(maxsize=4096)
def place_of(name: str) -> Place | None:
    """Return what a dotted path names; None if it is of no such form."""
    head, *rest = name.split(".")
    if head == "net_con" and len(rest) == 1:
        return Place("net_con", rest[0])
    if head == "recording" and len(rest) == 1:
        return Place("recording", rest[0])
    if head == "protocols" and len(rest) >= 3 and rest[-2] == "recording":
        return Place("recording", rest[-1], protocol=".".join(rest[:-2]))
    if head in _CELLS:
        argument = re.fullmatch(r"arguments(?:\.(\w+)|\[(\d+)\])", ".".join(rest))
        if argument is not None:
            return Place("argument", argument[1] or argument[2], cell=head)
        if len(rest) == 2:
            return Place("section", rest[1], cell=head, section=rest[0])
    return None


def canonical(name: str) -> str:
    """Return a dotted path as it is written: a number in a cell stands in brackets.

    Hydra's grammar has no brackets in a name; ``cell.dend.0.g_pas`` means ``cell.dend[0].g_pas``.
    """
    if name.partition(".")[0] not in _CELLS:
        return name
    return re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", name)


def nested(parameters: Mapping[str, object]) -> dict[str, object]:
    """Return parameters with a mapping for each part of a dotted path, as Hydra's overrides have.

    Parameters
    ----------
    parameters : mapping of str to object
        Name → what is written of it.
    """
    data: dict[str, object] = {}
    for name, entry in parameters.items():
        if str(name).partition(".")[0] not in HEADS:
            data[name] = entry
            continue
        *parents, last = re.sub(r"\[(\d+)\]", r".\1", str(name)).split(".")
        place = data
        for parent in parents:
            inner = place.setdefault(parent, {})
            if not isinstance(inner, dict):
                place[parent] = inner = {}
            place = inner
        place[last] = _joined(place.get(last), entry)
    return data


def flat(parameters: Mapping[str, object]) -> dict[str, object]:
    """Return parameters by their names, of mappings within mappings by their dotted paths."""
    data: dict[str, object] = {}
    for name, entry in parameters.items():
        if str(name).partition(".")[0] in HEADS:
            for path, value in _entries(str(name), entry):
                data[path] = _joined(data.get(path), value)
        else:
            data[name] = entry
    return data


def _joined(old: object, new: object) -> object:
    """Return an entry with the fields of another put into it."""
    return {**old, **new} if isinstance(old, Mapping) and isinstance(new, Mapping) else new


def by_dotted_paths(data: Mapping[str, object]) -> dict[str, object]:
    """Return the data of an experiment with each parameter by its name, however it is nested."""
    whole, model = dict(data), data.get("model")
    if isinstance(parameters := data.get("parameters"), Mapping):
        whole["parameters"] = flat(parameters)
    if isinstance(model, Mapping) and isinstance(fixed := model.get("fixed"), Mapping):
        whole["model"] = {**model, "fixed": flat(fixed)}
    return whole


def _entries(path: str, entry: object) -> Sequence[tuple[str, object]]:
    is_whole = isinstance(entry, Mapping) and (set(map(str, entry)) & set(_ENTRY))
    if isinstance(entry, Mapping) and not is_whole and (entry or place_of(path) is None):
        return [pair for k, v in entry.items() for pair in _entries(f"{path}.{k}", v)]
    return [(canonical(path), entry)]


def field_of(name: str) -> str:
    """Return the field of an experiment that fixes what a free parameter of this name sets."""
    place = place_of(name)
    if place is None or place.part == "section":
        return f"model.fixed.{name}"
    return name if place.part == "recording" else f"model.{name}"
