TITLE Random numbers of a generator that no procedure of the file takes

NEURON {
    POINT_PROCESS NoSetter
    RANGE tau, e, i, g, U
    NONSPECIFIC_CURRENT i
    POINTER rng
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
    rng
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
    if (_p_rng) { _lurand = nrn_random_pick((Rand*) _p_rng); }
ENDVERBATIM
}

