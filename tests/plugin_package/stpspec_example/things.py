"""One of each kind: a metric, a loss, a cost function, a protocol, a fitter."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from stpspec.plugins import (
    FitterSpec,
    MetricError,
    Millisecond,
    Outcome,
    Problem,
    Protocol,
    Response,
    Stimulus,
    Timing,
    cost,
    fitter,
    loss,
    metric,
    protocol,
    tail,
)


@metric("last_ratio", unit="1", needs=("pair",))
def last_ratio(response: Response) -> float:
    """Last amplitude over the first one."""
    if response.amplitudes[0] <= 0:
        raise MetricError("last_ratio needs a first response: a1 is 0")
    return float(response.amplitudes[-1] / response.amplitudes[0])


@loss("fourth_power", residuals=True)
def fourth_power(value: np.ndarray, target: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """The fourth power of the miss."""
    return ((value - target) / sd) ** 4


@cost("largest_miss")
def largest_miss(metrics: dict[str, Any], targets: dict[str, Any]) -> float:
    """The largest absolute miss."""
    return max(abs(metrics[n] - targets[n]) for n in targets)


@protocol("doublet")
class Doublet(Protocol):
    """Two events."""

    kind: Literal["doublet"] = "doublet"
    interval: Millisecond = Field(default=20.0, gt=0)

    def stimulus(self, timing: Timing) -> Stimulus:
        return Stimulus((0.0, self.interval), self.interval + tail(self.interval, timing))

    def provides(self) -> frozenset[str]:
        return frozenset({"event", "pair"})


@fitter("grid")
class Grid(FitterSpec):
    """Every point of a regular grid."""

    kind: Literal["grid"] = "grid"
    points: int = Field(default=9, ge=2, description="in each direction")

    def minimize(self, problem: Problem) -> Outcome:
        axes = [np.linspace(0, 1, self.points)] * problem.n
        problem.evaluate(np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, problem.n))
        return Outcome("finished", f"a grid of {self.points} points in each direction")
