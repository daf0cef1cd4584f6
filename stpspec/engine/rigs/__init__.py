"""Rigs: cells, synapses and electrodes in NEURON, and their integration over time."""
