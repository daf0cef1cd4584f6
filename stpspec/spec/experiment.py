"""The experiment: ties model, recording, protocols, parameters, objective and fitter together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from stpspec.errors import PluginError, Problem, SpecError, nearest
from stpspec.registry import FITTERS, MODELS, PROTOCOLS, RECORDINGS, import_plugins
from stpspec.spec.base import kind_of, problems_of
from stpspec.spec.changes import changed_data
from stpspec.spec.numerics import Numerics
from stpspec.spec.objective import Objective
from stpspec.spec.overview import Overview
from stpspec.spec.parameters import Parameter
from stpspec.spec.rules import cross_problems
from stpspec.spec.salvage import salvage, unseen, wrong_paths
from stpspec.spec.study import StudySpec
from stpspec.units import rule_error

FORMAT = 1

AnyModel = Annotated[Any, kind_of(MODELS, "synapse")]
AnyRecording = Annotated[Any, kind_of(RECORDINGS)]
AnyProtocol = Annotated[Any, kind_of(PROTOCOLS)]
AnyFitter = Annotated[Any, kind_of(FITTERS)]


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
    fitter: AnyFitter = Field(default={"kind": "least_squares"})
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
    seed: int = Field(default=0, ge=0, lt=2**32)
    plugins: list[str] = Field(default_factory=list, description="modules that register plug-ins")

    @model_validator(mode="before")
    @classmethod
    def _import_plugins(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            plugins = data.get("plugins") or []
            if isinstance(plugins, list):
                import_plugins([p for p in plugins if isinstance(p, str)])
        return data

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        found = cross_problems({name: getattr(self, name) for name in type(self).model_fields})
        if found:
            raise ValidationError.from_exception_data(
                type(self).__name__,
                [
                    InitErrorDetails(
                        type=rule_error("rule", _literal(p)),
                        loc=tuple(p.path.split(".")),
                        input=p.received,
                    )
                    for p in found
                ],
            )
        return self

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Experiment:
        """Validate a mapping, as read from YAML or JSON.

        Raises
        ------
        SpecError
            With every problem of the data at once.
        """
        experiment, problems, _ = examine(data)
        if experiment is None:
            raise SpecError(problems)
        return experiment

    def changed(self, changes: Mapping[str, Any]) -> Experiment:
        """Return a validated copy with some fields replaced.

        Parameters
        ----------
        changes : mapping of str to object
            Dotted path of a field → its value. A path into a mapping (``protocols``,
            ``parameters``, ``model.fixed`` …) may end in a new name, with the whole entry as value.
            Where a ``kind`` changes, what both kinds have in common stays as it was chosen.

        Raises
        ------
        SpecError
            With every path that leads to no field and every problem of the changed experiment.

        Examples
        --------
        >>> faster = experiment.changed({"protocols.train.frequency": 20, "fitter.kind": "optuna"})
        """
        data, problems = changed_data(self, changes)
        made, more, _ = examine(data)
        if made is None or problems:
            at = ", ".join(f"{n}={v!r}" for n, v in changes.items())
            raise SpecError([*problems, *more], f"the experiment is not valid at {at}")
        return made

    def to_data(self) -> dict[str, Any]:
        """Return the experiment as plain mappings, lists, strings and numbers."""
        return self.model_dump(mode="json")


def needed(given: Any) -> None:
    """Refuse what is no experiment, and say what would make one of it.

    Raises
    ------
    TypeError
        If it is none.
    """
    if isinstance(given, Experiment):
        return
    cure = "stpspec.load(FILE) reads one"
    if isinstance(given, Mapping):
        cure = "stpspec.Experiment.from_data(…) makes one of plain data"
    elif isinstance(given, str | PathLike):
        cure = f"stpspec.load({str(given)!r}) loads one"
    raise TypeError(f"an Experiment is needed, and not {type(given).__name__}: {cure}")


def _literal(problem: Problem) -> str:
    return problem.rule + (f"; did you mean {problem.nearest!r}?" if problem.nearest else "")


def migrate(data: Mapping[str, Any]) -> dict[str, Any]:
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
        raise SpecError([Problem("format", rule, number)])
    return {**data, "format": FORMAT}


def examine(
    data: Mapping[str, Any],
) -> tuple[Experiment | None, list[Problem], dict[str, Any]]:
    """Find all problems of the data, also those between parts that are valid by themselves.

    Parameters
    ----------
    data : mapping
        As read from YAML or JSON.

    Returns
    -------
    experiment : Experiment or None
        None when there is any problem.
    problems : list of Problem
    parts : dict
        The fields (and entries of mappings) that are valid; if not all are, with
        ``protocol_names`` and ``wrong``, the paths where anything is wrong.
    """
    try:
        data = migrate(data)
    except SpecError as error:
        return None, list(error.problems), {}
    data, problems = _without_bad_plugins(data)
    data, found = _with_nearest_kinds(data)
    problems += found
    try:
        experiment = Experiment.model_validate(data)
        parts = {name: getattr(experiment, name) for name in Experiment.model_fields}
        return (None if problems else experiment), problems, parts
    except ValidationError as error:
        problems += [_in_its_place(p) for p in problems_of(error)]
        parts = _valid_parts(data, wrong_paths(problems))
        problems += unseen(cross_problems(parts), problems)
        return None, problems, parts


def _in_its_place(problem: Problem) -> Problem:
    """Say where else something belongs: a part within another part, a kind in the defaults."""
    parent, _, name = problem.path.rpartition(".")
    if parent == "protocols" and problem.rule.startswith("needs a 'kind'"):
        hint = f", here or in the defaults list (- /protocol@protocols.{name}: train)"
        return replace(problem, rule=problem.rule + hint)
    if parent and name in Experiment.model_fields and problem.rule.startswith("no field of"):
        rule = f"no field of this name here: {name} belongs at the top level, without indentation"
        return replace(problem, rule=rule)
    return problem


def _without_bad_plugins(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Import the plug-in modules one by one; what cannot be imported is left out and told."""
    plugins, problems = data.get("plugins"), []
    if not isinstance(plugins, list):
        return dict(data), []
    kept = []
    for index, name in enumerate(plugins):
        try:
            if isinstance(name, str):
                import_plugins([name])
            kept.append(name)
        except PluginError as error:
            problems.append(Problem(f"plugins.{index}", str(error), name))
    return {**data, "plugins": kept}, problems


def _with_nearest_kinds(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Tell of misspelled kinds, and put what they mean in their place: the rest is examined."""
    made, problems = dict(data), []

    def corrected(path: str, part: Any, registry: Any) -> Any:
        kind = part.get("kind") if isinstance(part, Mapping) else None
        if not isinstance(kind, str) or kind in registry.names():
            return part
        meant = nearest(kind, registry.names())
        if meant is None:
            return part
        rule = f"no {registry.sort} of this kind ({', '.join(registry.names())})"
        problems.append(Problem(f"{path}.kind", rule, kind, meant))
        return {**part, "kind": meant}

    for name, registry in (("model", MODELS), ("recording", RECORDINGS), ("fitter", FITTERS)):
        if name in made:
            made[name] = corrected(name, made[name], registry)
    if isinstance(protocols := made.get("protocols"), Mapping):
        made["protocols"] = {
            name: corrected(f"protocols.{name}", part, PROTOCOLS)
            for name, part in protocols.items()
        }
    return made, problems


def _valid_parts(data: Mapping[str, Any], wrong: set[str]) -> dict[str, Any]:
    parts: dict[str, Any] = {"wrong": sorted(wrong)}
    for name, field in Experiment.model_fields.items():
        adapter = TypeAdapter(field.rebuild_annotation())
        if name in data:
            value = salvage(adapter, data[name])
        elif not field.is_required() and name not in wrong:  # its name may be misspelled
            value = adapter.validate_python(field.get_default(call_default_factory=True))
        else:
            continue
        if value is not None:
            parts[name] = value
    protocols = data.get("protocols")
    parts["protocol_names"] = list(protocols) if isinstance(protocols, Mapping) else []
    return parts


def json_schema(part: str | None = None) -> dict[str, Any]:
    """Return the JSON schema of a whole experiment, or of the files of one conf group.

    Parameters
    ----------
    part : str or None
        ``None`` for an experiment file (where groups may supply what is missing), or one of
        ``model``, ``recording``, ``protocol``, ``objective``, ``fitter``, ``numerics``.
    """
    kinds = {"model": MODELS, "recording": RECORDINGS, "protocol": PROTOCOLS, "fitter": FITTERS}
    if part in kinds:
        return _union_schema(kinds[part])
    if part is not None:
        cls: type[BaseModel] = {"objective": Objective, "numerics": Numerics}[part]
        return _open(cls.model_json_schema())
    schema = Experiment.model_json_schema()
    defs = schema.setdefault("$defs", {})
    for group, field in (("model",) * 2, ("recording",) * 2, ("fitter",) * 2):
        schema["properties"][field] = _merge(defs, _union_schema(kinds[group]))
    schema["properties"]["protocols"]["additionalProperties"] = _merge(
        defs, _union_schema(kinds["protocol"])
    )
    schema["properties"]["defaults"] = {"type": "array", "description": "Hydra's defaults list"}
    schema["properties"]["hydra"] = {"type": "object"}
    return _open(schema)


def _union_schema(registry: Any) -> dict[str, Any]:
    from pydantic.json_schema import models_json_schema

    classes = [registry.get(name) for name in registry.names()]
    refs, top = models_json_schema([(c, "validation") for c in classes])
    union = [refs[(c, "validation")] for c in classes]
    return _open({"$defs": top.get("$defs", {}), "anyOf": union})


def _merge(defs: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    defs.update(schema.pop("$defs", {}))
    return schema


def _open(schema: dict[str, Any]) -> dict[str, Any]:
    # What a file leaves out, the groups it is composed with supply: nothing is required in a file.
    schema.pop("required", None)
    for definition in schema.get("$defs", {}).values():
        definition.pop("required", None)
    return schema
