"""Choice of a scheme: the highest rung of the ladder on which a batch may be simulated."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from stpspec.engine import nrn
from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.numerics import under
from stpspec.engine.binding.scheme import OWN, PLAIN_REFERENCE, REFERENCE, Scheme
from stpspec.engine.mechanisms import nmodl
from stpspec.engine.mechanisms.state_variables import mechanisms_in_use
from stpspec.engine.rigs.integrate import CannotVaryError, choose_step, globals_restored
from stpspec.engine.rigs.reuse import only_rig
from stpspec.engine.shortcuts import equivalence
from stpspec.engine.shortcuts.isolated_synapse import eligible, on_compartment
from stpspec.engine.shortcuts.shared_cell import may_share, own_cells
from stpspec.engine.shortcuts.steady_state import Settled, settled_state

log = logging.getLogger("stpspec.engine")


@dataclass(frozen=True)
class Setup:
    """What is simulated for a batch.

    Attributes
    ----------
    bound : Bound
        Under the scheme that was chosen; without the cell, on a bare compartment.
    settled : Settled or None
        The state in which each run begins, where it is proven; rest otherwise.
    """

    bound: Bound
    settled: Settled | None = None


def choose(bound: Bound, rows: Sequence[Mapping[str, float]], highest: Scheme) -> Setup:
    """Return how a batch is simulated: on the highest rung that is proven for it.

    Parameters
    ----------
    bound : Bound
    rows : sequence of mapping of str to float
        The candidates.
    highest : Scheme
        The rung to begin at.
    """
    scheme = highest
    if bound.stochastic:  # trials have one grid of times: nothing is simulated in variable steps
        alone = on_compartment(bound, rows) if scheme.cell == "none" else None
        return Setup(alone or replace(bound, scheme=PLAIN_REFERENCE))
    if bound.shares_data:  # a proof compares candidates that are simulated together
        return Setup(replace(bound, scheme=without_disturbance(scheme)))
    if scheme.cell == "none":
        isolated = on_compartment(bound, rows)
        if isolated is not None:
            return Setup(isolated)
        scheme = scheme.safer()
    if scheme.cell == "shared" and not (
        len(rows) > 1 and may_share(bound) and not own_cells(rows[0])
    ):
        scheme = scheme.safer()
    chosen = replace(bound, scheme=scheme)
    settles = scheme.start == "settled" and not bound.carries_over
    return Setup(chosen, settled_state(chosen, rows) if settles else None)


def without_disturbance(scheme: Scheme) -> Scheme:
    """Return the first rung below on which no candidate can influence another."""
    while scheme.cell != "own":
        scheme = scheme.safer()
    return scheme


def feasible(bound: Bound) -> Bound:
    """Return the experiment on the reference if its mechanisms refuse CVODE; warn once.

    CVODE chooses its steps by the errors of what it integrates. A current that is a function of the
    time is not integrated: steps of any length pass over it, so it is on the reference, too.
    """
    if bound.scheme.is_fixed:
        return bound
    if bound.stochastic:
        without_cell = bound.scheme.cell == "none" and eligible(bound)
        return bound if without_cell else under(bound, PLAIN_REFERENCE)
    model = bound.experiment.model
    key = " ".join([model.mechanism, *(cell.digest for cell in model.cells)])
    with nrn.exclusive():
        varies = equivalence.remembered("variable step", key, lambda: _can_vary(bound))
    return bound if varies else under(bound, REFERENCE)


def _can_vary(bound: Bound) -> bool:
    try:
        with globals_restored(bound):
            rig = only_rig(bound)
            try:
                choose_step(replace(bound, scheme=OWN))
                timed = _timed(bound)
            finally:
                rig.tear_down()
    except CannotVaryError as error:
        log.warning("%s; the fixed step is used instead", error)
        return False
    if timed:
        log.warning("the variable step: what %s does depends on the time itself, of which no step "
                    "takes account; the fixed step is used instead",
                    " and ".join(timed))  # fmt: skip
    return not timed


def _timed(bound: Bound) -> list[str]:
    """Return the mechanisms in use whose currents depend on the time itself, or on the steps."""
    names = mechanisms_in_use() & set(bound.sources)
    return sorted(n for n in names if nmodl.read(bound.sources[n]).reads_time)
