"""Error scales for the variable step: how large the states of a synapse are.

CVODE compares its error with ``tolerance · scale`` of each state. A mechanism whose states are
conductances in µS is far below the default scale of 1, and would be integrated without any error
control; unless it declares scales itself, they are set from short runs.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Sequence

import numpy as np

from stpspec.engine import nrn
from stpspec.engine.binding.bound import Bound
from stpspec.engine.mechanisms.state_variables import state_variables
from stpspec.engine.rigs.integrate import advance, initialize
from stpspec.engine.rigs.reuse import only_rig
from stpspec.engine.rigs.rig import Rig
from stpspec.engine.shortcuts import equivalence
from stpspec.errors import SimulationError
from stpspec.specs.stimulus import Stimulus

_RELATIVE = 1e-3  # scale of a state, of its largest value: with a tolerance of 1e-3, one in 10⁶
_SMALLER = 100  # times that a candidate's states may be smaller than those the scale is made for
_DT, _RUN = 0.1, 30.0  # ms


def set_scales(bound: Bound) -> None:
    """Scale the states of the experiment's mechanism that declare nothing themselves."""
    for name, scale in _scales(bound).items():
        nrn.cvode().atolscale(name, scale)


def _scales(bound: Bound) -> Mapping[str, float]:
    undeclared = _undeclared(bound.mechanism.name)
    if not undeclared or bound.experiment.model.stimulated_by != "event":
        return {}
    rows = equivalence.corners(bound, {})
    key = equivalence.key(bound, rows)
    return equivalence.remembered("error scales", key, lambda: _measure(bound, undeclared, rows))


@functools.cache
def _undeclared(mechanism: str) -> tuple[str, ...]:
    """Return the scalar states whose scale is the default; asked before it is ever set."""
    names = (f"{mechanism}.{name}" for name, size in state_variables(mechanism) if size == 1)
    return tuple(n for n in names if nrn.cvode().atolscale(n) == 1.0)


def _measure(
    bound: Bound, names: tuple[str, ...], rows: Sequence[Mapping[str, float]]
) -> dict[str, float]:
    """Return the scale of each state, from the middle of the bounds and the smallest corner."""
    h = nrn.hoc()
    rig = only_rig(bound)  # of the arguments of its cell the states of a synapse are not
    point = rig.points[0][0]
    vectors = {n: h.Vector().record(getattr(point, f"_ref_{n.partition('.')[2]}")) for n in names}
    largest: dict[str, list[float]] = {n: [] for n in names}
    try:
        for row in rows:
            rig.set(0, row)
            with contextlib.suppress(SimulationError):  # told where the candidates are simulated
                _one_event(rig)
                for name, vector in vectors.items():
                    peak = float(np.abs(np.asarray(vector)).max())
                    largest[name] += [peak] if 0 < peak < np.inf else []
    finally:
        for vector in vectors.values():
            vector.play_remove()
        rig.tear_down()
    return {n: _RELATIVE * min(x[0], _SMALLER * min(x)) for n, x in largest.items() if x}


def _one_event(rig: Rig) -> None:
    h, numerics = nrn.hoc(), rig.bound.experiment.numerics
    rig.stimulate(Stimulus((0.0,)), 1.0)
    nrn.cvode().active(0)
    h.dt, h.steps_per_ms, h.secondorder = _DT, 1 / _DT, 0
    initialize(numerics)
    rig.deliver()
    advance(_RUN + max(rig.delays), numerics.time_limit)
