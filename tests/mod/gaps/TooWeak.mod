TITLE Declared in uS, taken in nS

NEURON { POINT_PROCESS TooWeak ELECTRODE_CURRENT i RANGE g, i, vgap }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) (nS) = (nanosiemens) }
PARAMETER { g = 0.001 (uS) }
ASSIGNED { v (mV) vgap (mV) i (nA) }
BREAKPOINT { i = (0.001) * g * (vgap - v) }
