TITLE A membrane current that is drawn in each step, from a Random123 stream of three ids

NEURON {
    THREADSAFE
    SUFFIX CellNoise
    NONSPECIFIC_CURRENT i
    RANGE i, size
    BBCOREPOINTER rng
}

UNITS {
    (mA) = (milliamp)
}

PARAMETER {
    size = 1e-3 (mA/cm2)
}

ASSIGNED {
    i (mA/cm2)
    rng
    x (1)
}

INITIAL { x = 0 }

BREAKPOINT {
    SOLVE draw
    i = size * x
}

PROCEDURE draw() { x = urand() - 0.5 }

FUNCTION urand() {
VERBATIM
    _lurand = _p_rng ? nrnran123_dblpick((nrnran123_State*) _p_rng) : 0.5;
ENDVERBATIM
}

PROCEDURE setRNG() {
VERBATIM
    nrnran123_State** stream = (nrnran123_State**) (&_p_rng);
    if (*stream) { nrnran123_deletestream(*stream); }
    *stream = nrnran123_newstream3((uint32_t) *getarg(1), (uint32_t) *getarg(2), (uint32_t) *getarg(3));
ENDVERBATIM
}

VERBATIM
static void bbcore_write(double* data, int* ids, int* d, int* offset, _threadargsproto_) {}
static void bbcore_read(double* data, int* ids, int* d, int* offset, _threadargsproto_) {}
ENDVERBATIM
