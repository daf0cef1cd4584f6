TITLE Exponential synapse whose time constant is GLOBAL: one value for the whole process

NEURON {
    POINT_PROCESS GlobalDecay
    RANGE gmax, e, g, i
    GLOBAL tau
    NONSPECIFIC_CURRENT i
}

UNITS {
    (nA) = (nanoamp)
    (mV) = (millivolt)
    (uS) = (microsiemens)
}

PARAMETER {
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
    s = s + weight
}
