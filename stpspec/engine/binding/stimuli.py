"""Stimuli of a model whose time constants are known from the loaded mechanism."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from stpspec.engine.mechanisms.description import Mechanism
from stpspec.errors import SpecProblem
from stpspec.specs.consistency import is_whole
from stpspec.specs.numerics import Numerics
from stpspec.specs.places import DELAY
from stpspec.specs.protocol import MOST_STEPS, MOST_TRIAL_STEPS
from stpspec.specs.stimulus import Stimulus, Timing


def timing(
    model: Any,
    parameters: Mapping[str, Any],
    mechanism: Mechanism,
    largest: Mapping[str, float] | None = None,
) -> Timing:
    """Return the largest time constants that bounds and candidates reach.

    The bounds, not the candidate at hand, set the length of a run, so that a candidate gives the
    same trace whatever it is simulated with.

    Parameters
    ----------
    model : Synapse or GapJunction
    parameters : mapping of str to Parameter
        With bounds as numbers.
    mechanism : Mechanism
    largest : mapping of str to float, optional
        Largest value of each parameter over the candidates.
    """
    if model.stimulated_by != "event":
        return Timing()
    candidates = largest or {}

    def reach(names: Sequence[str]) -> float | None:
        found = []
        for name in names:
            if name not in mechanism.parameters:
                continue
            known = model.fixed.get(name, mechanism.defaults[name])
            if name in parameters:
                known = parameters[name].max
            found.append(max(float(known), candidates.get(name, 0.0)))
        return max(found, default=None)

    roles = model.roles
    return Timing(reach(roles.decay), reach(roles.depression), reach(roles.facilitation))


def length_problems(
    model: Any, parameters: Mapping[str, Any], mechanism: Mechanism, parts: Mapping[str, Any]
) -> list[SpecProblem]:
    """Find runs of more steps than can be recorded: a slip of the pen in a time, or in dt."""
    numerics, problems = parts.get("numerics"), []
    if numerics is None:
        return []
    known, delay = timing(model, parameters, mechanism), longest_delay(model, parameters)
    for name, protocol in parts.get("protocols", {}).items():
        if not is_whole(name, parts):
            continue
        try:
            length = numerics.settle + with_delay(protocol.stimulus(known), delay).stop
        except ValueError as error:
            problems.append(SpecProblem(f"protocols.{name}", str(error)))
            continue
        steps = length / numerics.dt
        if not steps <= MOST_STEPS:
            rule = (f"the run of {name!r}, {length:.4g} ms, has {steps:.2g} steps of "
                    f"{numerics.dt:g} ms; at most {MOST_STEPS:.0e} can be recorded")  # fmt: skip
            usual = length / Numerics().dt <= MOST_STEPS
            problems.append(SpecProblem("numerics.dt" if usual else f"protocols.{name}", rule))
            continue
        own = protocol.trials is not None
        trials = (protocol.trials if own else parts.get("trials")) or 1
        if trials > 1 and steps * trials > MOST_TRIAL_STEPS:
            rule = (
                f"{trials} trials of {name!r}, of {length:.4g} ms each, have "
                f"{steps * trials:.2g} steps; at most {MOST_TRIAL_STEPS:.0e} can be recorded"
            )
            problems.append(SpecProblem(f"protocols.{name}.trials" if own else "trials", rule))
    return problems


def longest_delay(
    model: Any, parameters: Mapping[str, Any], largest: Mapping[str, float] | None = None
) -> float:
    """Return the longest delay of the NetCon that bounds and candidates reach, ms."""
    if model.stimulated_by != "event":
        return 0.0
    known = parameters[DELAY].max if DELAY in parameters else model.net_con.delay
    return max(float(known), (largest or {}).get(DELAY, 0.0))


def with_delay(stimulus: Stimulus, delay: float) -> Stimulus:
    """Return a stimulus whose run is as long after the last arrival as the protocol asks for."""
    if not stimulus.spikes:
        return stimulus
    return replace(stimulus, stop=stimulus.stop + delay)
