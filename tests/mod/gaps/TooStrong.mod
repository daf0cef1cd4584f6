TITLE Declared in nS, taken in uS

NEURON { POINT_PROCESS TooStrong ELECTRODE_CURRENT i RANGE g, i, vgap }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) (nS) = (nanosiemens) }
PARAMETER { g = 1 (nS) }
ASSIGNED { v (mV) vgap (mV) i (nA) }
BREAKPOINT { i = g * (vgap - v) }
