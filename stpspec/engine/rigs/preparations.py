"""Preparations: a synapse on a cell of its own or on a shared one, and two coupled cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stpspec.dataset import SIGNALS, arrival_times
from stpspec.engine import cells, nrn
from stpspec.engine.binding.bind import Bound
from stpspec.engine.hoc_types import NetCon, PointProcess, Reference, Segment
from stpspec.engine.mechanisms import partner_voltage
from stpspec.engine.rigs.rig import Probe, Rig
from stpspec.specs.model import Cell
from stpspec.specs.protocol import Stimulus

_FOREVER = 1e9  # ms
NEGLIGIBLE = 1e-3  # mV; of a driving force of 10 mV, one in 10⁴


class SynapseRig(Rig):
    """Replicas of one synapse on one clamped or free cell."""

    def _add_replica(self) -> None:
        cell, electrode = self._preparation()
        synapse = self._place(cell, self.model.section, self.model.position)
        segment = self._electrode_segment(cell)
        netcon: NetCon = nrn.hoc().NetCon(None, synapse)
        # The name is that of a parameter where the mechanism has one: one name sets one thing.
        own = "weight" in self.bound.mechanism.parameters
        fixed = {} if own else self.model.fixed
        for place, value in self.bound.weights.items():
            netcon.weight[place] = value
        netcon.weight[0] = fixed.get("weight", self.bound.weights[0])
        self.owned.append([cell])
        self.points.append([synapse])
        self.electrodes.append([electrode])
        self.netcons.append(netcon)
        self.probes.append(self._probes(synapse, electrode, segment))

    def _preparation(self) -> tuple[object, PointProcess]:
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

    def _probes(
        self, synapse: PointProcess, electrode: PointProcess, segment: Segment
    ) -> dict[str, Probe]:
        make = {
            "synaptic_current": lambda f: self._current(synapse, f),
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
        self.arrivals = arrival_times(stimulus.spikes, delay, onset).tolist()

    def deliver(self) -> None:
        for netcon in self.netcons:
            for place in self.bound.resets:
                netcon.weight[place] = self.bound.weights[place]
        super().deliver()


class SharedRig(SynapseRig):
    """Replicas of one synapse, all on one clamped cell."""

    def __init__(self, bound: Bound, n: int):
        self._shared: tuple[object, PointProcess] | None = None
        super().__init__(bound, n)

    def _preparation(self) -> tuple[object, PointProcess]:
        if self._shared is None:
            self._shared = super()._preparation()
            self._shared[1].rs = self.recording.series_resistance / self.n
        return self._shared

    def disturbed(self, replicas: Sequence[Mapping[str, np.ndarray]]) -> bool:
        currents = np.stack([signals["synaptic_current"] for signals in replicas])  # pA
        others = np.abs(currents - currents.mean(axis=0)).max()
        off = 1e-3 * self.recording.series_resistance * others  # pA · MΩ = 10⁻³ mV
        return not off <= NEGLIGIBLE  # so also when it is not a number

    def tear_down(self) -> None:
        self._shared = None
        super().tear_down()


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


class GapRig(Rig):
    """Replicas of two cells joined by a gap junction, both recorded in current clamp."""

    def __init__(self, bound: Bound, n: int):
        super().__init__(bound, n)
        partner_voltage.complete()

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
            there = cells.section(other, section)
            partner_voltage.connect(gap, model.partner_voltage, there, position)
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
        if self.bound.currents:  # else it is no RANGE variable
            factor = SIGNALS["junctional_current"][2]
            probes["junctional_current"] = self._current(gaps[0], factor)
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

    def states(self, replica: int) -> list[Reference]:
        if not self._states:
            super().states(replica)
            name = self.model.partner_voltage
            if partner_voltage.is_transferred(self.model.mechanism, name):
                for states, gaps in zip(self._states, self.points, strict=True):
                    states += [getattr(gap, f"_ref_{name}") for gap in gaps]
        return self._states[replica]

    def tear_down(self) -> None:
        partner_voltage.disconnect([gap for gaps in self.points for gap in gaps])
        super().tear_down()


def make_rig(bound: Bound, n: int) -> Rig:
    """Return a rig of n replicas of the experiment's model, on the cells of its scheme."""
    if bound.experiment.model.stimulated_by == "step":
        return GapRig(bound, n)
    return (SynapseRig if bound.scheme.cell == "own" else SharedRig)(bound, n)
