"""Records of a survey: point processes, their parameters and their calibration, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Role = Literal[
    "utilization", "depression", "facilitation", "rise", "decay", "reversal", "amplitude", ""
]
Kind = Literal["synapse", "gap junction", "point process"]


@dataclass(frozen=True)
class ParameterRecord:
    """One parameter of a point process.

    Attributes
    ----------
    name, unit : str
    default : float
    limits : (float, float), optional
        As the file declares them.
    scope : {"RANGE", "GLOBAL"}
    role : Role
        Guessed; empty where nothing tells it.
    why : tuple of str
        What the guess rests on: its name, its unit, the equations, its effect.
    """

    name: str
    unit: str
    default: float
    limits: tuple[float, float] | None = None
    scope: str = "RANGE"
    role: Role = ""
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class Calibration:
    """How a synapse with its default values answers an event on a clamped patch.

    Attributes
    ----------
    answers : bool
        Whether an event of weight 1 changes the current at all.
    peak_conductance : float, optional
        uS, at weight 1 and −70 mV.
    reversal : float, optional
        mV.
    is_ohmic : bool, optional
        Whether the conductance is the same at −40 mV.
    weight_exponent : float, optional
        log2 of the ratio of the peaks at weights 2 and 1: 1 where they are proportional.
    rise, decay : float, optional
        ms: from the event to the peak, and from the peak to 1/e of it.
    paired_pulse : float, optional
        Ratio of the second to the first response, 50 ms apart.
    state : {"NetCon", "instance", "none", "unknown"}
        Where plasticity is kept, by two NetCons on one instance.
    variable_step : str
        ``"yes"``, or why not.
    notes : tuple of str
    """

    answers: bool
    peak_conductance: float | None = None
    reversal: float | None = None
    is_ohmic: bool | None = None
    weight_exponent: float | None = None
    rise: float | None = None
    decay: float | None = None
    paired_pulse: float | None = None
    state: str = "unknown"
    variable_step: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class JunctionCalibration:
    """What a gap junction does to two passive cells of 100 MΩ.

    Attributes
    ----------
    parameter, unit : str
        The one that couples, and its unit as declared.
    partner : str
        Variable for the voltage of the other side.
    value : float
        At which it was measured.
    coefficient : float
        ΔV2 / ΔV1 at this value.
    conductance_of_one : float
        µS, of the value 1 of the parameter.
    acts_as : {"conductance", "resistance"}
    """

    parameter: str
    unit: str
    partner: str
    value: float
    coefficient: float
    conductance_of_one: float
    acts_as: str


@dataclass(frozen=True)
class PointProcessRecord:
    """One point process of a folder.

    Attributes
    ----------
    name, file : str
    kind : Kind
    parameters : tuple of ParameterRecord
    currents : dict of str to str
        Name → nonspecific, electrode, or the ion.
    conductances, states : dict of str to str
        Name → unit.
    arguments : dict of str to str
        Argument of a NetCon → unit; the first is the weight.
    to_be_given : tuple of str
        Arguments beside the weight that the mechanism reads and never sets.
    pointers : tuple of str
    random : str
        Empty if deterministic; else how it draws random numbers.
    calibration : Calibration, optional
    not_calibrated : str
        Why there is no calibration.
    coupling : JunctionCalibration, optional
        Of a gap junction: what it does to two passive cells.
    """

    name: str
    file: str
    kind: Kind
    parameters: tuple[ParameterRecord, ...] = ()
    currents: dict[str, str] = field(default_factory=dict)
    conductances: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    to_be_given: tuple[str, ...] = ()
    states: dict[str, str] = field(default_factory=dict)
    pointers: tuple[str, ...] = ()
    random: str = ""
    calibration: Calibration | None = None
    not_calibrated: str = ""
    coupling: JunctionCalibration | None = None

    def with_role(self, role: Role) -> list[ParameterRecord]:
        """Return the parameters of a role."""
        return [p for p in self.parameters if p.role == role]


@dataclass(frozen=True)
class Survey:
    """What was found in some folders and files.

    Attributes
    ----------
    point_processes : tuple of PointProcessRecord
    others : dict of str to str
        File → what it is instead of a point process.
    failures : dict of str to str
        File → why it cannot be used; of one that does not compile, the compiler's words.
    """

    point_processes: tuple[PointProcessRecord, ...] = ()
    others: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
