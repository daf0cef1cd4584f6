"""Chance: experiments on stochastic synapses say how many trials they take, or are told to."""

from __future__ import annotations

import logging

from stpspec.engine.binding.bound import Bound
from stpspec.errors import FitError, SpecProblem

log = logging.getLogger("stpspec.engine")


def without_trials(bound: Bound) -> list[str]:
    """Return the mechanisms that draw random numbers where nothing says in how many trials."""
    e = bound.experiment
    if all(e.trials_of(name) is not None for name in e.protocols):
        return []
    return list(bound.stochastic)


def warn_of_chance(bound: Bound) -> None:
    """Warn that what is shown is one realization of a stochastic synapse."""
    names = without_trials(bound)
    if names:
        log.warning(
            "%s draws random numbers: this is one realization, that of the seed; trials: 100 would "
            "simulate a hundred", " and ".join(names),
        )  # fmt: skip


def doubts_of_chance(bound: Bound) -> list[SpecProblem]:
    """Return what a fit of the experiment will ask for, and a simulation does without."""
    names = without_trials(bound)
    if not names or not bound.experiment.parameters:
        return []
    rule = (
        f"{' and '.join(names)} draws random numbers: run and sweep show one realization, and fit "
        f"asks in how many trials, such as trials: 100"
    )
    return [SpecProblem("trials", rule)]


def refuse_chance(bound: Bound) -> None:
    """Refuse to fit one realization of a stochastic synapse.

    Raises
    ------
    FitError
        If nothing says in how many trials it is simulated.
    """
    names = without_trials(bound)
    if names:
        raise FitError(
            f"{' and '.join(names)} draws random numbers, and the loss of one realization says "
            f"nothing of the synapse: set trials, such as trials: 100 (or trials: 1, if one "
            f"realization is meant)"
        )
