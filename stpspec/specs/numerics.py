"""Numerics of NEURON: step or tolerance, temperature, starting voltage, settling time."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stpspec.specs.base import Spec
from stpspec.specs.plausible import Range
from stpspec.specs.protocol import LONGEST
from stpspec.specs.quantities import Celsius, Millisecond, Second
from stpspec.specs.recording import Potential


class Numerics(Spec):
    """Reference numerics: fixed step, the same for every candidate.

    A fit may search with the variable step (CVODE), or without the cell where an ideal clamp hides
    it, which is many times faster; its winner is always confirmed with the fixed step.
    """

    integrator: Literal["auto", "fixed", "variable"] = Field(
        default="auto",
        description="auto: while a fit searches or a sweep runs, variable, or without the cell "
        "where that is proven to change nothing; fixed for everything else",
    )
    tolerance: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="absolute tolerance of the variable step, in mV and the units of the states; "
        "by default 3e-3 in voltage clamp, 1e-5 where the clamp current is recorded (it is the "
        "error of the voltage over the series resistance; 2e-5 if the synapse is not at the "
        "electrode), 1e-4 in current clamp, 1e-6 for gap "
        "junctions",
    )
    dt: Annotated[Millisecond, Range("ms", 1e-3, 0.1, most=1)] = Field(
        default=0.025, gt=0, description="ms"
    )
    temperature: Annotated[Celsius, Range("°C", 4, 45, -20, 60)] = Field(
        default=20.0, description="degC"
    )
    v_init: Potential = Field(default=-70.0, description="voltage at t = 0, mV")
    settle: Annotated[Millisecond, Range("ms", 1, 1e5)] = Field(
        default=500.0, ge=0, le=LONGEST, description="time before the stimulus, ms"
    )
    replicas: int = Field(
        default=16, ge=1, le=1024, description="candidates in one NEURON simulation"
    )
    time_limit: Annotated[Second, Range("s", 0.01, 1e6)] = Field(
        default=600.0, gt=0, description="wall-clock limit of one simulation, s"
    )

    @model_validator(mode="after")
    def _settle_holds_whole_steps(self) -> Self:
        if self.settle < self.dt:
            raise ValueError(
                f"settle must be at least one dt, so that there is a baseline "
                f"(got settle={self.settle:g} ms, dt={self.dt:g} ms)"
            )
        return self
