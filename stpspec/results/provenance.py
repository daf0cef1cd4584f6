"""Provenance of a result: the source files and the versions that it was made with."""

from __future__ import annotations

import functools
import platform
from importlib.metadata import version

from stpspec.engine.binding.source_files import sources_of_bound
from stpspec.engine.workers.place import bind
from stpspec.specs.experiment import Experiment
from stpspec.specs.result_files import Sources
from stpspec.specs.target_source import TargetSource


def sources_of(experiment: Experiment) -> Sources:
    """Return the sources of an experiment, as NEURON has loaded them."""
    return sources_of_bound(bind(experiment))


def with_targets(experiment: Experiment) -> Experiment:
    """Return an experiment with the numbers of the targets that it names sources for."""
    objective = experiment.objective
    terms = objective.terms.values() if objective is not None else ()
    if not any(isinstance(t.target, TargetSource) for t in terms):
        return experiment
    return experiment.model_copy(update={"objective": bind(experiment).experiment.objective})


def versions() -> dict[str, str]:
    """Return the versions of Python, stpspec and what it computes with."""
    return dict(_versions())


@functools.cache
def _versions() -> dict[str, str]:
    names = ("stpspec", "neuron", "numpy", "scipy", "xarray", "optuna", "pydantic")
    return {"python": platform.python_version(), **{n: version(n) for n in names}}
