TITLE No unit is declared; the equation takes the conductance in nS

NEURON { POINT_PROCESS PlainGap ELECTRODE_CURRENT i RANGE g, i, vgap }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) (nS) = (nanosiemens) }
PARAMETER { g = 1 }
ASSIGNED { v (mV) vgap (mV) i (nA) }
BREAKPOINT { i = g * (vgap - v) * 0.001 }
