TITLE An event multiplies a PARAMETER, and the weight of its NetCon

NEURON {
    POINT_PROCESS GrowingWeight
    RANGE tau, e, i, g, gain
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
    gain = 1 (1)
}

ASSIGNED {
    v (mV)
    i (nA)
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
    g = g + w * gain
    gain = gain * 1.5
    w = w * 1.5
}
