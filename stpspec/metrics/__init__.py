"""Metrics of a response, and the losses that judge them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stpspec.registry import exports

if TYPE_CHECKING:
    from stpspec.metrics.measure import Measurement
    from stpspec.metrics.registration import ResponseOptions, SignalOptions, cost, loss, metric
    from stpspec.metrics.requests import Request
    from stpspec.metrics.response import Response

__all__ = [
    "Measurement",
    "Request",
    "Response",
    "ResponseOptions",
    "SignalOptions",
    "cost",
    "loss",
    "metric",
]

__getattr__ = exports(
    __name__,
    {
        "Measurement": "measure",
        "Request": "requests",
        "Response": "response",
        "ResponseOptions": "registration",
        "SignalOptions": "registration",
        "cost": "registration",
        "loss": "registration",
        "metric": "registration",
    },
)
