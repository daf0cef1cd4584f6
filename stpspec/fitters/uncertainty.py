"""Approximate standard errors from the curvature at the optimum (see docs/uncertainty.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from stpspec.fitters.data_noise import DataNoise
from stpspec.fitters.differences import steps_of
from stpspec.fitters.evaluation import Evaluation
from stpspec.fitters.problem import Problem
from stpspec.formatting import number, unit_text
from stpspec.metrics.measure import Measurement

_STEP = 1e-5  # in the unit interval
_NEAR = 0.3  # of a standard error: an optimum is not further than this from where it was found
_BLIND = 1e-6  # of the largest singular value: below it no target changes
_MOVES = 1e-3  # of a direction: a parameter with a smaller part in it stays
_TIED = 0.999  # a correlation of errors; beyond it two parameters are as good as one
_SKEWED = 1 / 3  # of a value, its standard error: beyond it an interval is not symmetrical
AT_BOUND = 1e-4  # of the range: nearer than this to a bound is at the bound


@dataclass(frozen=True)
class Uncertainty:
    """Standard errors of the parameters that the targets determine, and why others have none.

    Attributes
    ----------
    errors : dict of str to float
        In the parameter's unit.
    degrees : dict of str to float
        Degrees of freedom of a standard error; none where it counts as known.
    undetermined : dict of str to str
        Parameter → reason.
    at_bound : dict of str to str
        Parameter → ``"min"`` or ``"max"``.
    free : list of int
        Indices of the parameters that are not at a bound.
    jacobian : ndarray, shape (residual, free parameter + scale), or None
        Derivatives of the residuals by the place in the unit interval, as far as they are known,
        and by the logarithm of each free scale.
    scales : dict of str to float
        Values of the free scales at the best point.
    """

    errors: dict[str, float] = field(default_factory=dict)
    degrees: dict[str, float] = field(default_factory=dict)
    undetermined: dict[str, str] = field(default_factory=dict)
    at_bound: dict[str, str] = field(default_factory=dict)
    free: list[int] = field(default_factory=list)
    jacobian: np.ndarray | None = None
    scales: dict[str, float] = field(default_factory=dict)


def scale_label(name: str) -> str:
    """Return how errors, reasons and tables call a free scale; no parameter has such a name."""
    return f"scale {name}"


def at_bound(problem: Problem, best: Evaluation) -> dict[str, str]:
    """Return the parameters whose best value lies at one of its bounds."""
    return {
        name: "min" if x < 0.5 else "max"
        for name, x in zip(problem.names, best.point, strict=True)
        if min(x, 1 - x) < AT_BOUND
    }


def estimate(
    problem: Problem,
    best: Evaluation,
    measured: Mapping[str, Measurement] | None = None,
    *,
    is_optimum: bool = False,
) -> Uncertainty:
    """Estimate standard errors from the derivatives of the misses at the best point.

    With an ``sd`` on every target, they say how independent errors of that size in the targets
    move the optimum: P·G²·Pᵀ with P the pseudoinverse of the Jacobian of the weighted residuals
    and G the weights in it (the sandwich of a weighted least-squares estimate; (JᵀJ)⁻¹ where all
    weigh alike). Without, (JᵀJ)⁻¹ is scaled by the residual variance, which needs more targets
    than parameters. A free scale counts as one more parameter. Samples of a trace count by how
    many of them are independent. Where a synapse is stochastic, what the trials leave uncertain of
    its metrics moves the optimum as an error of the targets does, and is added: each group of
    trials that is left out is one such error (the jackknife; metrics of the same trials err
    together). The derivatives are those that the fitter has taken at the best
    point; where it has none, simulations are made here, which are no part of the history.

    Parameters
    ----------
    problem : Problem
    best : Evaluation
    measured : mapping of str to Measurement, optional
        What was measured at that point, with its errors over the trials.
    is_optimum : bool
        Whether a search by derivatives has converged there.
    """
    bounds = at_bound(problem, best)
    free = [i for i, name in enumerate(problem.names) if name not in bounds]
    reasons = {name: f"at its {end}" for name, end in bounds.items()}

    scales = problem.judge.scales(best.metrics) if best.metrics else {}
    values = {**best.values, **{scale_label(n): v for n, v in scales.items()}}
    labels = [*problem.names, *map(scale_label, scales)]
    moving = [*free, *range(problem.n, len(labels))]

    def none(why: str) -> Uncertainty:
        rest = [labels[i] for i in moving]
        reasons_of_all = reasons | dict.fromkeys(rest, why)
        return Uncertainty(undetermined=reasons_of_all, at_bound=bounds, scales=scales)

    if problem.why_no_residuals:
        return none(problem.why_no_residuals)
    if not moving or best.residuals is None:
        return Uncertainty(undetermined=reasons, at_bound=bounds, scales=scales)
    jacobians = _jacobians(problem, best, scales)
    if jacobians is None:
        return none("an evaluation next to the optimum failed")
    data = DataNoise.of(problem.judge, best.metrics)
    if not data.has_sd and data.number <= len(moving):
        return none("no sd on the targets, and no more targets than parameters")
    everywhere = jacobians[0]
    by_residuals, by_misses = (j[:, moving] for j in jacobians)
    noise = _noise(by_residuals, by_misses, data, best.loss)
    inverse = _pseudoinverse(by_residuals)
    of_trials = _of_trials(problem, measured or {}, scales)
    sampled = inverse @ of_trials.T if data.has_sd else np.zeros((len(moving), 0))
    all_parts = np.concatenate([inverse * noise, sampled], axis=1)
    steps = np.abs(inverse @ np.asarray(best.residuals))
    steps = np.zeros_like(steps) if is_optimum else steps
    trading = _trading_off(problem, best, everywhere, list(scales))
    errors, degrees = {}, {}
    for index, parts, step in zip(moving, all_parts, steps, strict=True):
        name, sd = labels[index], float(np.linalg.norm(parts))
        error = sd * _slope(problem, name, values[name])
        if name in trading:
            others = [n for n in trading[name] if n != name]
            with_them = f": it trades off against {' and '.join(others)}" if others else ""
            reasons[name] = f"not determined by the targets{with_them}"
        elif why := _why_too_large(problem, values, name, error):
            partners = [labels[moving[k]] for k in _moving_with(parts, all_parts)]
            # Of what no target determines, the rows are rounding: they tell of no other parameter.
            partners = [n for n in partners if n not in trading]
            tied = f"; it trades off against {' and '.join(partners)}" if partners else ""
            reasons[name] = why + tied
        elif step > max(_NEAR * sd, AT_BOUND):
            reasons[name] = "the best point seen is no optimum; fitted anew, least_squares finds it"
        else:
            errors[name] = error
            by_variance = data.number - len(moving)
            degrees[name] = data.degrees_of(parts) if data.has_sd else by_variance
    degrees = {name: degrees[name] for name in errors if np.isfinite(degrees[name])}
    return Uncertainty(errors, degrees, reasons, bounds, free, by_residuals, scales)


def _of_trials(
    problem: Problem, measured: Mapping[str, Measurement], scales: Mapping[str, float]
) -> np.ndarray:
    """Return errors of the residuals by the trials, shape (group, residual); their squares add up.

    Metrics of as many trials are left out together: trials of one number have common random
    numbers in all protocols.
    """
    judge = problem.judge
    whole = {n: m.value for n, m in measured.items()}
    errors = [np.zeros((0, judge.n_residuals))]
    for size in {len(m.left_out) for m in measured.values()} - {0}:
        without = [
            {n: m.left_out[k] for n, m in measured.items() if len(m.left_out) == size}
            for k in range(size)
        ]
        found = np.array([judge.residuals({**whole, **values}, scales) for values in without])
        errors.append((found - found.mean(axis=0)) * np.sqrt((size - 1) / size))
    return np.concatenate(errors)


def _moving_with(parts: np.ndarray, of_all: np.ndarray) -> np.ndarray:
    """Return which others have errors that go all but wholly with those of a parameter."""
    sizes = np.linalg.norm(of_all, axis=1) * np.linalg.norm(parts)
    correlation = np.abs(of_all @ parts) / np.where(sizes > 0, sizes, 1.0)
    is_itself = (of_all == parts).all(axis=1)
    return np.flatnonzero((correlation > _TIED) & ~is_itself)


def _noise(
    by_residuals: np.ndarray, by_misses: np.ndarray, data: DataNoise, loss: float
) -> np.ndarray:
    """Return the standard deviation of each residual, shape (residual,)."""
    if data.has_sd:
        size = np.linalg.norm(by_misses, axis=1)
        one = np.linalg.norm(by_residuals, axis=1) / np.where(size > 0, size, 1.0)
    else:
        rest = data.number - by_residuals.shape[1]
        one = np.full(data.times.size, np.sqrt(loss / rest * data.share))
    return one * np.sqrt(data.times)


def _why_too_large(problem: Problem, values: Mapping[str, float], name: str, error: float) -> str:
    """Say why a standard error is too large to mean anything; empty if it is not.

    Of a value of one sign that is known to a third at best, an interval is not symmetrical: what
    is given instead holds the same share on the scale of its logarithm.
    """
    value, parameter = values[name], problem.parameters.get(name)
    has_one_sign = parameter is None or float(parameter.min) >= 0 or float(parameter.max) <= 0
    if error > abs(value):
        return "hardly determined: its standard error is larger than its value"
    if not has_one_sign or error <= _SKEWED * abs(value):
        return ""
    factor, unit = np.exp(1.96 * error / abs(value)), unit_text(problem.bound.units.get(name, "1"))
    low, high = (number(v, 2) for v in sorted((value / factor, value * factor)))
    return f"hardly determined: {low} … {high} {unit}".rstrip() + " (95 %), too skewed for ± SE"


def _jacobians(
    problem: Problem, best: Evaluation, scales: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Differences of residuals and misses, each of shape (target, parameter + free scale).

    Those of parameters are inward at bounds, with the free scales held; of a scale they are exact,
    as both are linear in it.
    """
    found = _of_parameters(problem, best, scales)
    if found is None or not scales:
        return found
    judge = problem.judge
    here = judge.residuals(best.metrics, scales), judge.misses_with(best.metrics, scales)
    columns: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for name, value in scales.items():
        twice = {**scales, name: 2 * value}
        columns[0].append(judge.residuals(best.metrics, twice) - here[0])
        columns[1].append(judge.misses_with(best.metrics, twice) - here[1])
    return (
        np.column_stack([found[0], *columns[0]]),
        np.column_stack([found[1], *columns[1]]),
    )


def _of_parameters(
    problem: Problem, best: Evaluation, scales: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray] | None:
    stencil = problem.stencil
    if stencil and stencil[0] is best:
        return _from_stencil(problem, stencil, scales)
    step = steps_of(problem, _STEP)
    above = np.minimum(best.point + step, 1.0)
    below = np.maximum(best.point - step, 0.0)
    ups = best.point + np.diag(above - best.point)
    downs = best.point + np.diag(below - best.point)
    judged = problem.judged_at(np.concatenate([ups, downs]), scales)
    if judged is None:
        return None
    n, steps = problem.n, above - below

    def differences(which: int) -> np.ndarray:
        columns = [(judged[i][which] - judged[n + i][which]) / steps[i] for i in range(n)]
        return np.stack(columns, axis=1)

    return differences(0), differences(1)


def _from_stencil(
    problem: Problem, stencil: list[Evaluation], scales: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    here, *there = stencil
    steps = [e.point[i] - here.point[i] for i, e in enumerate(there)]
    misses = [problem.judge.misses_with(e.metrics, scales) for e in stencil]

    def columns(at_here: np.ndarray, at_there: list[np.ndarray]) -> np.ndarray:
        return np.stack(
            [(there - at_here) / h for there, h in zip(at_there, steps, strict=True)], axis=1
        )

    residuals = [problem.residuals_of(e) for e in stencil]
    if scales:
        residuals = [problem.judge.residuals(e.metrics, scales) for e in stencil]
    return columns(residuals[0], residuals[1:]), columns(misses[0], misses[1:])


def _trading_off(
    problem: Problem, best: Evaluation, jacobian: np.ndarray, scales: Sequence[str]
) -> dict[str, list[str]]:
    """Return the parameters and free scales that can move together without any target changing.

    Directions are judged by relative changes of the parameters, so that their bounds do not
    matter; a parameter at a bound may still be one that another trades off against.

    Returns
    -------
    dict of str to list of str
        Parameter → all that move with it, itself among them.
    """
    groups = _outnumbering(problem, best, len(scales))
    labels = [*problem.names, *map(scale_label, scales)]
    slopes = np.array([_slope(problem, name, best.values[name]) for name in problem.names])
    values = np.abs([best.values[name] for name in problem.names])
    factors = np.where(values > 0, values / slopes, 1.0)
    relative = jacobian * np.append(factors, np.ones(len(scales)))  # by its logarithm already
    # All directions of the parameters, of fewer data, too; not those of thousands of samples.
    _, singular, vt = np.linalg.svd(relative, full_matrices=len(relative) < relative.shape[1])
    rank = int((singular > _BLIND * max(singular.max(initial=0.0), 1e-300)).sum())
    for direction in np.abs(vt[rank:]) > _MOVES:
        names = [n for n, moves in zip(labels, direction, strict=True) if moves]
        for name in names:
            group = groups.setdefault(name, [])
            group += [n for n in names if n not in group]
    return groups


def _outnumbering(problem: Problem, best: Evaluation, n_scales: int) -> dict[str, list[str]]:
    """Return the parameters that are more than the targets which they have any effect on.

    Each free scale takes one of the targets.

    Two targets do not fix three parameters, however small the effect of one of them may be at the
    best point: it need not be small elsewhere. Effects are looked for over the whole bounds.
    """
    n = problem.n
    if n <= problem.judge.n_residuals - n_scales:
        return {}
    ends = np.tile(best.point, (2 * n, 1))
    ends[np.arange(n), np.arange(n)] = 0.0
    ends[n + np.arange(n), np.arange(n)] = 1.0
    judged = problem.judged_at(ends)
    if judged is None:  # where it fails, each may depend on all
        return {name: list(problem.names) for name in problem.names}
    here = problem.judge.misses(best.metrics)
    moved = np.array([np.abs(misses - here) > _MOVES for _, misses in judged])
    effects = moved[:n] | moved[n:]  # (parameter, target)
    groups: dict[str, list[str]] = {}
    for start in range(n):
        members = {start}
        while True:
            targets = effects[sorted(members)].any(axis=0)
            wider = members | set(np.flatnonzero((effects & targets).any(axis=1)).tolist())
            if wider == members:
                break
            members = wider
        if len(members) + n_scales > targets.sum() > 0:
            groups[problem.names[start]] = [problem.names[k] for k in sorted(members)]
    return groups


def _pseudoinverse(jacobian: np.ndarray) -> np.ndarray:
    """Return the pseudoinverse, shape (parameter, residual), without the directions of noise."""
    left, singular, vt = np.linalg.svd(jacobian, full_matrices=False)
    rank = int((singular > _BLIND * max(singular.max(initial=0.0), 1e-300)).sum())
    return vt[:rank].T / singular[:rank] @ left[:, :rank].T


def _slope(problem: Problem, name: str, value: float) -> float:
    """Return how fast a parameter changes with its place, a free scale with its logarithm."""
    parameter = problem.parameters.get(name)
    if parameter is None:
        return abs(value)
    low, high = float(parameter.min), float(parameter.max)
    return float(value * np.log(high / low)) if parameter.scale == "log" else high - low
