"""An isopotential patch of passive membrane with a known input resistance."""

import itertools
import math
from typing import Any, ClassVar


class Patch:
    """One isopotential passive compartment, `soma`.

    The membrane has 1 uF/cm2, so the time constant fixes `g_pas` = cm/tau and the resistance fixes
    the area; `L` = `diam` (a cylinder whose side area is that of a sphere of this diameter). With
    one segment the input resistance is exactly 1/(g_pas * area), whatever the axial resistivity.

    Parameters
    ----------
    resistance
        Input resistance in MOhm.
    tau
        Membrane time constant in ms.
    e_pas
        Resting potential in mV.

    Attributes
    ----------
    soma
        The section, one segment, mechanism `pas`.

    Raises
    ------
    ValueError
        If `resistance` or `tau` is not a positive finite number.
    """

    _numbers: ClassVar["itertools.count[int]"] = itertools.count()

    def __init__(
        self, *, resistance: float = 100.0, tau: float = 10.0, e_pas: float = -70.0
    ) -> None:
        from neuron import h

        for name, value in (("resistance", resistance), ("tau", tau)):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive and finite (got {value!r})")
        self._number = next(self._numbers)
        cm = 1.0  # uF/cm2
        g_pas = 1e-3 * cm / tau  # S/cm2, because uF/ms = mS
        area = 1e8 / (g_pas * resistance * 1e6)  # um2, from cm2
        self.soma: Any = h.Section(name="soma", cell=self)
        self.soma.nseg = 1
        self.soma.L = self.soma.diam = math.sqrt(area / math.pi)
        self.soma.cm = cm
        self.soma.insert("pas")
        self.soma.g_pas = g_pas
        self.soma.e_pas = e_pas

    def __repr__(self) -> str:
        """Return the name NEURON puts before the section's: one per instance."""
        return f"Patch[{self._number}]"
