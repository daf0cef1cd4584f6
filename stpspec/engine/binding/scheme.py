"""Schemes of simulation: a ladder whose rungs each give up one shortcut.

===================  ========  ==================  =======  =======================================
rung                 steps     cell                start    left when
===================  ========  ==================  =======  =======================================
``ISOLATED``         growing   none (compartment)  rest     not proven, or a candidate disturbs
``SHARED``           variable  one for all         settled  a candidate disturbs others
``OWN``              variable  one each            settled  CVODE refuses a mechanism
``REFERENCE``        fixed     one each            settled  a process died in a proof
``PLAIN_REFERENCE``  fixed     one each            rest     never; every fit is confirmed here
===================  ========  ==================  =======  =======================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Scheme:
    """How a batch of candidates is simulated.

    Attributes
    ----------
    steps : {"growing", "variable", "fixed"}
        Time steps that grow after each event, that CVODE chooses, or that are all ``dt``.
    cell : {"none", "shared", "own"}
        A bare compartment in place of the cell, one cell for all candidates, or one for each.
    start : {"rest", "settled"}
        Whether each run settles by itself, or is restored where that is proven to be the same.
    """

    steps: Literal["growing", "variable", "fixed"]
    cell: Literal["none", "shared", "own"]
    start: Literal["rest", "settled"]

    @property
    def is_fixed(self) -> bool:
        """Whether all candidates are sampled at the same times, the multiples of ``dt``."""
        return self.steps == "fixed"

    def safer(self) -> Scheme:
        """Return the next rung, which gives up one shortcut more.

        Raises
        ------
        IndexError
            On the last rung.
        """
        return LADDER[LADDER.index(self) + 1]


ISOLATED = Scheme("growing", "none", "rest")
SHARED = Scheme("variable", "shared", "settled")
OWN = Scheme("variable", "own", "settled")
REFERENCE = Scheme("fixed", "own", "settled")
PLAIN_REFERENCE = Scheme("fixed", "own", "rest")
LADDER = (ISOLATED, SHARED, OWN, REFERENCE, PLAIN_REFERENCE)


def highest_rung(integrator: str, *, searching: bool) -> Scheme:
    """Return the rung that an integrator of the spec allows to begin with.

    Parameters
    ----------
    integrator : {"auto", "variable", "fixed"}
    searching : bool
        Whether the answer is confirmed on the reference, as a fit does.
    """
    if integrator == "auto":
        return ISOLATED if searching else REFERENCE
    return SHARED if integrator == "variable" else REFERENCE
