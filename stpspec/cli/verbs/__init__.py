"""The verbs: each module of this folder is one, described by its ``VERB``."""
