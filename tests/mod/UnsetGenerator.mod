TITLE Random numbers only after setRNG was called; before, all are 0

NEURON {
    POINT_PROCESS UnsetGenerator
    RANGE tau, e, i, g, U
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
    U = 0.5 (1)
}

ASSIGNED {
    v (mV)
    i (nA)
    given
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
    if (urand() < U) { g = g + w }
}

FUNCTION urand() {
    if (given == 1) {
        urand = scop_random()
    } else {
        urand = 0
    }
}

PROCEDURE setRNG() { given = 1 }
