"""A rig: n replicas of cell, synapse and electrode in one NEURON simulation, set and torn down."""

from __future__ import annotations

import contextlib
import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np

from stpspec.engine import cells, nrn
from stpspec.engine.binding.bound import Bound
from stpspec.engine.hoc_types import NetCon, PointProcess, Reference, Section, Segment, Vector
from stpspec.engine.mechanisms import state_variables
from stpspec.engine.mechanisms.nmodl import read
from stpspec.engine.rigs.seeding import Seeding
from stpspec.errors import SimulationError, TemplateError
from stpspec.specs.places import Place, is_place, place_of
from stpspec.specs.stimulus import Stimulus
from stpspec.units import UnitError, convert

_FOREVER = 1e9  # ms

_OURS = ("pA", "nS")  # of a current and of a conductance


class Probe:
    """One recorded variable of one replica, or the sum of several."""

    def __init__(self, reference: Reference, lags: bool, factor: float):
        self.vector: Vector = nrn.hoc().Vector().record(reference)
        self.factor = factor
        # In a fixed step NEURON computes BREAKPOINT variables (i, g) at the beginning of the step
        # and records them at its end: sample k + 1 holds the value that belongs to time k·dt.
        # States and the voltage do not lag, and nothing does in a variable step.
        self.lag = 1 if lags else 0
        self._summands: list[tuple[Vector, float]] = []

    def add(self, reference: Reference, factor: float) -> None:
        """Record another variable, too, and add it to this one."""
        self._summands.append((nrn.hoc().Vector().record(reference), factor / self.factor))

    def stop(self) -> None:
        """Let NEURON record no more."""
        for vector in (self.vector, *(v for v, _ in self._summands)):
            vector.play_remove()

    def values(self) -> np.ndarray:
        """Return what NEURON has recorded, in its own unit, shape (n,)."""
        # Not vector.as_numpy(): each call of it leaks 0.4 kB inside NEURON 9.0.
        values = np.asarray(self.vector)
        for vector, factor in self._summands:
            values = values + factor * np.asarray(vector)
        return values


@functools.cache
def _declared_factor(unit: str) -> float | None:
    """Return the factor from the unit of a current or conductance to ours; None if it is none."""
    for ours in _OURS if unit else ():
        with contextlib.suppress(UnitError):
            return convert(f"1 {unit}", ours)
    return None


class Rig(ABC):
    """Replicas that are independent of each other.

    Parameters
    ----------
    bound : Bound
    rows : sequence of mapping of str to float
        The candidates, one a replica: what a cell is built with cannot be set later.

    Attributes
    ----------
    probes : list of dict of str to Probe
        One dict a replica; the keys are names of signals and variables.
    trials : list of int
        Of each replica: which random numbers it draws.
    delays : list of float
        Of the NetCon of each replica, ms.
    arrivals : list of list of float
        When the events of the armed stimulus arrive at each replica, ms.
    shifts : list of float
        How much later they do in truth, ms, where the run is moved in time.
    like : tuple
        What it was built for, where it may be kept for another batch.
    """

    def __init__(self, bound: Bound, rows: Sequence[Mapping[str, float]]):
        self.bound = bound
        self.model = bound.experiment.model
        self.recording = bound.experiment.recording
        self.n = n = len(rows)
        self.owned: list[list[object]] = []
        self.points: list[list[PointProcess]] = []
        self.probes: list[dict[str, Probe]] = []
        self.netcons: list[NetCon] = []
        self.electrodes: list[list[PointProcess]] = []
        self.trials = [0] * n
        self.delays = [self._usual_delay()] * n
        self.arrivals: list[list[float]] = []
        self.shifts = [0.0] * n
        self.like: tuple[object, ...] = ()
        self._states: list[list[Reference]] = []
        self._builders = [cells.builder(cell) for cell in self.model.cells]
        self._found: dict[tuple[int, int], dict[str, list[Section]]] = {}
        for replica, row in enumerate(rows):
            self._add_replica(row)
            self._set_fixed_sections(replica)
        self._seeding = (
            Seeding(bound, list(zip(self.owned, self.points, strict=True)))
            if bound.stochastic else None
        )  # fmt: skip
        self._set_globals_to_fixed()
        self._clock: Vector = (
            nrn.hoc().Vector().record(nrn.hoc()._ref_t)
        )  # after: it needs a section

    # -- building ---------------------------------------------------------------------------

    @abstractmethod
    def _add_replica(self, row: Mapping[str, float]) -> None:
        """Build cells, mechanisms, electrodes and probes of one more replica."""

    def _usual_delay(self) -> float:
        net_con = getattr(self.model, "net_con", None)
        return 0.0 if net_con is None else net_con.delay

    def _build(self, which: int, row: Mapping[str, float]) -> object:
        """Build a cell with the arguments of a candidate and the fixed values of its sections.

        Raises
        ------
        SimulationError
            If its template refuses these arguments.
        """
        heads = self.model.heads[which]
        changed = {}
        for name, value in row.items():
            place = place_of(name) if is_place(name) else None
            if place is not None and place.part == "argument" and place.cell in heads:
                changed[place.name] = value
        try:
            cell = self._builders[which](changed)
        except TemplateError as error:
            if not changed:
                raise
            raise SimulationError(str(error)) from error
        return cell

    def _place(self, cell: object, section: str, position: float) -> PointProcess:
        h = nrn.hoc()
        point = getattr(h, self.model.mechanism)(cells.section(cell, section)(position))
        for name, value in self.model.fixed.items():
            if name in self.bound.mechanism.parameters and not self._is_global(name):
                setattr(point, name, value)
        return point

    def _electrode_segment(self, cell: object) -> Segment:
        section = cells.section(cell, self.recording.electrode_section)
        return section(self.recording.electrode_position)

    def _variable(self, point: PointProcess, name: str, factor: float) -> Probe:
        lags = name not in self.bound.mechanism.states
        return Probe(getattr(point, f"_ref_{name}"), lags, self._factor(name, factor))

    def _factor(self, name: str, factor: float) -> float:
        """Return the factor to our unit, from the unit that is declared, not from the usual one."""
        declared = str(nrn.hoc().units(f"{self.model.mechanism}.{name}"))
        return (_declared_factor(declared) or factor) if factor != 1.0 else factor

    def _current(self, point: PointProcess, factor: float) -> Probe:
        """Return a probe of all that the mechanism passes, or of the current that is asked for."""
        first, *others = self.bound.currents
        probe = self._variable(point, first, factor)
        outward = self.bound.outward_currents
        probe.factor *= -1 if first in outward else 1
        for name in others:
            sign = -1 if name in outward else 1
            probe.add(getattr(point, f"_ref_{name}"), sign * self._factor(name, factor))
        return probe

    def _is_global(self, name: str) -> bool:
        return name in self.bound.mechanism.global_parameters

    def _set_globals_to_fixed(self) -> None:
        h = nrn.hoc()
        source = self.bound.sources.get(self.model.mechanism)
        written = read(source).written_globals if source is not None else ()
        values = {n: self.bound.mechanism.defaults[n] for n in written if self._is_global(n)}
        for name, value in (values | self.model.fixed).items():
            if self._is_global(name):
                setattr(h, f"{name}_{self.model.mechanism}", value)

    # -- using ------------------------------------------------------------------------------

    def use_again(self, bound: Bound) -> None:
        """Begin another batch: what is shared by all replicas may have been changed since."""
        self.bound = bound
        self._set_globals_to_fixed()

    def set(self, replica: int, values: Mapping[str, float]) -> None:
        """Set parameter values of one replica (a GLOBAL one is set for all of them)."""
        h = nrn.hoc()
        sections: list[tuple[Place, float]] = []
        for name, value in values.items():
            if is_place(name):
                self._set_place(replica, place_of(name), value, sections)
            elif name not in self.bound.mechanism.parameters:  # the weight of the NetCon
                self.netcons[replica].weight[0] = value
            elif self._is_global(name):
                setattr(h, f"{name}_{self.model.mechanism}", value)
            else:
                for point in self.points[replica]:
                    setattr(point, name, value)
        if sections:
            self._set_sections(replica, sections)

    def _set_place(
        self, replica: int, place: Place | None, value: float, sections: list[tuple[Place, float]]
    ) -> None:
        assert place is not None  # its name was checked when the experiment was bound
        if place.part == "net_con":
            self.delays[replica] = value
        elif place.part == "recording":
            self._set_recording(replica, place.name, value)
        elif place.part == "section" and self.bound.scheme.cell == "own":
            sections.append((place, value))  # a clamped synapse without its cell has no other

    def _set_recording(self, replica: int, name: str, value: float) -> None:
        """Set a number of the recording of one replica."""
        raise NotImplementedError(name)

    def _set_sections(self, replica: int, values: Sequence[tuple[Place, float]]) -> None:
        """Set attributes of sections, those of a single one last.

        Raises
        ------
        SimulationError
            If NEURON refuses a value.
        """
        for which, cell in enumerate(self.owned[replica]):
            groups = self._groups(replica, which, cell)
            heads = self.model.heads[which]
            own = [(p, v) for p, v in values if p.cell in heads]
            # What is said of the second cell alone, and of fewer sections, goes before.
            own.sort(key=lambda pv: (heads.index(pv[0].cell), pv[0].section != "all",
                                     -len(groups[pv[0].section])))  # fmt: skip
            for place, value in own:
                with nrn.border(SimulationError, f"{place.section}.{place.name} = {value:g}"):
                    for section in groups[place.section]:
                        if hasattr(section(0.5), place.name) or hasattr(section, place.name):
                            setattr(section, place.name, value)

    def _groups(self, replica: int, which: int, cell: object) -> dict[str, list[Section]]:
        key = (replica, which)
        if key not in self._found:
            self._found[key] = cells.section_groups(cell)
        return self._found[key]

    def _set_fixed_sections(self, replica: int) -> None:
        fixed = [(place_of(n), v) for n, v in self.model.fixed.items() if is_place(n)]
        values = [(p, v) for p, v in fixed if p is not None]
        if values and self.bound.scheme.cell != "none":
            self._set_sections(replica, values)

    @abstractmethod
    def stimulate(self, stimulus: Stimulus, onset: float) -> None:
        """Arm the stimulus: it is delivered by every run until the next one is armed."""

    def seed(self) -> None:
        """Put all random numbers to the beginning of their streams, before any is drawn."""
        if self._seeding is not None:
            self._seeding.begin(self.trials)

    def deliver(self) -> None:
        """Queue the events of the stimulus, once NEURON has been initialized."""
        # Not in a handler of NEURON's: a Ctrl-C that came in one would be lost.
        for netcon, arrivals in zip(self.netcons, self.arrivals, strict=False):
            for arrival in arrivals:
                netcon.event(arrival)

    def times(self) -> np.ndarray:
        """Return the times at which NEURON has recorded, ms, shape (n,)."""
        return np.asarray(self._clock)

    def disturbed(self, replicas: Sequence[Mapping[str, np.ndarray]]) -> bool:
        """Tell whether what the replicas gave shows that they have influenced each other."""
        return False

    def states(self, replica: int) -> list[Reference]:
        """Return references to all that NEURON integrates in one replica, in a fixed order."""
        if not self._states:
            self._states = state_variables.references(self.owned, self.points)
        return self._states[replica]

    def tear_down(self) -> None:
        """Let go of everything that NEURON holds for this rig."""
        self._states.clear()
        self._seeding = None
        self._found.clear()
        self._clock.play_remove()
        for replica in self.probes:
            for probe in replica.values():
                probe.stop()
        self.probes.clear()
        self.netcons.clear()
        self.electrodes.clear()
        self.points.clear()
        self.owned.clear()
