TITLE A synapse that reads a POINTER, which nothing sets; for tests only

NEURON {
    POINT_PROCESS ReadsPointer
    RANGE g, e, tau
    POINTER calcium, stream
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
}

ASSIGNED {
    v (mV)
    i (nA)
    calcium
    stream
}

STATE {
    g (uS)
}

INITIAL {
    g = 0
}

BREAKPOINT {
    SOLVE decay METHOD cnexp
    i = g * (v - e) * calcium
}

DERIVATIVE decay {
    g' = -g / tau
}

NET_RECEIVE(w (uS)) {
VERBATIM
    if (_p_stream) return;  // what is null can be tested for in C
ENDVERBATIM
    g = g + w
}
