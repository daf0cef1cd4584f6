"""A rig: n replicas of cell, synapse and electrode in one NEURON simulation, set and torn down."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stpspec.dataset import SIGNALS
from stpspec.engine import cells, nrn, states
from stpspec.engine.bind import Bound
from stpspec.errors import MechanismError
from stpspec.spec.model import Cell
from stpspec.spec.protocol import Stimulus

_FOREVER = 1e9  # ms

# Declared unit of a current or conductance → factor to pA or nS.
_TO_OURS = {"nA": 1e3, "pA": 1.0, "uA": 1e6, "uS": 1e3, "umho": 1e3, "nS": 1.0, "mS": 1e6,
            "pS": 1e-3}  # fmt: skip


class Probe:
    """One recorded variable of one replica."""

    def __init__(self, reference: Any, lags: bool, factor: float):
        self.vector = nrn.hoc().Vector().record(reference)
        self.factor = factor
        # In a fixed step NEURON computes BREAKPOINT variables (i, g) at the beginning of the step
        # and records them at its end: sample k + 1 holds the value that belongs to time k·dt.
        # States and the voltage do not lag, and nothing does in a variable step.
        self.lag = 1 if lags else 0

    def values(self) -> np.ndarray:
        """Return what NEURON has recorded, in its own unit, shape (n,)."""
        # Not vector.as_numpy(): each call of it leaks 0.4 kB inside NEURON 9.0.
        return np.asarray(self.vector)


class Rig(ABC):
    """Replicas that are independent of each other.

    Parameters
    ----------
    bound : Bound
    n : int
        Number of replicas.

    Attributes
    ----------
    probes : list of dict of str to Probe
        One dict a replica; the keys are names of signals and variables.
    arrivals : list of float
        When the events of the armed stimulus arrive, ms.
    like : tuple
        What it was built for, where it may be kept for another batch.
    """

    def __init__(self, bound: Bound, n: int):
        self.bound = bound
        self.model = bound.experiment.model
        self.recording = bound.experiment.recording
        self.n = n
        self.owned: list[list[Any]] = []
        self.points: list[list[Any]] = []
        self.probes: list[dict[str, Probe]] = []
        self.netcons: list[Any] = []
        self.electrodes: list[list[Any]] = []
        self.arrivals: list[float] = []
        self.like: tuple[Any, ...] = ()
        self._states: list[list[Any]] = []
        self._builders = [cells.builder(cell) for cell in self._cells()]
        for _ in range(n):
            self._add_replica()
        self._set_globals_to_fixed()
        self._clock = nrn.hoc().Vector().record(nrn.hoc()._ref_t)  # after: it needs a section

    # -- building ---------------------------------------------------------------------------

    def _cells(self) -> Sequence[Cell]:
        """Return the cells of a replica, as the model describes them."""
        return [self.model.cell]

    @abstractmethod
    def _add_replica(self) -> None:
        """Build cells, mechanisms, electrodes and probes of one more replica."""

    def _place(self, cell: Any, section: str, position: float) -> Any:
        h = nrn.hoc()
        point = getattr(h, self.model.mechanism)(cells.section(cell, section)(position))
        for name, value in self.model.fixed.items():
            if name in self.bound.mechanism.parameters and not self._is_global(name):
                setattr(point, name, value)
        return point

    def _electrode_segment(self, cell: Any) -> Any:
        section = cells.section(cell, self.recording.electrode_section)
        return section(self.recording.electrode_position)

    def _variable(self, point: Any, name: str, factor: float) -> Probe:
        lags = name not in self.bound.mechanism.states
        declared = str(nrn.hoc().units(f"{self.model.mechanism}.{name}"))
        if factor != 1.0 and declared in _TO_OURS:  # as the mechanism declares, not as usual
            factor = _TO_OURS[declared]
        return Probe(getattr(point, f"_ref_{name}"), lags, factor)

    def _is_global(self, name: str) -> bool:
        return name in self.bound.mechanism.global_parameters

    def _set_globals_to_fixed(self) -> None:
        h = nrn.hoc()
        for name, value in self.model.fixed.items():
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
        for name, value in values.items():
            if name == "weight" and self.netcons:
                self.netcons[replica].weight[0] = value
            elif self._is_global(name):
                setattr(h, f"{name}_{self.model.mechanism}", value)
            else:
                for point in self.points[replica]:
                    setattr(point, name, value)

    @abstractmethod
    def stimulate(self, stimulus: Stimulus, onset: float) -> None:
        """Arm the stimulus: it is delivered by every run until the next one is armed."""

    def deliver(self) -> None:
        """Queue the events of the stimulus, once NEURON has been initialized."""
        # Not in a handler of NEURON's: a Ctrl-C that came in one would be lost.
        for netcon in self.netcons:
            for arrival in self.arrivals:
                netcon.event(arrival)

    def times(self) -> np.ndarray:
        """Return the times at which NEURON has recorded, ms, shape (n,)."""
        return np.asarray(self._clock)

    def disturbed(self, replicas: Sequence[Mapping[str, np.ndarray]]) -> bool:
        """Tell whether what the replicas gave shows that they have influenced each other."""
        return False

    def states(self, replica: int) -> list[Any]:
        """Return references to all that NEURON integrates in one replica, in a fixed order."""
        if not self._states:
            self._states = states.references(self.owned, self.points)
        return self._states[replica]

    def tear_down(self) -> None:
        """Let go of everything that NEURON holds for this rig."""
        self._states.clear()
        self._clock.play_remove()
        for replica in self.probes:
            for probe in replica.values():
                probe.vector.play_remove()
        self.probes.clear()
        self.netcons.clear()
        self.electrodes.clear()
        self.points.clear()
        self.owned.clear()


class SynapseRig(Rig):
    """Replicas of one synapse on one clamped or free cell."""

    def _add_replica(self) -> None:
        cell, electrode = self._preparation()
        synapse = self._place(cell, self.model.section, self.model.position)
        segment = self._electrode_segment(cell)
        netcon = nrn.hoc().NetCon(None, synapse)
        netcon.weight[0] = self.model.fixed.get("weight", self.model.net_con.weight)
        self.owned.append([cell])
        self.points.append([synapse])
        self.electrodes.append([electrode])
        self.netcons.append(netcon)
        self.probes.append(self._probes(synapse, electrode, segment))

    def _preparation(self) -> tuple[Any, Any]:
        """Return the cell and the electrode of one more replica."""
        h = nrn.hoc()
        cell = self._builders[0]()
        segment = self._electrode_segment(cell)
        if self.recording.kind == "voltage_clamp":
            electrode = h.SEClamp(segment)
            electrode.rs = self.recording.series_resistance
            electrode.dur1, electrode.amp1 = _FOREVER, self.recording.holding_potential
        else:
            electrode = h.IClamp(segment)
            electrode.delay, electrode.dur = 0, _FOREVER
            electrode.amp = self.recording.holding_current
        return cell, electrode

    def _probes(self, synapse: Any, electrode: Any, segment: Any) -> dict[str, Probe]:
        make = {
            "synaptic_current": lambda f: self._variable(synapse, self.model.current, f),
            "conductance": lambda f: self._variable(synapse, self.model.conductance, f),
            # The clamp answers the synaptic current of the same step, so it lags like it.
            "clamp_current": lambda f: Probe(electrode._ref_i, True, f),
            "somatic_voltage": lambda f: Probe(segment._ref_v, False, f),
        }
        probes = {name: make[name](SIGNALS[name][2]) for name in self.recording.signals}
        for name in self.recording.variables:
            probes[name] = self._variable(synapse, name, 1.0)
        return probes

    def stimulate(self, stimulus: Stimulus, onset: float) -> None:
        delay = self.model.net_con.delay
        self.arrivals = [onset + spike + delay for spike in stimulus.spikes]


class GapRig(Rig):
    """Replicas of two cells joined by a gap junction, both recorded in current clamp."""

    def _cells(self) -> Sequence[Cell]:
        return [self.model.cell, self.model.second_cell]

    def _add_replica(self) -> None:
        h = nrn.hoc()
        model = self.model
        pair = [build() for build in self._builders]
        places = [
            (model.section, model.position),
            (model.section_2 or model.section, _or(model.position_2, model.position)),
        ]
        gaps = [self._place(c, *place) for c, place in zip(pair, places, strict=True)]
        for gap, other, (section, position) in zip(
            gaps, reversed(pair), reversed(places), strict=True
        ):
            segment = cells.section(other, section)(position)
            with nrn.border(MechanismError, f"model.partner_voltage: {model.mechanism} has no "
                            f"POINTER {model.partner_voltage!r}"):  # fmt: skip
                h.setpointer(segment._ref_v, model.partner_voltage, gap)
        segments = [self._electrode_segment(c) for c in pair]
        electrodes = []
        for segment in segments:
            constant, step = h.IClamp(segment), h.IClamp(segment)
            constant.delay, constant.dur = 0, _FOREVER
            constant.amp = self.recording.holding_current
            step.dur = step.amp = 0
            electrodes += [constant, step]
        self.owned.append(pair)
        self.points.append(gaps)
        self.electrodes.append(electrodes)
        probes = {
            f"somatic_voltage_{k + 1}": Probe(s._ref_v, False, 1.0) for k, s in enumerate(segments)
        }
        factor = SIGNALS["junctional_current"][2]
        probes["junctional_current"] = self._variable(gaps[0], model.current, factor)
        for name in self.recording.variables:
            probes[name] = self._variable(gaps[0], name, 1.0)
        self.probes.append(probes)

    def stimulate(self, stimulus: Stimulus, onset: float) -> None:
        for electrodes in self.electrodes:
            for cell in (1, 2):
                clamp = electrodes[2 * cell - 1]
                clamp.amp = 0
                if stimulus.step is not None and stimulus.step.cell == cell:
                    clamp.delay, clamp.dur = onset, stimulus.step.duration
                    clamp.amp = stimulus.step.amplitude


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def make_rig(bound: Bound, n: int) -> Rig:
    """Return a rig of n replicas of the experiment's model."""
    return (GapRig if bound.experiment.model.stimulated_by == "step" else SynapseRig)(bound, n)
