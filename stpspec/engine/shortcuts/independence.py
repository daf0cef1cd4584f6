"""Independence of candidates: one by one they give what they give together, or are kept apart.

The text of a mechanism tells of most that its instances share. What it does not tell, such as a
variable of NEURON's that C code writes, shows where candidates at the ends of the bounds are
simulated together and one by one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.numerics import under
from stpspec.engine.binding.scheme import PLAIN_REFERENCE
from stpspec.engine.mechanisms import library
from stpspec.engine.mechanisms.state_variables import mechanisms_in_use
from stpspec.engine.rigs.reuse import only_rig
from stpspec.engine.shortcuts import equivalence
from stpspec.formatting import number
from stpspec.metrics.interpolate import resample
from stpspec.resources import content_key
from stpspec.specs.stimulus import Stimulus

log = logging.getLogger("stpspec.engine")

SORT = "independence"
_CLOSE = 0.005  # of the span of a trace: what two variable-step runs may differ by
_FEW = 3  # candidates: to simulate each by itself costs less than the proof

Row = Mapping[str, float]
Trace = tuple[np.ndarray, dict[str, np.ndarray]]
# Protocol → trace, of one candidate; without those that failed.
Traces = Mapping[str, Trace]
Simulate = Callable[[Bound, Sequence[Row]], Sequence[Traces]]


def are_independent(
    bound: Bound,
    rows: Sequence[Row],
    stimuli: Mapping[str, Stimulus],
    simulate: Simulate,
) -> bool:
    """Tell whether candidates of a batch may be simulated together.

    The proof costs a few simulations, and is made once. None is needed of the shipped mechanisms
    and of NEURON's own: it is known that their instances share nothing.

    Parameters
    ----------
    bound : Bound
    rows : sequence of mapping of str to float
    stimuli : mapping of str to Stimulus
        Of each protocol.
    simulate : callable
        Experiment and candidates that are simulated together → the traces of each.
    """
    if len(rows) < 2:
        return True
    if bound.shares_data:
        return False
    if not bound.foreign:
        return True
    extremes = _extremes(bound, rows)
    if len(extremes) < 2:
        return True
    key = _key(bound, rows, stimuli)
    if bound.scheme == PLAIN_REFERENCE:  # where nothing is simulated but the candidates
        return equivalence.outcome_of(SORT, key) is True
    if bound.scheme.is_fixed and len(rows) <= _FEW and equivalence.is_first(SORT, key):
        return False
    return equivalence.remembered(SORT, key, lambda: _prove(bound, extremes, simulate))


def kept_apart(bound: Bound) -> Bound:
    """Return the experiment for candidates one by one if it uses what nobody can read; warn once.

    Such is a mechanism of a library that somebody else has compiled and loaded.
    """
    unread = library.without_source()
    if not unread or not bound.together:
        return bound
    e = bound.experiment
    cells = (cell.digest for cell in e.model.cells)
    key = content_key(e.model.mechanism, *cells, *sorted(unread))
    used = equivalence.remembered("unread mechanisms", key, lambda: _unread_in_use(bound, unread))
    return replace(bound, together=False) if used else bound


def _unread_in_use(bound: Bound, unread: frozenset[str]) -> list[str]:
    rig = only_rig(bound)
    try:
        used = sorted(mechanisms_in_use() & unread)
    finally:
        rig.tear_down()
    if used:
        log.warning(
            "%s comes from a compiled library, and its source is not known: what its instances "
            "share cannot be told, and each candidate is simulated by itself", " and ".join(used),
        )  # fmt: skip
    return used


def _extremes(bound: Bound, rows: Sequence[Row]) -> list[Row]:
    """Return candidates at the lower ends, at the upper ones, and at either in turn.

    Of what is not free, the smallest and the largest of the batch are the ends.
    """
    free, one = bound.experiment.parameters, bound.mechanism.global_parameters
    ends = {}
    for name in rows[0]:
        given = [row[name] for row in rows]
        if name in free and name not in one:
            given += [free[name].from_unit(0.0), free[name].from_unit(1.0)]
        ends[name] = (min(given), max(given))
    picks = ((0, 0), (1, 1), (0, 1))
    made = [{n: e[pick[k % 2]] for k, (n, e) in enumerate(ends.items())} for pick in picks]
    return [row for k, row in enumerate(made) if row not in made[:k]]


def _key(bound: Bound, rows: Sequence[Row], stimuli: Mapping[str, Stimulus]) -> str:
    """Return the key of what a proof depends on: not the values, nor when events come."""
    bounds = {n: (p.min, p.max) for n, p in bound.experiment.parameters.items()}
    kinds = {n: bound.experiment.protocols[s.protocol or n].kind for n, s in stimuli.items()}
    return content_key(equivalence.key(bound, []), *sorted(rows[0]), repr(bounds), repr(kinds))


def _prove(bound: Bound, rows: Sequence[Row], simulate: Simulate) -> bool:
    apart = _largest_distance(bound, rows, simulate)
    if apart <= (0.0 if bound.scheme.is_fixed else _CLOSE):
        return True
    if not bound.scheme.is_fixed:
        # It may be the steps that they share: of a small response these can be coarse. In fixed
        # steps nothing but what the instances share makes a difference of a single bit.
        apart = _largest_distance(under(bound, PLAIN_REFERENCE), rows, simulate)
        if not apart:
            return True
    log.warning(
        "candidates that are simulated together influence each other through something that "
        "instances of %s share (they differ by %s of the response): each is simulated by itself",
        " or ".join(bound.foreign), f"{number(100 * apart, 2)} %" if np.isfinite(apart) else "all",
    )  # fmt: skip
    return False


def _largest_distance(bound: Bound, rows: Sequence[Row], simulate: Simulate) -> float:
    """Return how far candidates together are from the same one by one, of their response."""
    together = simulate(bound, rows)
    # In the other order: what one leaves to the next shows as well.
    alone = [simulate(bound, [row])[0] for row in reversed(rows)][::-1]
    exactly = bound.scheme.is_fixed
    return max(
        _distance(one, other, exactly=exactly) for one, other in zip(together, alone, strict=True)
    )


def _distance(one: Traces, other: Traces, *, exactly: bool) -> float:
    """Return the largest distance of two runs of a candidate, of the span of a signal."""
    if set(one) != set(other):
        return np.inf
    pairs = [(one[p], other[p], name) for p in one for name in one[p][1]]
    return max((_of_signal(a, b, name, exactly=exactly) for a, b, name in pairs), default=0.0)


def _of_signal(one: Trace, other: Trace, name: str, *, exactly: bool) -> float:
    (t, signals), (s, others) = one, other
    y, z = signals[name], others[name]
    same = t.shape == s.shape and np.array_equal(t, s)
    if same and np.array_equal(y, z):
        return 0.0
    if not same:
        if exactly:
            return np.inf
        inside = (s >= t[0]) & (s <= t[-1])
        y, z = resample(t, y, s[inside], _jumps(t)), z[inside]
    span = float(np.ptp(z)) or float(np.abs(z).max(initial=0.0)) or 1.0
    return float(np.abs(y - z).max(initial=0.0)) / span


def _jumps(t: np.ndarray) -> np.ndarray:
    """Return the times of events, at which the variable step records twice."""
    return t[1:][np.diff(t) <= 1e-5]
