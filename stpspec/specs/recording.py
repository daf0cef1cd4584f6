"""The recording: how the cell is clamped, and which signals are kept. The clamp lives here only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from stpspec.registry import RECORDINGS
from stpspec.specs.base import Spec
from stpspec.specs.plausible import Range
from stpspec.specs.quantities import Megaohm, Millivolt, Nanoampere

# A membrane is held at 0, but not at a fraction of a millivolt: that is a number of volts.
Potential = Annotated[Millivolt, Range("mV", -120, 80, -1000, 1000, smallest=1)]
Signal = Literal[
    "synaptic_current", "clamp_current", "somatic_voltage", "conductance", "synapse_voltage"
]


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


def _by_kind(value: object) -> object:
    """Take the name of a kind for the whole, as the command line does."""
    if isinstance(value, str):
        return {"kind": value}
    return value.model_dump(mode="json") if isinstance(value, Spec) else value


# What a protocol changes of the recording of the experiment: its kind, or some of its fields.
RecordingChanges = Annotated[dict[str, Any], BeforeValidator(_by_kind)]


def with_changes(default: Spec, changes: Mapping[str, Any] | None) -> Any:
    """Return the recording of a protocol: that of the experiment with what the protocol changes.

    Of another kind it has the place of the electrode and the further variables in common, and else
    the defaults of that kind.

    Parameters
    ----------
    default : Spec
        The recording of the experiment.
    changes : mapping of str to object, optional

    Raises
    ------
    UnknownNameError
        If there is no such kind.
    pydantic.ValidationError
        If the changes do not fit to the kind.
    """
    if not changes:
        return default
    data = default.model_dump(mode="json")
    cls = RECORDINGS.get(str(changes.get("kind", data["kind"])))
    if cls is not type(default):
        data = {n: data[n] for n in _Recording.model_fields if n in data and n in cls.model_fields}
    return cls.model_validate({**data, **changes})
