"""Steps that grow with the time since the last event: fine where something has just happened.

For what a fixed step of any size integrates exactly, such as the linear kinetics of a synapse at a
constant voltage (cnexp), the size of the steps only decides how densely the answer is sampled.
Samples whose distance is an eighth of the time since the event, or less, resolve fast and slow
kinetics alike, and all candidates are sampled at the same times: none is told apart by its steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

_BLOCK = 8  # steps of one size, before they are doubled
_FINER = 2  # times that the first steps after an event are finer than dt
_CLEAN = 1.0  # ms before an event; there the residue is read, so there the steps are dt
_LARGEST = 50.0  # ms
_NOTHING = 1e-9  # ms; a rest shorter than this is rounding


def blocks(arrivals: Sequence[float], stop: float, dt: float) -> Iterator[tuple[float, int]]:
    """Yield (end in ms, number of equal steps) from 0 to ``stop``; each event begins a step.

    Parameters
    ----------
    arrivals : sequence of float
        Times of the events, rising, ms.
    stop : float
        ms.
    dt : float
        The fixed step in whose place these are taken, ms.
    """
    begin = 0.0
    inner = [a for a in dict.fromkeys(arrivals) if 0 < a < stop]
    for end in [*inner, stop]:
        yield from _between(begin, end, dt)
        begin = end


def _between(begin: float, end: float, dt: float) -> Iterator[tuple[float, int]]:
    # Whole steps of dt, so that the last samples before an event are where the fixed step has them.
    clean, step = dt * math.floor(min(_CLEAN, end - begin) / dt + 1e-9), dt / _FINER
    while begin + _BLOCK * step < end - clean:
        begin += _BLOCK * step
        yield begin, _BLOCK
        step = min(2 * step, _LARGEST)
    for until, size in ((end - clean, step), (end, dt)):
        if until > begin + _NOTHING:
            yield until, max(1, math.ceil((until - begin) / size - 1e-9))
            begin = until
