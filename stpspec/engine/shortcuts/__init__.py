"""Shortcuts: cheaper simulations, each proven to equal the whole one."""
