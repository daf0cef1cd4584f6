"""One rig kept from batch to batch, so that a long search builds its cells once.

There is never more than one rig: NEURON integrates everything that exists, and the variable step
takes its steps for all of it together.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from stpspec.engine import nrn
from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.scheme import OWN
from stpspec.engine.rigs.preparations import make_rig
from stpspec.engine.rigs.rig import Rig
from stpspec.specs.places import is_place, place_of

_kept: list[Rig] = []
_depth = 0


@contextlib.contextmanager
def rigs_kept() -> Iterator[None]:
    """Keep the last rig until the outermost of these contexts ends; nothing stays behind."""
    _count(1)
    try:
        yield
    finally:
        _count(-1)


def _count(more: int) -> None:
    global _depth
    with nrn.exclusive():
        _depth += more
        if _depth == 0:
            drop()


def only_rig(bound: Bound, rows: Sequence[Mapping[str, float]] = ({},)) -> Rig:
    """Return a new rig, each replica on a cell of its own; the one that was kept is gone."""
    drop()
    return make_rig(bound if bound.scheme.cell == "own" else replace(bound, scheme=OWN), rows)


def rig_for(bound: Bound, rows: Sequence[Mapping[str, float]]) -> Rig:
    """Return the rig that is kept, if it is such a one, or a new one.

    Parameters
    ----------
    bound : Bound
    rows : sequence of mapping of str to float
        The candidates. Of what they set the values may be others than before, but for the
        arguments of cells; all else has the value that it was built with.
    """
    e = bound.experiment
    built = [{n: v for n, v in row.items() if _is_argument(n)} for row in rows]
    like = (
        e.model.digest,
        e.recording.digest,
        bound.templates,
        sorted(rows[0]),
        len(rows) if bound.scheme.cell != "own" else built,
        bound.scheme.cell,
        (e.seed, bound.stochastic),
    )
    if _kept and _kept[0].like == like:
        rig = _kept.pop()
        rig.use_again(bound)
        return rig
    drop()
    rig = make_rig(bound, rows)
    rig.like = like
    return rig


def _is_argument(name: str) -> bool:
    place = place_of(name) if is_place(name) else None
    return place is not None and place.part == "argument"


def give_back(rig: Rig, *, sound: bool) -> None:
    """Keep a rig, or tear it down where nothing is kept or a simulation in it has failed."""
    if _depth and sound and not _kept:
        _kept.append(rig)
    else:
        rig.tear_down()


def drop() -> None:
    """Tear down the rig that is kept."""
    while _kept:
        _kept.pop().tear_down()
