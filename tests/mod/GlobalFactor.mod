TITLE A factor computed in INITIAL, and kept in one place for all instances

NEURON {
    POINT_PROCESS GlobalFactor
    RANGE tau, e, i, g, gain
    NONSPECIFIC_CURRENT i
    GLOBAL factor
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
    factor (1)
}

STATE { g (uS) }

INITIAL {
    g = 0
    factor = gain * gain
}

BREAKPOINT {
    SOLVE state METHOD cnexp
    i = g * (v - e)
}

DERIVATIVE state { g' = -g / tau }

NET_RECEIVE(w (uS)) {
    g = g + w * factor
}
