TITLE A gain kept in a LOCAL outside of all blocks, in one place for all instances

NEURON {
    POINT_PROCESS OutermostLocal
    RANGE tau, e, i, g, gain
    NONSPECIFIC_CURRENT i
}

UNITS {
    (nA) = (nanoamp)
    (mV) = (millivolt)
    (uS) = (microsiemens)
}

LOCAL kept

PARAMETER {
    tau = 5 (ms)
    e = 0 (mV)
    gain = 1 (1)
}

ASSIGNED {
    v (mV)
    i (nA)
}

STATE { g (uS) }

INITIAL {
    g = 0
    kept = gain
}

BREAKPOINT {
    SOLVE state METHOD cnexp
    i = kept * g * (v - e)
}

DERIVATIVE state { g' = -g / tau }

NET_RECEIVE(w (uS)) {
    g = g + w
}
