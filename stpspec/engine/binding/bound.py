"""An experiment bound to its loaded mechanism, with all quantities as plain numbers."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stpspec.engine.binding import model_checks
from stpspec.engine.binding.parameters import no_parameter, set_in_units
from stpspec.engine.binding.scheme import REFERENCE, Scheme
from stpspec.engine.mechanisms import nmodl
from stpspec.engine.mechanisms.description import Mechanism
from stpspec.engine.reading import Readings
from stpspec.errors import SpecError, SpecProblem, nearest
from stpspec.resources import shipped
from stpspec.specs.experiment import Experiment
from stpspec.specs.places import canonical, is_place


@dataclass(frozen=True)
class Bound:
    """An experiment whose quantities are numbers in the units of the loaded mechanism.

    Attributes
    ----------
    experiment : Experiment
    mechanism : Mechanism
    units : dict of str to str
        Unit of everything that may be a free parameter.
    weights : dict of int to float
        Values of the arguments of NET_RECEIVE, by their places; the first is the weight.
    resets : tuple of int
        Those of the weights that NEURON sets to 0 where it begins.
    sources : dict of str to Path
        Mechanism name → .mod file.
    limits : dict of str to (float, float)
        What is allowed of those that have limits.
    templates : tuple of Path
    brief : bool
        Whether only the pulses that the objective reads are simulated.
    scheme : Scheme
        How it is simulated, or the highest rung of the ladder that may be taken.
    together : bool
        False where a comparison has shown that candidates influence each other, or where what they
        share is not known.
    readings : tuple of Readings
        What was read of the user's files for each cell that the experiment names.
    in_use : frozenset of str
        The mechanism, and those that sit in the cells.
    contents : str
        Key of what a process of its own has loaded for it; empty: this process has loaded it.
    compartments : int
        Of the cells of one candidate.
    """

    experiment: Experiment
    mechanism: Mechanism
    units: dict[str, str]
    sources: dict[str, Path]
    templates: tuple[Path, ...]
    weights: dict[int, float] = field(default_factory=dict)
    resets: tuple[int, ...] = ()
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    brief: bool = False
    scheme: Scheme = REFERENCE
    together: bool = True
    readings: tuple[Readings, ...] = ()
    in_use: frozenset[str] = frozenset()
    contents: str = ""
    compartments: int = 1

    def located_data(self) -> dict[str, Any]:
        """Return the experiment's data with absolute paths, for a process somewhere else."""
        data = self.experiment.to_data()
        model = data["model"]
        if model["mod"]:
            shipped_files = shipped("mod")
            own = [path for path in self.sources.values() if path.parent != shipped_files]
            model["mod"] = [str(path) for path in own]
        model["cell"]["file"] = str(self.templates[0])
        if model.get("cell_2"):
            model["cell_2"]["file"] = str(self.templates[-1])
        return data

    @property
    def sources_in_use(self) -> dict[str, Path]:
        """The sources of the mechanisms that a simulation holds."""
        return {name: path for name, path in self.sources.items() if name in self.in_use}

    @functools.cached_property
    def stochastic(self) -> tuple[str, ...]:
        """The mechanisms in use that draw random numbers, as their text tells."""
        sources = self.sources_in_use
        return tuple(sorted(n for n, path in sources.items() if nmodl.read(path).draws_random))

    @functools.cached_property
    def draws_from_one(self) -> bool:
        """Whether all instances draw from one generator: then each trial is simulated alone."""
        contents = [nmodl.read(self.sources[n]) for n in self.stochastic]
        return any(c.of_neuron or not c.parsed for c in contents)

    def trials(self, protocol: str) -> int:
        """Return how often a protocol is simulated: once where nothing is drawn."""
        asked = self.experiment.trials_of(protocol)
        return (asked or 1) if self.stochastic else 1

    @functools.cached_property
    def recordings(self) -> dict[str, Any]:
        """Protocol → how it is recorded."""
        return {n: self.experiment.recording_of(n) for n in self.experiment.protocols}

    @functools.cached_property
    def parts(self) -> dict[Any, Any]:
        """Parts of the experiment that are recorded alike, as they are first asked for."""
        return {}

    @functools.cached_property
    def shares_data(self) -> bool:
        """Whether candidates of one simulation may share more than the values that are set."""
        content, others = self._contents
        if not self.together:
            return True
        if content is not None and (content.tabulated or content.written_globals):
            return True
        return any(not c.parsed or c.static_c for c in (content, *others) if c is not None)

    @functools.cached_property
    def carries_over(self) -> bool:
        """Whether a run may leave something to the next one on the same cell and synapse."""
        content, others = self._contents
        if not self.together:
            return True
        if any(set(c.remembered) & set(c.parameters) for c in others):
            return True
        return content is not None and bool(
            content.remembered or content.verbatim or not content.parsed
        )

    @property
    def currents(self) -> tuple[str, ...]:
        """The variables whose sum is the current that is recorded."""
        return tuple(n for n in self._passed if n in self.mechanism.recordable)

    @property
    def outward_currents(self) -> frozenset[str]:
        """Those of a gap junction that are positive out of the cell: they cross its membrane."""
        source = self.sources.get(self.experiment.model.mechanism)
        if source is None or self.experiment.model.stimulated_by == "event":
            return frozenset()
        return frozenset(nmodl.read(source).membrane_currents)

    @property
    def hidden_currents(self) -> tuple[str, ...]:
        """What the mechanism passes beside it and does not make known: it is no RANGE variable."""
        return tuple(n for n in self._passed if n not in self.mechanism.recordable)

    @functools.cached_property
    def _passed(self) -> tuple[str, ...]:
        """All currents of the mechanism, unless one is asked for; one that is known first."""
        model = self.experiment.model
        passed = model_checks.currents_passed(model, self.sources.get(model.mechanism))
        return model_checks.currents_recorded(model.current, passed, self.mechanism.recordable)

    @functools.cached_property
    def foreign(self) -> tuple[str, ...]:
        """The mechanisms that may be in use, whose source is known, and that are not shipped."""
        return tuple(sorted(n for n, p in self.sources.items() if p.parent != shipped("mod")))

    @functools.cached_property
    def _contents(self) -> tuple[nmodl.ModFile | None, list[nmodl.ModFile]]:
        """What the source of the mechanism says, and those of others that may be in use.

        The shipped ones are known: their tests show that they share nothing.
        """
        own = {n: p for n, p in self.sources.items() if p.parent != shipped("mod")}
        contents = nmodl.read_all(own.values())
        name = self.mechanism.name
        source = contents.get(own[name]) if name in own else None
        return source, [contents[path] for other, path in own.items() if other != name]


def numbers(bound: Bound, values: Mapping[str, Any]) -> dict[str, float]:
    """Express parameter values, possibly strings with a unit, in the mechanism's units.

    Raises
    ------
    SpecError
        With every name and unit that is wrong.
    """
    converted: dict[str, float] = {}
    problems: list[SpecProblem] = []
    for written, value in values.items():
        name = canonical(written)
        if name not in bound.units:
            problems.append(_unknown(bound, name))
            continue
        problems += set_in_units(converted, name, name, value, bound.limits, bound.units)
    if problems:
        raise SpecError(problems, "the parameter values are not valid")
    return converted


def _unknown(bound: Bound, name: str) -> SpecProblem:
    if not is_place(name):
        return no_parameter(name, name, bound.mechanism.name, bound.units)
    near = nearest(name, [n for n in bound.units if is_place(n)])
    return SpecProblem(name, "there is nothing of this path that can be set", name, near)
