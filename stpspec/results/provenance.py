"""Provenance of a result: the source files and the versions that it was made with."""

from __future__ import annotations

import functools
import platform
from importlib.metadata import version

from stpspec.engine.binding.bind import bind
from stpspec.engine.binding.source_files import sources_of_bound
from stpspec.specs.experiment import Experiment
from stpspec.specs.result_files import Sources


def sources_of(experiment: Experiment) -> Sources:
    """Return the sources of an experiment, as NEURON has loaded them."""
    return sources_of_bound(bind(experiment))


def versions() -> dict[str, str]:
    """Return the versions of Python, stpspec and what it computes with."""
    return dict(_versions())


@functools.cache
def _versions() -> dict[str, str]:
    names = ("stpspec", "neuron", "numpy", "scipy", "xarray", "optuna", "pydantic")
    return {"python": platform.python_version(), **{n: version(n) for n in names}}
