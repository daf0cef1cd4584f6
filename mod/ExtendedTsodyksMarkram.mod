TITLE Double-exponential conductance with Tsodyks-Markram plasticity and its own facilitation increment

COMMENT
  Short-term plasticity: deterministic event map with four parameters
    Costa RP, Sjostrom PJ, van Rossum MCW (2013) Front Comput Neurosci 7:75, doi:10.3389/fncom.2013.00075
    Tsodyks M, Pawelzik K, Markram H (1998) Neural Comput 10:821-835, doi:10.1162/089976698300017502
    The utilization u rests at U. An event releases u R; then u jumps by f (1 - u) and relaxes to U with
    tau_facil, while the resources R, of which u R are gone, relax to 1 with tau_rec. D is the interval
    since the previous event of the same NetCon; before the first event u = U and R = 1:
      u <- U + (u_prev + f (1 - u_prev) - U) exp(-D/tau_facil)    first event: u = U
      R <- 1 - (1 - R_prev (1 - u_prev)) exp(-D/tau_rec)          first event: R = 1
      release = u R
    With f = U this is TsodyksMarkram.mod. f = 0 or tau_facil = 0 means u = U at every event; tau_rec = 0
    means R = 1 at every event.
    The state (u, R, time of the last event) lives in the weight vector of each NetCon, so every
    NetCon is its own presynaptic stream: weight[0] is the weight, weight[1] and weight[2] are the u and R
    that the latest event used (before its own depletion and facilitation), weight[3] is its time in ms;
    weight[4] is 0 until there was one. finitialize resets the state.

  Conductance: double exponential, normalized by its peak
      k(s) = (exp(-s/tau_decay) - exp(-s/tau_rise)) / (exp(-tp/tau_decay) - exp(-tp/tau_rise))
      tp = tau_rise tau_decay / (tau_decay - tau_rise) ln(tau_decay/tau_rise)
    The larger of the two time constants is the decay, in whichever order they are given. A time constant
    below 1e-6 ms is taken as 1e-6 ms. Time constants closer than 0.1 % of their mean are replaced,
    internally only, by their mean -/+ 0.05 %: the peak stays exact and the shape is within 1e-7 of
    the alpha function. The kernel is computed at finitialize: set time constants before it.

  Defaults: U, tau_rec, tau_facil as in TsodyksMarkram.mod; f and the kernel are round numbers.

  Promise: the peak conductance of one event on a resting kernel is weight * gmax * u * R.
    The peaks of a train whose kernels do not overlap are the event map itself.

  Units: ms, mV, nA, uS; U, f, u, R and weight have none. gmax = 0.001 uS: weight 1 is 1 nS at full release.
    i = g (v - e) is a NONSPECIFIC_CURRENT, outward positive; an EPSC is negative.
  Parameters: U, f, tau_rec, tau_facil, tau_rise, tau_decay, e, gmax.
  Recordable: g (uS), i (nA), and u_last, R_last of the latest event of any NetCon of this synapse.

  Numerics: dt appears in no equation, so fixed and variable step both work. The states are in units of
    weight (1, not uS) with absolute tolerance scale 1e-4, so that the default tolerance of CVODE resolves
    them to 1e-7 for a weight of 1. No temperature dependence.
    Under fixed step g and i are computed at the start of a step, so the sample recorded at t belongs to
    the states (and v) of t - dt; under variable step they belong to t.
ENDCOMMENT

NEURON {
    THREADSAFE
    POINT_PROCESS ExtendedTsodyksMarkram
    RANGE U, f, tau_rec, tau_facil, tau_rise, tau_decay, e, gmax
    RANGE g, i, u_last, R_last
    NONSPECIFIC_CURRENT i
}

UNITS {
    (nA) = (nanoamp)
    (mV) = (millivolt)
    (uS) = (microsiemens)
}

PARAMETER {
    U         = 0.5    (1)  <0, 1>      : utilization at rest
    f         = 0.1    (1)  <0, 1>      : part of 1 - u by which an event raises u
    tau_rec   = 671    (ms) <0, 1e6>    : recovery from depression (D), 0 = no depression
    tau_facil = 17     (ms) <0, 1e6>    : decay of facilitation (F), 0 = no facilitation
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
    R_last (1)
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
    u_last = U
    R_last = 1
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

NET_RECEIVE(weight (1), u (1), R (1), tlast (ms), begun (1)) {
    LOCAL release
    INITIAL {
        u = U
        R = 1
        tlast = t
        begun = 0
    }
    if (begun == 0) {
        : U may have been set after finitialize.
        u = U
        begun = 1
    } else {
        : R first: it needs the u of the previous event.
        if (tau_rec > 0) {
            R = 1 - (1 - R * (1 - u)) * exp(-(t - tlast) / tau_rec)
        } else {
            R = 1
        }
        if (tau_facil > 0) {
            u = U + (u + f * (1 - u) - U) * exp(-(t - tlast) / tau_facil)
        } else {
            u = U
        }
    }
    tlast = t
    u_last = u
    R_last = R
    release = weight * u * R
    A = A + release * kernel_norm
    B = B + release * kernel_norm
}
