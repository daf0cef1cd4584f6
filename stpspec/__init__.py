"""stpspec: synapse experiments as data, run in NEURON, fitted to measurements."""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # of `typing`: until signals are caught, Ctrl-C would show a traceback

__version__ = "0.1.0"

# Public name → the module that defines it. Loaded on first use: `import stpspec` stays instant.
_PUBLIC = {
    "Experiment": "stpspec.specs.experiment",
    "FitResult": "stpspec.results.fit_result",
    "StpspecError": "stpspec.errors",
    "SpecError": "stpspec.errors",
    "MetricError": "stpspec.errors",
    "campaign": "stpspec.campaigns.run",
    "check": "stpspec.api",
    "collect": "stpspec.results.multirun",
    "cost": "stpspec.metrics.registration",
    "fit": "stpspec.api",
    "fitter": "stpspec.fitters.outcome",
    "load": "stpspec.config.compose",
    "loss": "stpspec.metrics.registration",
    "measure": "stpspec.api",
    "measure_file": "stpspec.results.measured_file",
    "metric": "stpspec.metrics.registration",
    "protocol": "stpspec.specs.protocol",
    "simulate": "stpspec.api",
    "sweep": "stpspec.sweeps",
    "tune": "stpspec.tuner.launch",
}

if TYPE_CHECKING:
    from typing import Any

    from stpspec.api import check, fit, measure, simulate
    from stpspec.campaigns.run import campaign
    from stpspec.config.compose import load
    from stpspec.errors import MetricError, SpecError, StpspecError
    from stpspec.fitters.outcome import fitter
    from stpspec.metrics.registration import cost, loss, metric
    from stpspec.results.fit_result import FitResult
    from stpspec.results.measured_file import measure_file
    from stpspec.results.multirun import collect
    from stpspec.specs.experiment import Experiment
    from stpspec.specs.protocol import protocol
    from stpspec.sweeps import sweep
    from stpspec.tuner.launch import tune

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
    "measure_file",
    "metric",
    "protocol",
    "simulate",
    "sweep",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'stpspec' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
