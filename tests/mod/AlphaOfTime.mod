TITLE An alpha function of the time since the last event: a conductance without a STATE

NEURON {
    POINT_PROCESS AlphaOfTime
    RANGE tau, e, i, g
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
}

ASSIGNED {
    v (mV)
    i (nA)
    g (uS)
    begin (ms)
    size (uS)
}

INITIAL {
    g = 0
    begin = -1
    size = 0
}

BREAKPOINT {
    if (begin < 0) {
        g = 0
    } else {
        g = size * (t - begin) / tau * exp(1 - (t - begin) / tau)
    }
    i = g * (v - e)
}

NET_RECEIVE(w (uS)) {
    begin = t
    size = w
}
