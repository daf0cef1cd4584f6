"""Mechanisms: NMODL files compiled, loaded, and read for what they say."""
