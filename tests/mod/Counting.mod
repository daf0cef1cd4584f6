TITLE An event counts, and INITIAL does not begin anew

NEURON {
    POINT_PROCESS Counting
    RANGE tau, e, i, g, count
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
    count (1)
}

STATE { g (uS) }

INITIAL {
    g = 0
}

BREAKPOINT {
    SOLVE state METHOD cnexp
    i = g * (v - e)
}

DERIVATIVE state { g' = -g / tau }

NET_RECEIVE(w (uS)) {
    g = g + w / (1 + count)
    count = count + 1
}
