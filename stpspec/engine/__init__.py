"""NEURON, and nobody else knows it."""
