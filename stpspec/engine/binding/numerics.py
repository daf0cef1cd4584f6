"""Numerics: how fits and sweeps simulate, and what they record."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from stpspec.engine.binding.bind import Bound
from stpspec.engine.binding.scheme import Scheme, highest_rung
from stpspec.registry import METRICS
from stpspec.specs.protocol import Stimulus


def for_search(bound: Bound) -> Bound:
    """Return the experiment with the numerics that a fit searches with.

    Pulses that no term reads are not simulated.
    """
    objective = bound.experiment.objective
    asked = objective.terms.values() if objective is not None else ()
    return replace(for_reading(bound, [(t.metric, t.options) for t in asked]), brief=True)


def for_reading(bound: Bound, asked: Iterable[tuple[str, Mapping[str, Any]]]) -> Bound:
    """Return the experiment with the variable step, unless it asks for the fixed one.

    Parameters
    ----------
    bound : Bound
    asked : iterable of (str, mapping)
        Metrics that will be measured, and their options. Of our own it is known which signals
        they read; the others are not recorded.
    """
    e = bound.experiment
    recording, asked = e.recording, list(asked)
    if all(METRICS.get(name).function.__module__.startswith("stpspec.") for name, _ in asked):
        read = {options.get("signal") or recording.default_signal for _, options in asked}
        # The current tells whether candidates on one cell disturb each other.
        read |= {"synaptic_current"} if read == {"conductance"} else set()
        kept = [s for s in recording.signals if s in read]
        variables = [v for v in recording.variables if v in read]
        recording = recording.copy_with(signals=kept or recording.signals[:1], variables=variables)
    scheme = highest_rung(e.numerics.integrator, searching=True)
    return under(bound, scheme, recording)


def pulses_read(objective: Any, names: Collection[str], stimulus: Stimulus) -> int:
    """Return how many leading pulses of a run the terms of an objective read.

    Parameters
    ----------
    objective : Objective or None
    names : collection of str
        Of the run, and of its protocol.
    stimulus : Stimulus
    """
    terms = objective.terms.values() if objective is not None else ()
    asked = [(METRICS.get(t.metric), t) for t in terms]
    own = [metric.pulses_read(t.options, stimulus) for metric, t in asked if t.protocol in names]
    if not own or any(metric.needs_siblings(t.options) for metric, t in asked):
        return len(stimulus.spikes)
    return max(own)


def under(bound: Bound, scheme: Scheme, recording: Any = None) -> Bound:
    """Return the experiment as one scheme simulates it; its data say which integrator that is.

    Parameters
    ----------
    bound : Bound
    scheme : Scheme
    recording : optional
        What is recorded, if not all that the experiment asks for.
    """
    e = bound.experiment
    integrator = "fixed" if scheme.is_fixed else "variable"
    changed = {
        "recording": recording or e.recording,
        "numerics": e.numerics.copy_with(integrator=integrator),
    }
    return replace(bound, experiment=e.model_copy(update=changed), scheme=scheme)
