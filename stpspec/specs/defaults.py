"""Defaults of the fields that data leave out, without validation: no plug-in is imported."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from stpspec.specs.base import KindOf, Spec
from stpspec.specs.experiment import Experiment


def with_defaults(data: Mapping[str, object]) -> dict[str, object]:
    """Return the data of an experiment with every field that has a default.

    Parameters
    ----------
    data : mapping
        What is no field, and a part whose kind stpspec does not know by itself, stays as it is.
    """
    return _filled(Experiment, data)


def _filled(spec: type[Spec], data: Mapping[str, object]) -> dict[str, object]:
    made: dict[str, object] = {}
    fields = spec.model_fields
    for name in sorted(fields, key=lambda name: name != "kind"):
        field = fields[name]
        annotation = field.rebuild_annotation()
        if name in data:
            made[name] = _inside(annotation, data[name])
        elif not field.is_required():
            default = field.get_default(call_default_factory=True)
            plain = default.model_dump(mode="json") if isinstance(default, Spec) else default
            made[name] = _inside(annotation, plain)
    return {**made, **{name: value for name, value in data.items() if name not in made}}


def _inside(annotation: Any, value: object) -> object:
    """Fill in what a value of this type leaves out."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if not isinstance(value, dict):
        return value
    if origin is Annotated:
        marks = [mark for mark in inner[1:] if isinstance(mark, KindOf)]
        return _of_kind(marks[0], value) if marks else _inside(inner[0], value)
    if origin is dict:
        return {key: _inside(inner[1], entry) for key, entry in value.items()}
    if origin in (Union, UnionType):
        parts = [part for part in inner if part is not type(None)]
        return _inside(parts[0], value) if len(parts) == 1 else value
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return _filled(annotation, value)
    return value


def _of_kind(mark: KindOf, value: dict[str, object]) -> dict[str, object]:
    kind = value.get("kind", mark.default)
    spec = mark.registry.shipped(kind)
    return value if spec is None else _filled(spec, {"kind": kind, **value})
