TITLE AMPA and NMDA conductances sharing Tsodyks-Markram short-term plasticity

COMMENT
  Short-term plasticity: deterministic Tsodyks-Markram event map
    Tsodyks M, Pawelzik K, Markram H (1998) Neural Comput 10:821-835, doi:10.1162/089976698300017502
    Fuhrmann G, Segev I, Markram H, Tsodyks M (2002) J Neurophysiol 87:140-148, doi:10.1152/jn.00258.2001
    With instant inactivation the equations reduce to one map per presynaptic event. D is the interval
    since the previous event of the same NetCon; before the first event u = 0 and R = 1:
      u <- U + u (1 - U) exp(-D/tau_facil)           first event: u = U
      R <- 1 - (1 - R (1 - u_prev)) exp(-D/tau_rec)  first event: R = 1
      release = u R
    tau_facil = 0 means u = U at every event; tau_rec = 0 means R = 1 at every event.
    The state (u, R, time of the last event) lives in the weight vector of each NetCon, so every
    NetCon is its own presynaptic stream: weight[0] is the weight, weight[1] and weight[2] are the u and R
    that the latest event used (before its own depletion), weight[3] is its time in ms.
    Feed all pulses of one stream through one NetCon. finitialize resets the state.

  Conductance: double exponential, normalized by its peak
      k(s) = (exp(-s/tau_decay) - exp(-s/tau_rise)) / (exp(-tp/tau_decay) - exp(-tp/tau_rise))
      tp = tau_rise tau_decay / (tau_decay - tau_rise) ln(tau_decay/tau_rise)
    The larger of the two time constants is the decay, in whichever order they are given. A time constant
    below 1e-6 ms is taken as 1e-6 ms. Time constants closer than 0.1 % of their mean are replaced,
    internally only, by their mean -/+ 0.05 %: the peak stays exact and the shape is within 1e-7 of
    the alpha function. The kernel is computed at finitialize: set time constants before it.
    AMPA uses (tau_rise, tau_decay), NMDA (tau_rise_nmda, tau_decay_nmda); both share each release.

  Magnesium block of NMDA, instantaneous in voltage
    Jahr CE, Stevens CF (1990) J Neurosci 10:3178-3182, doi:10.1523/JNEUROSCI.10-09-03178.1990
      B(v) = 1 / (1 + exp(-0.062 v) [Mg]/3.57),  v in mV, [Mg] in mM

  Defaults: U, tau_rec, tau_facil of L5 pyramidal to L5 pyramidal cells, Markram H et al. (2015)
    Cell 163:456-492, doi:10.1016/j.cell.2015.09.029; kernels and nmda_ratio are round numbers, not fitted.

  Promise: the peak AMPA conductance of one event on a resting kernel is weight * gmax * u * R; the peak
    NMDA conductance before block is nmda_ratio times that. With nmda_ratio = 0 the synapse equals
    TsodyksMarkram to rounding.

  Units: ms, mV, nA, uS, mM; U, u, R, nmda_ratio and weight have none. gmax = 0.001 uS: weight 1 is 1 nS of
    AMPA at full release. i = i_ampa + i_nmda is a NONSPECIFIC_CURRENT, outward positive; an EPSC is negative.
  Parameters: U, tau_rec, tau_facil, tau_rise, tau_decay, tau_rise_nmda, tau_decay_nmda,
    nmda_ratio, mg, e, gmax.
  Recordable: g_ampa, g_nmda (after the block), g = g_ampa + g_nmda (uS), i_ampa, i_nmda, i (nA), and u_last,
    R_last of the latest event of any NetCon of this synapse.

  Numerics: dt appears in no equation, so fixed and variable step both work. The states are in units of
    weight (1, not uS) with absolute tolerance scale 1e-4, so that the default tolerance of CVODE resolves
    them to 1e-7 for a weight of 1. No temperature dependence.
    Under fixed step g and i are computed at the start of a step, so the sample recorded at t belongs to
    the states (and v) of t - dt; under variable step they belong to t.
ENDCOMMENT

NEURON {
    THREADSAFE
    POINT_PROCESS AmpaNmda
    RANGE U, tau_rec, tau_facil, tau_rise, tau_decay, e, gmax
    RANGE tau_rise_nmda, tau_decay_nmda, nmda_ratio, mg
    RANGE g, g_ampa, g_nmda, i, i_ampa, i_nmda, u_last, R_last
    NONSPECIFIC_CURRENT i
}

UNITS {
    (nA) = (nanoamp)
    (mV) = (millivolt)
    (uS) = (microsiemens)
    (mM) = (milli/liter)
}

PARAMETER {
    U         = 0.5    (1)  <0, 1>      : utilization at rest
    tau_rec   = 671    (ms) <0, 1e6>    : recovery from depression (D), 0 = no depression
    tau_facil = 17     (ms) <0, 1e6>    : decay of facilitation (F), 0 = no facilitation
    tau_rise  = 0.2    (ms) <1e-6, 1e4>
    tau_decay = 2      (ms) <1e-6, 1e4>
    tau_rise_nmda  = 2  (ms) <1e-6, 1e4>
    tau_decay_nmda = 65 (ms) <1e-6, 1e4>
    nmda_ratio = 0.5    (1)  <0, 1e3>    : peak NMDA before block / peak AMPA
    mg        = 1      (mM) <0, 100>    : external magnesium, 0 = no block
    e         = 0      (mV) : reversal potential of both
    gmax      = 0.001  (uS) <0, 1e3>    : peak AMPA conductance at weight 1 and full release
}

ASSIGNED {
    v (mV)
    i (nA)
    i_ampa (nA)
    i_nmda (nA)
    g (uS)
    g_ampa (uS)
    g_nmda (uS)
    u_last (1)
    R_last (1)
    kernel_rise (ms)
    kernel_decay (ms)
    kernel_norm (1)
    rise_ampa (ms)
    decay_ampa (ms)
    norm_ampa (1)
    rise_nmda (ms)
    decay_nmda (ms)
    norm_nmda (1)
}

STATE {
    A (1) <1e-4>       : AMPA, rising part
    B (1) <1e-4>       : AMPA, decaying part
    A_nmda (1) <1e-4>  : NMDA, rising part
    B_nmda (1) <1e-4>  : NMDA, decaying part
}

INITIAL {
    kernel(tau_rise, tau_decay)
    rise_ampa = kernel_rise
    decay_ampa = kernel_decay
    norm_ampa = kernel_norm
    kernel(tau_rise_nmda, tau_decay_nmda)
    rise_nmda = kernel_rise
    decay_nmda = kernel_decay
    norm_nmda = kernel_norm
    A = 0
    B = 0
    A_nmda = 0
    B_nmda = 0
    g = 0
    g_ampa = 0
    g_nmda = 0
    u_last = 0
    R_last = 1
}

BREAKPOINT {
    SOLVE state METHOD cnexp
    g_ampa = gmax * (B - A)
    g_nmda = gmax * nmda_ratio * (B_nmda - A_nmda) * unblocked(v)
    g = g_ampa + g_nmda
    i_ampa = g_ampa * (v - e)
    i_nmda = g_nmda * (v - e)
    i = i_ampa + i_nmda
}

DERIVATIVE state {
    A' = -A / rise_ampa
    B' = -B / decay_ampa
    A_nmda' = -A_nmda / rise_nmda
    B_nmda' = -B_nmda / decay_nmda
}

FUNCTION unblocked(v (mV)) (1) {
    : Fraction of NMDA channels free of magnesium, Jahr & Stevens 1990.
    unblocked = 1 / (1 + exp(-0.062(/mV) * v) * mg / 3.57(mM))
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

NET_RECEIVE(weight (1), u (1), R (1), tlast (ms)) {
    LOCAL release
    INITIAL {
        u = 0
        R = 1
        tlast = t
    }
    : R first: it needs the u of the previous event.
    if (tau_rec > 0) {
        R = 1 - (1 - R * (1 - u)) * exp(-(t - tlast) / tau_rec)
    } else {
        R = 1
    }
    if (tau_facil > 0) {
        u = U + u * (1 - U) * exp(-(t - tlast) / tau_facil)
    } else {
        u = U
    }
    tlast = t
    u_last = u
    R_last = R
    release = weight * u * R
    A = A + release * norm_ampa
    B = B + release * norm_ampa
    A_nmda = A_nmda + release * norm_nmda
    B_nmda = B_nmda + release * norm_nmda
}
