"""Types of NEURON's objects, as far as we use them: NEURON brings no stubs."""

from __future__ import annotations

from collections.abc import Iterator, MutableSequence, Sequence
from typing import Any, Protocol

# Of point processes and electrodes: the mechanism decides which attributes they have.
PointProcess = Any


class Reference(Protocol):
    """A pointer to one variable, which is its element 0."""

    def __getitem__(self, index: int, /) -> float: ...
    def __setitem__(self, index: int, value: float, /) -> None: ...


class Named(Protocol):
    """A mechanism that is inserted into a segment."""

    def name(self) -> str: ...


class Segment(Protocol):
    """A place along a section."""

    _ref_v: Reference

    def __iter__(self) -> Iterator[Named]: ...
    def point_processes(self) -> Sequence[PointProcess]: ...


class Section(Protocol):
    """A piece of cable; called with a position from 0 to 1 it gives the segment there."""

    nseg: int

    def __call__(self, position: float, /) -> Segment: ...
    def __iter__(self) -> Iterator[Segment]: ...
    def name(self) -> str: ...
    def cell(self) -> object: ...


class Vector(Protocol):
    """Recorded samples; numpy reads them by the array interface."""

    def __array__(self) -> Any: ...  # what numpy's own stub says of it
    def play_remove(self) -> None: ...


class NetCon(Protocol):
    """The connection that carries presynaptic events."""

    weight: MutableSequence[float]

    def event(self, time: float, /) -> object: ...
