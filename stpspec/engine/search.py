"""The two sets of numerics of a fit: those it searches with, and the reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stpspec.engine.bind import Bound
from stpspec.registry import METRICS
from stpspec.spec.protocol import Stimulus


def for_search(bound: Bound) -> Bound:
    """Return the experiment with the integrator that a fit searches with.

    Of our own metrics it is known which signals they read; the others need not be recorded. Nor
    are pulses simulated that no term reads.
    """
    e = bound.experiment
    recording = e.recording
    terms = e.objective.terms.values() if e.objective is not None else ()
    if all(METRICS.get(t.metric).function.__module__.startswith("stpspec.") for t in terms):
        read = {t.options.get("signal") or recording.default_signal for t in terms}
        kept = [s for s in recording.signals if s in read]
        recording = recording.copy_with(signals=kept or recording.signals[:1])
    numerics = e.numerics
    if numerics.integrator != "fixed":
        numerics = numerics.copy_with(integrator="variable")
    return replace(_with(bound, recording, numerics), brief=True)


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


def _with(bound: Bound, recording: Any, numerics: Any) -> Bound:
    changed = {"recording": recording, "numerics": numerics}
    return replace(bound, experiment=bound.experiment.model_copy(update=changed))
