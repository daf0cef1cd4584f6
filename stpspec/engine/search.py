"""The two sets of numerics of a fit: those it searches with, and the reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stpspec.engine.bind import Bound
from stpspec.registry import METRICS


def for_search(bound: Bound) -> Bound:
    """Return the experiment with the integrator that a fit searches with.

    Of our own metrics it is known which signals they read; the others need not be recorded.
    """
    e = bound.experiment
    recording = e.recording
    terms = e.objective.terms.values() if e.objective is not None else ()
    if all(METRICS.get(t.metric).function.__module__.startswith("stpspec.") for t in terms):
        read = {t.options.get("signal") or recording.default_signal for t in terms}
        kept = [s for s in recording.signals if s in read]
        recording = recording.copy_with(signals=kept or recording.signals[:1])
    if e.numerics.integrator == "fixed":
        return _with(bound, recording, e.numerics)
    return _with(bound, recording, e.numerics.copy_with(integrator="variable"))


def on_reference(bound: Bound) -> Bound:
    """Return the experiment with the fixed step, whatever it searches with."""
    e = bound.experiment
    return _with(bound, e.recording, e.numerics.copy_with(integrator="fixed"))


def _with(bound: Bound, recording: Any, numerics: Any) -> Bound:
    changed = {"recording": recording, "numerics": numerics}
    return replace(bound, experiment=bound.experiment.model_copy(update=changed))
