"""Binding: an experiment meets its loaded mechanism, in the mechanism's units."""
