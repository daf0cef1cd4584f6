TITLE One release site that is filled again by chance; its random numbers are all 0 until setRNG was called

NEURON {
    POINT_PROCESS OneSite
    RANGE tau, e, i, g, U, D
    NONSPECIFIC_CURRENT i
}

UNITS {
    (nA) = (nanoamp)
    (mV) = (millivolt)
    (uS) = (microsiemens)
}

PARAMETER {
    tau = 3 (ms)
    e = 0 (mV)
    U = 0.5 (1)
    D = 100 (ms)
}

ASSIGNED {
    v (mV)
    i (nA)
    full
    last (ms)
    is_given
}

STATE { g (uS) }

INITIAL {
    g = 0
    full = 1
    last = 0
}

BREAKPOINT {
    SOLVE state METHOD cnexp
    i = g * (v - e)
}

DERIVATIVE state { g' = -g / tau }

NET_RECEIVE(w (uS)) {
    if (full == 0) {
        if (urand() > exp(-(t - last) / D)) { full = 1 } else { last = t }
    }
    if (full == 1) {
        if (urand() < U) {
            g = g + w
            full = 0
            last = t
        }
    }
}

FUNCTION urand() {
    if (is_given == 1) { urand = scop_random() } else { urand = 0 }
}

PROCEDURE setRNG() { is_given = 1 }
