TITLE A magnesium block in a TABLE, which is made of the parameter of one instance and never again

NEURON {
    POINT_PROCESS TabulatedOnce
    RANGE tau, e, i, g, mg, b
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
    mg = 1 (1)
}

ASSIGNED {
    v (mV)
    i (nA)
    b (1)
}

STATE { g (uS) }

INITIAL {
    g = 0
}

BREAKPOINT {
    SOLVE state METHOD cnexp
    block(v)
    i = g * b * (v - e)
}

DERIVATIVE state { g' = -g / tau }

NET_RECEIVE(w (uS)) {
    g = g + w
}

PROCEDURE block(v (mV)) {
    TABLE b FROM -140 TO 80 WITH 1000
    b = 1 / (1 + exp(-0.062 * v) * mg / 3.57)
}
