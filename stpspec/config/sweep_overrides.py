"""Overrides that sweep: which of a command line they are, and over which values."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stpspec.config.compose import compose
from stpspec.config.errors import OverrideError
from stpspec.config.overrides import LENGTH, at, fault_of_range
from stpspec.resources import GROUPS
from stpspec.specs.diagnosis import examine
from stpspec.specs.experiment import Experiment

if TYPE_CHECKING:
    from hydra.core.override_parser.types import RangeSweep

Values = list[object] | dict[str, object]  # of a swept field; each may have a label


def list_overrides(
    name: str | Path | None, overrides: Sequence[str]
) -> tuple[dict[str, Values], list[str]]:
    """Separate overrides that give several values to what takes one: those to sweep.

    Returns
    -------
    fields : dict of str to list, or to dict of str to object
        Path, or name of a parameter → values; those of a group by the names of its files.
    rest : list of str
        The other overrides.
    """
    swept = {o: values for o in overrides if (values := _several(o)) is not None}
    rest = [o for o in overrides if o not in swept]
    if not swept:
        return {}, rest
    keys = {o: o.lstrip("+").partition("=")[0] for o in swept}
    groups = {o: _place(key) for o, key in keys.items() if _is_group(key)}
    known = _known(name, rest)
    for override in [o for o in swept if o not in groups]:
        if _is_one(at(known, keys[override]), swept[override]):
            rest.append(override)  # such as the times of spike_times
            del swept[override]
    fields: dict[str, Values] = {}
    for override, values in swept.items():
        if override not in groups:
            fields[keys[override]] = values
            continue
        sign = override[: len(override) - len(override.lstrip("+"))]
        fields[groups[override]] = {
            str(v): at(compose(name, [*rest, f"{sign}{keys[override]}={v}"])[0], groups[override])
            for v in values
        }
    return fields, rest


def _several(override: str) -> list[object] | None:
    """Return the values of ``key=[a,b]``, ``key=a,b`` or ``key=range(1,5)``; None for one value."""
    import yaml
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import RangeSweep
    from hydra.errors import HydraException

    text = override.partition("=")[2]
    if text.startswith("["):
        # What is wrong is told with the overrides.
        with contextlib.suppress(yaml.YAMLError, ValueError, RecursionError):
            value = yaml.safe_load(text) if len(text) <= LENGTH else None
            return value if isinstance(value, list) else None
        return None
    try:
        parsed = OverridesParser.create().parse_override(override)
        if not parsed.is_sweep_override() or parsed.key_or_group == "experiment":
            return None
        swept = parsed.value()
        if isinstance(swept, RangeSweep):
            if fault := fault_of_range(swept):
                raise OverrideError(f"{override}: {fault}")
            return _range(swept)
        return [getattr(v, "text", v) for v in parsed.sweep_iterator()]
    except (HydraException, ValueError):
        return None  # told where the overrides are read


def _range(swept: RangeSweep) -> list[object]:
    """Return the values of a range, without its end: added up, 0.1 three times is above 0.3."""
    start, stop, step = swept.start or 0, swept.stop or 0, swept.step
    number = max(0, math.ceil(round((stop - start) / step, 9)))
    return [start + k * step if isinstance(start + k * step, int)
            else float(f"{start + k * step:.12g}") for k in range(number)]  # fmt: skip


def _is_group(key: str) -> bool:
    return "@" in key or key in GROUPS


def _place(key: str) -> str:
    return key.rpartition("@")[2]


def _known(name: str | Path | None, overrides: Sequence[str]) -> dict[str, object]:
    """Return the experiment's data, with the defaults of its fields where it is valid."""
    data, _ = compose(name, overrides)
    made, _, _ = examine({k: v for k, v in data.items() if k in Experiment.model_fields})
    return made.to_data() if made is not None else data


def _is_one(now: object, given: list[object]) -> bool:
    """Tell whether a list is one value of a field that holds a list (a list of lists: several)."""
    several = all(isinstance(v, list) for v in given)
    is_nested = isinstance(now, list) and bool(now) and isinstance(now[0], list)
    return isinstance(now, list) and (is_nested or not several)
