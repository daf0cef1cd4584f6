"""The reference problem: three plasticity parameters of a synapse on a clamped interneuron.

Known to everything that is compared, so nothing here needs stpspec or NEURON; the predecessor's
Python reads this file, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

TRUTH = {"U": 0.32, "tau_rec": 144.0, "tau_facil": 62.0}
BOUNDS = {"U": (0.05, 0.9), "tau_rec": (20.0, 1500.0), "tau_facil": (5.0, 1000.0)}
FIXED = {"e": -75.0, "tau_rise": 0.5, "tau_decay": 8.0, "gmax": 0.001}

HOLDING = -50.0  # mV
SETTLE, DT, CELSIUS, V_INIT, DELAY = 500.0, 0.025, 20.0, -70.0, 1.3
FREQUENCY, RECOVERY = 50.0, 250.0  # Hz, ms
FREQUENCIES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 35, 50, 100, 200]

SINGLE = [0.0]
TRAIN = [20.0 * k for k in range(8)] + [140.0 + RECOVERY + 20.0 * k for k in range(4)]
STOP = {"single": 100.0, "train": TRAIN[-1] + 40.0}

# What is fitted. Recovery is left out: the predecessor's is 0 by a defect.
SDS = {"amplitude": 0.1, "paired_pulse_ratio": 0.02, "induction": 0.02}  # pA, 1, 1


def middle() -> dict[str, float]:
    """Return the middle of the bounds."""
    return {name: (low + high) / 2 for name, (low, high) in BOUNDS.items()}


def drawn(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return n candidates, drawn evenly within the bounds."""
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(low, high, n) for name, (low, high) in BOUNDS.items()}


def peaks(times: np.ndarray, current: np.ndarray, n: int) -> np.ndarray:
    """Return the first n amplitudes over the baseline before the stimulus, shape (n,).

    Parameters
    ----------
    times : ndarray
        ms, from the start of the simulation.
    current : ndarray
        Synaptic current, pA; outward is up.
    n : int
        Number of pulses, those of the train or fewer.
    """
    arrivals = [SETTLE + DELAY + s for s in [*TRAIN[:n], *TRAIN[n : n + 1]]]
    ends = np.searchsorted(times, [*arrivals[1 : n + 1], math.inf][:n])
    begins = np.searchsorted(times, arrivals[:n])
    rest = current[begins[0] - 2]
    return np.array([current[b:e].max() - rest for b, e in zip(begins, ends, strict=True)])


def measured(amplitude: float, train: np.ndarray) -> dict[str, float]:
    """Return the metrics of the objective from the amplitude of one event and pulses 1-8."""
    return {
        "amplitude": float(amplitude),
        "paired_pulse_ratio": float(train[1] / train[0]),
        "induction": float((train[5:8].mean() - train[0]) / train[0]),
    }


def residuals(metrics: Mapping[str, float], targets: Mapping[str, float]) -> np.ndarray:
    """Return (achieved - target) / sd of every term."""
    return np.array([(metrics[n] - targets[n]) / sd for n, sd in SDS.items()])


def loss(metrics: Mapping[str, float], targets: Mapping[str, float]) -> float:
    """Return the sum of the squared residuals."""
    return float(np.sum(residuals(metrics, targets) ** 2))


def data(targets: Mapping[str, float], **numerics: Any) -> dict[str, Any]:
    """Return the problem as an experiment of stpspec."""
    of_train = {"baseline": "pre_train"}
    options = {"paired_pulse_ratio": of_train, "induction": {**of_train, "normalizer": "first"}}
    return {
        "name": "benchmark",
        "model": {
            "kind": "synapse",
            "cell": {"file": "fast_spiking.hoc", "template": "FastSpikingInterneuron"},
            "mechanism": "GabaA",
            "fixed": FIXED,
            "net_con": {"weight": 1, "delay": DELAY},
        },
        "recording": {"kind": "voltage_clamp", "holding_potential": HOLDING},
        "protocols": {
            "single": {"kind": "single_event", "duration": STOP["single"]},
            "train": {"kind": "train", "frequency": FREQUENCY, "recovery_delay": RECOVERY},
        },
        "parameters": {n: {"min": low, "max": high} for n, (low, high) in BOUNDS.items()},
        "objective": {
            "terms": {
                name: {
                    "metric": name,
                    "protocol": "single" if name == "amplitude" else "train",
                    "target": targets[name],
                    "sd": sd,
                    "options": options.get(name, {}),
                }
                for name, sd in SDS.items()
            }
        },
        "numerics": {"dt": DT, "settle": SETTLE, "temperature": CELSIUS, "v_init": V_INIT}
        | numerics,
    }
