TITLE A RANGE name that is declared nowhere, and a current with a gain that g has not

NEURON { POINT_PROCESS ScaledCurrent RANGE tau, e, i, g, gain, ghost NONSPECIFIC_CURRENT i }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) (nS) = (nanosiemens) }
PARAMETER { tau = 5 (ms) e = 0 (mV) gain = 3 }
ASSIGNED { v (mV) i (nA) }
STATE { g (uS) }
INITIAL { g = 0 }
BREAKPOINT { SOLVE state METHOD cnexp i = gain * g * (v - e) }
DERIVATIVE state { g' = -g / tau }
NET_RECEIVE(w (uS)) { g = g + w }
