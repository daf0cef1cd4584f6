"""Choice of a scheme: the highest rung of the ladder on which a batch may be simulated."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from stpspec.engine.binding.bind import Bound
from stpspec.engine.binding.numerics import under
from stpspec.engine.binding.scheme import OWN, REFERENCE, Scheme
from stpspec.engine.rigs.integrate import CannotVaryError, choose_step, globals_restored
from stpspec.engine.rigs.reuse import only_rig
from stpspec.engine.shortcuts import equivalence
from stpspec.engine.shortcuts.isolated_synapse import on_compartment
from stpspec.engine.shortcuts.shared_cell import may_share
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
    if scheme.cell == "none":
        isolated = on_compartment(bound, rows)
        if isolated is not None:
            return Setup(isolated)
        scheme = scheme.safer()
    if scheme.cell == "shared" and not (len(rows) > 1 and may_share(bound)):
        scheme = scheme.safer()
    chosen = replace(bound, scheme=scheme)
    return Setup(chosen, settled_state(chosen, rows) if scheme.start == "settled" else None)


def without_disturbance(scheme: Scheme) -> Scheme:
    """Return the first rung below on which no candidate can influence another."""
    while scheme.cell != "own":
        scheme = scheme.safer()
    return scheme


def feasible(bound: Bound) -> Bound:
    """Return the experiment on the reference if its mechanisms refuse CVODE; warn once."""
    if bound.scheme.is_fixed:
        return bound
    model = bound.experiment.model
    cells = [model.cell, getattr(model, "second_cell", model.cell)]
    key = " ".join([model.mechanism, *(cell.digest for cell in cells)])
    varies = equivalence.remembered("variable step", key, lambda: _can_vary(bound))
    return bound if varies else under(bound, REFERENCE)


def _can_vary(bound: Bound) -> bool:
    rig = only_rig(bound, 1)
    try:
        with globals_restored(bound):
            choose_step(replace(bound, scheme=OWN))
    except CannotVaryError as error:
        log.warning("%s; the fixed step is used instead", error)
        return False
    finally:
        rig.tear_down()
    return True
