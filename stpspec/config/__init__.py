"""Composition: conf, experiments and overrides become the data of an experiment."""
