"""Approximate standard errors from the curvature at the optimum.

They are a first look: for short-term plasticity they are known to be too narrow
(see docs/definitions.md); profile likelihood is the tool for intervals.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from stpspec.fitters.problem import Evaluation, Problem

_STEP = 1e-5  # in the unit interval
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
    """

    errors: dict[str, float] = field(default_factory=dict)
    undetermined: dict[str, str] = field(default_factory=dict)
    at_bound: dict[str, str] = field(default_factory=dict)


def at_bound(problem: Problem, best: Evaluation) -> dict[str, str]:
    """Return the parameters whose best value lies at one of its bounds."""
    return {
        name: "min" if x < 0.5 else "max"
        for name, x in zip(problem.names, best.point, strict=True)
        if min(x, 1 - x) < AT_BOUND
    }


def estimate(problem: Problem, best: Evaluation) -> Uncertainty:
    """Estimate standard errors from JᵀJ of the residuals at the best point.

    With an ``sd`` on every target the residuals are in units of it and the covariance is
    (JᵀJ)⁻¹; without, it is scaled by the residual variance, which needs more targets than
    parameters. The simulations made here are not part of the history.
    """
    bounds = at_bound(problem, best)
    free = [i for i, name in enumerate(problem.names) if name not in bounds]
    reasons = {name: f"at its {end}" for name, end in bounds.items()}
    rest = [problem.names[i] for i in free]
    if problem.why_no_residuals:
        return Uncertainty({}, reasons | dict.fromkeys(rest, problem.why_no_residuals), bounds)
    if not free or best.residuals is None:
        return Uncertainty({}, reasons, bounds)
    jacobian = _jacobian(problem, best, free)
    if jacobian is None:
        why = "an evaluation next to the optimum failed"
        return Uncertainty({}, reasons | dict.fromkeys(rest, why), bounds)
    terms = problem.judge.objective.terms.values()
    with_sd = all(t.sd is not None for t in terms if t.weight > 0)
    m = sum(t.size for t in terms if t.weight > 0)
    variance = 1.0
    if not with_sd:
        if m <= len(free):
            why = "no sd on the targets, and no more targets than parameters"
            return Uncertainty({}, reasons | dict.fromkeys(rest, why), bounds)
        variance = best.loss / (m - len(free))
    errors, why_not = _from_jacobian(problem, best, free, jacobian, variance)
    return Uncertainty(errors, reasons | why_not, bounds)


def _jacobian(problem: Problem, best: Evaluation, free: list[int]) -> np.ndarray | None:
    """Central differences of the residuals, shape (residual, free parameter)."""
    steps = np.array([min(_STEP, best.point[i], 1 - best.point[i]) for i in free])
    shifts = np.zeros((len(free), problem.n))
    shifts[np.arange(len(free)), free] = steps
    both = np.concatenate([best.point + shifts, best.point - shifts])
    residuals = problem.residuals_at(both)
    if residuals is None:
        return None
    k = len(free)
    return np.stack([(residuals[i] - residuals[k + i]) / (2 * steps[i]) for i in range(k)], axis=1)


def _from_jacobian(
    problem: Problem, best: Evaluation, free: list[int], jacobian: np.ndarray, variance: float
) -> tuple[dict[str, float], dict[str, str]]:
    _, singular, vt = np.linalg.svd(jacobian, full_matrices=True)
    rank = int((singular > 1e-6 * max(singular.max(initial=0.0), 1e-300)).sum())
    blind = vt[rank:]  # directions along which no target changes
    errors, why = {}, {}
    inverse = vt[:rank].T / np.where(singular[:rank] > 0, singular[:rank], 1.0)
    for row, index in enumerate(free):
        name = problem.names[index]
        if (np.abs(blind[:, row]) > 1e-3).any():
            why[name] = "not determined by the targets"
            continue
        sd = float(np.sqrt(variance * (inverse[row] ** 2).sum()))
        parameter = problem.parameters[name]
        value = best.values[name]
        low, high = float(parameter.min), float(parameter.max)
        slope = value * np.log(high / low) if parameter.scale == "log" else high - low
        errors[name] = sd * float(slope)
    return errors, why
