TITLE POINTER, a resistance in place of the conductance

NEURON { POINT_PROCESS ResistanceGap NONSPECIFIC_CURRENT i RANGE r, i POINTER vgap }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) (nS) = (nanosiemens) }
PARAMETER { r = 1e10 (megohm) }
ASSIGNED { v (mV) vgap (mV) i (nA) }
BREAKPOINT { i = (v - vgap) / r }
