TITLE Gap junction with the sign of its current inverted, as seen on a public mechanism

NEURON {
    POINT_PROCESS InvertedGap
    ELECTRODE_CURRENT i
    RANGE g, i
    POINTER vgap
}

UNITS {
    (nA) = (nanoamp)
    (mV) = (millivolt)
    (uS) = (microsiemens)
}

PARAMETER {
    g = 0 (uS)
}

ASSIGNED {
    v (mV)
    vgap (mV)
    i (nA)
}

BREAKPOINT {
    i = g * (v - vgap)
}
