"""Results: what a fit, a simulation, a sweep and a multirun leave on disk."""
