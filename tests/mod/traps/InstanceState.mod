TITLE Depression that the instance keeps, and no NetCon

NEURON { POINT_PROCESS InstanceState RANGE tau, e, i, g, U, D, R NONSPECIFIC_CURRENT i }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) (nS) = (nanosiemens) }
PARAMETER { tau = 5 (ms) e = 0 (mV) U = 0.5 D = 500 (ms) }
ASSIGNED { v (mV) i (nA) R last (ms) }
STATE { g (uS) }
INITIAL { g = 0 R = 1 last = -1e9 }
BREAKPOINT { SOLVE state METHOD cnexp i = g * (v - e) }
DERIVATIVE state { g' = -g / tau }
NET_RECEIVE(w (uS)) {
  R = 1 - (1 - R) * exp(-(t - last) / D)
  g = g + w * U * R
  R = R * (1 - U)
  last = t
}
