TITLE A gain kept by C code that a macro hides, in one place for all instances

NEURON {
    POINT_PROCESS HiddenStatic
    RANGE tau, e, i, g, gain
    NONSPECIFIC_CURRENT i
}

UNITS {
    (nA) = (nanoamp)
    (mV) = (millivolt)
    (uS) = (microsiemens)
}

VERBATIM
#define PASTED(a, b) a##b
double hidden_gain(double given) {
    PASTED(sta, tic) double last;
    if (given > 0) {
        last = given;
    }
    return last;
}
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
    hidden_gain(gain);
ENDVERBATIM
}

BREAKPOINT {
    SOLVE state METHOD cnexp
    i = g * (v - e)
}

DERIVATIVE state { g' = -g / tau }

NET_RECEIVE(w (uS)) {
    VERBATIM
    now = hidden_gain(-1);
ENDVERBATIM
    g = g + w * now
}
