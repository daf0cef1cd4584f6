TITLE A rate that INITIAL makes of the time step

NEURON { POINT_PROCESS StepFactor RANGE tau, e, i, g NONSPECIFIC_CURRENT i }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) (nS) = (nanosiemens) }
PARAMETER { tau = 5 (ms) e = 0 (mV) }
ASSIGNED { v (mV) i (nA) rate (/ms) dt (ms) }
STATE { g (uS) }
INITIAL { g = 0 rate = (1 - exp(-dt / tau)) / dt }
BREAKPOINT { SOLVE state METHOD derivimplicit i = g * (v - e) }
DERIVATIVE state { g' = -g * rate }
NET_RECEIVE(w (uS)) { g = g + w }
