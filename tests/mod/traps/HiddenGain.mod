TITLE A weight without a unit, times a conductance that is no RANGE variable

NEURON { POINT_PROCESS HiddenGain RANGE tau, e, i, g NONSPECIFIC_CURRENT i }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) (nS) = (nanosiemens) }
PARAMETER { tau = 5 (ms) e = 0 (mV) gmax = 0.001 (uS) }
ASSIGNED { v (mV) i (nA) }
STATE { g (uS) }
INITIAL { g = 0 }
BREAKPOINT { SOLVE state METHOD cnexp i = g * (v - e) }
DERIVATIVE state { g' = -g / tau }
NET_RECEIVE(w) { g = g + w * gmax }
