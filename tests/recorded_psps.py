"""Recorded EPSPs of a known synapse: event map and membrane equation, without NEURON."""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp

# U, ms, ms, nS, ms, MΩ, ms; the kernel of the conductance and the two potentials are given.
TRUTH = {
    "U": 0.42,
    "tau_rec": 310.0,
    "tau_facil": 60.0,
    "weight": 12.0,
    "net_con.delay": 1.9,
    "cell.arguments.resistance": 140.0,
    "cell.arguments.tau": 17.0,
}
RISE, DECAY, REVERSAL, REST = 0.3, 2.5, 0.0, -65.0
# In a passive cell only weight × resistance shapes a potential; its level under a known current
# tells the resistance.
HOLDING = -0.05  # nA
SPIKES = np.array([*(50.0 * k for k in range(8)), 350.0 + 550.0])  # 8 at 20 Hz, 1 after 550 ms


def releases(spikes: np.ndarray, truth: dict[str, float]) -> np.ndarray:
    """Return u·R of each spike (Fuhrmann et al. 2002, doi:10.1152/jn.00258.2001)."""
    u, r, found = truth["U"], 1.0, []
    for k, spike in enumerate(spikes):
        if k:
            gap = spike - spikes[k - 1]
            r = 1 - (1 - r * (1 - u)) * np.exp(-gap / truth["tau_rec"])
            u = truth["U"] + u * (1 - truth["U"]) * np.exp(-gap / truth["tau_facil"])
        found.append(u * r)
    return np.array(found)


def voltage(
    time: np.ndarray, spikes: np.ndarray = SPIKES, truth: dict[str, float] = TRUTH
) -> np.ndarray:
    """Return the potential of the cell at some times (ms after the first spike), mV.

    C dV/dt = (E_rest − V) / R + I − g (V − E_syn), integrated from event to event.
    """
    peak = RISE * DECAY / (DECAY - RISE) * np.log(DECAY / RISE)
    norm = np.exp(-peak / DECAY) - np.exp(-peak / RISE)
    arrivals = spikes + truth["net_con.delay"]
    sizes = truth["weight"] * 1e-3 * releases(spikes, truth) / norm  # µS
    r, tau = truth["cell.arguments.resistance"], truth["cell.arguments.tau"]
    level = REST + r * HOLDING
    values = np.full(time.shape, level)
    v = level
    for k, start in enumerate(arrivals):
        stop = arrivals[k + 1] if k + 1 < arrivals.size else max(time[-1], start) + 1.0
        here = arrivals[: k + 1], sizes[: k + 1]

        def slope(
            t: float, v: np.ndarray, here: tuple[np.ndarray, np.ndarray] = here
        ) -> np.ndarray:
            ages = t - here[0]
            g = float((here[1] * (np.exp(-ages / DECAY) - np.exp(-ages / RISE))).sum())
            return (level - v - r * g * (v - REVERSAL)) / tau

        inside = (time >= start) & (time < stop)
        at = np.append(time[inside], stop)
        solved = solve_ivp(slope, (start, stop), [v], "LSODA", at, rtol=1e-9, atol=1e-9)
        values[inside], v = solved.y[0][:-1], float(solved.y[0][-1])
    return values


def recorded(
    *, rate: float = 10.0, noise: float = 0.15, seed: int = 1, before: float = 50.0,
    after: float = 150.0,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return times (ms after the first spike) and a noisy recording (mV), ``rate`` samples a ms."""
    time = np.arange(round((before + SPIKES[-1] + after) * rate)) / rate - before
    return time, voltage(time) + np.random.default_rng(seed).normal(0, noise, time.size)
