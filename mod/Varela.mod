TITLE Double-exponential conductance with Varela's facilitation and two depressions

COMMENT
  Short-term plasticity: product of one facilitating and two depressing factors
    Varela JA, Sen K, Gibson J, Fost J, Abbott LF, Nelson SB (1997) J Neurosci 17:7926-7940,
    doi:10.1523/JNEUROSCI.17-20-07926.1997
    An event releases F D1 D2 of what a resting synapse releases; then F rises by f, and D1 and D2 are
    multiplied by d1 and d2. Between events all three relax to 1, F with tau_facil, D1 with tau_rec_1, D2
    with tau_rec_2. D is the interval since the previous event of the same NetCon; before the first event
    all are 1:
      F  <- 1 + (F_prev + f - 1) exp(-D/tau_facil)
      D1 <- 1 - (1 - d1 D1_prev) exp(-D/tau_rec_1)
      D2 <- 1 - (1 - d2 D2_prev) exp(-D/tau_rec_2)
      release = F D1 D2
    f = 0 means no facilitation, d1 = 1 or d2 = 1 no such depression; a time constant of 0 means that its
    factor is 1 at every event. The release may exceed 1: F has no bound.
    The state lives in the weight vector of each NetCon, so every NetCon is its own presynaptic stream:
    weight[0] is the weight, weight[1], weight[2] and weight[3] are the F, D1 and D2 that the latest event
    used, weight[4] is its time in ms; weight[5] is 0 until there was one. finitialize resets the state.

  Conductance: double exponential, normalized by its peak
      k(s) = (exp(-s/tau_decay) - exp(-s/tau_rise)) / (exp(-tp/tau_decay) - exp(-tp/tau_rise))
      tp = tau_rise tau_decay / (tau_decay - tau_rise) ln(tau_decay/tau_rise)
    The larger of the two time constants is the decay, in whichever order they are given. A time constant
    below 1e-6 ms is taken as 1e-6 ms. Time constants closer than 0.1 % of their mean are replaced,
    internally only, by their mean -/+ 0.05 %: the peak stays exact and the shape is within 1e-7 of
    the alpha function. The kernel is computed at finitialize: set time constants before it.

  Defaults: f, d1, d2 and their time constants of layer 4 to layer 2/3 of rat visual cortex, as found in
    public codes of that model; the kernel is round numbers for a fast AMPA current.

  Promise: the peak conductance of one event on a resting kernel is weight * gmax * F * D1 * D2; the
    utilization of the other mechanisms has no counterpart here, and a resting synapse releases 1.
    The peaks of a train whose kernels do not overlap are the event map itself.

  Units: ms, mV, nA, uS; f, d1, d2, F, D1, D2 and weight have none. gmax = 0.001 uS: weight 1 is 1 nS at
    rest. i = g (v - e) is a NONSPECIFIC_CURRENT, outward positive; an EPSC is negative.
  Parameters: f, tau_facil, d1, tau_rec_1, d2, tau_rec_2, tau_rise, tau_decay, e, gmax.
  Recordable: g (uS), i (nA), and F_last, D1_last, D2_last of the latest event of any NetCon of this synapse.

  Numerics: dt appears in no equation, so fixed and variable step both work. The states are in units of
    weight (1, not uS) with absolute tolerance scale 1e-4, so that the default tolerance of CVODE resolves
    them to 1e-7 for a weight of 1. No temperature dependence.
    Under fixed step g and i are computed at the start of a step, so the sample recorded at t belongs to
    the states (and v) of t - dt; under variable step they belong to t.
ENDCOMMENT

NEURON {
    THREADSAFE
    POINT_PROCESS Varela
    RANGE f, tau_facil, d1, tau_rec_1, d2, tau_rec_2, tau_rise, tau_decay, e, gmax
    RANGE g, i, F_last, D1_last, D2_last
    NONSPECIFIC_CURRENT i
}

UNITS {
    (nA) = (nanoamp)
    (mV) = (millivolt)
    (uS) = (microsiemens)
}

PARAMETER {
    f         = 0.917  (1)  <0, 1e3>    : by how much an event raises F
    tau_facil = 94     (ms) <0, 1e6>    : decay of facilitation
    d1        = 0.416  (1)  <0, 1>      : what an event leaves of D1, the fast depression
    tau_rec_1 = 380    (ms) <0, 1e6>    : recovery of D1
    d2        = 0.975  (1)  <0, 1>      : what an event leaves of D2, the slow depression
    tau_rec_2 = 9200   (ms) <0, 1e6>    : recovery of D2
    tau_rise  = 0.2    (ms) <1e-6, 1e4>
    tau_decay = 2      (ms) <1e-6, 1e4>
    e         = 0      (mV) : reversal potential (no limits: NEURON 8.2 cannot parse negative ones)
    gmax      = 0.001  (uS) <0, 1e3>    : peak conductance at weight 1 and full release
}

ASSIGNED {
    v (mV)
    i (nA)
    g (uS)
    F_last (1)
    D1_last (1)
    D2_last (1)
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
    F_last = 1
    D1_last = 1
    D2_last = 1
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

NET_RECEIVE(weight (1), F (1), D1 (1), D2 (1), tlast (ms), begun (1)) {
    LOCAL release
    INITIAL {
        F = 1
        D1 = 1
        D2 = 1
        tlast = t
        begun = 0
    }
    if (begun == 0) {
        begun = 1
    } else {
        F = factor(F + f, t - tlast, tau_facil)
        D1 = factor(D1 * d1, t - tlast, tau_rec_1)
        D2 = factor(D2 * d2, t - tlast, tau_rec_2)
    }
    tlast = t
    F_last = F
    D1_last = D1
    D2_last = D2
    release = weight * F * D1 * D2
    A = A + release * kernel_norm
    B = B + release * kernel_norm
}

FUNCTION factor(start (1), interval (ms), tau (ms)) (1) {
    : What a factor that relaxes to 1 is after an interval.
    if (tau > 0) {
        factor = 1 + (start - 1) * exp(-interval / tau)
    } else {
        factor = 1
    }
}
