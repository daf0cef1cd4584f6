"""Names for plug-in authors: what metrics, losses, protocols, fitters and sources are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stpspec.registry import exports

if TYPE_CHECKING:
    from stpspec.errors import MetricError
    from stpspec.fitters.evaluation import AtNoise, BudgetSpent, Evaluation
    from stpspec.fitters.outcome import Outcome, fitter
    from stpspec.fitters.problem import Problem
    from stpspec.metrics.registration import ResponseOptions, SignalOptions, cost, loss, metric
    from stpspec.metrics.response import Response
    from stpspec.specs.fitter import Budget, FitterSpec
    from stpspec.specs.protocol import Protocol, protocol, tail
    from stpspec.specs.quantities import (
        Celsius,
        Hertz,
        Megaohm,
        Microsiemens,
        Millisecond,
        Millivolt,
        Nanoampere,
        Second,
    )
    from stpspec.specs.stimulus import Stimulus, Timing
    from stpspec.specs.target_source import TargetData, TargetSource, Wanted, target_source

__all__ = [
    "AtNoise",
    "Budget",
    "BudgetSpent",
    "Celsius",
    "Evaluation",
    "FitterSpec",
    "Hertz",
    "Megaohm",
    "MetricError",
    "Microsiemens",
    "Millisecond",
    "Millivolt",
    "Nanoampere",
    "Outcome",
    "Problem",
    "Protocol",
    "Response",
    "ResponseOptions",
    "Second",
    "SignalOptions",
    "Stimulus",
    "TargetData",
    "TargetSource",
    "Timing",
    "Wanted",
    "cost",
    "fitter",
    "loss",
    "metric",
    "protocol",
    "tail",
    "target_source",
]

__getattr__ = exports(
    __name__,
    {
        "AtNoise": "stpspec.fitters.evaluation",
        "Budget": "stpspec.specs.fitter",
        "BudgetSpent": "stpspec.fitters.evaluation",
        "Celsius": "stpspec.specs.quantities",
        "Evaluation": "stpspec.fitters.evaluation",
        "FitterSpec": "stpspec.specs.fitter",
        "Hertz": "stpspec.specs.quantities",
        "Megaohm": "stpspec.specs.quantities",
        "MetricError": "stpspec.errors",
        "Microsiemens": "stpspec.specs.quantities",
        "Millisecond": "stpspec.specs.quantities",
        "Millivolt": "stpspec.specs.quantities",
        "Nanoampere": "stpspec.specs.quantities",
        "Outcome": "stpspec.fitters.outcome",
        "Problem": "stpspec.fitters.problem",
        "Protocol": "stpspec.specs.protocol",
        "Response": "stpspec.metrics.response",
        "ResponseOptions": "stpspec.metrics.registration",
        "Second": "stpspec.specs.quantities",
        "SignalOptions": "stpspec.metrics.registration",
        "Stimulus": "stpspec.specs.protocol",
        "TargetData": "stpspec.specs.target_source",
        "TargetSource": "stpspec.specs.target_source",
        "Timing": "stpspec.specs.protocol",
        "Wanted": "stpspec.specs.target_source",
        "cost": "stpspec.metrics.registration",
        "fitter": "stpspec.fitters.outcome",
        "loss": "stpspec.metrics.registration",
        "metric": "stpspec.metrics.registration",
        "protocol": "stpspec.specs.protocol",
        "tail": "stpspec.specs.protocol",
        "target_source": "stpspec.specs.target_source",
    },
)
