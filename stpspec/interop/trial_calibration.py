"""Calibration of a stochastic synapse: the mean response to one event over seeded trials."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from stpspec import api
from stpspec.engine.survey.record import Calibration, PointProcessRecord
from stpspec.errors import SimulationError
from stpspec.interop.cell_files import PATCH
from stpspec.specs.experiment import Experiment

_TRIALS = 100
_HOLDING = {"low": -70.0, "high": -40.0}  # mV; trials have the same random numbers in both


def calibrated_over_trials(record: PointProcessRecord) -> PointProcessRecord:
    """Return a record with the mean response of its mechanism to one event on a clamped patch.

    Raises
    ------
    SimulationError
        If it cannot be simulated.
    SpecError
        If its random numbers cannot be seeded.
    """
    one = _mean_peaks(record, 1.0)
    if not any(one.values()):
        note = f"an event of weight 1 changes no current in {_TRIALS} trials"
        return replace(record, calibration=Calibration(False, notes=(note,)))
    slope = (one["high"] - one["low"]) / (_HOLDING["high"] - _HOLDING["low"])  # pA / mV is nS
    ratio = _mean_peaks(record, 2.0)["low"] / one["low"] if one["low"] else 0.0
    return replace(record, not_calibrated="", calibration=Calibration(
        answers=True,
        peak_conductance=abs(slope) * 1e-3 if slope else None,
        reversal=_HOLDING["low"] - one["low"] / slope if slope else None,
        weight_exponent=math.log2(ratio) if ratio > 0 else None,
    ))  # fmt: skip


def _mean_peaks(record: PointProcessRecord, weight: float) -> dict[str, float]:
    """Return the peak of the mean current at each holding potential, pA; outward positive."""
    given = [1.0 if n in record.to_be_given else 0.0 for n in list(record.arguments)[1:]]
    model: dict[str, Any] = {
        "kind": "synapse",
        "cell": {"file": str(PATCH.file), "template": PATCH.template},
        "mechanism": record.name, "mod": [record.file], "section": PATCH.section,
        "net_con": {"weight": [weight, *given] if record.to_be_given else weight},
    }  # fmt: skip
    protocols = {
        n: {"kind": "single_event", "recording": {"holding_potential": f"{v:g} mV"}}
        for n, v in _HOLDING.items()
    }
    tree, _ = api.run(Experiment.from_data({
        "name": record.name, "model": model, "recording": {"kind": "voltage_clamp"},
        "protocols": protocols, "trials": _TRIALS,
    }))  # fmt: skip
    if failed := str(tree.dataset["failure"].values[0]):
        raise SimulationError(failed)
    peaks = {}
    for name in protocols:
        current = tree[name].to_dataset()["synaptic_current"].values[0].mean(axis=0)
        change = current - current[0]
        peaks[name] = float(change[np.abs(change).argmax()])
    return peaks
