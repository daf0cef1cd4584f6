"""Approximate standard errors from the curvature at the optimum.

They are a first look: for short-term plasticity they are known to be too narrow
(see docs/definitions.md); profile likelihood is the tool for intervals.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from stpspec.fitters.evaluation import Evaluation
from stpspec.fitters.problem import Problem

_STEP = 1e-5  # in the unit interval
_NEAR = 0.3  # of a standard error: an optimum is not further than this from where it was found
AT_BOUND = 1e-4  # of the range: nearer than this to a bound is at the bound


@dataclass(frozen=True)
class Uncertainty:
    """Standard errors of the parameters that the targets determine, and why others have none.

    Attributes
    ----------
    errors : dict of str to float
        In the parameter's unit.
    undetermined : dict of str to str
        Parameter → reason.
    at_bound : dict of str to str
        Parameter → ``"min"`` or ``"max"``.
    free : list of int
        Indices of the parameters that are not at a bound.
    jacobian : ndarray, shape (residual, free parameter), or None
        Derivatives of the residuals by the place in the unit interval, as far as they are known.
    """

    errors: dict[str, float] = field(default_factory=dict)
    undetermined: dict[str, str] = field(default_factory=dict)
    at_bound: dict[str, str] = field(default_factory=dict)
    free: list[int] = field(default_factory=list)
    jacobian: np.ndarray | None = None


def at_bound(problem: Problem, best: Evaluation) -> dict[str, str]:
    """Return the parameters whose best value lies at one of its bounds."""
    return {
        name: "min" if x < 0.5 else "max"
        for name, x in zip(problem.names, best.point, strict=True)
        if min(x, 1 - x) < AT_BOUND
    }


def estimate(problem: Problem, best: Evaluation) -> Uncertainty:
    """Estimate standard errors from the derivatives of the misses at the best point.

    With an ``sd`` on every target, they say how independent errors of that size in the targets
    move the optimum: P·G²·Pᵀ with P the pseudoinverse of the Jacobian of the weighted residuals
    and G the weights in it (the sandwich of a weighted least-squares estimate; (JᵀJ)⁻¹ where all
    weigh alike). Without, (JᵀJ)⁻¹ is scaled by the residual variance, which needs more targets
    than parameters. The derivatives are those that the fitter has taken at the best point; where
    it has none, simulations are made here, which are no part of the history.
    """
    bounds = at_bound(problem, best)
    free = [i for i, name in enumerate(problem.names) if name not in bounds]
    reasons = {name: f"at its {end}" for name, end in bounds.items()}

    def none(why: str) -> Uncertainty:
        rest = [problem.names[i] for i in free]
        return Uncertainty({}, reasons | dict.fromkeys(rest, why), bounds)

    if problem.why_no_residuals:
        return none(problem.why_no_residuals)
    if not free or best.residuals is None:
        return Uncertainty({}, reasons, bounds)
    jacobians = _jacobians(problem, best, free)
    if jacobians is None:
        return none("an evaluation next to the optimum failed")
    terms = [t for t in problem.judge.objective.terms.values() if t.weight > 0]
    has_sd, m = all(t.sd is not None for t in terms), sum(t.size for t in terms)
    if not has_sd and m <= len(free):
        return none("no sd on the targets, and no more targets than parameters")
    by_residuals, by_misses = jacobians
    weights = np.linalg.norm(by_residuals, axis=1) / np.where(
        (size := np.linalg.norm(by_misses, axis=1)) > 0, size, 1.0
    )
    noise = weights if has_sd else np.full(weights.size, np.sqrt(best.loss / (m - len(free))))
    errors, why_not = _from_jacobian(problem, best, free, by_residuals, noise)
    return Uncertainty(errors, reasons | why_not, bounds, free, by_residuals)


def _jacobians(
    problem: Problem, best: Evaluation, free: list[int]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Differences of residuals and of misses, each of shape (target, free parameter)."""
    stencil = problem.stencil
    if stencil and stencil[0] is best:
        return _from_stencil(problem, stencil, free)
    steps = np.array([min(_STEP, best.point[i], 1 - best.point[i]) for i in free])
    shifts = np.zeros((len(free), problem.n))
    shifts[np.arange(len(free)), free] = steps
    judged = problem.judged_at(np.concatenate([best.point + shifts, best.point - shifts]))
    if judged is None:
        return None
    k = len(free)

    def differences(which: int) -> np.ndarray:
        rows = [(judged[i][which] - judged[k + i][which]) / (2 * steps[i]) for i in range(k)]
        return np.stack(rows, axis=1)

    return differences(0), differences(1)


def _from_stencil(
    problem: Problem, stencil: list[Evaluation], free: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    here, *there = stencil
    steps = [there[i].point[i] - here.point[i] for i in free]
    misses = [problem.judge.misses(e.metrics) for e in stencil]

    def columns(at_here: np.ndarray, at_there: list[np.ndarray]) -> np.ndarray:
        rows = [(at_there[i] - at_here) / h for i, h in zip(free, steps, strict=True)]
        return np.stack(rows, axis=1)

    residuals = [problem.residuals_of(e) for e in stencil]
    return columns(residuals[0], residuals[1:]), columns(misses[0], misses[1:])


def _from_jacobian(
    problem: Problem, best: Evaluation, free: list[int], jacobian: np.ndarray, noise: np.ndarray
) -> tuple[dict[str, float], dict[str, str]]:
    left, singular, vt = np.linalg.svd(jacobian, full_matrices=True)
    rank = int((singular > 1e-6 * max(singular.max(initial=0.0), 1e-300)).sum())
    blind = vt[rank:]  # directions along which no target changes
    inverse = vt[:rank].T / singular[:rank] @ left[:, :rank].T  # the pseudoinverse
    sds = np.linalg.norm(inverse * noise, axis=1)
    steps = np.abs(
        inverse @ np.asarray(best.residuals)
    )  # where Gauss and Newton would go from here
    errors, why = {}, {}
    for row, index in enumerate(free):
        name = problem.names[index]
        if (np.abs(blind[:, row]) > 1e-3).any():
            why[name] = "not determined by the targets"
        elif steps[row] > max(_NEAR * sds[row], AT_BOUND):
            why[name] = "the best point seen is no optimum; least_squares from there finds it"
        else:
            errors[name] = float(sds[row]) * _slope(problem, name, best.values[name])
    return errors, why


def _slope(problem: Problem, name: str, value: float) -> float:
    """Return how fast a parameter changes with its place in the unit interval."""
    parameter = problem.parameters[name]
    low, high = float(parameter.min), float(parameter.max)
    return float(value * np.log(high / low)) if parameter.scale == "log" else high - low
