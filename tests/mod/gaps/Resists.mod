TITLE Declared a conductance, acts as a resistance

NEURON { POINT_PROCESS Resists ELECTRODE_CURRENT i RANGE g, i POINTER vgap }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) (nS) = (nanosiemens) }
PARAMETER { g = 1000 (uS) }
ASSIGNED { v (mV) vgap (mV) i (nA) }
BREAKPOINT { i = (vgap - v) / g }
