TITLE Random numbers of the C library, which nothing outside of it can seed

NEURON {
    POINT_PROCESS LibraryRandom
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
VERBATIM
    _lurand = rand() / (double) RAND_MAX;
ENDVERBATIM
}

