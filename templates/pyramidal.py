"""A passive layer 5 regular-spiking pyramidal cell."""

import itertools
import math
from typing import Any, ClassVar


class PyramidalCell:
    """Soma, four basal dendrites and an apical trunk with a tuft of two, all passive.

    Passive on purpose: the cell carries a synapse away from the electrode and filters its
    response, and a postsynaptic spike or an active conductance would change an amplitude that is
    meant to report release.

    The shape is a reduced one (lengths and diameters chosen, not traced), scaled to the input
    resistance and membrane time constant of the row "L5 RS", mouse P16-21, of Hatch et al. 2017
    [1]_: 242.0 +- 15.4 MOhm and 15.4 +- 1.54 ms. In that paper the regular-spiking cells are
    GAD67-positive interneurons: the numbers are a stand-in of the right size, not a measurement of
    pyramidal cells.

    Measured at the soma with the defaults (NEURON 9.0.2, -10 pA for 500 ms, dt 0.025 ms): input
    resistance 241.8 MOhm, time constant 15.4 ms, rest -70 mV, area 6830 um2. The resistance
    changes with `tau` and `Ra`.

    Parameters
    ----------
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
    basal
        Four basal dendrites, `basal[0]` to `basal[3]`.
    apical
        `apical[0]` is the trunk, `apical[1]` and `apical[2]` the two branches of the tuft.

    Raises
    ------
    ValueError
        If `tau` or `Ra` is not a positive finite number.

    References
    ----------
    .. [1] Hatch RJ, Mendis GDC, Kaila K, Reid CA, Petrou S (2017) Front Cell Neurosci 11:204,
       doi:10.3389/fncel.2017.00204
    """

    _numbers: ClassVar["itertools.count[int]"] = itertools.count()

    def __init__(self, *, tau: float = 15.4, e_pas: float = -70.0, Ra: float = 150.0) -> None:
        from neuron import h

        for name, value in (("tau", tau), ("Ra", Ra)):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive and finite (got {value!r})")
        self._number = next(self._numbers)
        self.soma: Any = h.Section(name="soma", cell=self)
        self.basal: list[Any] = [h.Section(name=f"basal[{k}]", cell=self) for k in range(4)]
        self.apical: list[Any] = [h.Section(name=f"apical[{k}]", cell=self) for k in range(3)]
        self.soma.L = self.soma.diam = 18.0
        for dendrite in self.basal:
            dendrite.L, dendrite.diam = 100.0, 1.5
            dendrite.connect(self.soma(0))
        trunk, *tuft = self.apical
        trunk.L, trunk.diam = 320.0, 2.5
        trunk.connect(self.soma(1))
        for branch in tuft:
            branch.L, branch.diam = 150.0, 1.5
            branch.connect(trunk(1))
        for section in (self.soma, *self.basal, *self.apical):
            section.cm = 1.0  # uF/cm2
            section.Ra = Ra
            section.nseg = _odd_segments(section.L, section.diam, Ra, section.cm)
            section.insert("pas")
            section.g_pas = 1e-3 * section.cm / tau
            section.e_pas = e_pas

    def __repr__(self) -> str:
        """Return the name NEURON puts before the sections': one per instance."""
        return f"PyramidalCell[{self._number}]"


def _odd_segments(length: float, diam: float, Ra: float, cm: float) -> int:
    """Return the smallest odd number of segments not longer than 0.1 AC length constants at 100 Hz.

    The length constant is sqrt(diam / (4 pi f Ra cm)) (Hines & Carnevale 2001, Neuroscientist
    7:123, doi:10.1177/107385840100700207).
    """
    length_constant = 1e5 * math.sqrt(diam / (4 * math.pi * 100.0 * Ra * cm))  # um
    segments = max(1, math.ceil(length / (0.1 * length_constant)))
    return segments if segments % 2 else segments + 1
