TITLE A synapse with a noise of its own in each step, from a Random object of normal numbers

NEURON {
    POINT_PROCESS NoiseObject
    RANGE tau, e, i, g, sd
    NONSPECIFIC_CURRENT i
    POINTER donotuse
}

UNITS {
    (nA) = (nanoamp)
    (mV) = (millivolt)
    (uS) = (microsiemens)
}

PARAMETER {
    tau = 3 (ms)
    e = 0 (mV)
    sd = 1e-4 (uS)
}

ASSIGNED {
    v (mV)
    i (nA)
    x (uS)
    donotuse
}

STATE { g (uS) }

INITIAL { g = 0 }

BREAKPOINT {
    SOLVE draw
    SOLVE state METHOD cnexp
    i = (g + x) * (v - e)
}

PROCEDURE draw() { x = sd * grand() }

DERIVATIVE state { g' = -g / tau }

NET_RECEIVE(w (uS)) { g = g + w }

FUNCTION grand() {
VERBATIM
    if (_p_donotuse) {
        _lgrand = nrn_random_pick((Rand*) _p_donotuse);
    } else {
ENDVERBATIM
        grand = normrand(0, 1)
VERBATIM
    }
ENDVERBATIM
}

PROCEDURE noiseFromRandom() {
VERBATIM
    void** object = (void**) (&_p_donotuse);
    *object = ifarg(1) ? (void*) nrn_random_arg(1) : (void*) 0;
ENDVERBATIM
}
