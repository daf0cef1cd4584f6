"""A template: the bare compartment on which a synapse is simulated in place of a clamped cell."""

from __future__ import annotations

from stpspec.engine import nrn


class BareCompartment:
    """Membrane that has nothing but its capacitance; an electrode holds its voltage.

    Attributes
    ----------
    soma
        The section, of one segment.
    """

    def __init__(self) -> None:
        self.soma = nrn.hoc().Section("soma", self)
        self.soma.L = self.soma.diam = 10  # µm
