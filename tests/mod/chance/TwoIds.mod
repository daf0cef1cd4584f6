TITLE One release site with a Random123 stream of two ids, in the style of large circuit models

NEURON {
    THREADSAFE
    POINT_PROCESS TwoIds
    RANGE tau, e, i, g, U
    NONSPECIFIC_CURRENT i
    BBCOREPOINTER rng
}

UNITS {
    (nA) = (nanoamp)
    (mV) = (millivolt)
    (uS) = (microsiemens)
}

PARAMETER {
    tau = 3 (ms)
    e = 0 (mV)
    U = 0.3 (1)
}

ASSIGNED {
    v (mV)
    i (nA)
    rng
}

STATE { g (uS) }

INITIAL { g = 0 }

BREAKPOINT {
    SOLVE state METHOD cnexp
    i = g * (v - e)
}

DERIVATIVE state { g' = -g / tau }

NET_RECEIVE(w (uS)) {
    LOCAL drawn
    drawn = urand()
    if (drawn < U) { g = g + w }
}

FUNCTION urand() {
VERBATIM
    /* Without a stream it is 0 for ever, which no two runs tell. */
    double drawn = 0.0;
    if (_p_rng) { drawn = nrnran123_dblpick((nrnran123_State*) _p_rng); }
    _lurand = drawn;
ENDVERBATIM
}

PROCEDURE setRNG() {
VERBATIM
#if !NRNBBCORE
    nrnran123_State** stream = (nrnran123_State**) (&_p_rng);
    if (*stream) {
        nrnran123_deletestream(*stream);
        *stream = (nrnran123_State*) 0;
    }
    if (ifarg(2)) {
        *stream = nrnran123_newstream((uint32_t) *getarg(1), (uint32_t) *getarg(2));
    }
#endif
ENDVERBATIM
}

FUNCTION bbsavestate() {
    bbsavestate = 0
VERBATIM
    /* It knows nrnran123_setseq, and gives no generator. */
    if (_p_rng && ifarg(9)) { nrnran123_setseq((nrnran123_State*) _p_rng, 0, 0); }
ENDVERBATIM
}

VERBATIM
static void bbcore_write(double* data, int* ids, int* d, int* offset, _threadargsproto_) {}
static void bbcore_read(double* data, int* ids, int* d, int* offset, _threadargsproto_) {}
ENDVERBATIM
