TITLE A synapse whose single vesicle is released by a RANDOM variable of NEURON 9

NEURON {
    POINT_PROCESS RandomVariable
    RANGE tau, e, i, g, U
    NONSPECIFIC_CURRENT i
    RANDOM chance
}

UNITS {
    (nA) = (nanoamp)
    (mV) = (millivolt)
    (uS) = (microsiemens)
}

PARAMETER {
    tau = 3 (ms)
    e = 0 (mV)
    U = 0.3 (1)
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

NET_RECEIVE(w (uS)) {
    if (random_uniform(chance) < U) { g = g + w }
}
