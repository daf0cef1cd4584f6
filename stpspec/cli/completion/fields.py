"""Keys and values of an experiment's fields, from the shipped JSON schema and its own data."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import TypedDict

from stpspec.cli.completion.registered import registered
from stpspec.resources import shipped

_HIDDEN = ("defaults", "hydra", "format")
_KINDS = ("kind", "source")  # fields that say which of several sorts of data follow
_NAMED = {"metric": "metric", "loss": "loss"}

Schema = TypedDict(
    "Schema",
    {
        "$defs": dict[str, "Schema"],
        "$ref": str,
        "anyOf": list["Schema"],
        "type": str,
        "properties": dict[str, "Schema"],
        "additionalProperties": "Schema | bool",
        "items": "Schema",
        "enum": list[object],
        "const": object,
        "default": object,
        "description": str,
    },
    total=False,
)
"""What is read of the JSON schema of a field, or of the whole experiment."""


@functools.cache
def _schema() -> Schema:
    path = shipped("conf") / "schema" / "experiment.json"
    return json.loads(path.read_text(encoding="utf-8"))


def keys(data: Mapping[str, object], parents: list[str]) -> dict[str, str]:
    """Return the keys under a place, each with what it is.

    A key that holds further fields ends in a dot, one that takes a value in an equals sign; one
    that may do either, such as a target or its source, is there with both.
    """
    found: dict[str, str] = {}
    inside, here = _at(data, parents)
    for schema in here:
        for name, field in schema.get("properties", {}).items():
            if parents or name not in _HIDDEN:
                for key in _with_ends(name, field, None):
                    found.setdefault(key, _meaning(field, inside.get(name)))
        inner = schema.get("additionalProperties")
        if isinstance(inner, dict) or inner is True:
            for name, value in inside.items():
                field: Schema = inner if isinstance(inner, dict) else {}
                for key in _with_ends(str(name), field, value):
                    found.setdefault(key, _meaning(field, value))
    return found


def values(data: Mapping[str, object], path: list[str]) -> list[str]:
    """Return the values that a field can have, where they are fixed."""
    *parents, last = path
    if parents[:2] == ["objective", "terms"] and len(path) == 4:
        if last == "protocol":
            protocols = data.get("protocols")
            return [str(name) for name in protocols] if isinstance(protocols, dict) else []
        if last in _NAMED:
            return registered(_NAMED[last])
    if path == ["model", "mechanism"]:
        return _mechanisms()
    if last == "file" and parents[:1] == ["model"]:
        return sorted(p.name for p in shipped("templates").glob("*.*"))
    _, here = _at(data, parents, any_kind=last in _KINDS)
    fields = _named(here, last)
    return list(dict.fromkeys(v for field in fields for v in _fixed(field)))


def items(data: Mapping[str, object], path: list[str]) -> list[str]:
    """Return the values that an item of a list can have, where they are fixed."""
    _, here = _at(data, path[:-1])
    return [v for f in _named(here, path[-1]) for v in _fixed(f.get("items", {}))]


def _named(schemas: Sequence[Schema], name: str) -> list[Schema]:
    """Return the field of a name in each of the schemas that have it."""
    properties = [s.get("properties", {}) for s in schemas]
    return [p[name] for p in properties if name in p]


def _mechanisms() -> list[str]:
    from stpspec.engine.mechanisms.tokens import declaration, tokens

    declared = [declaration(list(tokens(path.read_text(encoding="utf-8"))))
                for path in sorted(shipped("mod").glob("*.mod"))]  # fmt: skip
    return [name for kind, name in declared if kind == "POINT_PROCESS"]


def _at(
    data: Mapping[str, object], path: list[str], any_kind: bool = False
) -> tuple[dict[str, object], list[Schema]]:
    """Return the data at a place, and the schemas that may hold there."""
    inside: object = data
    here = [_schema()]
    for depth, part in enumerate(path):
        inside = inside.get(part) if isinstance(inside, dict) else None
        fields = [_inner(schema, part) for schema in here]
        is_last = depth == len(path) - 1
        here = [
            s for f in fields if f is not None
            for s in _branches(f, None if any_kind and is_last else inside)
        ]  # fmt: skip
    return (inside if isinstance(inside, dict) else {}), here


def _inner(schema: Schema, part: str) -> Schema | None:
    inner = schema.get("additionalProperties")
    return schema.get("properties", {}).get(part, None if isinstance(inner, bool) else inner)


def _branches(schema: Schema, inside: object) -> list[Schema]:
    """Follow references and alternatives; of kinds, keep the one that the data names."""
    found = []
    for branch in schema.get("anyOf", [schema]):
        reference = branch.get("$ref")
        found.append(
            _schema().get("$defs", {})[reference.rpartition("/")[2]] if reference else branch
        )
    named = inside if isinstance(inside, dict) else {}
    mine = [
        b for b in found for kind in _KINDS
        if kind in named and b.get("properties", {}).get(kind, {}).get("const") == named[kind]
    ]  # fmt: skip
    return mine or found


def _with_ends(name: str, field: Schema, value: object) -> list[str]:
    """Return a key with a dot if it can hold fields, and with an equals sign if it can not."""
    sorts = {
        "object" if "properties" in branch else branch.get("type", "")
        for branch in _branches(field, None)
    } - {"null"}
    if isinstance(value, dict):
        sorts.add("object")
    holds = "object" in sorts
    ends = [".", "="] if holds and sorts - {"object", ""} else ["." if holds else "="]
    return [name + end for end in ends]


def _meaning(field: Schema, value: object) -> str:
    """Say what a field is, and what it is now."""
    branches = _branches(field, value)
    own = branches[0].get("description", "") if len(branches) == 1 else ""
    text = " ".join(str(field.get("description") or own).split("\n")[0].split())
    now = field.get("default") if value is None else value
    if now in (None, "") or isinstance(now, dict | list):
        return text
    shown = str(now) if len(str(now)) <= 30 else f"{str(now)[:29]}…"
    return f"{text}; now {shown}" if text else f"now {shown}"


def _fixed(field: Schema) -> list[str]:
    found = []
    for branch in _branches(field, None):
        if branch.get("type") == "boolean":
            found += ["true", "false"]
        elif branch.get("type") == "null":
            found.append("null")
        found += [str(v) for v in branch.get("enum", [])]
        found += [str(branch["const"])] if "const" in branch else []
    # `null` alone says nothing of what the field takes: 5 ms, a name …
    return found if found != ["null"] else []
