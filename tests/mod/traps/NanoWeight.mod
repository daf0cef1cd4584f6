TITLE Weight and conductance in nS

NEURON { POINT_PROCESS NanoWeight RANGE tau, e, i, g NONSPECIFIC_CURRENT i }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) (nS) = (nanosiemens) }
PARAMETER { tau = 5 (ms) e = 0 (mV) }
ASSIGNED { v (mV) i (nA) }
STATE { g (nS) }
INITIAL { g = 0 }
BREAKPOINT { SOLVE state METHOD cnexp i = (0.001) * g * (v - e) }
DERIVATIVE state { g' = -g / tau }
NET_RECEIVE(w (nS)) { g = g + w }
