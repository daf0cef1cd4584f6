"""The experiment: ties model, recording, protocols, parameters, objective and fitter together."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Mapping
from importlib import import_module
from os import PathLike
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails

from stpspec.errors import SpecError, SpecProblem
from stpspec.registry import (
    FITTERS,
    MODELS,
    PROTOCOLS,
    RECORDINGS,
    import_plugins,
    runs_nothing,
    without_plugins,
)
from stpspec.specs.base import KindOf, problems_of
from stpspec.specs.changes import changed_data
from stpspec.specs.consistency import cross_problems
from stpspec.specs.figures import Figures
from stpspec.specs.fitter import FitterSpec
from stpspec.specs.numerics import Numerics
from stpspec.specs.objective import Objective
from stpspec.specs.parameters import Parameter
from stpspec.specs.places import flat
from stpspec.specs.protocol import MOST_TRIALS, Protocol, owner_of
from stpspec.specs.recording import with_changes
from stpspec.specs.rule_errors import rule_error
from stpspec.specs.saved_parts import SavedFitter, SavedProtocol
from stpspec.specs.study import StudySpec
from stpspec.specs.summary import Overview

FORMAT = 1

# The models have little in common beside `stimulated_by`, which says what one has.
AnyModel = Annotated[Any, KindOf(MODELS, "synapse")]
AnyRecording = Annotated[Any, KindOf(RECORDINGS)]
AnyProtocol = Annotated[Protocol, KindOf(PROTOCOLS, stand_in=SavedProtocol)]
AnyFitter = Annotated[FitterSpec, KindOf(FITTERS, stand_in=SavedFitter)]


class Experiment(Overview):
    """One experiment on one synapse or gap junction, whole: what is done, asked and fitted."""

    format: Literal[1] = FORMAT
    name: str = Field(default="experiment", max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    description: str = ""
    source: str = Field(default="", description="where the targets come from (DOI)")
    model: AnyModel
    recording: AnyRecording = Field(default={"kind": "voltage_clamp"})
    protocols: dict[str, AnyProtocol] = Field(min_length=1)
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    objective: Objective | None = None
    fitter: AnyFitter = Field(default={"kind": "least_squares"}, validate_default=True)
    numerics: Numerics = Field(default_factory=Numerics)
    study: StudySpec | None = Field(
        default=None, description="where evaluations are kept, to be watched, resumed and shared"
    )
    workers: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="worker processes of a fit; 0: in the process itself. Results do not depend on "
        "it, but a candidate that crashes NEURON is survived by workers only",
    )
    figures: Figures = Field(default_factory=Figures)
    seed: int = Field(default=0, ge=0, lt=2**32)
    trials: int | None = Field(
        default=None,
        ge=1,
        le=MOST_TRIALS,
        description="how often each protocol is simulated where a mechanism draws random numbers; "
        "a protocol may have a number of its own",
    )
    plugins: list[str] = Field(default_factory=list, description="modules that register plug-ins")

    @model_validator(mode="before")
    @classmethod
    def _import_plugins(cls, data: object) -> object:
        if isinstance(data, Mapping):
            plugins = data.get("plugins") or []
            if isinstance(plugins, list):
                import_plugins([p for p in plugins if isinstance(p, str)])
        return data

    @field_validator("parameters", mode="before")
    @classmethod
    def _by_dotted_path(cls, data: object) -> object:
        return flat(data) if isinstance(data, Mapping) else data

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        if runs_nothing():  # metrics and losses of plug-ins are not known
            return self
        problems = cross_problems({name: getattr(self, name) for name in type(self).model_fields})
        if problems:
            raise ValidationError.from_exception_data(
                type(self).__name__,
                [
                    InitErrorDetails(
                        type=rule_error(p.kind, p.rule, p.nearest),
                        loc=tuple(p.path.split(".")),
                        input=p.received,
                    )
                    for p in problems
                ],
            )
        return self

    @classmethod
    def from_data(cls, data: Mapping[str, object]) -> Experiment:
        """Validate a mapping, as read from YAML or JSON.

        Raises
        ------
        SpecError
            With every problem of the data at once.
        """
        from stpspec.specs.diagnosis import examine

        experiment, problems, _ = examine(data)
        if experiment is None:
            raise SpecError(problems)
        return experiment

    @classmethod
    def from_saved(cls, data: Mapping[str, object]) -> Experiment:
        """Validate what was saved, without running the plug-ins that it names.

        What only they know stays data, until the experiment is simulated or fitted.

        Raises
        ------
        SpecError
            If it was not saved by stpspec.
        """
        with without_plugins():
            try:
                return cls.model_validate(migrate(data))
            except ValidationError as error:
                raise SpecError(problems_of(error)) from None

    def recording_of(self, protocol: str) -> Any:
        """Return how a protocol, or a run of one, is recorded: the protocol may change it."""
        return with_changes(self.recording, self.protocols[self.owner(protocol)].recording)

    def owner(self, run: str) -> str:
        """Return the name of the protocol that a run is of; of a protocol, its own."""
        return owner_of(run, self.protocols) or run

    def changed(self, changes: Mapping[str, object]) -> Experiment:
        """Return a validated copy with some fields replaced.

        Parameters
        ----------
        changes : mapping of str to object
            Dotted path of a field → its value. A path into a mapping (``protocols``,
            ``parameters``, ``model.fixed`` …) may end in a new name, with the whole entry as value.
            Where a ``kind`` changes, what both kinds have in common stays as it was chosen. No
            path may lie in another one.

        Raises
        ------
        SpecError
            With every path that leads to no field and every problem of the changed experiment.

        Examples
        --------
        >>> faster = experiment.changed({"protocols.train.frequency": 20, "fitter.kind": "optuna"})
        """
        from stpspec.specs.diagnosis import examine

        data, problems = changed_data(self, {str(path): v for path, v in changes.items()})
        experiment, more, _ = examine(data)
        if experiment is None or problems:
            at = ", ".join(f"{n}={reprlib.repr(v)}" for n, v in changes.items())
            raise SpecError([*problems, *more], f"the experiment is not valid at {at}")
        return experiment

    def plot(self, values: Mapping[str, object] | None = None) -> Any:
        """Simulate the experiment once and plot the traces of every protocol, and its targets.

        Parameters
        ----------
        values : mapping of str to float or str, optional
            Parameter values, as in :func:`stpspec.simulate`.

        Returns
        -------
        matplotlib Figure
            A notebook shows it.

        Raises
        ------
        SimulationError
            If there is nothing to plot.
        """
        # What draws is of a higher row, which an experiment knows by its name alone.
        return import_module("stpspec.api").plot_once(self, values)

    def trials_of(self, protocol: str) -> int | None:
        """Return how often a protocol is to be simulated; None if nothing says so."""
        own = self.protocols[protocol].trials
        return self.trials if own is None else own

    def to_data(self) -> dict[str, Any]:
        """Return the experiment as plain mappings, lists, strings and numbers."""
        return self.model_dump(mode="json")


def needed(given: object) -> Experiment:
    """Return an experiment with its plug-ins imported; refuse what is none.

    Raises
    ------
    TypeError
        If it is none.
    """
    if isinstance(given, Experiment):
        lacking = [name for name in given.plugins if name not in sys.modules]
        return Experiment.from_data(given.to_data()) if lacking else given
    cure = "stpspec.load(FILE) reads one"
    if isinstance(given, Mapping):
        cure = "stpspec.Experiment.from_data(…) makes one of plain data"
    elif isinstance(given, str | PathLike):
        cure = f"stpspec.load({str(given)!r}) loads one"
    raise TypeError(f"an Experiment is needed, and not {type(given).__name__}: {cure}")


def migrate(data: Mapping[str, object]) -> dict[str, object]:
    """Bring the data of an older format up to date.

    Raises
    ------
    SpecError
        If the format is newer than this version of stpspec, or no format at all.
    """
    number = data.get("format", FORMAT)
    if number != FORMAT or isinstance(number, bool):
        rule = f"format must be {FORMAT}"
        if isinstance(number, int) and not isinstance(number, bool) and number > FORMAT:
            rule += "; it was written by a newer stpspec: upgrade with pip install -U stpspec"
        raise SpecError([SpecProblem("format", rule, number)])
    return {**data, "format": FORMAT}
