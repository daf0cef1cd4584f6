"""Many synapses on one clamped cell: candidates that cannot influence each other share it.

Under an ideal voltage clamp a synapse beside the electrode sees the holding potential, whatever
other synapses do there. The clamp is not quite ideal: across its series resistance drops what all
of them carry. That resistance is divided by their number, so that each sees the drop of the mean
current in place of its own; by how much these two differ is known from the currents recorded.
"""

from __future__ import annotations

from collections.abc import Iterable

from stpspec.engine.binding.bound import Bound
from stpspec.engine.mechanisms.nmodl import read
from stpspec.resources import shipped
from stpspec.specs.places import DELAY, is_place

_LARGEST_RESISTANCE = 0.01  # MΩ; above it the clamp itself is part of what is measured
_CURRENT = "synaptic_current"
_ALONE = {_CURRENT, "conductance"}  # signals of the synapse itself, not of the cell


def own_cells(names: Iterable[str]) -> bool:
    """Tell whether what candidates set is of the cell or the electrode: then each has its own."""
    return any(is_place(name) and name != DELAY for name in names)


def may_share(bound: Bound) -> bool:
    """Tell whether candidates of an experiment may share one cell.

    Schemes of the fixed step have no shared cell: they give each candidate to the bit what it gives
    alone.
    """
    e = bound.experiment
    model, recording = e.model, e.recording
    source = bound.sources.get(model.mechanism)
    return (
        model.stimulated_by == "event"
        and recording.kind == "voltage_clamp"
        and recording.series_resistance <= _LARGEST_RESISTANCE
        and _CURRENT in recording.signals
        and set(recording.signals) <= _ALONE
        and (model.section, model.position)
        == (recording.electrode_section, recording.electrode_position)
        and source is not None
        and (source.parent == shipped("mod") or not read(source).sees_others)
    )
