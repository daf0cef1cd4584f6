TITLE Facilitating inhibitory synapse in uS, its state in the instance, depression off
NEURON {
  POINT_PROCESS LabInhibitory
  RANGE Erev, itot, gtot, tau_r_GABA, tau_d_GABA, tauD, tauF, f, U1, gbar
  NONSPECIFIC_CURRENT itot
}
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) }
PARAMETER {
  tau_r_GABA = 0.3 (ms)
  tau_d_GABA = 9 (ms)
  Erev = -75 (mV)
  U1 = 0.3 <0,1>
  tauD = 0 (ms)
  tauF = 300 (ms)
  gbar = 1 (uS)
}
ASSIGNED { v (mV) itot (nA) gtot (uS) R u last (ms) factor }
STATE { A (uS) B (uS) }
INITIAL {
  LOCAL tp
  A = 0  B = 0 R = 1 u = 0 last = -1e9
  tp = (tau_r_GABA*tau_d_GABA)/(tau_d_GABA-tau_r_GABA)*log(tau_d_GABA/tau_r_GABA)
  factor = 1/(-exp(-tp/tau_r_GABA)+exp(-tp/tau_d_GABA))
}
BREAKPOINT {
  SOLVE state METHOD cnexp
  gtot = B-A
  itot = gtot*(v-Erev)
}
DERIVATIVE state { A' = -A/tau_r_GABA  B' = -B/tau_d_GABA }
NET_RECEIVE(weight (uS)) {
  u = u*exp(-(t-last)/tauF)
  u = u + U1*(1-u)
  if (tauD > 0) { R = 1-(1-R)*exp(-(t-last)/tauD) } else { R = 1 }
  A = A + weight*gbar*factor*R*u
  B = B + weight*gbar*factor*R*u
  R = R*(1-u)
  last = t
}
