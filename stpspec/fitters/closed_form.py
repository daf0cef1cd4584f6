"""Start from the closed form: thousands of candidates by the event map, in milliseconds.

Where a synapse's parameters U, D and F are known (``model.roles``), the amplitudes of a train
follow from the event map of Tsodyks and Markram without any simulation
(:mod:`stpspec.analytic`). The points that fit best by it are where a fit in NEURON begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stpspec.analytic import event_map
from stpspec.engine.binding.stimuli import timing
from stpspec.errors import MetricError
from stpspec.fitters.initial_points import given
from stpspec.fitters.problem import Problem
from stpspec.fitters.sobol import scrambled
from stpspec.metrics.judge import Judge
from stpspec.metrics.measure import Measurement
from stpspec.metrics.registration import Options, ResponseOptions
from stpspec.registry import METRICS
from stpspec.specs.protocol import names_of_runs, runs_of
from stpspec.units import UnitError, convert

_POINTS = 128
_POLISHED = 8
_SHORT, _LONG = 12, 200  # evaluations of the closed form, to come close and to make sure
_EXACT = 1e-8  # a loss below this is a hit
_AGREE, _ENOUGH = 1e-2, 3  # of the cost; searches that must end alike to be believed
_STEP = 1e-6  # of differences, in the unit interval
_ROLES = {"utilization": ("1", 0.0), "depression": ("ms", 0.0), "facilitation": ("ms", 0.0)}


# Mechanisms of ours with a U, whose plasticity is not that of the event map.
_OTHER_LAWS = ("ExtendedTsodyksMarkram",)


class _Amplitudes:
    """What a metric of amplitudes sees of a response."""

    def __init__(self, amplitudes: np.ndarray, n_induction: int | None, unit: str):
        self.amplitudes = amplitudes
        self.n_induction = n_induction
        self.unit = unit
        self.siblings: Sequence[_Amplitudes] = ()

    def note(self, text: str) -> None:
        """Drop a note: only what is simulated is reported."""

    def step(self, text: str) -> None:
        """Drop the arithmetic."""


class ClosedForm:
    """The part of an objective that follows from the event map.

    Parameters
    ----------
    problem : Problem

    Attributes
    ----------
    terms : list of str
        Names of the terms that it covers.
    why_not : str
        Why there is no closed form; empty if there is.
    """

    def __init__(self, problem: Problem):
        self.problem = problem
        experiment = problem.bound.experiment
        self.roles = _roles(problem)
        objective = experiment.objective
        assert objective is not None  # a Problem has one
        self.terms = [
            n for n, t in objective.terms.items()
            if t.weight > 0 and METRICS.get(t.metric).of_amplitudes
            and (t.scale is not None or _unit(t.metric, t.options) == "1")
        ]  # fmt: skip
        self.why_not = _why_not(problem, self.roles, self.terms)
        if self.why_not:
            return
        kept = {n: objective.terms[n] for n in self.terms}
        self.judge = Judge(objective.model_copy(update={"terms": kept}))
        self._calls = [
            (r, METRICS.get(r.metric).function,
             {n: v for n, v in r.options.items() if n not in _OF_SIGNALS})
            for r in self.judge.requests
        ]  # fmt: skip
        known = timing(experiment.model, experiment.parameters, problem.bound.mechanism)
        protocols = experiment.protocols
        self.stimuli = {n: p.stimulus(known) for n, p in runs_of(protocols).items()}
        self._runs = {r.protocol: names_of_runs(r.protocol, protocols) for r, *_ in self._calls}

    def residuals(self, points: np.ndarray) -> list[np.ndarray | None]:
        """Return the residuals of the terms it covers at each point; None where there are none."""
        rows = [self.problem.values_at(p) for p in points]
        u, d, f = (np.array([self._value(role, row) for row in rows]) for role in _ROLES)
        maps = {name: event_map(u, d, f, s.spikes) for name, s in self.stimuli.items()}
        return [self._judged({name: a[k] for name, a in maps.items()}) for k in range(len(rows))]

    def _judged(self, amplitudes: Mapping[str, np.ndarray]) -> np.ndarray | None:
        responses = {
            name: _Amplitudes(a, self.stimuli[name].n_induction, "")
            for name, a in amplitudes.items()
        }
        for name, response in responses.items():
            response.siblings = [r for n, r in responses.items() if n != name]
        try:
            measured = {}
            for request, function, options in self._calls:
                runs = self._runs[request.protocol]
                values = [np.asarray(function(responses[r], **options), float) for r in runs]
                value = values[0] if len(values) == 1 else np.concatenate(values)
                measured[request.name] = Measurement(value, "1")
            return self.judge(measured)[1]
        except MetricError:
            return None

    def _value(self, role: str, values: Mapping[str, float]) -> float:
        name, factor, default = self.roles[role]
        return factor * values.get(name, default)


_OF_SIGNALS = tuple(ResponseOptions.model_fields)


def _roles(problem: Problem) -> dict[str, tuple[str, float, float]]:
    """Return role → name of its parameter, factor to our unit, and value where it is fixed."""
    bound = problem.bound
    model, mechanism = bound.experiment.model, bound.mechanism
    found = {}
    for role, (unit, absent) in _ROLES.items():
        names = [n for n in getattr(getattr(model, "roles", None), role, ())
                 if n in mechanism.parameters]  # fmt: skip
        if len(names) != 1:
            if role == "utilization":
                return {}
            found[role] = ("", 1.0, absent)  # without it there is no such plasticity
            continue
        name = names[0]
        try:
            factor = convert(f"1 {mechanism.parameters[name]}", unit) if unit != "1" else 1.0
        except UnitError:
            return {}
        found[role] = (name, factor, float(model.fixed.get(name, mechanism.defaults[name])))
    return found


def _unit(metric: str, options: Options) -> str:
    return METRICS.get(metric).unit_in("signal", options)


def _why_not(
    problem: Problem, roles: Mapping[str, tuple[str, float, float]], terms: Sequence[str]
) -> str:
    experiment = problem.bound.experiment
    if experiment.model.mechanism in _OTHER_LAWS:
        return f"the plasticity of {experiment.model.mechanism} is not that of the event map"
    if not roles:
        return "model.roles name no utilization that the mechanism has"
    if experiment.objective is not None and experiment.objective.cost is not None:
        return "the objective is a cost function of its own"
    free = {name for name, *_ in roles.values()} & set(problem.names)
    if not free:
        return "none of U, D and F is free"
    if not terms:
        return "no target is a ratio of amplitudes, or has a free scale"
    return ""


@dataclass(frozen=True)
class ClosedFormStarts:
    """The best points by the closed form.

    Attributes
    ----------
    points : ndarray, shape (start, parameter)
        None where there is no closed form.
    why_not : str
        Why there is none.
    is_thorough : bool
        Whether it covers every target and every free parameter, and its searches agree: then no
        parameters within the bounds do better than the best of these points.
    """

    points: np.ndarray
    why_not: str = ""
    is_thorough: bool = False


def closed_form_starts(problem: Problem, n: int) -> ClosedFormStarts:
    """Return the n best points by the closed form.

    Parameters that are not U, D or F stay at their start. Where there are fewer ratios than free
    parameters many points fit equally well; the answer is one of them.
    """
    form = ClosedForm(problem)
    if form.why_not:
        return ClosedFormStarts(np.empty((0, problem.n)), form.why_not)
    free = [i for i, name in enumerate(problem.names)
            if name in {role[0] for role in form.roles.values()}]  # fmt: skip
    points = np.tile(given(problem), (_POINTS, 1))
    # For every seed the same: a start that is apart in its last digit is another path of a search.
    points[:, free] = scrambled(problem.n, _POINTS, np.random.default_rng(0))[:, free]

    def costs(points: np.ndarray) -> np.ndarray:
        found = form.residuals(points)
        return np.array([np.inf if r is None else float(r @ r) for r in found])

    first = costs(points)
    polished: list[tuple[float, np.ndarray]] = []
    for start in points[np.argsort(first, kind="stable")[: max(_POLISHED, n)]]:
        end = _polished(form, start, free)
        polished.append((float(costs(end[None])[0]), end))
        if n == 1 and polished[-1][0] < _EXACT:  # it cannot get any better
            break
    polished = sorted(((c, p) for c, p in polished if np.isfinite(c)), key=lambda pair: pair[0])
    if not polished:
        return ClosedFormStarts(np.empty((0, problem.n)), "it fails all over the bounds")
    if polished[0][0] > _EXACT:  # whether nothing comes closer is worth a longer look
        ends = [_polished(form, p, free, _LONG) for _, p in polished]
        polished = sorted(zip(map(float, costs(np.array(ends))), ends, strict=True),
                          key=lambda pair: pair[0])  # fmt: skip
    best = polished[0][0]
    agreeing = sum(cost <= (1 + _AGREE) * best + _EXACT for cost, _ in polished)
    counted = {n for n, t in problem.judge.objective.terms.items() if t.weight > 0}
    is_whole = len(free) == problem.n and counted == set(form.terms)
    return ClosedFormStarts(
        np.array([p for _, p in polished[:n]]), is_thorough=is_whole and agreeing >= _ENOUGH
    )


def _polished(
    form: ClosedForm, start: np.ndarray, free: list[int], evaluations: int = _SHORT
) -> np.ndarray:
    """Return the local optimum of the closed form near a point."""
    from scipy.optimize import least_squares

    def at(x: np.ndarray) -> list[np.ndarray]:
        around = np.tile(start, (len(x), 1))
        around[:, free] = x
        worst = np.full(form.judge.n_residuals, 1e3)
        return [worst if r is None else r for r in form.residuals(around)]

    def jacobian(x: np.ndarray) -> np.ndarray:
        steps = np.where(x + _STEP <= 1, _STEP, -_STEP)
        here, *there = at(np.concatenate([x[None], x + np.diag(steps)]))
        return np.stack([(r - here) / h for r, h in zip(there, steps, strict=True)], axis=1)

    derivative: Any = jacobian  # scipy's stubs know only its names
    found = least_squares(
        lambda x: at(x[None])[0], start[free], derivative, bounds=(0.0, 1.0), max_nfev=evaluations
    )
    end = start.copy()
    end[free] = found.x
    return end
