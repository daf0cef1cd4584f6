"""Notes on the trials of a stochastic synapse: how well they tell what was fitted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stpspec.formatting import number, unit_text
from stpspec.metrics.judge import Judge
from stpspec.metrics.measure import Measurement

_OF_SD = 0.5  # of the sd of a target: a larger error of the model is worth more trials


def notes_of_trials(
    judge: Judge, measured: Mapping[str, Measurement], *, by_differences: bool = False
) -> dict[str, str]:
    """Return a note for each term whose value is that of many trials.

    Parameters
    ----------
    judge : Judge
    measured : mapping of str to Measurement
        By term name.
    by_differences : bool
        Whether the fitter has taken derivatives, which see a failure rate as a staircase.
    """
    notes = {}
    for name, m in measured.items():
        if m.error is None or m.error.ndim:
            continue
        error = float(m.error)
        text = f"the standard error over the trials is {number(error, 2)} {unit_text(m.unit)}"
        sd = judge.goals[name].sd
        if sd is not None and error > _OF_SD * float(np.min(sd)):
            text = (f"{text.rstrip()}, which is not small against the sd of the target: more "
                    f"trials make the standard errors of the parameters smaller")  # fmt: skip
            if by_differences and judge.objective.terms[name].metric == "failure_rate":
                text += (", and the steps of this rate (one failure more or less) finer than its "
                         "sd; fitter=tpe takes no derivatives over them")  # fmt: skip
        notes[name] = text.rstrip()
    return notes
