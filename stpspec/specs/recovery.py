"""Recovery of the valid parts of data with problems, and of the problems that only follow."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from stpspec.errors import SpecProblem
from stpspec.specs.quantities import Quantity
from stpspec.units import split

_QUANTITY: TypeAdapter[float | str] = TypeAdapter(Quantity)

T = TypeVar("T")

# What stands in for a required field that is wrong, so that the fields beside it are examined.
_STAND_INS: dict[str, object] = {
    "target": 1.0, "protocol": "", "metric": "", "mechanism": "", "file": "", "template": "",
    "cell": {"file": "", "template": ""},
}  # fmt: skip

# Where something is wrong → what may only follow from it.
_FOLLOWS = {
    r"model\.mod(\..*)?": r"model\.mechanism",
    r"recording|recording\.(kind|signals|variables)(\..*)?":
        r"objective\.terms\.[^.]+\.options\.signal",
    r"protocols": r"objective\.terms\.[^.]+\.protocol",
}  # fmt: skip


def wrong_paths(problems: Sequence[SpecProblem]) -> set[str]:
    """Return the places where anything is wrong, with the fields that misspelled ones may mean."""
    paths = {p.path for p in problems}
    for problem in problems:
        if problem.kind == "unknown_field" and problem.nearest:
            parent = problem.path.rpartition(".")[0]
            paths.add(f"{parent}.{problem.nearest}" if parent else problem.nearest)
    return paths


def unseen(problems: Sequence[SpecProblem], earlier: Sequence[SpecProblem]) -> list[SpecProblem]:
    """Return the problems at places where there is none among the earlier ones.

    What is said of a field that is wrong already may only follow from its stand-in.
    """
    paths = wrong_paths(earlier)
    follow = [follows for cause, follows in _FOLLOWS.items()
              if any(re.fullmatch(cause, p) for p in paths)]  # fmt: skip

    def is_consequence(path: str) -> bool:
        below = any(p.startswith(f"{path}.") for p in paths)
        # A name is examined by itself: no stand-in can make it wrong.
        is_name = re.fullmatch(r"(parameters|protocols|objective\.terms)\.[^.]+", path) is not None
        above = any(f"{path}.".startswith(f"{p}.") for p in paths)
        return above or (below and not is_name) or any(re.fullmatch(f, path) for f in follow)

    return [p for p in problems if not is_consequence(p.path)]


def salvage(adapter: TypeAdapter[T], value: object) -> T | None:
    """Validate a value without its invalid fields and entries; None if nothing is left."""
    value = copy.deepcopy(value)
    before: set[tuple[object, ...]] = set()
    while True:
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_context=False, include_input=False)
            faults = tuple((e["loc"], e["type"]) for e in errors)
            if faults in before:  # a stand-in that is wrong itself is taken out and put in for ever
                return None
            before.add(faults)
            # All at once: thousands of faults would take as many validations.
            if not _mend([_fault(value, e["loc"], e["type"] == "missing") for e in errors]):
                return None


@dataclass(frozen=True)
class _Fault:
    """Where an error is: what would be dropped, and what lacks a field."""

    container: object
    key: int | str | None
    inside: object
    lacking: int | str | None


def _fault(data: object, loc: Sequence[int | str], missing: bool) -> _Fault:
    container, key, inside = None, None, data
    for part in loc:
        match inside:
            case dict() if part in inside:
                container, key, inside = inside, part, inside[part]
            case list() if isinstance(part, int) and part < len(inside):
                container, key, inside = inside, part, inside[part]
    return _Fault(container, key, inside, loc[-1] if missing and loc else None)


def _mend(faults: Sequence[_Fault]) -> bool:
    """Take the places that errors name out of the data; return whether that changed anything."""
    dropped: set[tuple[int, int | str | None]] = set()
    changed = False
    # Of a list the last items first, so that the places of the others stay.
    for fault in sorted(
        faults, key=lambda f: f.key if isinstance(f.key, int) else -1, reverse=True
    ):
        place = (id(fault.container), fault.key)
        if fault.lacking in _STAND_INS and isinstance(fault.inside, dict):
            fault.inside[fault.lacking] = copy.deepcopy(_STAND_INS[str(fault.lacking)])
            changed = True
        elif fault.lacking in ("min", "max") and isinstance(fault.inside, dict):
            _stand_in_for_a_bound(fault.inside)
            changed = True
        elif isinstance(fault.container, dict) and place not in dropped:
            fault.container.pop(fault.key, None)  # a stand-in may have taken it out already
            dropped.add(place)
            changed = True
        elif isinstance(fault.container, list) and place not in dropped:
            fault.container.pop(fault.key)  # pyright: ignore[reportArgumentType]
            dropped.add(place)
            changed = True
    return changed


def _stand_in_for_a_bound(parameter: dict[str, object]) -> None:
    """Give a parameter the bounds that it lacks, such that they break no rule."""
    given = [n for n in ("min", "max") if n in parameter]
    parameter.pop("start", None)  # it need not lie within the stand-in
    parameter.pop("scale", None)
    for end in given:
        try:
            value = _QUANTITY.validate_python(parameter[end])
        except ValidationError:  # both are wrong
            given = []
            break
        number, unit = split(value) if isinstance(value, str) else (value, "")
        other = number + (1.0 if end == "min" else -1.0) * (abs(number) / 2 or 1.0)
        if not math.isfinite(other):
            given = []
            break
        parameter["max" if end == "min" else "min"] = f"{other!r} {unit}" if unit else other
    if not given:
        parameter.update(min=1.0, max=2.0)
