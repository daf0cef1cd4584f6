"""Two sets of numerics: those that fits and sweeps simulate with, and the reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from stpspec.engine.binding.bind import Bound
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
    numerics = e.numerics
    if numerics.integrator != "fixed":
        numerics = numerics.copy_with(integrator="variable")
    auto = e.numerics.integrator == "auto"
    return replace(_with(bound, recording, numerics), auto=auto)


def pulses_read(objective: Any, protocol: str, stimulus: Stimulus) -> int:
    """Return how many leading pulses of a protocol the terms of an objective read."""
    terms = objective.terms.values() if objective is not None else ()
    asked = [(METRICS.get(t.metric), t) for t in terms]
    own = [metric.pulses_read(t.options, stimulus) for metric, t in asked if t.protocol == protocol]
    if not own or any(metric.needs_siblings(t.options) for metric, t in asked):
        return len(stimulus.spikes)
    return max(own)


def on_reference(bound: Bound) -> Bound:
    """Return the experiment with the fixed step, whatever it searches with."""
    e = bound.experiment
    return _with(bound, e.recording, e.numerics.copy_with(integrator="fixed"))


def plainly(bound: Bound) -> Bound:
    """Return the experiment with the fixed step, and nothing simulated but the candidates.

    What breaks the process at some values does so in a proof, too, which simulates the bounds.
    """
    return replace(on_reference(bound), plain=True)


def _with(bound: Bound, recording: Any, numerics: Any) -> Bound:
    changed = {"recording": recording, "numerics": numerics}
    return replace(bound, experiment=bound.experiment.model_copy(update=changed))
