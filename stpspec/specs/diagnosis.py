"""Diagnosis of data: all problems at once, and which parts are valid all the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pydantic import TypeAdapter, ValidationError

from stpspec.errors import PluginError, SpecError, SpecProblem, TrustError, nearest
from stpspec.registry import FITTERS, MODELS, PROTOCOLS, RECORDINGS, Registry, import_plugins
from stpspec.resources import GROUPS, shipped
from stpspec.specs.base import problems_of
from stpspec.specs.consistency import cross_problems
from stpspec.specs.defaults import with_defaults
from stpspec.specs.experiment import Experiment, migrate
from stpspec.specs.limits import beyond_limits
from stpspec.specs.places import by_dotted_paths
from stpspec.specs.recovery import salvage, unseen, wrong_paths


def examine(
    data: Mapping[str, object],
) -> tuple[Experiment | None, list[SpecProblem], dict[str, object]]:
    """Find all problems of the data, also those between parts that are valid by themselves.

    Parameters
    ----------
    data : mapping
        As read from YAML or JSON.

    Returns
    -------
    experiment : Experiment or None
        None when there is any problem.
    problems : list of SpecProblem
    parts : dict
        The fields (and entries of mappings) that are valid; if not all are, with
        ``protocol_names`` and ``wrong``, the paths where anything is wrong.
    """
    if (problem := beyond_limits(data)) is not None:
        return None, [problem], {}
    try:
        data = migrate(data)
    except SpecError as error:
        return None, list(error.problems), {}
    data, problems = _without_bad_plugins(by_dotted_paths(data))
    data, misspelled = _with_nearest_kinds(data)
    problems += misspelled
    try:
        experiment = Experiment.model_validate(data)
        parts = {name: getattr(experiment, name) for name in Experiment.model_fields}
        return (None if problems else experiment), problems, parts
    except ValidationError as error:
        problems += [_in_its_place(p, data) for p in problems_of(error)]
        parts = _valid_parts(data, wrong_paths(problems))
        problems += unseen(cross_problems(parts), problems)
        return None, problems, parts


_ALIKE = 0.8  # from which on a name is taken for a misspelled one, and not for one of elsewhere


def _in_its_place(problem: SpecProblem, data: Mapping[str, object]) -> SpecProblem:
    """Say where else something belongs: a part within another part, a kind in the defaults."""
    parent, _, name = problem.path.rpartition(".")
    if parent == "protocols" and problem.kind == "missing_kind":
        hint = f", here or in the defaults list (- /protocol@protocols.{name}: train)"
        return replace(problem, rule=problem.rule + hint)
    if problem.kind == "unknown_field" and nearest(name, [problem.nearest or ""], _ALIKE) is None:
        whole: object = with_defaults(data)
        inside = whole
        for part in parent.split(".") if parent else ():
            inside = inside.get(part) if isinstance(inside, Mapping) else None
        guess = _field_called(name, inside, f"{parent}.", problem.path) if parent else None
        guess = guess or _field_called(name, whole, "", problem.path) or problem.nearest
        problem = replace(problem, nearest=guess)
        if parent == "model" and guess is None:
            rule = f"{problem.rule}; parameters of the mechanism stand in model.fixed.{name}"
            problem = replace(problem, rule=rule)
    if hint := _choice_of_group(problem):
        return replace(problem, rule=f"{problem.rule}; {hint}")
    if parent and name in Experiment.model_fields and problem.kind == "unknown_field":
        rule = f"no field of this name here: {name} belongs at the top level, without indentation"
        return replace(problem, rule=rule, nearest=None)
    return problem


def field_called(name: str, data: object) -> str | None:
    """Return the path of the first field of this name inside of the data; None if there is none."""
    return _field_called(name, data, "", name)


def _field_called(name: str, data: object, prefix: str, besides: str) -> str | None:
    """Return the path of a field of a name, other than the one that is asked about."""
    for key, value in data.items() if isinstance(data, Mapping) else ():
        if key == name and (path := f"{prefix}{key}") != besides:
            return path
        if found := _field_called(name, value, f"{prefix}{key}.", besides):
            return found
    return None


def _choice_of_group(problem: SpecProblem) -> str:
    """Return how the file of a group is chosen, where its name or nothing stands in a part."""
    path, received = problem.path, problem.received
    name = received if isinstance(received, str) else ""
    if isinstance(received, Mapping):
        name = str(received.get("kind", ""))
    if (
        path in GROUPS
        and name.isidentifier()
        and (shipped("conf") / path / f"{name}.yaml").is_file()
    ):
        return f"in the defaults list '- override /{path}: {name}' chooses that file"
    if path == "protocol" and problem.kind == "unknown_field":
        return "in the defaults list /protocol@protocols.NAME chooses one, under a name"
    if path in ("model", "model.cell", "model.mechanism") and problem.rule == "Field required":
        return "a line such as '- override /model: tm_patch' in the defaults list chooses a model"
    if path == "fitter.budget" and isinstance(received, int | str):
        return f"such as {{evaluations: {received}}}"
    if (
        path.startswith("protocols.")
        and path.count(".") == 1
        and name.isidentifier()
        and (shipped("conf") / "protocol" / f"{name}.yaml").is_file()
    ):
        return f"protocol@{path}={name} chooses that file, in the defaults list /protocol@{path}"
    if path.startswith("protocols.") and path.count(".") == 1 and not isinstance(received, Mapping):
        return "each protocol has a name of its own, and its fields stand below that"
    return ""


def _without_bad_plugins(data: Mapping[str, object]) -> tuple[dict[str, object], list[SpecProblem]]:
    """Import the plug-in modules one by one; what cannot be imported becomes a problem."""
    plugins, problems = data.get("plugins"), []
    if not isinstance(plugins, list):
        return dict(data), []
    importable = []
    for index, name in enumerate(plugins):
        try:
            if isinstance(name, str):
                import_plugins([name])
            importable.append(name)
        except (PluginError, TrustError) as error:
            problems.append(SpecProblem(f"plugins.{index}", str(error), name))
    return {**data, "plugins": importable}, problems


def _with_nearest_kinds(data: Mapping[str, object]) -> tuple[dict[str, object], list[SpecProblem]]:
    """Put the nearest kind in the place of each misspelled one, so that the rest is examined."""
    whole, problems = dict(data), []

    def corrected(path: str, part: object, registry: Registry) -> object:
        if not isinstance(part, Mapping):
            return part
        kind = part.get("kind")
        if not isinstance(kind, str) or kind in registry.names():
            return part
        nearest_kind = nearest(kind, registry.names())
        if nearest_kind is None:
            return part
        rule = f"no {registry.sort} of this kind ({', '.join(registry.names())})"
        problems.append(SpecProblem(f"{path}.kind", rule, kind, nearest_kind))
        return {**part, "kind": nearest_kind}

    for name, registry in (("model", MODELS), ("recording", RECORDINGS), ("fitter", FITTERS)):
        if name in whole:
            whole[name] = corrected(name, whole[name], registry)
    if isinstance(protocols := whole.get("protocols"), Mapping):
        whole["protocols"] = {
            name: corrected(f"protocols.{name}", part, PROTOCOLS)
            for name, part in protocols.items()
        }
    return whole, problems


def _valid_parts(data: Mapping[str, object], wrong: set[str]) -> dict[str, object]:
    parts: dict[str, object] = {"wrong": sorted(wrong)}
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
