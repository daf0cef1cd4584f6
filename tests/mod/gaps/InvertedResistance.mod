COMMENT
A gap junction by its resistance whose current has the wrong sign. Synthetic, for tests.
ENDCOMMENT

NEURON {
  POINT_PROCESS InvertedResistance
  RANGE r, vother, i
  NONSPECIFIC_CURRENT i
}

UNITS {
  (nA) = (nanoamp)
  (mV) = (millivolt)
}

PARAMETER {
  r = 500 (megohm)
}

ASSIGNED {
  v (mV)
  vother (mV)
  i (nA)
}

BREAKPOINT {
  i = (vother - v)/r
}
