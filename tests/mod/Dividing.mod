TITLE Exponential synapse that divides by its parameter `share` at each event

NEURON {
    POINT_PROCESS Dividing
    RANGE share, tau, gmax, e, g, i
    NONSPECIFIC_CURRENT i
}

UNITS {
    (nA) = (nanoamp)
    (mV) = (millivolt)
    (uS) = (microsiemens)
}

PARAMETER {
    share = 1 (1)
    tau = 3 (ms)
    gmax = 0.001 (uS)
    e = 0 (mV)
}

ASSIGNED {
    v (mV)
    i (nA)
    g (uS)
}

STATE {
    s (1)
}

INITIAL {
    s = 0
}

BREAKPOINT {
    SOLVE state METHOD cnexp
    g = gmax * s
    i = g * (v - e)
}

DERIVATIVE state {
    s' = -s / tau
}

NET_RECEIVE(weight (1)) {
    s = s + weight * share / share / share
}
