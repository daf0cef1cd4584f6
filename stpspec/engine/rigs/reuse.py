"""One rig kept from batch to batch, so that a long search builds its cells once.

There is never more than one rig: NEURON integrates everything that exists, and the variable step
takes its steps for all of it together.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from stpspec.engine import nrn
from stpspec.engine.binding.bind import Bound
from stpspec.engine.binding.scheme import OWN
from stpspec.engine.rigs.preparations import make_rig
from stpspec.engine.rigs.rig import Rig

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


def only_rig(bound: Bound, n: int) -> Rig:
    """Return a new rig, each replica on a cell of its own; the one that was kept is gone."""
    drop()
    return make_rig(bound if bound.scheme.cell == "own" else replace(bound, scheme=OWN), n)


def rig_for(bound: Bound, n: int, names: Sequence[str]) -> Rig:
    """Return the rig that is kept, if it is such a one, or a new one.

    Parameters
    ----------
    bound : Bound
    n : int
        Number of replicas.
    names : sequence of str
        Parameters that will be set: any other has the value it was built with.
    """
    e = bound.experiment
    like = (
        e.model.digest,
        e.recording.digest,
        bound.templates,
        n,
        sorted(names),
        bound.scheme.cell,
        (e.seed, bound.stochastic),
    )
    if _kept and _kept[0].like == like:
        rig = _kept.pop()
        rig.use_again(bound)
        return rig
    drop()
    rig = make_rig(bound, n)
    rig.like = like
    return rig


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
