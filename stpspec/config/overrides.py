"""Overrides on the command line: read, checked, and made to set what no file sets."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from stpspec.config.errors import OverrideError, plain
from stpspec.errors import nearest
from stpspec.resources import ALL_GROUPS, GROUPS, shipped
from stpspec.specs.changes import KINDS
from stpspec.specs.limits import DEPTH
from stpspec.specs.places import field_of, is_place
from stpspec.specs.result_files import keys_along

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override, RangeSweep

log = logging.getLogger("stpspec.config")


def forced(override: str) -> str:
    """Let ``field=value`` set a field that no file sets yet, as ``++field=value`` does.

    A misspelled field then reaches validation, which names the nearest one and all else that is
    wrong, where Hydra would stop at the first. ``+field=value`` means the same, and so does a plus
    before a group of which every experiment has one.
    """
    signed = override.partition("=")[0]
    key = signed.lstrip("+")
    place, value = key.removesuffix(".kind"), override.partition("=")[2]
    if key == "study" and value[:1] not in ("", "{") and value.lower() != "null":
        return f"++study.name={value}"  # so that study.FIELD=… finds the rest of it
    if "=" not in override or key[:1] == "~" or key.startswith(("hydra.", "hydra/")):
        return override
    if key in (*GROUPS, "experiment") and not value.startswith("{"):
        return f"{key}={value}"
    if "@" in key or "/" in key:
        return f"+{key}={value}" if signed.startswith("+") else override
    named = [shipped("conf") / place / f"{v}.yaml" for v in value.split(",")]
    if place in KINDS and key != place and all(path.is_file() for path in named):
        return f"{place}={value}"  # with the settings that go with the kind
    return f"++{key}={value}"


def quoted(text: str) -> str:
    """Return a text as a value in Hydra's grammar that is exactly this text."""
    escaped = re.sub(
        r"(\\*)\$\{", r"\1\1\\${", text
    )  # else it would be replaced by a field's value
    return "'" + re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + m[2].replace("'", "\\'"), escaped) + "'"


LENGTH = 10_000  # characters: reading them takes Hydra seconds
DIGITS = 4_000  # of a number: Python reads no more
JOBS = 10_000  # jobs of -m, and values of a range


def check_overrides(overrides: Sequence[str], *, several: bool = False) -> None:
    """Raise one OverrideError that names the overrides which cannot be read.

    Parameters
    ----------
    overrides : sequence of str
    several : bool
        Whether one may give several values, of which each has its job.
    """
    faults = [fault for text in overrides if (fault := _fault(text, several))]
    if faults:
        raise OverrideError("\n  ".join(faults))
    if several and (jobs := number_of_jobs(overrides)) > JOBS:
        raise OverrideError(f"these are {jobs:,} jobs, one of each combination; at most {JOBS:,}")


def number_of_jobs(overrides: Sequence[str]) -> int:
    """Return how many combinations overrides have; what ``glob(…)`` names counts once."""
    return math.prod(_number_of_values(text) for text in overrides)


def _number_of_values(text: str) -> int:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import ValueType

    parsed = OverridesParser.create().parse_override(text)
    known = parsed.is_sweep_override() and parsed.value_type is not ValueType.GLOB_CHOICE_SWEEP
    return sum(1 for _ in parsed.sweep_iterator()) if known else 1


def fault_of_range(swept: RangeSweep) -> str:
    """Return why nobody can go through the values of a range; empty if one can."""
    try:
        steps = ((swept.stop or 0) - (swept.start or 0)) / swept.step
    except (ZeroDivisionError, OverflowError):
        steps = math.inf
    if not math.isfinite(steps):
        return "a range is finite, and its step is not 0"
    number = math.ceil(steps)
    return f"a range of {number:,} values; at most {JOBS:,}" if number > JOBS else ""


def _fault(text: str, several: bool) -> str:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    shown = text.lstrip("+")
    key, _, value = shown.partition("=")
    if _is_beyond_limits(text):
        rule = (f"longer than {LENGTH:,} characters, a number longer than {DIGITS:,} digits, or "
                f"brackets more than {DEPTH} levels deep")  # fmt: skip
        return f"the override '{shown[:30]}…' is {rule}: write it into the experiment file"
    try:
        parsed = OverridesParser.create().parse_override(text)
    except HydraException as error:
        rule = plain(error).partition(" expecting {")[0] or "not valid"
        return f"the override {shown!r} cannot be read: {rule}{_cure(key, value)}"
    if not parsed.key_or_group:
        return f"the override {text!r} names no field"
    if "/" in key and "@" not in key and key.partition("/")[0] not in ("hydra", *ALL_GROUPS):
        return f"{shown}: the names of a field have dots between them: {key.replace('/', '.')}"
    if "=" in text and not value and key not in _TEXTS and key[:1] != "~":
        return (f"the override {shown!r} gives no value (null for none); a variable of the shell "
                f"after the = may be empty")  # fmt: skip
    return _of_sweep(parsed, several) if parsed.is_sweep_override() else ""


def _is_beyond_limits(text: str) -> bool:
    deepest = level = 0
    for character in text:
        level += (character in "[{(") - (character in "]})")
        deepest = max(deepest, level)
    has_long_number = re.search(rf"(?:\d_?){{{DIGITS}}}", text) is not None
    return len(text) > LENGTH or deepest > DEPTH or has_long_number


def _of_sweep(parsed: Override, several: bool) -> str:
    """Return what to do with an override of several values, where one is needed."""
    from hydra.core.override_parser.types import RangeSweep, ValueType

    shown = (parsed.input_line or "").lstrip("+")
    key, _, value = shown.partition("=")
    if parsed.value_type is ValueType.INTERVAL_SWEEP:
        bounds = "'parameters.NAME={min: 0.1, max: 0.9}'"
        return f"{shown}: an interval is searched by stpspec fit, between the bounds of {bounds}"
    if parsed.value_type is ValueType.GLOB_CHOICE_SWEEP and key not in _WITH_CHOICES:
        return f"{shown}: glob(…) names files of a group ({', '.join(_WITH_CHOICES)})"
    swept = parsed.value()
    if isinstance(swept, RangeSweep) and (fault := fault_of_range(swept)):
        return f"{shown}: {fault}"
    if several:
        return ""
    if match := _COMMA.fullmatch(value):
        if key in _WHOLE:
            return f"{shown} gives several values: -m makes one job of each"
        also = f", or {key}={match[1]}{match[2]} where it separates thousands"
        also = also if re.match(r"\d{3}(?!\d)", match[2]) and match[1].strip("+-0") else ""
        cure = f"{key}={match[1]}.{match[2]}"
        return f"{shown}: a number has a decimal point, no comma: {cure}{also}"
    if re.fullmatch(r"parameters\.[^.]+", key):
        low, _, high = value.partition(",")
        return f"{shown}: bounds are written '{key}={{min: {low}, max: {high}}}'"
    values = value if "(" in value else f"[{value}]"
    return (f"{shown} gives several values: fit -m and run -m make one job of each, and "
            f"stpspec sweep EXPERIMENT '{key}={values}' measures over them")  # fmt: skip


_SEVERAL = re.compile(r"[,;\s]+(?=[A-Za-z_][\w.]*=[^=])")
_COMMA = re.compile(r"([-+]?\d+),(\d+(?:\s*[^\d\W][^,]*)?)")
_WHOLE = ("seed", "workers", "fitter.n_starts", "fitter.batch", "fitter.budget.evaluations")
_WITH_CHOICES = (*GROUPS, "experiment")
_TEXTS = ("description", "source")  # which may be empty


def _cure(key: str, value: str) -> str:
    """Return what may help with an override that cannot be read."""
    if key[:1] == "/" and key.strip("/") in ALL_GROUPS:
        return f"; a slash is for the defaults list of a file: {key.strip('/')}={value}"
    if value.startswith("="):
        return f"; one = stands between name and value: {key}={value.lstrip('=')}"
    if match := re.fullmatch(r"[{(]([^:{}()]+,[^:{}()]+)[})]", value):
        return f"; several values stand in brackets: '{key}=[{match[1]}]'"
    if len(parts := _SEVERAL.split(f"{key}={value}")) > 1 and all(
        part[-1] != "=" for part in parts
    ):
        words = " ".join(f"'{part}'" if " " in part else part for part in parts)
        return f"; each is a word of its own: {words}"
    if value[-1:] in (";", ",") and value[:-1]:
        return f"; leave out the {value[-1]} at its end"
    if told := _unclosed(value):
        return told
    if not re.fullmatch(r"[\w.@/~]+", key):
        return "; a name has letters, digits, _ and dots: protocols.train.frequency=20"
    return f"; if it is text, write '{key}=\"{value}\"'" if key and value else ""


def _unclosed(value: str) -> str:
    for opening, closing in ("[]", "{}", "()"):
        if value.count(opening) > value.count(closing):
            return f"; a {opening} is not closed"
    for quote in "'\"":
        if value.count(quote) % 2:
            return f"; a {quote} is not closed"
    return ""


def at(data: object, path: str) -> object:
    """Return what composed data has at a dotted path; None if nothing."""
    for part in keys_along(data, path) if isinstance(data, dict) else [path]:
        data = data.get(part) if isinstance(data, dict) else None
    return data


def begun_at_fields(data: dict[str, object], overrides: Sequence[str]) -> dict[str, object]:
    """Let a parameter that is a field, too, begin at the value that the command line gives it.

    A free parameter goes before the field, such as ``recording.holding_potential`` or
    ``model.net_con.delay``; what is set by hand would have no effect otherwise.
    """
    parameters = data.get("parameters")
    if not isinstance(parameters, dict):
        return data
    begun = dict(parameters)
    fields = {
        field_of(str(n)): n for n, p in begun.items() if is_place(str(n)) and isinstance(p, dict)
    }
    for override in overrides:
        path = override.lstrip("+").partition("=")[0]
        value = at(data, path)
        if path in fields and value is not None:
            begun[fields[path]] = {**begun[fields[path]], "start": value}
    return {**data, "parameters": begun}


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


# Of each mapping with names of the user's own: the fields without which an entry is none.
_ENTRIES = {
    "protocols": ("protocol", ("kind",)),
    "parameters": ("parameter", ("min", "max")),
    "objective.terms": ("term", ("metric",)),
}


def entry_of_overrides(data: Mapping[str, object], overrides: Sequence[str]) -> str:
    """Return which entry only overrides have made, of a misspelled name; empty if there is none."""
    keys = [o.lstrip("+").partition("=")[0] for o in overrides if not o.startswith("~")]
    for place, (sort, needed) in _ENTRIES.items():
        entries = at(data, place)
        entries = entries if isinstance(entries, dict) else {}
        for name, entry in entries.items():
            mine = [key for key in keys if key.startswith(f"{place}.{name}.")]
            made = {key.removeprefix(f"{place}.{name}.").partition(".")[0] for key in mine}
            if not mine or not isinstance(entry, dict) or set(entry) - made or set(needed) <= made:
                continue
            others = [other for other in entries if other != name]
            listed = ", ".join(others) or "none"
            guess = nearest(name, others)
            hint = f"; did you mean {place}.{guess}?" if guess else ""
            return f"{mine[0]}: the experiment has no {sort} {name!r} (it has {listed}){hint}"
    return ""
