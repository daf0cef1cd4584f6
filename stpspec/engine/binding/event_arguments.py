"""Arguments of NET_RECEIVE: the weight of a NetCon, and what else a mechanism takes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stpspec.engine.mechanisms import nmodl
from stpspec.engine.mechanisms.mod_file import ModFile
from stpspec.errors import SpecProblem, nearest
from stpspec.units import UnitError, convert, number_of

_PATH = "model.net_con.weight"
_WEIGHT = 1.0  # the first one, where only others are given


def event_arguments(
    model: Any, source: Path | None
) -> tuple[dict[int, float], tuple[int, ...], list[SpecProblem]]:
    """Return the values of the arguments of NET_RECEIVE, and what is missing or wrong.

    Parameters
    ----------
    model : ModelSpec
    source : Path or None
        Of its mechanism, where that is known.

    Returns
    -------
    weights : dict of int to float
        Place of the argument → value, in the unit of the mechanism.
    resets : tuple of int
        Places that NEURON sets to 0 when it begins: all but the first, unless NET_RECEIVE has an
        INITIAL block; that sets some for itself.
    problems : list of SpecProblem
    """
    if model.stimulated_by != "event":
        return {}, (), []
    given = model.net_con.weight
    content = nmodl.read(source) if source is not None else ModFile()
    units = dict(content.event_arguments)
    names = list(units)
    is_known = source is None or content.parsed  # NEURON's own take one weight
    by_place, problems = _by_place(given, names, model.mechanism, is_known=is_known)
    if problems:
        return {}, (), problems
    weights: dict[int, float] = {0: _WEIGHT}
    for place, (path, value) in by_place.items():
        name = names[place] if place < len(names) else ""
        try:
            weights[place] = convert(value, units.get(name, "")) if isinstance(value, str) else (
                number_of(value))  # fmt: skip
        except UnitError as error:
            problems.append(SpecProblem(path, str(error), value))
    missing = [n for n in content.unset_arguments if names.index(n) not in by_place]
    if missing:
        problems.append(_missing(model.mechanism, missing, units))
    kept = set(content.initial_arguments)
    resets = tuple(p for p in weights if p and (p >= len(names) or names[p] not in kept))
    return weights, resets, problems


def _by_place(
    given: Any, names: Sequence[str], mechanism: str, *, is_known: bool
) -> tuple[dict[int, tuple[str, float | str]], list[SpecProblem]]:
    """Return place → (path, value) of what is given."""
    takes = f"NET_RECEIVE of {mechanism} takes {', '.join(names) or 'one weight'}"
    if isinstance(given, Mapping):
        wrong = [n for n in given if n not in names]
        if wrong:
            rule = f"{takes}, and has no argument of this name"
            return {}, [SpecProblem(f"{_PATH}.{n}", rule, n, nearest(n, names)) for n in wrong]
        return {names.index(n): (f"{_PATH}.{n}", value) for n, value in given.items()}, []
    listed = list(given) if isinstance(given, list) else [given]
    if is_known and len(listed) > max(len(names), 1):
        return {}, [SpecProblem(_PATH, f"{takes}, and {len(listed)} values are given", given)]
    path = _PATH if not isinstance(given, list) else f"{_PATH}.{{}}"
    return {k: (path.format(k), value) for k, value in enumerate(listed)}, []


def _missing(mechanism: str, missing: Sequence[str], units: Mapping[str, str]) -> SpecProblem:
    def named(name: str) -> str:
        return f"{name} ({units[name]})" if units[name] else name

    all_of_them = ", ".join(f"{n}: …" for n in [next(iter(units)), *missing])
    rule = (
        f"NET_RECEIVE of {mechanism} takes ({', '.join(map(named, units))}), and nothing sets "
        f"{' or '.join(map(named, missing))}: it would be 0. Give it beside the weight, as "
        f"net_con.weight: {{{all_of_them}}}, or all in their order as a list"
    )
    return SpecProblem(_PATH, rule)
