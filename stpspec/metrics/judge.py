"""The judgment of measured values by an objective: one loss, and residuals for least squares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stpspec.errors import Failure, MetricError
from stpspec.metrics.measure import Measurement
from stpspec.metrics.miss import Miss, are_data, is_own_ratio, mean_over_trials
from stpspec.metrics.noise import Noise, decorrelated
from stpspec.metrics.registration import Loss
from stpspec.metrics.requests import requested
from stpspec.metrics.scale import scales_at
from stpspec.registry import COSTS, LOSSES
from stpspec.specs.objective import Objective, Term

_TOO_LARGE = "the loss is too large to be a number: are target and sd in the right unit?"


class Judge:
    """An objective, ready to be applied.

    Parameters
    ----------
    objective : Objective

    Attributes
    ----------
    requests : list of Request
        What has to be measured.
    has_residuals : bool
        Whether the loss is a sum of squares of :attr:`Verdict.residuals`.
    goals : dict of str to Goal
        By term name.
    """

    def __init__(self, objective: Objective):
        self.objective = objective
        self.requests = requested(objective)
        self.losses: dict[str, Loss] = {n: LOSSES.get(t.loss) for n, t in objective.terms.items()}
        self._options = {
            n: self.losses[n].options.model_validate(t.loss_options).model_dump()
            for n, t in objective.terms.items()
        }
        self.goals = {
            n: Goal.of(t, takes_sd=self.losses[n].takes_sd) for n, t in objective.terms.items()
        }
        self.has_residuals = not why_no_residuals(objective)

    @property
    def counted(self) -> list[str]:
        """Names of the terms with a weight above 0."""
        return [n for n, t in self.objective.terms.items() if t.weight > 0]

    @property
    def n_residuals(self) -> int:
        """Number of data, of all terms."""
        return sum(goal.n_data for goal in self.goals.values())

    def __call__(self, measured: Mapping[str, Measurement]) -> tuple[float, np.ndarray]:
        """Return the loss and the residuals of one candidate.

        Returns
        -------
        loss : float
            Σ weight · mean penalty over the terms, or what the cost function returns.
        residuals : ndarray, shape (datum,)
            Signed roots whose squares add up to the sum of the terms.

        Raises
        ------
        MetricError
            If any value is missing; names each with its reason.
        """
        terms_of: dict[Failure, list[str]] = {}
        for name, m in measured.items():
            if m.failure is not None:
                terms_of.setdefault(m.failure, []).append(name)
        if terms_of:
            raise MetricError("; ".join(_sentence(f, names) for f, names in terms_of.items()))
        with np.errstate(over="ignore"):
            residuals = self.residuals({n: m.value for n, m in measured.items()})
            loss = float(residuals @ residuals)
        if self.objective.cost is None:
            if not np.isfinite(loss):
                raise MetricError(_TOO_LARGE)
            return loss, residuals
        return self._cost(measured), residuals

    def misses(self, metrics: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return (achieved − target) / sd of every datum, shape (datum,).

        Parameters
        ----------
        metrics : mapping of str to ndarray
            Achieved values by term name.
        """
        return self.misses_with(metrics, self.scales(metrics))

    def misses_with(
        self, metrics: Mapping[str, np.ndarray], scales: Mapping[str, float]
    ) -> np.ndarray:
        """Return what :meth:`misses` does with given values of the free scales."""
        parts = [self.miss(n, metrics[n], scales).scaled for n in self.objective.terms]
        return np.concatenate(parts)

    def residuals(
        self, metrics: Mapping[str, np.ndarray], scales: Mapping[str, float] | None = None
    ) -> np.ndarray:
        """Return the signed roots whose squares add up to the sum of the terms, shape (datum,).

        Parameters
        ----------
        metrics : mapping of str to ndarray
            Achieved values by term name.
        scales : mapping of str to float, optional
            Values of the free scales; by default those at which the loss is least.
        """
        scales = self.scales(metrics) if scales is None else scales
        parts = [self._term(n, t, metrics[n], scales) for n, t in self.objective.terms.items()]
        return np.concatenate(parts)

    def scales(self, metrics: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Return the values of the free scales at which the loss is least."""
        return scales_at(self.objective, metrics)

    def scale_of(self, name: str, scales: Mapping[str, float]) -> float:
        """Return the factor of a term; 1 unless it names a free scale."""
        return scales.get(self.objective.terms[name].scale or "", 1.0)

    def is_far_from(self, metrics: Mapping[str, np.ndarray]) -> bool:
        """Tell whether the target of any term that counts is missed by far (:data:`FAR`)."""
        compared = self.compared(metrics)
        return any(compared[n].is_far for n in self.counted)

    def achieved(self, name: str, value: np.ndarray) -> np.ndarray:
        """Return what of a term's value is compared with its target, shape (target,)."""
        return mean_over_trials(value, is_vector=self.goals[name].is_vector)

    def compared(self, metrics: Mapping[str, np.ndarray]) -> dict[str, Miss]:
        """Return what was achieved of each term, compared with its target."""
        scales = self.scales(metrics)
        return {n: self.miss(n, metrics[n], scales) for n in self.objective.terms}

    def miss(self, name: str, value: np.ndarray, scales: Mapping[str, float]) -> Miss:
        """Return what was achieved of one term, compared with its target.

        Raises
        ------
        MetricError
            If the metric gives another number of values than the target has.
        """
        goal, scale = self.goals[name], self.scale_of(name, scales)
        try:
            achieved = self.achieved(name, value) * scale
            return Miss(achieved, goal.target, goal.sd, goal.is_own_ratio)
        except MetricError as error:
            raise MetricError(f"{name}: {error}") from None

    def _term(
        self, name: str, term: Term, value: np.ndarray, scales: Mapping[str, float]
    ) -> np.ndarray:
        miss, loss = self.miss(name, value, scales), self.losses[name]
        achieved, target, scale = self.goals[name].data(miss.achieved)
        try:
            penalty = loss.function(achieved, target, scale, **self._options[name])
            penalty = np.asarray(penalty, float)
        except Exception as error:  # a plug-in's bug is a failed evaluation, named as such
            raise MetricError(
                f"{name}: the loss {term.loss!r} failed: {type(error).__name__}: {error}"
            ) from error
        if penalty.shape != target.shape or not (penalty >= 0).all():
            raise MetricError(f"{name}: the loss {term.loss!r} gave no penalty ≥ 0 for each value")
        if not np.isfinite(penalty).all():
            raise MetricError(f"{name}: {_TOO_LARGE}")
        return np.sign(achieved - target) * np.sqrt(term.weight * penalty / target.size)

    def _cost(self, measured: Mapping[str, Measurement]) -> float:
        cost = COSTS.get(str(self.objective.cost))
        options = cost.options.model_validate(self.objective.cost_options).model_dump()
        plain = {n: _plain(m.value) for n, m in measured.items()}
        targets = {n: _plain(np.asarray(t.target, float)) for n, t in self.objective.terms.items()}
        try:
            value = float(cost.function(plain, targets, **options))
        except Exception as error:
            raise MetricError(
                f"the cost function {self.objective.cost!r} failed: {type(error).__name__}: {error}"
            ) from error
        if not np.isfinite(value):
            raise MetricError(f"the cost function {self.objective.cost!r} gave {value}")
        return value


@dataclass(frozen=True)
class Goal:
    """The target of a term as arrays of shape (target,); gaps in it are NaN.

    Attributes
    ----------
    noise : Noise or None
        None without an sd.
    scale : ndarray
        In what misses are counted: the sd, or without one 1.
    spread : ndarray
        What the errors of the values are proportional to: as ``scale``, but the target itself
        where the loss is relative to it.
    is_own_ratio : bool
        Whether all values were divided by the first of them.
    """

    target: np.ndarray
    noise: Noise | None
    scale: np.ndarray
    spread: np.ndarray
    is_vector: bool
    is_own_ratio: bool

    @classmethod
    def of(cls, term: Term, *, takes_sd: bool = True) -> Goal:
        target = np.atleast_1d(np.asarray(term.target, float))
        noise = None if term.sd is None else Noise.of(term.sd, term.n, target)
        scale = np.ones(target.size) if noise is None else noise.sd
        spread = scale if takes_sd else np.abs(target)
        return cls(target, noise, scale, spread, isinstance(term.target, list), is_own_ratio(term))

    @property
    def sd(self) -> np.ndarray | None:
        """Standard deviation of the target; None if none is given."""
        return None if self.noise is None else self.noise.sd

    @property
    def n_data(self) -> int:
        """Number of values that are data."""
        return int(self.is_datum.sum())

    @property
    def is_datum(self) -> np.ndarray:
        """Which values are data, shape (target,)."""
        return are_data(self.target, is_own_ratio=self.is_own_ratio)

    def data(self, achieved: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what a loss compares: achieved, target and scale, each of shape (datum,)."""
        known = np.isfinite(self.target)
        achieved, target, scale = achieved[known], self.target[known], self.scale[known]
        if not self.is_own_ratio:
            return achieved, target, scale
        return decorrelated(achieved, target, self.spread[known]), target[1:], scale[1:]


def why_no_residuals(objective: Objective) -> str:
    """Return why an objective is no sum of smooth squares; empty if it is."""
    if objective.cost is not None:
        return f"the cost function {objective.cost!r} gives one number"
    rough = [
        f"{n} ({t.loss})" for n, t in objective.terms.items() if not LOSSES.get(t.loss).residuals
    ]
    return f"no sum of smooth squares: {', '.join(rough)}" if rough else ""


def _plain(value: np.ndarray) -> float | np.ndarray:
    return float(value) if value.ndim == 0 else value


def _sentence(failure: Failure, terms: Sequence[str]) -> str:
    """Say once why terms have no value; what fails before any metric is none of theirs."""
    return f"{', '.join(terms)}: {failure}" if failure.stage == "metric" else str(failure)
