"""Numerics: how fits and sweeps simulate, and what they record."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.scheme import Scheme, highest_rung
from stpspec.registry import METRICS
from stpspec.specs.stimulus import Stimulus


def for_search(bound: Bound) -> Bound:
    """Return the experiment with the numerics that a fit searches with.

    Pulses that no term reads are not simulated.
    """
    objective = bound.experiment.objective
    asked = objective.terms.values() if objective is not None else ()
    read = [(t.metric, t.options, t.protocol) for t in asked]
    return replace(for_reading(bound, read), brief=True)


def for_reading(bound: Bound, asked: Iterable[Asked]) -> Bound:
    """Return the experiment with the variable step, unless it asks for the fixed one.

    Parameters
    ----------
    bound : Bound
    asked : iterable of (str, mapping) or (str, mapping, str)
        Metrics that will be measured, their options, and the protocols. Of our own it is known
        which signals they read; the others are not recorded.
    """
    e, asked = bound.experiment, list(asked)
    scheme = highest_rung(e.numerics.integrator, searching=True)
    if any(not METRICS.get(n).function.__module__.startswith("stpspec.") for n, *_ in asked):
        return under(bound, scheme)
    wide = any(METRICS.get(name).needs_siblings(options) for name, options, *_ in asked)
    reads = [
        (options.get("signal"), None if wide or not of else e.owner(of[0]))
        for _, options, *of in asked
    ]
    own = {n: p for n, p in e.protocols.items() if p.recording}
    default = [(signal, of) for signal, of in reads if of not in own]
    recording = _as_read(e.recording, [signal for signal, _ in default])
    changed = {}
    for name, protocol in own.items():
        seen = _as_read(e.recording_of(name), [s for s, of in reads if of in (name, None)])
        kept = {"signals": seen.signals, "variables": seen.variables}
        changes = {**(protocol.recording or {}), **kept}
        changed[name] = protocol.model_copy(update={"recording": changes})
    return under(bound, scheme, recording, changed)


# Metric, its options, and the protocol, where that matters.
Asked = tuple[str, Mapping[str, Any]] | tuple[str, Mapping[str, Any], str]


def _as_read(recording: Any, signals: Iterable[str | None]) -> Any:
    """Return a recording of no more than what is read; None stands for the usual signal."""
    read = {signal or recording.default_signal for signal in signals}
    # The current tells whether candidates on one cell disturb each other.
    read |= {"synaptic_current"} if read == {"conductance"} else set()
    kept = [s for s in recording.signals if s in read]
    variables = [v for v in recording.variables if v in read]
    return recording.copy_with(signals=kept or recording.signals[:1], variables=variables)


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


def under(
    bound: Bound,
    scheme: Scheme,
    recording: Any = None,
    protocols: Mapping[str, Any] | None = None,
) -> Bound:
    """Return the experiment as one scheme simulates it; its data say which integrator that is.

    Parameters
    ----------
    bound : Bound
    scheme : Scheme
    recording : optional
        What is recorded, if not all that the experiment asks for.
    protocols : mapping of str to Protocol, optional
        Those that are changed in what is recorded.
    """
    e = bound.experiment
    integrator = "fixed" if scheme.is_fixed else "variable"
    changed = {
        "recording": recording or e.recording,
        "protocols": {**e.protocols, **(protocols or {})},
        "numerics": e.numerics.copy_with(integrator=integrator),
    }
    return replace(bound, experiment=e.model_copy(update=changed), scheme=scheme)
