TITLE Transfer, nonspecific current, conductance in nS, partner voltage of another name

NEURON { POINT_PROCESS RangeNonspecific NONSPECIFIC_CURRENT i RANGE g, i, vpre }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) (nS) = (nanosiemens) }
PARAMETER { g = 1 (nS) }
ASSIGNED { v (mV) vpre (mV) i (nA) }
BREAKPOINT { i = (0.001) * g * (v - vpre) }
