TITLE A Random object of which the text does not tell which numbers are expected

NEURON {
    POINT_PROCESS Ambiguous
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
    if (1 > 0) { g = g + w * drawn() }
}

FUNCTION drawn() {
VERBATIM
    if (_p_rng) { _ldrawn = nrn_random_pick((Rand*) _p_rng); }
ENDVERBATIM
}

PROCEDURE setRNG() {
VERBATIM
    void** pointer = (void**) (&_p_rng);
    *pointer = (void*) nrn_random_arg(1);
ENDVERBATIM
}
