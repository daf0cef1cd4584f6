"""stpspec: synapse experiments as data, run in NEURON, fitted to measurements."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name → the module that defines it. Loaded on first use: `import stpspec` stays instant.
_PUBLIC = {
    "Experiment": "stpspec.spec.experiment",
    "FitResult": "stpspec.results",
    "StpspecError": "stpspec.errors",
    "SpecError": "stpspec.errors",
    "MetricError": "stpspec.errors",
    "campaign": "stpspec.campaigns.run",
    "check": "stpspec.api",
    "collect": "stpspec.jobs",
    "cost": "stpspec.metrics.base",
    "fit": "stpspec.api",
    "fitter": "stpspec.fitters.base",
    "load": "stpspec.config",
    "loss": "stpspec.metrics.base",
    "measure": "stpspec.api",
    "metric": "stpspec.metrics.base",
    "protocol": "stpspec.spec.protocol",
    "simulate": "stpspec.api",
    "sweep": "stpspec.sweeps",
}

if TYPE_CHECKING:
    from stpspec.api import check, fit, measure, simulate
    from stpspec.campaigns.run import campaign
    from stpspec.config import load
    from stpspec.errors import MetricError, SpecError, StpspecError
    from stpspec.fitters.base import fitter
    from stpspec.jobs import collect
    from stpspec.metrics.base import cost, loss, metric
    from stpspec.results import FitResult
    from stpspec.spec.experiment import Experiment
    from stpspec.spec.protocol import protocol
    from stpspec.sweeps import sweep

__all__ = [
    "Experiment",
    "FitResult",
    "MetricError",
    "SpecError",
    "StpspecError",
    "campaign",
    "check",
    "collect",
    "cost",
    "fit",
    "fitter",
    "load",
    "loss",
    "measure",
    "metric",
    "protocol",
    "simulate",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'stpspec' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
