"""State variables: all that NEURON integrates in a cell, voltages, mechanisms and ions."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Sequence, Set

from stpspec.engine import nrn
from stpspec.engine.hoc_types import PointProcess, Reference, Section

_STATE = 3  # kind of variable in NEURON's MechanismStandard


def references(
    replicas: Sequence[Sequence[object]], points: Sequence[Sequence[PointProcess]]
) -> list[list[Reference]]:
    """Return references to each variable of each replica, in one order for all.

    Parameters
    ----------
    replicas : sequence of sequence of cell
        Replicas may share a cell.
    points : sequence of sequence of point process
        Those that belong to one replica only.
    """
    sections = _sections([cell for cells in replicas for cell in cells])
    names = [{p.hname() for p in own} for own in points]
    every = set[str]().union(*names)
    return [
        [r for cell in cells for section in sections[str(cell)]
         for r in _in_section(section, every - own)]
        for cells, own in zip(replicas, names, strict=True)
    ]  # fmt: skip


def mechanisms_in_use(but: Collection[Section] = ()) -> set[str]:
    """Return the names of the mechanisms and point processes that sit in any section.

    Parameters
    ----------
    but : collection of Section
        Sections that are left out.
    """
    found = set[str]()
    for section in nrn.hoc().allsec():
        if section in but:
            continue
        for segment in section:
            found |= {mechanism.name() for mechanism in segment}
            found |= {p.hname().partition("[")[0] for p in segment.point_processes()}
    return found


def _in_section(section: Section, foreign: Set[str]) -> Iterator[Reference]:
    for segment in section:
        yield segment._ref_v
        for mechanism in segment:
            name = mechanism.name()
            variables = _ion(name) if name.endswith("_ion") else state_variables(name)
            for variable, size in variables:
                yield from _elements(getattr(segment, f"_ref_{variable}"), size)
        for point in segment.point_processes():
            if point.hname() in foreign:
                continue
            name = point.hname().partition("[")[0]
            for variable, size in state_variables(name):
                yield from _elements(getattr(point, f"_ref_{variable}"), size)


def _elements(reference: Reference, size: int) -> Iterator[Reference]:
    if size == 1:
        yield reference
        return
    for index in range(size):  # an array state
        yield _Element(reference, index)


class _Element:
    """One element of an array variable, read and written like a reference."""

    def __init__(self, reference: Reference, index: int):
        self._reference, self._index = reference, index

    def __getitem__(self, _: int) -> float:
        return float(self._reference[self._index])

    def __setitem__(self, _: int, value: float) -> None:
        self._reference[self._index] = value


def _sections(cells: Sequence[object]) -> dict[str, list[Section]]:
    """Return the sections of each cell, by its name, in NEURON's order."""
    found: dict[str, list[Section]] = {str(cell): [] for cell in cells}
    for section in nrn.hoc().allsec():
        own = section.cell()
        name = str(own) if own is not None else section.name().rpartition(".")[0]
        if name in found:
            found[name].append(section)
    return found


@functools.cache
def state_variables(mechanism: str) -> tuple[tuple[str, int], ...]:
    """Return name and size of the STATE variables of a mechanism."""
    h = nrn.hoc()
    standard, text = h.MechanismStandard(mechanism, _STATE), h.ref("")
    found = []
    for index in range(int(standard.count())):
        size = int(standard.name(text, index))
        found.append((text[0], size))
    return tuple(found)


def _ion(name: str) -> tuple[tuple[str, int], ...]:
    ion = name.removesuffix("_ion")
    return ((f"{ion}i", 1), (f"{ion}o", 1), (f"e{ion}", 1))
