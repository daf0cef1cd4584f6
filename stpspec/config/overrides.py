"""Overrides on the command line: read, checked, and made to set what no file sets."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence

from stpspec.config.errors import OverrideError, plain
from stpspec.resources import GROUPS, shipped
from stpspec.specs.changes import KINDS

log = logging.getLogger("stpspec.config")


def forced(override: str) -> str:
    """Let ``field=value`` set a field that no file sets yet, as ``++field=value`` does.

    A misspelled field then reaches validation, which names the nearest one and all else that is
    wrong, where Hydra would stop at the first.
    """
    key = override.partition("=")[0]
    place, value = key.removesuffix(".kind"), override.partition("=")[2]
    if key.lstrip("+") == "study" and value[:1] not in ("", "{") and value.lower() != "null":
        return f"++study.name={value}"  # so that study.FIELD=… finds the rest of it
    if "=" not in override or key[:1] in "+~" or key.startswith("hydra."):
        return override
    named = [shipped("conf") / place / f"{v}.yaml" for v in value.split(",")]
    if place in KINDS and key != place and all(path.is_file() for path in named):
        return f"{place}={value}"  # with the settings that go with the kind
    chooses = "/" in key or "@" in key or key in (*GROUPS, "experiment")
    return override if chooses and not value.startswith("{") else f"++{override}"


def quoted(text: str) -> str:
    """Return a text as a value in Hydra's grammar that is exactly this text."""
    escaped = re.sub(
        r"(\\*)\$\{", r"\1\1\\${", text
    )  # else it would be replaced by a field's value
    return "'" + re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + m[2].replace("'", "\\'"), escaped) + "'"


def check_overrides(overrides: Sequence[str]) -> None:
    """Raise one OverrideError that names the overrides which cannot be read."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    bad = []
    for text in overrides:
        try:
            parsed = OverridesParser.create().parse_override(text)
            if not parsed.key_or_group:
                bad.append(f"the override {text!r} names no field")
        except HydraException as error:
            rule = plain(error).partition(" expecting {")[0] or "not valid"
            key, _, value = text.lstrip("+").partition("=")
            hint = f"; if it is text, write '{key}=\"{value}\"'" if key and "[" in value[1:] else ""
            bad.append(f"the override {text.lstrip('+')!r} cannot be read: {rule}{hint}")
    if bad:
        raise OverrideError("\n  ".join(bad))


def at(data: object, path: str) -> object:
    """Return what composed data has at a dotted path; None if nothing."""
    for part in path.split("."):
        data = data.get(part) if isinstance(data, dict) else None
    return data


def leave_out_other_kinds(data: Mapping[str, object], overrides: Sequence[str]) -> None:
    """Leave out what only the kind had that the command line replaces by another.

    ``recording=current_clamp`` puts another part in the place of one that was written out field by
    field; what both have in common stays.
    """
    keys = [o.lstrip("+").partition("=")[0] for o in overrides if not o.startswith("~")]
    for key in keys:
        place = key if key in KINDS else key.removesuffix(".kind") if key.endswith(".kind") else ""
        part, registry = at(data, place), KINDS.get(place.partition(".")[0])
        if (
            registry is None
            or not isinstance(part, dict)
            or part.get("kind") not in registry.names()
        ):
            continue
        mine = registry.get(part["kind"]).model_fields
        others = {f for name in registry.names() for f in registry.get(name).model_fields}
        for name in [n for n in part if n in others and n not in mine]:
            if f"{place}.{name}" not in keys:
                log.info("%s.%s is left out: %s has none", place, name, part["kind"])
                del part[name]
