TITLE Nine tenths of the current are sodium, and cannot be recorded

NEURON {
    POINT_PROCESS HiddenCurrent
    RANGE tau, e, i, g
    NONSPECIFIC_CURRENT i
    USEION na WRITE ina
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
    ina (nA)
}

STATE { g (uS) }

INITIAL {
    g = 0
}

BREAKPOINT {
    SOLVE state METHOD cnexp
    i = 0.1 * g * (v - e)
    ina = 0.9 * g * (v - e)
}

DERIVATIVE state { g' = -g / tau }

NET_RECEIVE(w (uS)) {
    g = g + w
}
