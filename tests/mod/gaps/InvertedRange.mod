TITLE Transfer, inverted sign

NEURON { POINT_PROCESS InvertedRange NONSPECIFIC_CURRENT i RANGE g, i, vgap }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) (nS) = (nanosiemens) }
PARAMETER { g = 0.001 (uS) }
ASSIGNED { v (mV) vgap (mV) i (nA) }
BREAKPOINT { i = g * (vgap - v) }
