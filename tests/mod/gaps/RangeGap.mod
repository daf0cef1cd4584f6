TITLE Gap junction fed by ParallelContext transfer

NEURON { POINT_PROCESS RangeGap ELECTRODE_CURRENT i RANGE g, i, vgap }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) (nS) = (nanosiemens) }
PARAMETER { g = 0.001 (uS) }
ASSIGNED { v (mV) vgap (mV) i (nA) }
BREAKPOINT { i = g * (vgap - v) }
