TITLE A gain kept by C code, in one place for all instances

NEURON {
    POINT_PROCESS StaticC
    RANGE tau, e, i, g, gain
    NONSPECIFIC_CURRENT i
}

UNITS {
    (nA) = (nanoamp)
    (mV) = (millivolt)
    (uS) = (microsiemens)
}

VERBATIM
static double last_gain = 1;
ENDVERBATIM

PARAMETER {
    tau = 5 (ms)
    e = 0 (mV)
    gain = 1 (1)
}

ASSIGNED {
    v (mV)
    i (nA)
    now (1)
}

STATE { g (uS) }

INITIAL {
    g = 0
VERBATIM
    last_gain = gain;
ENDVERBATIM
}

BREAKPOINT {
    SOLVE state METHOD cnexp
    i = g * (v - e)
}

DERIVATIVE state { g' = -g / tau }

NET_RECEIVE(w (uS)) {
    VERBATIM
    now = last_gain;
ENDVERBATIM
    g = g + w * now
}
