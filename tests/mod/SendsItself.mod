TITLE A synapse that sends itself an event every 100 ms

NEURON {
    POINT_PROCESS SendsItself
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

ASSIGNED {
    v (mV)
    i (nA)
}

STATE { g (uS) }

INITIAL {
    g = 0
    net_send(100, 3)
}

BREAKPOINT {
    SOLVE state METHOD cnexp
    i = g * (v - e)
}

DERIVATIVE state { g' = -g / tau }

NET_RECEIVE(w (uS)) {
    if (flag == 0) {
        g = g + w
    } else {
        net_send(100, 3)
    }
}
