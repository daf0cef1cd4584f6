TITLE A gain that C code writes into a variable of NEURON's

NEURON {
    POINT_PROCESS WritesCelsius
    RANGE tau, e, i, g, gain
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
    gain = 1 (1)
}

ASSIGNED {
    v (mV)
    i (nA)
    celsius (degC)
    now (1)
}

STATE { g (uS) }

INITIAL {
    g = 0
VERBATIM
    celsius = gain;
ENDVERBATIM
}

BREAKPOINT {
    SOLVE state METHOD cnexp
    i = g * (v - e)
}

DERIVATIVE state { g' = -g / tau }

NET_RECEIVE(w (uS)) {
    VERBATIM
    now = celsius;
ENDVERBATIM
    g = g + w * now
}
