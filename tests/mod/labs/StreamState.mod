TITLE Depression that each NetCon keeps in its own arguments, beside a unit conductance and a switch

NEURON { POINT_PROCESS StreamState RANGE tau, e, i, g, U, D NONSPECIFIC_CURRENT i }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) }
PARAMETER { tau = 5 (ms) e = 0 (mV) U = 0.5 D = 500 (ms) }
ASSIGNED { v (mV) i (nA) }
STATE { g (uS) }
INITIAL { g = 0 }
BREAKPOINT { SOLVE state METHOD cnexp i = g * (v - e) }
DERIVATIVE state { g' = -g / tau }
NET_RECEIVE(w, g_unit (uS), R, last (ms), kind) {
  INITIAL { R = 1 last = -1e9 }
  R = 1 - (1 - R) * exp(-(t - last) / D)
  if (kind == 0) { g = g + w * g_unit * U * R }
  R = R * (1 - U)
  last = t
}
