"""Targets read from their sources: a term with numbers in place of the mapping that was written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from stpspec.errors import SpecError, SpecProblem
from stpspec.specs.base import problems_of
from stpspec.specs.objective import Term, WrittenTarget
from stpspec.specs.target_source import TargetSource, Wanted


def read_term(path: str, term: Term, wanted: Wanted) -> tuple[Term, list[SpecProblem]]:
    """Return a term whose target has been read from its source, and what is wrong with that.

    The term keeps what was written in ``written``. An ``sd`` and ``n`` of the term itself go before
    those of the source.

    Parameters
    ----------
    path : str
        Of the term in the experiment.
    term : Term
        One whose target is numbers already is returned as it is.
    wanted : Wanted
    """
    source = term.target
    if not isinstance(source, TargetSource):
        return term, []
    try:
        data = source.read(wanted)
    except SpecError as error:
        return term, [_below(f"{path}.target", p) for p in error.problems]
    own_sd = term.sd is not None
    changes = {
        "target": _with_unit(data.target, data.unit),
        "sd": term.sd if own_sd else _with_unit(data.sd, data.unit),
        "n": term.n if own_sd or term.n is not None else data.n,
        "sd_degrees": term.sd_degrees if own_sd else data.sd_degrees,
        "options": {**data.options, **term.options},
        "written": WrittenTarget(target=source, sd=term.sd, n=term.n, options=term.options),
    }
    try:
        return Term.model_validate({**_fields(term), **changes}), []
    except ValidationError as error:
        return term, problems_of(error, path)


def _below(path: str, problem: SpecProblem) -> SpecProblem:
    return replace(problem, path=f"{path}.{problem.path}" if problem.path else path)


def _fields(term: Term) -> dict[str, Any]:
    return {name: getattr(term, name) for name in Term.model_fields}


def _with_unit(value: Any, unit: str) -> Any:
    if isinstance(value, list):
        return [_with_unit(v, unit) for v in value]
    return value if value is None or not unit else f"{float(value)!r} {unit}"
