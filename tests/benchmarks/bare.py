"""By hand: a plain NEURON script that simulates one candidate of the reference problem.

It builds the cell, the clamp and the recordings, runs both protocols with ``psolve``, and returns
the traces: what no tool that uses NEURON can do without. It expects the mechanisms and the
template to be loaded.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import problem

Traces = dict[str, dict[str, np.ndarray]]


class Cell:
    """One clamped cell with its synapse, recorded."""

    def __init__(self, values: Mapping[str, float]):
        from neuron import h

        self.h = h
        self.cell = h.FastSpikingInterneuron()
        self.synapse = h.GabaA(self.cell.soma(0.5))
        self.clamp = h.SEClamp(self.cell.soma(0.5))
        self.clamp.rs, self.clamp.dur1, self.clamp.amp1 = 0.001, 1e9, problem.HOLDING
        self.netcon = h.NetCon(None, self.synapse)
        self.netcon.weight[0] = 1
        self.vectors = {
            "time": h.Vector().record(h._ref_t),
            "current": h.Vector().record(self.synapse._ref_i),
            "clamp": h.Vector().record(self.clamp._ref_i),
        }
        self.set(problem.FIXED)
        self.set(values)

    def set(self, values: Mapping[str, float]) -> None:
        """Set parameters of the synapse."""
        for name, value in values.items():
            setattr(self.synapse, name, value)

    def arm(self, spikes: list[float]) -> None:
        """Deliver events at these times after the settling, in every run."""
        netcon, arrivals = self.netcon, [problem.SETTLE + problem.DELAY + s for s in spikes]

        def queue() -> None:
            for arrival in arrivals:
                netcon.event(arrival)

        self.handler = self.h.FInitializeHandler(1, queue)

    def read(self) -> dict[str, np.ndarray]:
        """Return copies of what was recorded; currents in pA."""
        factors = {"time": 1.0, "current": 1e3, "clamp": 1e3}
        return {name: np.array(v) * factors[name] for name, v in self.vectors.items()}


def simulate(values: Mapping[str, float], dt: float = problem.DT) -> Traces:
    """Return the traces of one candidate under both protocols."""
    cell = Cell(values)
    h = cell.h
    context = h.ParallelContext()
    context.set_maxstep(10)
    h.CVode().active(0)
    h.celsius, h.dt, h.steps_per_ms = problem.CELSIUS, dt, 1 / dt
    traces = {}
    for name, spikes in (("single", problem.SINGLE), ("train", problem.TRAIN)):
        cell.arm(spikes)
        h.finitialize(problem.V_INIT)
        context.psolve(problem.SETTLE + problem.DELAY + problem.STOP[name])
        traces[name] = cell.read()
    return traces


def measure(traces: Traces) -> dict[str, float]:
    """Return the metrics of the objective."""
    single, train = (problem.peaks(traces[p]["time"], traces[p]["current"], n)
                     for p, n in (("single", 1), ("train", 8)))  # fmt: skip
    return problem.measured(single[0], train)


def score(values: Mapping[str, float], targets: Mapping[str, float]) -> float:
    """Return the loss of an answer, whoever gave it, from a step of a fifth of the usual."""
    return problem.loss(measure(simulate(values, problem.DT / 5)), targets)
