TITLE Depressing synapse, its weights in nS by a hidden factor, its state in each NetCon
NEURON {
  POINT_PROCESS LabDepressing
  RANGE e, i, g, tau1, tau2, Use, Dep, Fac, initW, u0, Tmax
  NONSPECIFIC_CURRENT i
}
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) }
PARAMETER {
  tau1 = 0.5 (ms)
  tau2 = 4 (ms)
  e = 0 (mV)
  Use = 0.4 (1)
  Dep = 150 (ms)
  Fac = 20 (ms)
  initW = 2
  gfac = 0.001
  u0 = 0
}
ASSIGNED { v (mV) i (nA) g (uS) factor }
STATE { A B }
INITIAL {
  LOCAL tp
  A = 0  B = 0
  tp = (tau1*tau2)/(tau2-tau1)*log(tau2/tau1)
  factor = 1/(-exp(-tp/tau1)+exp(-tp/tau2))
}
BREAKPOINT {
  SOLVE state METHOD cnexp
  g = gfac*initW*(B-A)
  i = g*(v-e)
}
DERIVATIVE state { A' = -A/tau1  B' = -B/tau2 }
NET_RECEIVE(weight, Pv, u, tsyn (ms)) {
  INITIAL { Pv = 1  u = u0  tsyn = t }
  if (Fac > 0) { u = u*exp(-(t-tsyn)/Fac) } else { u = 0 }
  Pv = 1-(1-Pv)*exp(-(t-tsyn)/Dep)
  u = u + Use*(1-u)
  A = A + weight*factor*Pv*u
  B = B + weight*factor*Pv*u
  Pv = Pv - u*Pv
  tsyn = t
}
