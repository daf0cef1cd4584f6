"""What is asked, as data: frozen specs without I/O and without NEURON."""
