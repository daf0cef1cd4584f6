"""Parts of an experiment: protocols that are recorded alike, each a simulation of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stpspec.engine.binding.bound import Bound
from stpspec.specs.places import is_place, place_of


@dataclass(frozen=True)
class Part:
    """Protocols that share a recording.

    Attributes
    ----------
    bound : Bound
        An experiment of these protocols alone, with their recording as its own.
    protocols : tuple of str
    names : dict of str to str
        Parameter → its name within the part; one that has no effect on these protocols is missing.
    """

    bound: Bound
    protocols: tuple[str, ...]
    names: dict[str, str]

    def rows(self, rows: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
        """Return candidates as they are in this part."""
        return [{self.names[n]: v for n, v in row.items() if n in self.names} for row in rows]


def parts_of(bound: Bound, protocols: Iterable[str], names: Iterable[str]) -> list[Part]:
    """Return the parts of an experiment that some protocols are of.

    Parameters
    ----------
    bound : Bound
    protocols : iterable of str
    names : iterable of str
        Parameters that candidates set.
    """
    names = tuple(dict.fromkeys([*names, *bound.experiment.parameters]))
    key = (tuple(protocols), names)
    if key not in bound.parts:
        bound.parts[key] = _parts(bound, *key)
    return bound.parts[key]


def _parts(bound: Bound, protocols: Sequence[str], names: Sequence[str]) -> list[Part]:
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    for protocol in protocols:
        recording = bound.experiment.recording_of(protocol)
        inside = _names_inside(bound, protocol, names)
        groups.setdefault((recording.digest, tuple(inside.items())), []).append(protocol)
    return [_part(bound, some, dict(inside)) for (_, inside), some in groups.items()]


def _names_inside(bound: Bound, protocol: str, names: Sequence[str]) -> dict[str, str]:
    """Return the parameters that have an effect on a protocol, by their names in its part."""
    e = bound.experiment
    recording, changes = e.recording_of(protocol), e.protocols[e.owner(protocol)].recording or {}
    inside: dict[str, str] = {}
    for name in names:
        place = place_of(name) if is_place(name) else None
        if place is None or place.part != "recording":
            inside[name] = name
            continue
        own = f"protocols.{e.owner(protocol)}.recording.{place.name}"
        is_default = not place.protocol and place.name not in changes and own not in names
        if place.name in type(recording).model_fields and (name == own or is_default):
            inside[name] = f"recording.{place.name}"
    return inside


def _part(bound: Bound, protocols: Sequence[str], names: dict[str, str]) -> Part:
    e = bound.experiment
    recording: Any = e.recording_of(protocols[0])
    is_same = all(names.get(n) == n for n in (*names, *e.parameters))
    if is_same and recording == e.recording:
        return Part(bound, tuple(protocols), names)
    owners = dict.fromkeys(e.owner(p) for p in protocols)
    changed = {
        "recording": recording,
        "parameters": {names[n]: p for n, p in e.parameters.items() if n in names},
        "protocols": {p: e.protocols[p].model_copy(update={"recording": None}) for p in owners},
    }
    inside = replace(bound, experiment=e.model_copy(update=changed))
    return Part(inside, tuple(protocols), names)
