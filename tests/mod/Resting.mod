TITLE A synapse that draws a current at rest, for the test of the settled state

NEURON {
    POINT_PROCESS Resting
    RANGE g, i, tau, e, leak
    NONSPECIFIC_CURRENT i
}

UNITS {
    (nA) = (nanoamp)
    (mV) = (millivolt)
    (uS) = (microsiemens)
}

PARAMETER {
    tau  = 3 (ms)
    e    = 0 (mV)
    leak = 0 (uS)
}

ASSIGNED {
    v (mV)
    i (nA)
    g (uS)
}

STATE { A (uS) }

INITIAL { A = 0 }

BREAKPOINT {
    SOLVE state METHOD cnexp
    g = A + leak
    i = g * (v - e)
}

DERIVATIVE state { A' = -A / tau }

NET_RECEIVE(weight (1)) { A = A + 0.001 * weight }
