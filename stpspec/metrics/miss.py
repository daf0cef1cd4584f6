"""The miss of a target: achieved − target, in sd or in the unit of the metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from stpspec.errors import MetricError
from stpspec.formatting import number, unit_text
from stpspec.metrics.noise import Noise, Numbers, decorrelated
from stpspec.metrics.scale import scales_at
from stpspec.registry import METRICS
from stpspec.specs.objective import Objective, Term

FAR = 3.0  # sd: a fit that misses a target by more has not done what it was asked
_NORMAL = NormalDist()
_HIT_IN_SD = 0.05  # below it, a miss is 0.0 sd at the precision of a table
_HIT_OF_TARGET = 5e-5  # without an sd: four digits of the target


@dataclass(frozen=True, eq=False, slots=True)
class Miss:
    """What was achieved of one target, compared with it.

    Attributes
    ----------
    achieved, target : ndarray, shape (target,)
        In the unit of the target; a scalar has one value, and a gap in the target is NaN.
    sd : ndarray, shape (target,), or None
        Standard deviation of the target; of a mean of n repeats, that of the mean.
    is_own_ratio : bool
        Whether all values were divided by the first, which is 1 and no datum, and whose noise
        the others share.

    Raises
    ------
    MetricError
        If the metric gives another number of values than the target has.
    """

    achieved: np.ndarray
    target: np.ndarray
    sd: np.ndarray | None = None
    is_own_ratio: bool = False

    def __post_init__(self) -> None:
        if self.achieved.shape != self.target.shape:
            raise MetricError(
                f"the target has {self.target.size} values, the metric gives {self.achieved.size}"
            )

    @classmethod
    def of_term(cls, value: ArrayLike, term: Term, scale: float = 1.0) -> Miss:
        """Compare a measured value, times a scale, with the target of a term of plain numbers."""
        value = np.asarray(value, float) * scale
        return cls.of(value, term.target, term.sd, term.n, is_own_ratio=is_own_ratio(term))

    @classmethod
    def of(
        cls,
        value: ArrayLike,
        target: Numbers,
        sd: Numbers | None = None,
        n: Numbers | None = None,
        *,
        is_own_ratio: bool = False,
    ) -> Miss:
        """Compare a measured value (a number, or an array over trials and values) with a target.

        Parameters
        ----------
        value : float or array_like
        target, sd, n : float or sequence of float
            As in a term of the objective; one sd and one n hold for all values.
        is_own_ratio : bool
        """
        values = np.atleast_1d(np.asarray(target, float))
        sds = None if sd is None else Noise.of(sd, n, values).sd
        achieved = mean_over_trials(value, is_vector=np.ndim(np.asarray(target, float)) > 0)
        return cls(achieved, values, sds, is_own_ratio)

    def part(self, which: slice) -> Miss:
        """Return the miss of some of the values, as of one train of several."""
        sd = None if self.sd is None else self.sd[which]
        return Miss(self.achieved[which], self.target[which], sd)

    @property
    def is_datum(self) -> np.ndarray:
        """Which values are data, shape (target,)."""
        return are_data(self.target, is_own_ratio=self.is_own_ratio)

    @property
    def n_data(self) -> int:
        """Number of values that are data."""
        return int(self.is_datum.sum())

    @property
    def differences(self) -> np.ndarray:
        """Achieved − target of each datum, in the unit of the target, shape (datum,)."""
        return (self.achieved - self.target)[self.is_datum]

    @property
    def scaled(self) -> np.ndarray:
        """The differences in sd, or in the unit of the metric without one, shape (datum,).

        Of values that were divided by their own first, without the noise that they share.
        """
        scale = np.ones(self.target.size) if self.sd is None else self.sd
        if not self.is_own_ratio:
            return self.differences / scale[self.is_datum]
        known = np.isfinite(self.target)
        target, scale = self.target[known], scale[known]
        achieved = decorrelated(self.achieved[known], target, scale)
        return (achieved - target[1:]) / scale[1:]

    @property
    def percent(self) -> np.ndarray | None:
        """The differences in % of the target (of a vector, of its RMS); None of a target of 0."""
        unit = _rms(self.target[np.isfinite(self.target)]) / 100
        return self.differences / unit if unit else None

    @property
    def number(self) -> float:
        """The miss as one number: signed of one value, the RMS of several; as ``scaled``."""
        scaled = self.scaled
        return float(scaled[0]) if scaled.size == 1 else _rms(scaled)

    @property
    def is_hit(self) -> bool:
        """Whether every value is within 0.05 sd; without an sd, within 5e-5 of the largest."""
        if self.sd is not None:
            return bool((np.abs(self.scaled) < _HIT_IN_SD).all())
        largest = np.nanmax(np.abs(self.target))
        return bool(np.abs(self.differences).max() <= _HIT_OF_TARGET * largest)

    @property
    def is_far(self) -> bool:
        """Whether any value is too many sd off; without an sd that cannot be told.

        Of one value more than 3; of several, what is as rare in the largest of them by chance.
        """
        return self.sd is not None and bool((np.abs(self.scaled) > far_of(self.n_data)).any())

    def text(self, unit: str) -> str:
        """Return the miss as tables show it: ``hit``, ``+1.2 sd``, ``rms 0.4 pA``.

        Parameters
        ----------
        unit : str
            Of the metric; shown where there is no sd.
        """
        if self.is_hit:
            return "hit"
        one = self.target.size == 1
        size = f"{self.number:+.2g}" if one else f"rms {number(self.number, 2)}"
        return f"{size} {'sd' if self.sd is not None else unit_text(unit)}".rstrip()


def misses_of(objective: Objective | None, metrics: Mapping[str, ArrayLike]) -> dict[str, Miss]:
    """Compare what was measured with the target of each term, free scales at their best values.

    Parameters
    ----------
    objective : Objective or None
        With plain numbers.
    metrics : mapping of str to array_like
        Measured values by term name.
    """
    if objective is None:
        return {}
    scales = scales_at(objective, metrics)
    return {
        n: Miss.of_term(metrics[n], t, scales.get(t.scale or "", 1.0))
        for n, t in objective.terms.items()
    }


def are_data(target: np.ndarray, *, is_own_ratio: bool) -> np.ndarray:
    """Tell which values of a target are data: no gap, nor the first of which all are ratios.

    Returns
    -------
    ndarray of bool, shape (target,)
    """
    found = np.isfinite(target)
    if is_own_ratio:
        found[0] = False
    return found


def far_of(n: int) -> float:
    """Return the miss in sd that the largest of n exceeds as rarely as one does 3 sd."""
    return -_NORMAL.inv_cdf(_NORMAL.cdf(-FAR) / n)


def is_own_ratio(term: Term) -> bool:
    """Tell whether the values of a term were divided by the first of them."""
    is_known = term.metric in METRICS.names()  # a figure needs no metric
    return is_known and bool(METRICS.get(term.metric).own_ratio(term.options))


def mean_over_trials(value: ArrayLike, *, is_vector: bool) -> np.ndarray:
    """Return what of a measured value is compared with its target, shape (target,).

    Of ``trials: each`` that is the mean over the trials.
    """
    achieved = np.atleast_1d(np.asarray(value, float))
    if achieved.ndim > 1:
        return achieved.mean(axis=0)
    return achieved if is_vector else achieved.mean(keepdims=True)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
