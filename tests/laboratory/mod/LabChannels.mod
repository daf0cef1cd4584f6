TITLE Sodium and potassium currents of the Wang-Buzsaki fast-spiking interneuron

COMMENT
  Wang XJ, Buzsaki G (1996) J Neurosci 16:6402-6413, doi:10.1523/JNEUROSCI.16-20-06402.1996
      ina = gna minf(v)^3 h (v - ena)        m is instantaneous
      ik  = gk n^4 (v - ek)
      h' = phi (alpha_h (1 - h) - beta_h h),  n' = phi (alpha_n (1 - n) - beta_n n)
      alpha_m = -0.1 (v + 35) / (exp(-0.1 (v + 35)) - 1)     beta_m = 4 exp(-(v + 60)/18)
      alpha_h = 0.07 exp(-(v + 58)/20)                       beta_h = 1 / (exp(-0.1 (v + 28)) + 1)
      alpha_n = -0.01 (v + 34) / (exp(-0.1 (v + 34)) - 1)    beta_n = 0.125 exp(-(v + 44)/80)
    v in mV, rates in 1/ms. The paper uses gna = 35 mS/cm2, gk = 9 mS/cm2, phi = 5, ena = 55 mV, ek = -90 mV,
    with a leak of 0.1 mS/cm2 at -65 mV and 1 uF/cm2. The leak is not part of this file (use pas). ena
    and ek belong to the section: set them, NEURON's defaults (50, -77) are not the paper's.

  Promise: the right-hand sides above, finite and smooth through the removable singularities at -35 and
    -34 mV (evaluated by series). phi scales h and n; there is no other temperature dependence.

  Units: gna, gk in S/cm2, currents in mA/cm2 (outward positive), mV, ms.
  Parameters: gna, gk, phi. Recordable: ina, ik, h, n, minf.

  Numerics: dt appears in no equation; fixed and variable step both work. The instantaneous
    sodium activation has a steep negative slope conductance: where gna exceeds the default, check that
    the fixed step is small enough (0.025 ms is too long at two to three times the default).
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX lab_wb
    USEION na READ ena WRITE ina
    USEION k READ ek WRITE ik
    RANGE gna, gk, phi, ina, ik, minf
}

UNITS {
    (mA) = (milliamp)
    (mV) = (millivolt)
    (S)  = (siemens)
}

PARAMETER {
    gna = 0.035 (S/cm2) <0, 10>
    gk  = 0.009 (S/cm2) <0, 10>
    phi = 5     (1)     <0, 100>
}

ASSIGNED {
    v (mV)
    ena (mV)
    ek (mV)
    ina (mA/cm2)
    ik (mA/cm2)
    minf (1)
}

STATE {
    h (1)
    n (1)
}

INITIAL {
    h = alpha_h(v) / (alpha_h(v) + beta_h(v))
    n = alpha_n(v) / (alpha_n(v) + beta_n(v))
}

BREAKPOINT {
    SOLVE states METHOD cnexp
    minf = alpha_m(v) / (alpha_m(v) + beta_m(v))
    ina = gna * minf * minf * minf * h * (v - ena)
    ik = gk * n * n * n * n * (v - ek)
}

DERIVATIVE states {
    h' = phi * (alpha_h(v) * (1 - h) - beta_h(v) * h)
    n' = phi * (alpha_n(v) * (1 - n) - beta_n(v) * n)
}

FUNCTION alpha_m(v (mV)) (/ms) {
    alpha_m = 1(/ms) * linoid(-(v + 35(mV)) / 10(mV))
}

FUNCTION beta_m(v (mV)) (/ms) {
    beta_m = 4(/ms) * exp(-(v + 60(mV)) / 18(mV))
}

FUNCTION alpha_h(v (mV)) (/ms) {
    alpha_h = 0.07(/ms) * exp(-(v + 58(mV)) / 20(mV))
}

FUNCTION beta_h(v (mV)) (/ms) {
    beta_h = 1(/ms) / (exp(-(v + 28(mV)) / 10(mV)) + 1)
}

FUNCTION alpha_n(v (mV)) (/ms) {
    alpha_n = 0.1(/ms) * linoid(-(v + 34(mV)) / 10(mV))
}

FUNCTION beta_n(v (mV)) (/ms) {
    beta_n = 0.125(/ms) * exp(-(v + 44(mV)) / 80(mV))
}

FUNCTION linoid(x (1)) (1) {
    : x / (exp(x) - 1); the series avoids 0/0 and cancellation, its next term is x^4/720
    if (fabs(x) < 1e-3) {
        linoid = 1 - x / 2 + x * x / 12
    } else {
        linoid = x / (exp(x) - 1)
    }
}
