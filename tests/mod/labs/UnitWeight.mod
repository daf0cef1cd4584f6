TITLE Synapse whose events bring a unit conductance beside their weight; no INITIAL block keeps it

NEURON { POINT_PROCESS UnitWeight RANGE tau, e, i, g NONSPECIFIC_CURRENT i }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) }
PARAMETER { tau = 5 (ms) e = 0 (mV) }
ASSIGNED { v (mV) i (nA) }
STATE { g (uS) }
INITIAL { g = 0 }
BREAKPOINT { SOLVE state METHOD cnexp i = g * (v - e) }
DERIVATIVE state { g' = -g / tau }
NET_RECEIVE(w, g_unit (uS)) { g = g + w * g_unit }
