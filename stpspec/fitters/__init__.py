"""Fitters: a problem evaluates batches of points, a fitter chooses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stpspec.registry import exports

if TYPE_CHECKING:
    from stpspec.fitters.evaluation import AtNoise, BudgetSpent, Evaluation
    from stpspec.fitters.outcome import Outcome, fitter
    from stpspec.fitters.problem import Problem

__all__ = [
    "AtNoise",
    "BudgetSpent",
    "Evaluation",
    "Outcome",
    "Problem",
    "fitter",
]

__getattr__ = exports(
    __name__,
    {
        "AtNoise": "evaluation",
        "BudgetSpent": "evaluation",
        "Evaluation": "evaluation",
        "Outcome": "outcome",
        "Problem": "problem",
        "fitter": "outcome",
    },
)
