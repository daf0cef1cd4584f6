COMMENT
A synapse of five release sites, each of which releases or not by the toss of a coin.
With `seeded` the coins fall the same way in every simulation.
ENDCOMMENT

NEURON {
    POINT_PROCESS Coin
    RANGE U, tau, e, g, i, seeded
    NONSPECIFIC_CURRENT i
}

UNITS {
    (nA) = (nanoamp)
    (mV) = (millivolt)
    (uS) = (microsiemens)
}

PARAMETER {
    U = 0.5 (1) <0, 1>
    tau = 3 (ms) <1e-3, 1e6>
    e = 0 (mV)
    seeded = 0
}

ASSIGNED {
    v (mV)
    i (nA)
}

STATE { g (uS) }

INITIAL {
    g = 0
    if (seeded) { set_seed(1) }
}

BREAKPOINT {
    SOLVE states METHOD cnexp
    i = g * (v - e)
}

DERIVATIVE states { g' = -g / tau }

NET_RECEIVE(weight (uS)) {
    LOCAL n
    n = 0
    FROM site = 1 TO 5 {
        if (scop_random() < U) { n = n + 1 }
    }
    g = g + weight * n / 5
}
