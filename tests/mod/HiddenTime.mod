TITLE An alpha function of the time since the last event: whose text does not show it

NEURON {
    POINT_PROCESS HiddenTime
    RANGE tau, e, i, g
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
}

VERBATIM
#define PASTED(a, b) a##b
#define MOMENT (nrn_threads->PASTED(_, t))
ENDVERBATIM

ASSIGNED {
    now (ms)
    v (mV)
    i (nA)
    g (uS)
    begin (ms)
    size (uS)
}

INITIAL {
    g = 0
    begin = -1
    size = 0
}

BREAKPOINT {
    if (begin < 0) {
        g = 0
    } else {
VERBATIM
        now = MOMENT;
ENDVERBATIM
        g = size * (now - begin) / tau * exp(1 - (now - begin) / tau)
    }
    i = g * (v - e)
}

NET_RECEIVE(w (uS)) {
    begin = t
    size = w
}
