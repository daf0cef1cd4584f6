"""Preparations of an export: all that a plain NEURON script needs, as numbers and files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from stpspec.specs.experiment import Experiment
from stpspec.specs.result_files import bytes_of
from stpspec.specs.stimulus import CurrentStep

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class PreparedCell:
    """One cell with the values of a result, and where the mechanism sits on it.

    Attributes
    ----------
    file : str
        Relative to ``templates/``.
    template : str
    arguments : dict or list
        Those that name files do so as seen from ``folder``.
    section, position : str, float
        Of the mechanism.
    section_values : tuple of (str, str, float)
        Section, attribute, value: what the experiment sets of the cell, in this order.
    folder : str or None
        From where the template reads files, relative to ``templates/``; None if it reads none.
    """

    file: str
    template: str
    arguments: dict[str, Any] | list[Any]
    section: str
    position: float
    section_values: tuple[tuple[str, str, float], ...]
    folder: str | None = None

    @property
    def is_hoc(self) -> bool:
        """Whether it is a HOC template; else it is a Python class."""
        return self.file.endswith(".hoc")


@dataclass(frozen=True)
class Preparation:
    """A mechanism on its cells with the values of a result.

    Attributes
    ----------
    name : str
    mechanism : str
    values, global_values : dict of str to float
        RANGE and GLOBAL parameters that the experiment sets, in the mechanism's units.
    cells : tuple of PreparedCell
    recordings : dict of str to dict
        Protocol → how it is recorded.
    numerics : dict
        As in the experiment.
    currents : tuple of str
        Variables whose sum is the current that is recorded.
    factors : dict of str to float
        Variable → factor from its unit to that of the recorded signals, pA and nS, with its sign.
    state_names : tuple of str
        Variables that do not lag by a step.
    stops : dict of str to float
        Protocol → end of the run, ms.
    texts : dict of str to str
        Files in ``mod/``, ``templates/`` and ``data/``.
    reference : xarray.DataTree
        What stpspec gives.
    experiment : Experiment
    """

    script: ClassVar[str]  # name of a script of it, without the ending
    current_signal: ClassVar[str]  # the signal that the currents are

    name: str
    mechanism: str
    values: dict[str, float]
    global_values: dict[str, float]
    cells: tuple[PreparedCell, ...]
    recordings: dict[str, dict[str, Any]]
    numerics: dict[str, Any]
    currents: tuple[str, ...]
    factors: dict[str, float]
    state_names: tuple[str, ...]
    stops: dict[str, float]
    texts: dict[str, str]
    reference: xr.DataTree
    experiment: Experiment

    @property
    def title(self) -> str:
        """What the experiment is, in one line."""
        return " ".join(self.experiment.description.split()).rstrip(".") or self.name

    @property
    def cell(self) -> PreparedCell:
        """The first cell."""
        return self.cells[0]

    @property
    def mod_files(self) -> list[str]:
        """Names of the .mod files, without their folder."""
        return [n.removeprefix("mod/") for n in self.texts if n.endswith(".mod")]

    @property
    def code(self) -> dict[str, str]:
        """The files that a script needs: no targets, of which it knows nothing."""
        return {n: t for n, t in self.texts.items() if not n.startswith("data/")}

    @property
    def conductance(self) -> str | None:
        """The variable of the signal ``conductance``, if there is such a signal."""
        return None

    def electrode(self, protocol: str) -> dict[str, Any]:
        """Return the electrode of a protocol as an export writes it."""
        r = self.recordings[protocol]
        place = {"section": r["electrode_section"], "position": r["electrode_position"]}
        if r["kind"] == "voltage_clamp":
            return {**place, "holding_potential": r["holding_potential"],
                    "series_resistance": r["series_resistance"]}  # fmt: skip
        return {**place, "holding_current": r["holding_current"]}

    def variables(self, protocol: str) -> list[str]:
        """Return the further variables of the mechanism that are recorded in a protocol."""
        r = self.recordings[protocol]
        asked = [self.conductance] if self.conductance and "conductance" in r["signals"] else []
        return list(dict.fromkeys([*asked, *r["variables"]]))


@dataclass(frozen=True)
class SynapsePreparation(Preparation):
    """One synapse on one cell with the values of a result.

    Attributes
    ----------
    weight, delay : float
    arrivals : dict of str to list of float
        Protocol → arrivals of its events, ms from the start of the run.
    units : dict of str to str
        Of the parameters that the experiment sets.
    named_files : dict of str to str
        Field of a target, or argument of the cell, that names a file → which of the texts it is.
    data : dict
        The experiment with these values, its files by their names.
    """

    script = "synapse"
    current_signal = "synaptic_current"

    weight: float
    delay: float
    arrivals: dict[str, list[float]]
    units: dict[str, str]
    named_files: dict[str, str]
    data: dict[str, Any]

    @property
    def conductance(self) -> str:
        """The variable of the signal ``conductance``."""
        return self.experiment.model.conductance


@dataclass(frozen=True)
class GapPreparation(Preparation):
    """A gap junction between two cells with the values of a result.

    Attributes
    ----------
    partner_voltage : str
        The variable for the voltage of the other side.
    is_transferred : bool
        Whether it is filled at each step by a transfer; else it is a POINTER.
    onset : float
        Of the current steps, ms from the start of the run.
    steps : dict of str to CurrentStep
        By protocol.
    """

    script = "gap_junction"
    current_signal = "junctional_current"

    partner_voltage: str
    is_transferred: bool
    onset: float
    steps: dict[str, CurrentStep]


def write_texts(folder: Path, texts: dict[str, str]) -> None:
    """Write files by their names inside a folder, byte by byte as they were."""
    for name, text in texts.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(bytes_of(text))
