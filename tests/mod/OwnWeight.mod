TITLE A synapse with a parameter of the name `weight`, beside the weight of its NetCon

NEURON {
    POINT_PROCESS OwnWeight
    RANGE tau, e, i, g, gmax, weight
    NONSPECIFIC_CURRENT i
}

UNITS {
    (nA) = (nanoamp)
    (mV) = (millivolt)
    (uS) = (microsiemens)
}

PARAMETER {
    tau = 5 (ms)
    e = 0 (mV)
    gmax = 0.001 (uS)
    weight = 1 (1)
}

ASSIGNED {
    v (mV)
    i (nA)
}

STATE { g (uS) }

INITIAL { g = 0 }

BREAKPOINT {
    SOLVE state METHOD cnexp
    i = g * (v - e)
}

DERIVATIVE state { g' = -g / tau }

NET_RECEIVE(w (1)) { g = g + w * weight * gmax }
