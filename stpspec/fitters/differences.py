"""Derivatives by differences, whose points are evaluated as one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stpspec.fitters.effects import look_at
from stpspec.fitters.evaluation import FLOOR, AtNoise, Evaluation
from stpspec.specs.places import DELAY

if TYPE_CHECKING:
    from stpspec.fitters.problem import Problem

# What the variable step leaves of a loss that should be smooth: a difference needs longer steps,
# and convergence cannot be told beyond it.
STEP_IN_NOISE, NOISE = 1e-4, 1e-6
_STEP_OF_DELAY = 0.02  # ms; at shorter ones the variable step is other steps, not another delay


def steps_of(problem: Problem, step: float) -> np.ndarray:
    """Return the step of each parameter in the unit interval, shape (parameter,).

    Events in fixed steps come at one of them: a delay must move by whole steps to have any effect.
    """
    steps = np.full(problem.n, step)
    for k, name in enumerate(problem.names):
        if name == DELAY:
            parameter = problem.parameters[name]
            width = float(parameter.max) - float(parameter.min)
            least = problem.bound.experiment.numerics.dt if problem.exact else _STEP_OF_DELAY
            steps[k] = min(max(step, least / width), 0.1)
    return steps


class Differences:
    """Losses, residuals and their derivatives; a point and its steps go out as one batch.

    In a variable step all of a batch share their time steps, so that its errors are common to
    them and cancel in a difference; between batches they do not.
    """

    def __init__(self, problem: Problem, step: float, *, both_sides: bool = False):
        self.problem = problem
        self.steps = steps_of(problem, step if problem.exact else max(step, STEP_IN_NOISE))
        self.both_sides = both_sides
        self._known: dict[bytes, list[Evaluation]] = {}
        self._has_looked = False

    def at(self, x: np.ndarray) -> Evaluation:
        """Return the evaluation of a point; those of its steps are kept beside it."""
        return self._around(x)[0]

    def loss(self, x: np.ndarray) -> float:
        return self.problem.seen(self.at(x))

    def residuals(self, x: np.ndarray) -> np.ndarray:
        return self.problem.residuals_of(self.at(x))

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        """Forward differences of the residuals, shape (residual, parameter); inward at a bound."""
        x = np.clip(x, 0.0, 1.0)
        here, *there = self._around(x)
        residuals = self.problem.residuals_of(here)
        columns = [
            np.zeros_like(residuals) if e.failed else (self.problem.residuals_of(e) - residuals) / h
            for e, h in zip(there, self._forward(x), strict=True)
        ]
        return np.stack(columns, axis=1)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Gradient of the loss: 2 JᵀR for sums of squares, central differences otherwise.

        A forward difference on a squared loss shifts its minimum by half a step.
        """
        x = np.clip(x, 0.0, 1.0)
        if not self.both_sides:
            return 2 * self.jacobian(x).T @ self.residuals(x)
        up, down = self._sides(x)
        losses = np.array([self.problem.seen(e) for e in self._around(x)[1:]])
        n = self.problem.n
        return (losses[:n] - losses[n:]) / (up - down)

    def _around(self, x: np.ndarray) -> list[Evaluation]:
        x = np.clip(x, 0.0, 1.0)
        key = x.tobytes()
        if key not in self._known:
            points = np.concatenate([x[None], self._stencil(x)])
            self._known = {key: self.problem.evaluate(points, together=True)}
            self._keep(self._known[key])
            self._look(self._known[key])
        first = self._known[key][0]
        if not self.problem.exact and first.loss <= FLOOR * self.problem.judge.n_residuals:
            raise AtNoise(first)
        return self._known[key]

    def _keep(self, around: list[Evaluation]) -> None:
        """Leave the derivatives at the best point to those who ask how well it is determined."""
        before = self.problem.stencil
        if self.both_sides or len(around) < 2 or any(e.failed for e in around):
            return
        if not before or around[0].loss < before[0].loss:
            self.problem.stencil = around

    def _look(self, around: list[Evaluation]) -> None:
        """Find out, once, what no parameter moves: before the search goes on."""
        if not self._has_looked and len(around) > 1 and not any(e.failed for e in around):
            self._has_looked = True
            look_at(self.problem, around)

    def _stencil(self, x: np.ndarray) -> np.ndarray:
        if not self.both_sides:
            return x + np.diag(self._forward(x))
        up, down = self._sides(x)
        return np.concatenate([x + np.diag(up - x), x + np.diag(down - x)])

    def _forward(self, x: np.ndarray) -> np.ndarray:
        return np.where(x + self.steps <= 1.0, self.steps, -self.steps)

    def _sides(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        h = np.where(self.steps < 1e-3, np.cbrt(self.steps**2), self.steps)
        return np.minimum(x + h, 1.0), np.maximum(x - h, 0.0)


class Values(Differences):
    """Losses alone, for methods that use no derivative."""

    def _stencil(self, x: np.ndarray) -> np.ndarray:
        return np.empty((0, x.size))
