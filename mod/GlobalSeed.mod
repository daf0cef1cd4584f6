TITLE Seed of NEURON's one generator for all mechanisms

COMMENT
  scop_random, normrand, exprand and poisrand draw from one generator, which only NMODL can seed:
    set_seed(x). This makes it known to HOC and Python as stpspec_set_seed(x).
ENDCOMMENT

NEURON {
    SUFFIX nothing
}

PROCEDURE stpspec_set_seed(x) {
    set_seed(x)
}
