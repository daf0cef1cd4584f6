"""A large cell: a dendritic synapse on 311 compartments, by stpspec and by a plain NEURON loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import problem

from stpspec.engine.binding.bind import bind
from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.numerics import for_search
from stpspec.engine.simulate import evaluate
from stpspec.metrics.judge import Judge
from stpspec.specs.experiment import Experiment

Clamp = Literal["voltage_clamp", "current_clamp"]
CLAMPS: tuple[Clamp, ...] = ("voltage_clamp", "current_clamp")
SECTION, POSITION = 8, 0.5  # of dend; a branch of the fourth order
FIXED = {"tau_rise": 0.5, "tau_decay": 5.0, "e": 0.0}
WEIGHT = 1.0  # nS at full release
HOLDING = -70.0  # mV
TARGETS = {"amplitude": 5.0, "paired_pulse_ratio": 1.1, "induction": -0.5}


def experiment(clamp: Clamp, **numerics: Any) -> Experiment:
    """Return the problem of the benchmarks with its synapse on a dendrite of the large cell."""
    data = problem.data(TARGETS, **numerics)
    data["model"] = {
        "kind": "synapse",
        "cell": {"file": "branching.py", "template": "BranchingCell"},
        "mechanism": "TsodyksMarkram",
        "section": f"dend[{SECTION}]",
        "position": POSITION,
        "fixed": {**FIXED, "weight": WEIGHT},
        "net_con": {"delay": problem.DELAY},
    }
    data["recording"] = {"kind": clamp}
    if clamp == "voltage_clamp":
        data["recording"] |= {"holding_potential": HOLDING, "signals": ["clamp_current"]}
        for term in data["objective"]["terms"].values():
            term["options"] = {**term["options"], "signal": "clamp_current"}
    return Experiment.from_data(data)


def searched(clamp: Clamp, integrator: str) -> Bound:
    """Return the problem as a fit binds it, once, to search."""
    return for_search(bind(experiment(clamp, integrator=integrator)))


def throughput(bound: Bound, n: int) -> None:
    """Simulate and measure n candidates as a search does, which builds its cells once."""
    assert bound.experiment.objective is not None
    requests = Judge(bound.experiment.objective).requests
    evaluate(bound, problem.drawn(n), ["single", "train"], requests)


class Loop:
    """The loop that is usually written: one cell, ``continuerun``, and the whole settling."""

    def __init__(self, clamp: Clamp):
        from neuron import h

        from stpspec.engine import cells
        from stpspec.engine.mechanisms import library
        from stpspec.specs.model import Cell

        library.ensure_loaded(())
        self.h = h
        self.cell = cells.build(Cell(file="branching.py", template="BranchingCell"))
        self.synapse = h.TsodyksMarkram(self.cell.dend[SECTION](POSITION))
        soma = self.cell.soma(0.5)
        if clamp == "voltage_clamp":
            self.electrode = h.SEClamp(soma)
            self.electrode.rs, self.electrode.dur1, self.electrode.amp1 = 0.001, 1e9, HOLDING
            seen, self.factor, self.sign = self.electrode._ref_i, 1e3, -1.0
        else:
            self.electrode = h.IClamp(soma)
            seen, self.factor, self.sign = soma._ref_v, 1.0, 1.0
        self.netcon = h.NetCon(None, self.synapse)
        self.netcon.weight[0] = WEIGHT
        self.time, self.signal = h.Vector().record(h._ref_t), h.Vector().record(seen)
        self.set(FIXED)

    def release(self) -> None:
        """Let go of the cell and of all that is on it."""
        for vector in (self.time, self.signal):
            vector.play_remove()
        del self.netcon, self.electrode, self.synapse, self.cell

    def set(self, values: Mapping[str, float]) -> None:
        """Set parameters of the synapse."""
        for name, value in values.items():
            setattr(self.synapse, name, value)

    def evaluate(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the metrics of one candidate."""
        self.set(values)
        found = {}
        for name, spikes in (("single", problem.SINGLE), ("train", problem.TRAIN)):
            found[name] = self._peaks(spikes, problem.STOP[name], 1 if name == "single" else 8)
        return problem.measured(found["single"][0], found["train"])

    def _peaks(self, spikes: list[float], stop: float, n: int) -> np.ndarray:
        h = self.h
        arrivals = [problem.SETTLE + problem.DELAY + s for s in spikes]
        queue = h.FInitializeHandler(1, lambda: [self.netcon.event(a) for a in arrivals])
        h.CVode().active(0)
        h.celsius, h.dt, h.steps_per_ms = problem.CELSIUS, problem.DT, 1 / problem.DT
        h.v_init = problem.V_INIT
        h.stdinit()
        h.continuerun(problem.SETTLE + problem.DELAY + stop)
        del queue
        times = np.array(self.time)
        return problem.peaks(times, self.sign * self.factor * np.array(self.signal), n)


def plain(clamp: Clamp, clock: Callable[[Callable[[], Any]], float]) -> float:
    """Return the seconds that the loop takes for one candidate; nothing of it stays behind."""
    loop = Loop(clamp)
    try:
        return clock(lambda: loop.evaluate(problem.TRUTH))
    finally:
        loop.release()  # NEURON integrates everything that exists
