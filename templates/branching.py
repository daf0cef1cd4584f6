"""A large passive cell: a soma and dendrites that branch in two again and again."""

import itertools
import math
from typing import Any, ClassVar


class BranchingCell:
    """A soma and binary trees of passive dendrites, of some hundred compartments.

    The shape is generated, not traced: at each branch point the diameters follow Rall's 3/2 power
    rule [1]_, so that a parent of diameter d has two daughters of d / 2^(2/3), and all branches
    have the same length. With the defaults there are 62 dendrites of five segments each, which
    with the soma are 311 compartments.

    Parameters
    ----------
    trees
        Dendritic trees that leave the soma.
    orders
        Orders of branches in each tree: 5 give 31 dendrites.
    segments
        Compartments of each dendrite, an odd number.
    tau
        Membrane time constant in ms; `g_pas` = cm/tau.
    e_pas
        Resting potential in mV.
    Ra
        Axial resistivity in Ohm cm.

    Attributes
    ----------
    soma
        The somatic section.
    dend
        The dendrites, tree by tree, parents before their daughters: `dend[0]` leaves the soma, and
        the last of each tree is a tip.

    Raises
    ------
    ValueError
        If a number is not positive and finite.

    References
    ----------
    .. [1] Rall W (1959) Exp Neurol 1:491, doi:10.1016/0014-4886(59)90046-9
    """

    _numbers: ClassVar["itertools.count[int]"] = itertools.count()

    def __init__(
        self, *, trees: int = 2, orders: int = 5, segments: int = 5, tau: float = 20.0,
        e_pas: float = -70.0, Ra: float = 150.0,
    ) -> None:  # fmt: skip
        from neuron import h

        given = {"trees": trees, "orders": orders, "segments": segments, "tau": tau, "Ra": Ra}
        for name, value in given.items():
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive and finite (got {value!r})")
        self._number = next(self._numbers)
        self.soma: Any = h.Section(name="soma", cell=self)
        self.soma.L = self.soma.diam = 18.0
        self.dend: list[Any] = []
        for _ in range(int(trees)):
            parents = [self._branch(h, self.soma, 3.0, segments)]
            for order in range(1, int(orders)):
                diam = 3.0 / 2 ** (2 * order / 3)
                parents = [self._branch(h, p, diam, segments) for p in parents for _ in range(2)]
        for section in (self.soma, *self.dend):
            section.cm = 1.0  # uF/cm2
            section.Ra = Ra
            section.insert("pas")
            section.g_pas = 1e-3 * section.cm / tau
            section.e_pas = e_pas

    def _branch(self, h: Any, parent: Any, diam: float, segments: int) -> Any:
        dendrite = h.Section(name=f"dend[{len(self.dend)}]", cell=self)
        dendrite.L, dendrite.diam, dendrite.nseg = 90.0, diam, int(segments)
        dendrite.connect(parent(1))
        self.dend.append(dendrite)
        return dendrite

    def __repr__(self) -> str:
        """Return the name NEURON puts before the sections': one per instance."""
        return f"BranchingCell[{self._number}]"
