"""Preparations: a synapse on a cell of its own or on a shared one, and two coupled cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stpspec.dataset import SIGNALS, arrival_times
from stpspec.engine import cells, nrn
from stpspec.engine.binding.bound import Bound
from stpspec.engine.hoc_types import NetCon, PointProcess, Reference, Segment
from stpspec.engine.mechanisms import partner_voltage
from stpspec.engine.rigs.rig import Probe, Rig
from stpspec.specs.stimulus import Stimulus

_FOREVER = 1e9  # ms
_WHOLE = 1e-6  # steps, by which a whole number of them may be off
# Field of a recording → what it is called of an electrode.
_OF_ELECTRODE = {"holding_potential": "amp1", "series_resistance": "rs", "holding_current": "amp"}
NEGLIGIBLE = 1e-3  # mV; of a driving force of 10 mV, one in 10⁴


class SynapseRig(Rig):
    """Replicas of one synapse on one clamped or free cell."""

    def _add_replica(self, row: Mapping[str, float]) -> None:
        cell, electrode = self._preparation(row)
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

    def _preparation(self, row: Mapping[str, float]) -> tuple[object, PointProcess]:
        """Return the cell and the electrode of one more replica."""
        h = nrn.hoc()
        cell = self._build(0, row)
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
            "synapse_voltage": lambda f: Probe(synapse.get_segment()._ref_v, False, f),
        }
        probes = {name: make[name](SIGNALS[name][2]) for name in self.recording.signals}
        for name in self.recording.variables:
            probes[name] = self._variable(synapse, name, 1.0)
        return probes

    def _set_recording(self, replica: int, name: str, value: float) -> None:
        (electrode,) = self.electrodes[replica]
        setattr(electrode, _OF_ELECTRODE[name], value)

    def stimulate(self, stimulus: Stimulus, onset: float) -> None:
        arrivals = [arrival_times(stimulus.spikes, delay, onset) for delay in self.delays]
        self.shifts = [0.0] * self.n
        if not stimulus.spikes:
            pass
        elif self.bound.scheme.is_fixed:
            # In fixed steps an event waits for the next whole one. Of a run at rest the time
            # before the first does not matter, and the whole is moved by a part of a step.
            dt = self.bound.experiment.numerics.dt
            steps = [float(a[0]) / dt for a in arrivals]
            self.shifts = [dt * (s - round(s)) if abs(s - round(s)) > _WHOLE else 0.0
                           for s in steps]  # fmt: skip
        elif self.bound.scheme.cell == "none":
            # Without the cell nothing depends on the time: all are sampled alike, and moved.
            self.shifts = [delay - min(self.delays) for delay in self.delays]
        self.arrivals = [(a - s).tolist() for a, s in zip(arrivals, self.shifts, strict=True)]

    def deliver(self) -> None:
        for netcon in self.netcons:
            for place in self.bound.resets:
                netcon.weight[place] = self.bound.weights[place]
        super().deliver()


class SharedRig(SynapseRig):
    """Replicas of one synapse, all on one clamped cell."""

    def __init__(self, bound: Bound, rows: Sequence[Mapping[str, float]]):
        self._shared: tuple[object, PointProcess] | None = None
        super().__init__(bound, rows)

    def _preparation(self, row: Mapping[str, float]) -> tuple[object, PointProcess]:
        if self._shared is None:
            self._shared = super()._preparation({})
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


class GapRig(Rig):
    """Replicas of two cells joined by a gap junction, both recorded in current clamp."""

    def __init__(self, bound: Bound, rows: Sequence[Mapping[str, float]]):
        super().__init__(bound, rows)
        partner_voltage.complete()

    def _add_replica(self, row: Mapping[str, float]) -> None:
        h = nrn.hoc()
        model = self.model
        pair = [self._build(which, row) for which in range(2)]
        gaps = [self._place(c, *site) for c, site in zip(pair, model.sites, strict=True)]
        for gap, other, (section, position) in zip(
            gaps, reversed(pair), reversed(model.sites), strict=True
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

    def _set_recording(self, replica: int, name: str, value: float) -> None:
        for electrode in self.electrodes[replica][::2]:  # beside each there is that of the step
            setattr(electrode, _OF_ELECTRODE[name], value)

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
            if partner_voltage.is_transferred(self.bound.mechanism, name):
                for states, gaps in zip(self._states, self.points, strict=True):
                    states += [getattr(gap, f"_ref_{name}") for gap in gaps]
        return self._states[replica]

    def tear_down(self) -> None:
        partner_voltage.disconnect([gap for gaps in self.points for gap in gaps])
        super().tear_down()


def make_rig(bound: Bound, rows: Sequence[Mapping[str, float]]) -> Rig:
    """Return a rig with a replica of the experiment's model for each candidate, by its scheme."""
    if bound.experiment.model.stimulated_by == "step":
        return GapRig(bound, rows)
    return (SynapseRig if bound.scheme.cell == "own" else SharedRig)(bound, rows)
