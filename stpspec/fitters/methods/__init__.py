"""The fitters: each module here is imported for what it registers, so that a new one is one file.

They import what a search needs inside functions: to validate an experiment takes their settings.
"""
