TITLE POINTER, nonspecific current in uS

NEURON { POINT_PROCESS PointerNonspecific NONSPECIFIC_CURRENT i RANGE g, i POINTER vgap }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) (nS) = (nanosiemens) }
PARAMETER { g = 0.001 (uS) }
ASSIGNED { v (mV) vgap (mV) i (nA) }
BREAKPOINT { i = g * (v - vgap) }
