"""Many synapses on one clamped cell: candidates that cannot influence each other share it.

Under an ideal voltage clamp a synapse beside the electrode sees the holding potential, whatever
other synapses do there. The clamp is not quite ideal: across its series resistance drops what all
of them carry. That resistance is divided by their number, so that each sees the drop of the mean
current in place of its own; by how much these two differ is known from the currents recorded.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stpspec.engine.bind import Bound
from stpspec.engine.nmodl import code_of
from stpspec.engine.rig import SynapseRig

_LARGEST_RESISTANCE = 0.01  # MΩ; above it the clamp itself is part of what is measured
NEGLIGIBLE = 1e-3  # mV; of a driving force of 10 mV, one in 10⁴
_CURRENT = "synaptic_current"
_ALONE = {_CURRENT, "conductance"}  # signals of the synapse itself, not of the cell

# What a mechanism could share with its neighbors beside the voltage.
_ENTANGLES = re.compile(r"\b(USEION|POINTER|BBCOREPOINTER|ELECTRODE_CURRENT|VERBATIM|RANDOM)\b")


def may_share(bound: Bound) -> bool:
    """Tell whether candidates of an experiment may share one cell.

    Only with the variable step, in which all that is simulated together shares its steps anyway:
    the fixed step gives each candidate to the bit what it gives alone.
    """
    e = bound.experiment
    model, recording = e.model, e.recording
    source = bound.sources.get(model.mechanism)
    return (
        e.numerics.integrator == "variable"
        and model.stimulated_by == "event"
        and recording.kind == "voltage_clamp"
        and recording.series_resistance <= _LARGEST_RESISTANCE
        and _CURRENT in recording.signals
        and set(recording.signals) <= _ALONE
        and (model.section, model.position)
        == (recording.electrode_section, recording.electrode_position)
        and source is not None
        and not _entangles(code_of(source))
    )


@functools.lru_cache(maxsize=256)
def _entangles(code: str) -> bool:
    return _ENTANGLES.search(code) is not None


class SharedRig(SynapseRig):
    """Replicas of one synapse, all on one clamped cell."""

    def __init__(self, bound: Bound, n: int):
        self._shared: tuple[Any, Any] | None = None
        super().__init__(bound, n)

    def _preparation(self) -> tuple[Any, Any]:
        if self._shared is None:
            self._shared = super()._preparation()
            self._shared[1].rs = self.recording.series_resistance / self.n
        return self._shared

    def disturbed(self, replicas: Sequence[Mapping[str, np.ndarray]]) -> bool:
        currents = np.stack([signals[_CURRENT] for signals in replicas])  # pA
        others = np.abs(currents - currents.mean(axis=0)).max()
        off = 1e-3 * self.recording.series_resistance * others  # pA · MΩ = 10⁻³ mV
        return not off <= NEGLIGIBLE  # so also when it is not a number

    def tear_down(self) -> None:
        self._shared = None
        super().tear_down()
