"""JSON schemas of experiment files and of the files of each conf group."""

from __future__ import annotations

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaValue as JsonSchema

from stpspec.registry import FITTERS, MODELS, PROTOCOLS, RECORDINGS, TARGET_SOURCES, Registry
from stpspec.specs.experiment import Experiment
from stpspec.specs.numerics import Numerics
from stpspec.specs.objective import Objective


def json_schema(part: str | None = None) -> JsonSchema:
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
        schema = cls.model_json_schema()
        if part == "objective":
            _add_sources(schema["$defs"])
        return _open(schema)
    schema = Experiment.model_json_schema()
    defs = schema.setdefault("$defs", {})
    for group, field in (("model",) * 2, ("recording",) * 2, ("fitter",) * 2):
        schema["properties"][field] = _merge(defs, _union_schema(kinds[group]))
    schema["properties"]["protocols"]["additionalProperties"] = _merge(
        defs, _union_schema(kinds["protocol"])
    )
    _add_sources(defs)
    schema["properties"]["defaults"] = {"type": "array", "description": "Hydra's defaults list"}
    schema["properties"]["hydra"] = {"type": "object"}
    return _open(schema)


def _union_schema(registry: Registry) -> JsonSchema:
    from pydantic.json_schema import models_json_schema

    classes = [registry.get(name) for name in registry.names()]
    refs, top = models_json_schema([(c, "validation") for c in classes])
    union = [refs[(c, "validation")] for c in classes]
    return _open({"$defs": top.get("$defs", {}), "anyOf": union})


def _add_sources(defs: JsonSchema) -> None:
    """Give the target of a term the fields of each of its sources."""
    target = defs["Term"]["properties"]["target"]
    sources = _merge(defs, _union_schema(TARGET_SOURCES))["anyOf"]
    numbers = [branch for branch in target["anyOf"] if branch["type"] != "object"]
    # The name of a source has its default, and yet a file has to say which it is.
    target["anyOf"] = [*numbers, *({**source, "required": ["source"]} for source in sources)]


def _merge(defs: JsonSchema, schema: JsonSchema) -> JsonSchema:
    defs.update(schema.pop("$defs", {}))
    return schema


def _open(schema: JsonSchema) -> JsonSchema:
    # What a file leaves out, the groups it is composed with supply: nothing is required in a file.
    schema.pop("required", None)
    for definition in schema.get("$defs", {}).values():
        definition.pop("required", None)
    return schema
