"""The recording: how the cell is clamped, and which signals are kept. The clamp lives here only."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from stpspec.registry import RECORDINGS
from stpspec.specs.base import Spec
from stpspec.specs.plausible import Range
from stpspec.units import Megaohm, Millivolt, Nanoampere

# A membrane is held at 0, but not at a fraction of a millivolt: that is a number of volts.
Potential = Annotated[Millivolt, Range("mV", -120, 80, -1000, 1000, smallest=1)]
Signal = Literal["synaptic_current", "clamp_current", "somatic_voltage", "conductance"]


class _Recording(Spec):
    electrode_section: str = Field(default="soma", description="where the electrode sits")
    electrode_position: float = Field(default=0.5, ge=0, le=1)
    variables: list[str] = Field(
        default_factory=list, description="further variables of the mechanism to record"
    )


@RECORDINGS.register("voltage_clamp")
class VoltageClamp(_Recording):
    """Voltage clamp at a holding potential (SEClamp)."""

    kind: Literal["voltage_clamp"] = "voltage_clamp"
    holding_potential: Potential = Field(default=-70.0, description="mV")
    series_resistance: Annotated[Megaohm, Range("MΩ", 0, 200, most=1e5)] = Field(
        default=0.001, gt=0, description="Mohm; at most 0.01 is ideal"
    )
    signals: list[Signal] = Field(default=["synaptic_current", "clamp_current"], min_length=1)

    default_signal: ClassVar[str] = "synaptic_current"


@RECORDINGS.register("current_clamp")
class CurrentClamp(_Recording):
    """Current clamp with a constant holding current (0 by default: the cell is free)."""

    kind: Literal["current_clamp"] = "current_clamp"
    holding_current: Annotated[Nanoampere, Range("nA", -2, 2, -100, 100, smallest=1e-4)] = Field(
        default=0.0, description="nA"
    )
    signals: list[Signal] = Field(default=["somatic_voltage", "synaptic_current"], min_length=1)

    default_signal: ClassVar[str] = "somatic_voltage"


RecordingSpec = VoltageClamp | CurrentClamp
