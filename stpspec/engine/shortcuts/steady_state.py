"""The settled state: the time before the first event is simulated once, then restored.

It is used only where it is proven, by comparison, that no parameter which the candidates set has
any effect before the first event, and that the restored run goes on as the full one does. Nor where
events are pending, such as those that a synapse sends itself: a state has none, and NEURON ends the
process when it comes to one of the past.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stpspec.engine import nrn
from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.stimuli import timing
from stpspec.engine.rigs.integrate import advance, begin, run
from stpspec.engine.rigs.reuse import only_rig
from stpspec.engine.rigs.rig import Rig
from stpspec.engine.shortcuts import equivalence
from stpspec.errors import SimulationError
from stpspec.specs.stimulus import Stimulus

_AHEAD = 1.0  # ms before the stimulus at which the state is kept
_AFTER = 30.0  # ms after the stimulus over which a restored run is compared with a full one
SORT = "settled state"
_WORTH = 100.0  # ms; a shorter time to settle is not worth the proof
_CLOSE = 0.01  # of the span of a trace: what two variable-step runs may differ by


@dataclass(frozen=True)
class Settled:
    """The state of one replica some time before the stimulus, and what was recorded until then.

    Attributes
    ----------
    time : float
        ms, as NEURON had counted it.
    state : ndarray, shape (state,)
    times : ndarray, shape (n,)
        ms.
    signals : dict of str to ndarray, shape (n,)
        As NEURON recorded them.
    """

    time: float
    state: np.ndarray
    times: np.ndarray
    signals: dict[str, np.ndarray]

    def restore(self, rig: Rig) -> None:
        """Put every replica of an initialized rig into this state."""
        h, cvode = nrn.hoc(), nrn.cvode()
        for replica in range(rig.n):
            for reference, value in zip(rig.states(replica), self.state, strict=True):
                reference[0] = value
        h.t = self.time
        if cvode.active():
            cvode.re_init()
        else:
            h.fcurrent()
        h.frecord_init()


def settled_state(bound: Bound, rows: Sequence[Mapping[str, float]]) -> Settled | None:
    """Return the settled state that all candidates share, or None if each has its own.

    The proof costs a few simulations, and is made once.
    """
    experiment = bound.experiment
    beside = equivalence.beside(bound, rows)
    if experiment.numerics.settle < _WORTH or not experiment.parameters or beside is None:
        return None
    key = equivalence.key(bound, equivalence.corners(bound, beside))
    # A single run is over before a proof would have paid.
    if len(rows) < 2 and equivalence.is_first(SORT, key):
        return None
    return equivalence.remembered(SORT, key, lambda: _prove(bound, beside))


def _prove(bound: Bound, beside: Mapping[str, float]) -> Settled | None:
    """Simulate the settling at the corners of the free parameters; compare, restore, compare."""
    try:
        kept = _common(bound, equivalence.corners(bound, beside))
        if kept is not None and _goes_on_alike(bound, beside, kept):
            return kept
    except SimulationError:
        pass  # whatever fails here is told where the candidates themselves are simulated
    return None


def _common(bound: Bound, rows: Sequence[Mapping[str, float]]) -> Settled | None:
    """Return the state of the first candidate if all others reach exactly the same one."""
    numerics = bound.experiment.numerics
    rig = only_rig(bound, rows)
    try:
        for replica, row in enumerate(rows):
            rig.set(replica, row)
        begin(rig, Stimulus())
        if nrn.pending_events():
            return None
        steps = math.floor((numerics.settle - _AHEAD) / numerics.dt + 1e-9)
        advance(steps * numerics.dt, numerics.time_limit)
        if nrn.pending_events():
            return None
        every = [np.array([r[0] for r in rig.states(k)]) for k in range(rig.n)]
        signals = [{n: p.values().copy() for n, p in probes.items()} for probes in rig.probes]
        # The last sample of a variable that lags is due one step later.
        same = all(np.array_equal(every[0], other) for other in every[1:]) and all(
            np.array_equal(signals[0][n], other[n]) for other in signals[1:] for n in signals[0]
        )
        if not same or not np.isfinite(every[0]).all():
            return None
        return Settled(float(nrn.hoc().t), every[0], rig.times().copy(), signals[0])
    finally:
        rig.tear_down()


def _goes_on_alike(bound: Bound, beside: Mapping[str, float], kept: Settled) -> bool:
    """Tell whether the restored run equals the full one, with a stimulus and after it."""
    experiment = bound.experiment
    known = timing(experiment.model, experiment.parameters, bound.mechanism)
    one = next(iter(experiment.protocols.values())).stimulus(known)
    stimulus = Stimulus(one.spikes, min(one.stop, _AFTER), one.step, one.n_induction)
    row = equivalence.corners(bound, beside)[0]
    rig = only_rig(bound, [row])
    found: list[tuple[np.ndarray, dict[str, np.ndarray]]] = []
    try:
        rig.set(0, row)
        for state in (None, kept):
            times, (signals,) = run(rig, stimulus, state)
            found.append((times, signals))
    finally:
        rig.tear_down()
    return _alike(*found[0], *found[1], exactly=bound.scheme.is_fixed)


def _alike(
    t: np.ndarray, full: dict[str, np.ndarray], s: np.ndarray, restored: dict[str, np.ndarray],
    *, exactly: bool,
) -> bool:  # fmt: skip
    if exactly:
        return all(np.array_equal(full[n], restored[n]) for n in full)
    return all(_distance(t, full[n], s, restored[n]) <= _CLOSE for n in full)


def _distance(t: np.ndarray, y: np.ndarray, s: np.ndarray, z: np.ndarray) -> float:
    """Return the largest distance of two traces with steps of their own, of the span of one."""
    if not (np.isfinite(y).all() and np.isfinite(z).all()):
        return np.inf
    grid = np.linspace(max(t[0], s[0]), min(t[-1], s[-1]), 2001)
    span = float(np.ptp(y)) or 1.0
    return float(np.abs(np.interp(grid, t, y) - np.interp(grid, s, z)).max()) / span
