"""Seeding of the random numbers of a rig: each trial and each instance has a stream of its own.

A stream depends on the seed of the experiment, on the trial, and on the place of the instance in
its replica. It depends on no parameter: candidates are compared with common random numbers. Nor
does it on the batch or the worker, so that neither changes a result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from stpspec.engine import nrn
from stpspec.engine.binding.bound import Bound
from stpspec.engine.mechanisms import nmodl
from stpspec.engine.mechanisms.generators import OBJECT
from stpspec.engine.mechanisms.nmodl import ModFile
from stpspec.errors import SimulationError

_FURTHER = 1 << 16  # added to the place of an instance for each further generator that it has


class Seeding:
    """The generators of all replicas of a rig.

    Parameters
    ----------
    bound : Bound
    replicas : sequence of (sequence of cell, sequence of point process)
        Cells and mechanisms of each replica.
    """

    def __init__(self, bound: Bound, replicas: Sequence[tuple[Sequence[Any], Sequence[Any]]]):
        self._contents = {n: nmodl.read(bound.sources[n]) for n in bound.stochastic}
        self._distribution = getattr(bound.experiment.model, "distribution", None)
        self._seed = bound.experiment.seed
        self._in_cells = bool(set(self._contents) - {bound.mechanism.name})
        self._own = {p.hname() for _, points in replicas for p in points}
        self._instances = [self._found(cells, points) for cells, points in replicas]
        self._objects: dict[tuple[int, int], Any] = {}  # Random objects, alive as long as the rig

    def _found(self, cells: Sequence[Any], points: Sequence[Any]) -> list[tuple[str, Any]]:
        """Return mechanism and instance: those of the model first, then those of the cells."""
        found = [(_mechanism(p), p) for p in points]
        for section in _sections(cells) if self._in_cells else ():
            for segment in section:
                found += [(m.name(), m) for m in segment]
                found += [(_mechanism(p), p) for p in segment.point_processes()
                          if p.hname() not in self._own]  # fmt: skip
        return [(name, instance) for name, instance in found if name in self._contents]

    def begin(self, trials: Sequence[int]) -> None:
        """Put all streams to their beginning.

        Parameters
        ----------
        trials : sequence of int
            Of each replica.

        Raises
        ------
        SimulationError
            If a mechanism refuses what it is given.
        """
        if any(c.of_neuron or not c.parsed for c in self._contents.values()):
            h = nrn.hoc()
            h.use_mcell_ran4(0)
            h.stpspec_set_seed(stream(self._seed, trials[0], 0, 1)[0])
        for replica, (instances, trial) in enumerate(zip(self._instances, trials, strict=True)):
            for place, (name, instance) in enumerate(instances):
                with nrn.border(SimulationError, f"seeding the random numbers of {name}"):
                    self._begin(self._contents[name], instance, (replica, place), trial)

    def _begin(self, content: ModFile, instance: Any, where: tuple[int, int], trial: int) -> None:
        place = where[1]
        for name in content.random_variables:
            getattr(instance, name).set_ids(*stream(self._seed, trial, place, 3)).set_seq(0)
            place += _FURTHER
        for name, takes in content.seeders.items():
            numbers = iter(stream(self._seed, trial, place, max(takes.count("number"), 1)))
            given = [
                self._object((where[0], place), content, trial) if kind == OBJECT
                else next(numbers) for kind in takes
            ]  # fmt: skip
            getattr(instance, name)(*given)
            place += _FURTHER

    def _object(self, key: tuple[int, int], content: ModFile, trial: int) -> Any:
        """Return the Random object of one generator, at the beginning of its stream."""
        if key not in self._objects:
            self._objects[key] = nrn.hoc().Random()
        random = self._objects[key]
        random.Random123(*stream(self._seed, trial, key[1], 3))
        random.seq(0)
        match self._distribution or content.distribution:
            case "uniform":
                random.uniform(0, 1)
            case "negexp":
                random.negexp(1)
            case "normal":
                random.normal(0, 1)
        return random


def stream(seed: int, trial: int, place: int, n: int) -> list[int]:
    """Return n numbers of 31 bits that name a stream.

    Parameters
    ----------
    seed : int
        Of the experiment.
    trial : int
        From 0.
    place : int
        Of the instance in its replica, from 0.
    n : int
        As many as a mechanism takes. From three on, trial and place are two of them, so that no
        two streams are the same.
    """
    mixed = [_mix(seed), _mix(seed, trial, place), _mix(seed, trial, place, 1)]
    if n >= 3:
        rest = [_mix(seed, trial, place, k) for k in range(3, n)]
        return [mixed[0], trial + 1, place + 1, *rest]
    return [mixed[1]] if n == 1 else mixed[:2]


def _mix(*numbers: int) -> int:
    digest = hashlib.sha256(",".join(map(str, numbers)).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _mechanism(point: Any) -> str:
    return point.hname().partition("[")[0]


def _sections(cells: Sequence[Any]) -> list[Any]:
    """Return the sections of some cells, in NEURON's order."""
    names = {str(cell) for cell in cells}
    return [s for s in nrn.hoc().allsec() if _owner(s) in names]


def _owner(section: Any) -> str:
    own = section.cell()
    return str(own) if own is not None else section.name().rpartition(".")[0]
