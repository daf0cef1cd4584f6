"""A synapse without its cell: under an ideal clamp it sees one voltage, whatever the cell does.

Where that is proven, by comparison with the cell, candidates are simulated on a bare compartment
that is held at this voltage, and in steps that grow with the time since the last event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from stpspec.dataset import arrival_times
from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.scheme import ISOLATED, OWN
from stpspec.engine.mechanisms.nmodl import read
from stpspec.engine.rigs.integrate import run
from stpspec.engine.rigs.preparations import NEGLIGIBLE, SharedRig
from stpspec.engine.rigs.reuse import only_rig
from stpspec.engine.rigs.rig import Rig
from stpspec.engine.shortcuts import equivalence
from stpspec.engine.shortcuts.shared_cell import may_share
from stpspec.engine.shortcuts.tolerances import set_scales
from stpspec.errors import SimulationError
from stpspec.metrics.interpolate import resample
from stpspec.specs.model import Cell
from stpspec.specs.places import DELAY, is_place, place_of
from stpspec.specs.stimulus import Stimulus

_TRIAL = Stimulus((0.0, 7.0, 60.0), 300.0)  # three events, and time in which a cell may wake
_CLOSE = 1e-5  # of the largest response: by how much the two may differ
_ROUNDING = 1e-9
_TIGHT = 1e-4  # tolerance of the variable step with which the cell is simulated


def on_compartment(bound: Bound, rows: Sequence[Mapping[str, float]]) -> Bound | None:
    """Return the experiment on a bare compartment, or None where the cell is needed.

    The proof costs a few short simulations, and is made once.
    """
    if not eligible(bound) or bound.mechanism.global_parameters & set(rows[0]):
        return None
    if any(is_place(n) and _changes_the_clamp(n) for n in (*rows[0], *bound.experiment.parameters)):
        return None
    if not _within(bound, rows):
        return None
    common = equivalence.beside(bound, rows)
    # As in a sweep of U, where the candidates are all there is.
    trials = equivalence.corners(bound, common) if common is not None else rows
    # Events that come later give the same later: compared is what they do, at once.
    trials = [{n: v for n, v in row.items() if n != DELAY} for row in trials]
    trials = [row for k, row in enumerate(trials) if row not in trials[:k]]
    key = equivalence.key(bound, trials)
    voltage = equivalence.remembered("isolated synapse", key, lambda: _prove(bound, trials))
    return None if voltage is None else _held(bound, voltage)


def _changes_the_clamp(name: str) -> bool:
    place = place_of(name)
    return place is None or place.part == "recording"


def eligible(bound: Bound) -> bool:
    """Tell whether a synapse may be simulated without its cell: linear, and upon events alone."""
    source = bound.sources.get(bound.experiment.model.mechanism)
    return (
        may_share(bound)
        and source is not None
        and not read(source).in_steps
        and set(bound.stochastic) <= {bound.mechanism.name}
        and read(source).exact
    )


def _within(bound: Bound, rows: Sequence[Mapping[str, float]]) -> bool:
    """Tell whether all candidates lie within the bounds at whose corners the proof was made."""
    free = bound.experiment.parameters
    inside = all(0 <= p.to_unit(row[n]) <= 1 for n, p in free.items() for row in rows if n in row)
    return inside and bool(np.isfinite([list(row.values()) for row in rows]).all())


def _held(bound: Bound, voltage: float) -> Bound:
    """Return the experiment on a compartment that is held at a voltage (mV)."""
    e = bound.experiment
    place = Cell(file=str(Path(__file__).with_name("compartment.py")), template="BareCompartment")
    model = e.model.model_copy(update={"cell": place, "section": "soma", "position": 0.5})
    recording = e.recording.model_copy(
        update={"holding_potential": voltage, "electrode_section": "soma",
                "electrode_position": 0.5}
    )  # fmt: skip
    numerics = e.numerics.model_copy(update={"v_init": voltage})
    changed = {"model": model, "recording": recording, "numerics": numerics}
    return replace(bound, experiment=e.model_copy(update=changed), scheme=ISOLATED)


def _prove(bound: Bound, rows: Sequence[Mapping[str, float]]) -> float | None:
    """Return the voltage that the synapse sees, mV; None unless it is all that matters."""
    try:
        set_scales(bound)
        times, recorded, voltages = _on_the_cell(bound, rows)
        seen = float(voltages[0, 0])
        if not np.abs(voltages - seen).max() <= NEGLIGIBLE:
            return None
        t, found = _simulated(SharedRig(_held(bound, seen), rows), rows)
    except SimulationError:
        return None  # whatever fails here is told where the candidates themselves are simulated
    e = bound.experiment
    arrivals = arrival_times(_TRIAL.spikes, e.model.net_con.delay, e.numerics.settle)
    alike = all(
        _alike(times, real[name], t, bare[name], arrivals)
        for real, bare in zip(recorded, found, strict=True)
        for name in bare
    )
    return seen if alike else None


def _alike(
    times: np.ndarray, real: np.ndarray, t: np.ndarray, bare: np.ndarray, arrivals: np.ndarray
) -> bool:
    expected = resample(times, real, t, arrivals)
    # Of the response, not of what flows at rest; that only has to be the same to rounding.
    scale = _CLOSE * np.ptp(real) + _ROUNDING * np.abs(real).max()
    return bool(np.abs(expected - bare).max() <= scale)


def _on_the_cell(
    bound: Bound, rows: Sequence[Mapping[str, float]]
) -> tuple[np.ndarray, list[dict[str, np.ndarray]], np.ndarray]:
    """Simulate candidates on cells of their own.

    Returns
    -------
    times : ndarray, shape (n,)
        ms.
    signals : list of dict of str to ndarray, shape (n,)
        All that is recorded of each candidate.
    voltages : ndarray, shape (candidate, n)
        What the clamp would leave if the synapse carried nothing, mV.
    """
    e = bound.experiment
    recording = e.recording.model_copy(
        update={"signals": [*e.recording.signals, "somatic_voltage"]}
    )
    numerics = e.numerics.model_copy(update={"tolerance": _TIGHT})
    changed = {"recording": recording, "numerics": numerics}
    tight = replace(bound, experiment=e.model_copy(update=changed), scheme=OWN)
    times, signals = _simulated(only_rig(tight, rows), rows)
    currents = np.stack([s["synaptic_current"] for s in signals])
    drop = 1e-3 * e.recording.series_resistance * currents  # pA · MΩ = 10⁻³ mV
    return times, signals, np.stack([s["somatic_voltage"] for s in signals]) + drop


def _simulated(
    rig: Rig, rows: Sequence[Mapping[str, float]]
) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
    try:
        for replica, row in enumerate(rows):
            rig.set(replica, row)
        return run(rig, _TRIAL)
    finally:
        rig.tear_down()
