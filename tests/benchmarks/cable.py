"""A cell of any number of compartments, for the cost of a compartment."""

from __future__ import annotations

from typing import Any


class Cable:
    """A soma of one compartment and an active dendrite of the others."""

    def __init__(self, *, compartments: int) -> None:
        from neuron import h

        self.soma: Any = h.Section(name="soma", cell=self)
        self.dend: Any = h.Section(name="dend", cell=self)
        self.soma.L = self.soma.diam = 20.0
        self.dend.L, self.dend.diam, self.dend.nseg = 404.0, 8.0, compartments - 1
        self.dend.connect(self.soma(1))
        for section in (self.soma, self.dend):
            section.insert("fs_wb")
            section.insert("pas")
            section.Ra, section.g_pas, section.e_pas = 100.0, 6e-5, -70.0
            section.ena, section.ek = 55.0, -90.0
