"""Chance: mechanisms that give another response each time are found before anything is fitted."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from stpspec.engine.batch import Candidate, run_batch
from stpspec.engine.binding.bind import Bound
from stpspec.engine.candidates import candidates_of
from stpspec.engine.mechanisms.nmodl import read
from stpspec.engine.shortcuts.equivalence import corners
from stpspec.engine.simulate import stimuli_of
from stpspec.errors import FitError
from stpspec.specs.protocol import Stimulus

log = logging.getLogger("stpspec.engine")

_MANY = tuple(5.0 * k for k in range(100))  # ms


def draws(bound: Bound) -> list[str]:
    """Return the mechanisms in use whose source speaks of random numbers."""
    return [n for n, path in sorted(bound.sources_in_use.items()) if read(path).draws_random]


def differs(bound: Bound) -> bool:
    """Tell whether the same candidate, simulated twice, gives two responses.

    Only asked where a source speaks of random numbers. A synapse is given many events: a single
    response may well be the same by chance. And it is asked in the middle and at the ends of the
    bounds: what releases with a probability of 1 is the same each time.
    """
    candidates = candidates_of(bound, None)
    rows = [*candidates.rows, *corners(bound, {})]
    stimuli = stimuli_of(bound, candidates, list(bound.experiment.protocols)[:1])
    if bound.experiment.model.stimulated_by == "event":
        stimuli = {n: replace(s, spikes=_MANY, stop=_MANY[-1] + 50) for n, s in stimuli.items()}
    return any(_differs(bound, row, stimuli) for row in rows)


def _differs(bound: Bound, row: Candidate, stimuli: Mapping[str, Stimulus]) -> bool:
    one, two = (run_batch(bound, [row], stimuli)[0].traces for _ in range(2))
    return any(
        not np.array_equal(signal, two[name][1][key])
        for name, (_, signals) in one.items() if name in two
        for key, signal in signals.items()
    )  # fmt: skip


def by_chance(bound: Bound) -> list[str]:
    """Return the mechanisms that draw random numbers, if the response differs because of them."""
    names = draws(bound)
    return names if names and differs(bound) else []


def warn_of_chance(names: Sequence[str]) -> None:
    """Warn that what is shown is one realization of a stochastic synapse.

    Parameters
    ----------
    names : sequence of str
        The mechanisms because of which the response differs, if there are any.
    """
    if names:
        log.warning(
            "%s draws random numbers: this is one realization, the next run differs, and no fit "
            "is possible", " and ".join(names),
        )  # fmt: skip


def refuse_chance(names: Sequence[str]) -> None:
    """Refuse to fit what gives another response each time.

    Parameters
    ----------
    names : sequence of str
        The mechanisms because of which the response differs, if there are any.

    Raises
    ------
    FitError
        If there are any.
    """
    if names:
        raise FitError(
            f"the response differs from one simulation of the same values to the next: "
            f"{' and '.join(names)} draws random numbers. The loss of one realization says nothing "
            f"of the synapse: fit the deterministic mechanism of its mean release, or seed its "
            f"random numbers in INITIAL"
        )
