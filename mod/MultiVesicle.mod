TITLE Stochastic release of N independent vesicles, double-exponential conductance

COMMENT
  Binomial release from N sites, each of which holds one vesicle or none
    del Castillo J, Katz B (1954) J Physiol 124:560-573, doi:10.1113/jphysiol.1954.sp005129
    Fuhrmann G, Segev I, Markram H, Tsodyks M (2002) J Neurophysiol 87:140-148, doi:10.1152/jn.00258.2001
    An event releases each vesicle with probability u, all independently. A site that has released is empty
    and is filled again with time constant tau_rec, by itself: after an interval D with probability
    1 - exp(-D/tau_rec). u is that of the deterministic event map; before the first event u = 0:
      u <- U + u (1 - U) exp(-D/tau_facil)           first event: u = U
    tau_facil = 0 means u = U at every event; tau_rec = 0 means that all sites are full at every event.
    The size of a vesicle is lognormal with mean 1 and coefficient of variation CV, so always above 0.
    N is rounded to the nearest integer from 1 to 1000.
    The state (u, number of full sites, time of the last event) lives in the weight vector of each NetCon,
    so every NetCon is its own presynaptic stream: weight[0] is the weight, weight[1] the u that the latest
    event used, weight[2] the number of sites that are full after it, weight[3] its time in ms;
    weight[4] is 0 until there was one. finitialize resets the state.

  Promise, with p = u R of the event map and q = weight * gmax / N: over trials, the peak conductance of one
    event on a resting kernel has mean N p q = weight * gmax * u * R, variance q^2 (N p (1 - p) + N p CV^2),
    and is 0 with probability (1 - p)^N. Its mean is that of TsodyksMarkram.mod.

  Random numbers: one Random123 stream for each synapse (Philox 4x32; Salmon JK et al. 2011,
    doi:10.1145/2063384.2063405), which setRNG(id1, id2, id3) makes; without it an event ends the run with
    an error. Each event draws 4 N numbers, whatever is released, in this order: for each site whether it is
    filled, whether it releases, and two for the size (Box and Muller 1958, doi:10.1214/aoms/1177706645).
    So the same event of the same stream draws the same numbers whatever the parameters are, N apart.
    The stream is not reset by finitialize: call setRNG before it.

  Conductance: double exponential, normalized by its peak
      k(s) = (exp(-s/tau_decay) - exp(-s/tau_rise)) / (exp(-tp/tau_decay) - exp(-tp/tau_rise))
      tp = tau_rise tau_decay / (tau_decay - tau_rise) ln(tau_decay/tau_rise)
    The larger of the two time constants is the decay, in whichever order they are given. A time constant
    below 1e-6 ms is taken as 1e-6 ms. Time constants closer than 0.1 % of their mean are replaced,
    internally only, by their mean -/+ 0.05 %: the peak stays exact and the shape is within 1e-7 of
    the alpha function. The kernel is computed at finitialize: set time constants before it.

  Defaults: U, tau_rec, tau_facil as in TsodyksMarkram.mod; N, CV and the kernel are round numbers.

  Units: ms, mV, nA, uS; N, U, u, CV and weight have none. gmax = 0.001 uS: weight 1 is 1 nS if all N
    vesicles of size 1 are released. i = g (v - e) is a NONSPECIFIC_CURRENT, outward positive.
  Parameters: N, U, tau_rec, tau_facil, CV, tau_rise, tau_decay, e, gmax.
  Recordable: g (uS), i (nA), and of the latest event of any NetCon of this synapse u_last, full_last (number of
    full sites before it) and released (number of vesicles).

  Numerics: dt appears in no equation, so fixed and variable step both work. The states are in units of
    weight (1, not uS) with absolute tolerance scale 1e-4, so that the default tolerance of CVODE resolves
    them to 1e-7 for a weight of 1. No temperature dependence.
    Under fixed step g and i are computed at the start of a step, so the sample recorded at t belongs to
    the states (and v) of t - dt; under variable step they belong to t.
ENDCOMMENT

NEURON {
    THREADSAFE
    POINT_PROCESS MultiVesicle
    RANGE N, U, tau_rec, tau_facil, CV, tau_rise, tau_decay, e, gmax
    RANGE g, i, u_last, full_last, released
    NONSPECIFIC_CURRENT i
    BBCOREPOINTER rng
}

UNITS {
    (nA) = (nanoamp)
    (mV) = (millivolt)
    (uS) = (microsiemens)
}

PARAMETER {
    N         = 5      (1)  <1, 1000>   : number of release sites
    U         = 0.5    (1)  <0, 1>      : probability of release at rest
    tau_rec   = 671    (ms) <0, 1e6>    : recovery of an empty site (D), 0 = at once
    tau_facil = 17     (ms) <0, 1e6>    : decay of facilitation (F), 0 = no facilitation
    CV        = 0.3    (1)  <0, 10>     : coefficient of variation of the size of a vesicle
    tau_rise  = 0.2    (ms) <1e-6, 1e4>
    tau_decay = 2      (ms) <1e-6, 1e4>
    e         = 0      (mV) : reversal potential (no limits: NEURON 8.2 cannot parse negative ones)
    gmax      = 0.001  (uS) <0, 1e3>    : peak conductance at weight 1 and full release
}

ASSIGNED {
    v (mV)
    i (nA)
    g (uS)
    u_last (1)
    full_last (1)
    released (1)
    rng
    kernel_rise (ms)
    kernel_decay (ms)
    kernel_norm (1)
}

STATE {
    A (1) <1e-4>  : rising part
    B (1) <1e-4>  : decaying part
}

INITIAL {
    kernel(tau_rise, tau_decay)
    A = 0
    B = 0
    g = 0
    u_last = 0
    full_last = 0
    released = 0
}

BREAKPOINT {
    SOLVE state METHOD cnexp
    g = gmax * (B - A)
    i = g * (v - e)
}

DERIVATIVE state {
    A' = -A / kernel_rise
    B' = -B / kernel_decay
}

PROCEDURE kernel(tau_1 (ms), tau_2 (ms)) {
    : Sets kernel_rise < kernel_decay and kernel_norm from two time constants in any order.
    LOCAL mean, tp
    if (tau_1 < tau_2) {
        kernel_rise = tau_1
        kernel_decay = tau_2
    } else {
        kernel_rise = tau_2
        kernel_decay = tau_1
    }
    if (kernel_rise < 1e-6(ms)) { kernel_rise = 1e-6(ms) }
    if (kernel_decay < 1e-6(ms)) { kernel_decay = 1e-6(ms) }
    mean = (kernel_rise + kernel_decay) / 2
    if (kernel_decay - kernel_rise < 1e-3 * mean) {
        : Symmetric about the mean, so the error of the shape is of second order.
        kernel_rise = mean * (1 - 5e-4)
        kernel_decay = mean * (1 + 5e-4)
    }
    tp = kernel_rise * kernel_decay / (kernel_decay - kernel_rise) * log(kernel_decay / kernel_rise)
    kernel_norm = 1 / (exp(-tp / kernel_decay) - exp(-tp / kernel_rise))
}

NET_RECEIVE(weight (1), u (1), full (1), tlast (ms), begun (1)) {
    LOCAL n, site, filled, refill, release, fills, frees, a, b
    INITIAL {
        u = 0
        full = 0
        tlast = t
        begun = 0
    }
    n = sites(N)
    if (begun == 0) {
        full = n
        begun = 1
    }
    if (tau_facil > 0) {
        u = U + u * (1 - U) * exp(-(t - tlast) / tau_facil)
    } else {
        u = U
    }
    if (tau_rec > 0) {
        refill = 1 - exp(-(t - tlast) / tau_rec)
    } else {
        refill = 1
    }
    tlast = t
    : The sites that were left full come first; which they are makes no difference.
    site = 0
    filled = 0
    released = 0
    release = 0
    WHILE (site < n) {
        fills = uniform()
        frees = uniform()
        a = uniform()
        b = uniform()
        if (site < full || fills < refill) {
            filled = filled + 1
            if (frees < u) {
                released = released + 1
                release = release + lognormal(CV, a, b)
            }
        }
        site = site + 1
    }
    full = filled - released
    u_last = u
    full_last = filled
    A = A + weight * release / n * kernel_norm
    B = B + weight * release / n * kernel_norm
}

FUNCTION sites(x (1)) (1) {
    : The nearest integer from 1 to 1000.
    sites = 1
    WHILE (sites < 1000 && x >= sites + 0.5) {
        sites = sites + 1
    }
}

FUNCTION lognormal(cv (1), a (1), b (1)) (1) {
    : Of mean 1, from two uniform numbers. (1 - a keeps the logarithm finite.)
    LOCAL s
    s = log(1 + cv * cv)
    lognormal = exp(sqrt(s) * sqrt(-2 * log(1 - a)) * cos(6.283185307179586 * b) - s / 2)
}

VERBATIM
#include "nrnran123.h"
ENDVERBATIM

FUNCTION uniform() (1) {
VERBATIM
    if (!_p_rng) {
        hoc_execerror("MultiVesicle:", "setRNG(id1, id2, id3) has not been called");
    }
    _luniform = nrnran123_dblpick((nrnran123_State*) _p_rng);
ENDVERBATIM
}

PROCEDURE setRNG() {
VERBATIM
#if !NRNBBCORE
    nrnran123_State** stream = (nrnran123_State**) (&_p_rng);
    if (*stream) {
        nrnran123_deletestream(*stream);
    }
    *stream = nrnran123_newstream3((uint32_t) *getarg(1), (uint32_t) *getarg(2),
                                   (uint32_t) *getarg(3));
#endif
ENDVERBATIM
}

VERBATIM
static void bbcore_write(double* data, int* ids, int* d, int* offset, _threadargsproto_) {
    if (ids && _p_rng) {
        uint32_t* place = ((uint32_t*) ids) + *offset;
        nrnran123_getids3((nrnran123_State*) _p_rng, place, place + 1, place + 2);
    }
    *offset += 3;
}

static void bbcore_read(double* data, int* ids, int* d, int* offset, _threadargsproto_) {
    uint32_t* place = ((uint32_t*) ids) + *offset;
    nrnran123_State** stream = (nrnran123_State**) (&_p_rng);
    if (!*stream) {
        *stream = nrnran123_newstream3(place[0], place[1], place[2]);
    }
    *offset += 3;
}
ENDVERBATIM
