"""Proofs of equivalence: both ways simulated at the ends of the bounds, compared, remembered."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from stpspec.engine.binding.bound import Bound
from stpspec.resources import content_key

_MOST = 32  # outcomes that are remembered, of each sort of proof

# Sort of proof → its key → what came out, of a type that each sort has for itself.
_outcomes: dict[str, dict[str, Any]] = {}
_wanted: dict[str, dict[str, None]] = {}  # sort of proof → keys of those that were wanted


T = TypeVar("T")


def remembered(sort: str, key: str, prove: Callable[[], T]) -> T:
    """Return the outcome of a proof, which is made once for all that it depends on.

    Parameters
    ----------
    sort : str
        What is proven.
    key : str
        See :func:`key`.
    prove : callable
        Makes the proof.
    """
    outcomes = _outcomes.setdefault(sort, {})
    if key not in outcomes:
        while len(outcomes) >= _MOST:
            outcomes.pop(next(iter(outcomes)))
        outcomes[key] = prove()
    return outcomes[key]


def outcome_of(sort: str, key: str) -> Any:
    """Return the outcome of a proof; None if it has not been made."""
    return _outcomes.get(sort, {}).get(key)


def is_first(sort: str, key: str) -> bool:
    """Tell whether a proof is wanted for the first time, and has not been made."""
    wanted = _wanted.setdefault(sort, {})
    first = key not in wanted and key not in _outcomes.get(sort, {})
    while len(wanted) >= _MOST:
        wanted.pop(next(iter(wanted)))
    wanted[key] = None
    return first


def forget() -> None:
    """Forget the outcomes of all proofs."""
    _outcomes.clear()
    _wanted.clear()


def beside(bound: Bound, rows: Sequence[Mapping[str, float]]) -> dict[str, float] | None:
    """Return what all candidates set alike beside the free parameters; None if they do not.

    None too where a GLOBAL parameter is set: it cannot differ between the replicas of a proof.
    """
    free = bound.experiment.parameters
    common = {n: v for n, v in rows[0].items() if n not in free}
    alike = all({n: row[n] for n in common} == common for row in rows)
    return common if alike and not bound.mechanism.global_parameters & set(rows[0]) else None


def corners(bound: Bound, common: Mapping[str, float]) -> list[dict[str, float]]:
    """Return candidates in the middle, and at either bound of each parameter."""
    parameters = bound.experiment.parameters
    middle = {**common, **{n: p.from_unit(0.5) for n, p in parameters.items()}}
    return [middle, *({**middle, n: p.from_unit(x)} for n, p in parameters.items()
                      for x in (0.0, 1.0))]  # fmt: skip


def key(bound: Bound, rows: Sequence[Mapping[str, float]]) -> str:
    """Return the key of all that a proof which simulates these candidates depends on."""
    e = bound.experiment
    numerics = e.numerics.model_dump(exclude={"replicas", "time_limit"})
    parts = [e.model.digest, e.recording.digest, json.dumps(numerics, sort_keys=True),
             bound.scheme.steps,
             json.dumps([dict(row) for row in rows], sort_keys=True),
             *(str(path) for path in bound.templates)]  # fmt: skip
    if bound.stochastic:
        parts.append(f"seed {e.seed}, trials {e.trials}")
    return content_key(*parts)
