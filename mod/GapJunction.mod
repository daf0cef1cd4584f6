TITLE Ohmic gap junction, one side

COMMENT
  Current through an ohmic junctional conductance into the cell that holds this point process
    Furshpan EJ, Potter DD (1959) J Physiol 145:289-325, doi:10.1113/jphysiol.1959.sp006143
    (electrical coupling as a conductance in series between two cells; their rectification is left out)
      i = g (vgap - v)
    i is an ELECTRODE_CURRENT: positive i depolarizes this cell, positive when the other cell is more
    depolarized. Place one GapJunction in each cell, both with the same g, each vgap at the other's v.

  Promise: with both sides set, the current into one cell is exactly the current out of the other, and two
    isopotential passive cells follow CC = g / (g + 1/R2) at steady state.

  Units: g in uS (1 nS = 0.001), v and vgap in mV, i in nA; uS * mV = nA, no factor.
    g is a conductance, never a resistance. The default 0 uncouples.
  Parameter: g. Recordable: i (nA), g (uS). i is assigned in BREAKPOINT.

  Connecting: vgap is a POINTER and must be set before finitialize, by
    h.setpointer(other_segment._ref_v, "vgap", gap) or, across threads and ranks, by
    ParallelContext.source_var / target_var / setup_transfer.

  Numerics: under fixed step vgap is the other cell's v at the start of the step, so transients are first
    order in dt and the steady state is exact. Global variable step works; the local variable step method
    does not (the pointer would read a voltage of another time). THREADSAFE holds only when both cells are
    in one thread, or when vgap is fed by ParallelContext transfer.
ENDCOMMENT

NEURON {
    THREADSAFE
    POINT_PROCESS GapJunction
    ELECTRODE_CURRENT i
    RANGE g, i
    POINTER vgap
}

UNITS {
    (nA) = (nanoamp)
    (mV) = (millivolt)
    (uS) = (microsiemens)
}

PARAMETER {
    g = 0 (uS) <0, 1e3>  : junctional conductance
}

ASSIGNED {
    v (mV)
    vgap (mV)
    i (nA)
}

BREAKPOINT {
    i = g * (vgap - v)
}
