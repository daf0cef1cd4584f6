TITLE A synapse that breaks at certain values of its parameter, for the tests of the workers

COMMENT
  An exponential conductance of the size U. What happens at U > 0.7 depends on `fault`:
    1 the process dies of a segmentation fault, 2 it loops for ever, 3 the conductance is NaN,
    4 NEURON stops with an error, 5 the process aborts, 6 it exits without an error, 0 nothing.
ENDCOMMENT

NEURON {
    POINT_PROCESS Faulty
    RANGE U, tau, e, g, i, fault
    NONSPECIFIC_CURRENT i
}

UNITS {
    (nA) = (nanoamp)
    (mV) = (millivolt)
    (uS) = (microsiemens)
}

PARAMETER {
    U     = 0.5 (1)
    tau   = 2   (ms)
    e     = 0   (mV)
    fault = 0   (1)
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
    g = A
    i = g * (v - e)
}

DERIVATIVE state { A' = -A / tau }

NET_RECEIVE(weight (1)) {
    if (U > 0.7) {
        if (fault == 3) { A = log(-U) }
VERBATIM
        if (fault == 1) { int* nowhere = 0; *nowhere = 1; }
        if (fault == 2) { volatile int on = 1; while (on) { } }
        if (fault == 5) { abort(); }
        if (fault == 6) { exit(0); }
        if (fault == 4) { hoc_execerror("Faulty:", "the value of U is not allowed"); }
ENDVERBATIM
    }
    A = A + 0.001 * weight * U
}
