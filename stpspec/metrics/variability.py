"""Variability over the trials of a stochastic synapse: variance, CV and failures of a pulse.

They compare the amplitudes of one pulse in all trials, each measured in its own trace. Ratios of
amplitudes are those of the mean trace (:mod:`stpspec.metrics.plasticity`): the mean of ratios of
single trials is another number, and has no value where the first response fails.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from stpspec.errors import MetricError
from stpspec.metrics.registration import Options, metric
from stpspec.metrics.response import Response
from stpspec.specs.quantities import Quantity
from stpspec.specs.stimulus import Stimulus
from stpspec.units import convert

Pulse = Annotated[int, Field(ge=1, description="of which pulse, from 1")]

_NOTHING = 0.01  # of the mean amplitude: what is smaller is a failure


def _amplitudes(response: Response, pulse: int) -> np.ndarray:
    """Return the amplitude of one pulse in each trial, in the unit of the signal."""
    n = response.arrivals.size
    if pulse > n:
        raise MetricError(f"there is no pulse {pulse}: the protocol has {n}")
    return np.array([trial.peak(pulse - 1)[1] for trial in response.trials])


def _up_to_it(options: Options, stimulus: Stimulus) -> int | None:
    return int(options.get("pulse", 1))


@metric(
    "amplitude_variance", "signal²", needs=("event", "trials"), pulses=_up_to_it, is_magnitude=True
)  # fmt: skip
def amplitude_variance(response: Response, *, pulse: Pulse = 1) -> float:
    """Variance of the amplitude of a pulse over the trials (n − 1 in the denominator)."""
    a = _amplitudes(response, pulse)
    result = float(a.var(ddof=1))
    response.step(
        f"amplitude_variance = var(a{pulse}) over {a.size} trials = {result:.5g} {response.unit}²"
    )
    return result


@metric("amplitude_cv", "1", needs=("event", "trials"), pulses=_up_to_it, is_magnitude=True)
def amplitude_cv(response: Response, *, pulse: Pulse = 1) -> float:
    """Coefficient of variation of the amplitude of a pulse over the trials: sd / mean."""
    a = _amplitudes(response, pulse)
    mean, sd = float(a.mean()), float(a.std(ddof=1))
    if mean <= 0:
        raise MetricError(f"amplitude_cv = sd / mean needs a response: a{pulse} is 0 in all trials")
    response.step(
        f"amplitude_cv = sd(a{pulse}) / mean(a{pulse}) over {a.size} trials = "
        f"{sd:.5g} / {mean:.5g} = {sd / mean:.5g}"
    )
    return sd / mean


@metric("failure_rate", "1", needs=("event", "trials"), pulses=_up_to_it, is_magnitude=True)
def failure_rate(
    response: Response, *, pulse: Pulse = 1, threshold: Quantity | None = None
) -> float:
    """Fraction of the trials in which a pulse releases nothing.

    That is an amplitude below ``threshold`` (in the unit of the signal); by default below 1 % of
    the mean amplitude of that pulse over all trials.
    """
    a = _amplitudes(response, pulse)
    if a.max() <= 0:
        if response.sign == 0:
            raise MetricError("failure_rate needs a response: nothing is released in any trial")
        return 1.0
    least = _NOTHING * float(a.mean()) if threshold is None else convert(threshold, response.unit)
    result = float((a < least).mean())
    response.step(
        f"failure_rate = trials with a{pulse} < {least:.4g} {response.unit}, of all {a.size} = "
        f"{result:.5g}"
    )
    return result
