"""Noise of the data of a fit: how many count as independent, and whether they scatter too much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stpspec.formatting import number
from stpspec.metrics.judge import Judge
from stpspec.metrics.measure import Measurement
from stpspec.metrics.miss import Miss
from stpspec.metrics.noise import correlation_time
from stpspec.registry import METRICS

_BY_CHANCE = 1e-3  # a probability; what is rarer is told


@dataclass(frozen=True)
class DataNoise:
    """What is known of the noise of all data at the best point.

    Attributes
    ----------
    has_sd : bool
        Whether every term that counts has an sd.
    number : float
        Of independent data that count.
    share : float
        Of the data that count, the independent ones.
    times : ndarray, shape (datum,)
        How many data count as one: 1, or more of the samples of a trace.
    groups : list of (ndarray of int, float)
        Data whose sds are one estimate, and its degrees of freedom.
    """

    has_sd: bool
    number: float
    share: float
    times: np.ndarray
    groups: list[tuple[np.ndarray, float]]

    @classmethod
    def of(cls, judge: Judge, metrics: Mapping[str, np.ndarray]) -> DataNoise:
        """Return the noise of the data of an objective.

        Parameters
        ----------
        judge : Judge
        metrics : mapping of str to ndarray
            Achieved values at the best point, by term name.
        """
        times, groups, count, total, first = [], [], 0.0, 0, 0
        compared = judge.compared(metrics)
        for name, goal in judge.goals.items():
            n, each = goal.n_data, _samples_per_datum(judge, name, compared[name])
            times.append(np.full(n, each))
            rows = first + np.arange(n)
            first += n
            if judge.objective.terms[name].weight == 0:
                continue
            count, total = count + n / each, total + n
            of_sd = judge.objective.terms[name].sd_degrees
            if goal.noise is not None and of_sd is not None:
                groups.append((rows, of_sd))
            elif goal.noise is not None:
                degrees = goal.noise.degrees[goal.is_datum]
                groups += (
                    [(rows, float(degrees[0]))]
                    if goal.noise.is_pooled
                    else [(rows[k : k + 1], float(d)) for k, d in enumerate(degrees)]
                )
        has_sd = all(judge.goals[n].noise is not None for n in judge.counted)
        return cls(has_sd, count, count / total, np.concatenate(times), groups)

    def degrees_of(self, parts: np.ndarray) -> float:
        """Return the degrees of freedom of a standard error (Welch-Satterthwaite).

        Parameters
        ----------
        parts : ndarray, shape (datum + part that counts as known,)
            Of the standard error, whose squares add up; the GUM, JCGM 100:2008, G.4.
        """
        variances = [(float(np.sum(parts[rows] ** 2)), degrees) for rows, degrees in self.groups]
        total = float(np.sum(parts**2))
        spread = sum(v**2 / degrees for v, degrees in variances)
        return total**2 / spread if spread > 0 else np.inf


def _samples_per_datum(judge: Judge, name: str, miss: Miss) -> float:
    """Return how many samples of a trace count as one; 1 of all else, and of what is hit."""
    if not METRICS.get(judge.objective.terms[name].metric).is_sampled:
        return 1.0
    return 1.0 if miss.is_hit else correlation_time(miss.scaled)


def too_much_scatter(judge: Judge, measured: Mapping[str, Measurement], n_free: int) -> str:
    """Say of misses that are larger than their sds allow by chance how large they are.

    The reduced χ² is compared with its distribution, or with that of F where the sds are
    estimates from few repeats.

    Parameters
    ----------
    judge : Judge
    measured : mapping of str to Measurement
        At the best point.
    n_free : int
        Number of parameters that were fitted and are not at a bound, and of free scales.

    Returns
    -------
    str
        Empty if there is nothing to say.
    """
    from scipy.special import chdtrc, fdtrc  # the tails of χ² and F

    squares, data, degrees = 0.0, 0.0, np.inf
    compared = judge.compared({n: m.value for n, m in measured.items()})
    for name in judge.counted:
        noise, miss = judge.goals[name].noise, compared[name]
        if noise is None or not judge.losses[name].takes_sd:
            return ""
        scaled, each = miss.scaled, _samples_per_datum(judge, name, miss)
        squares, data = squares + float(scaled @ scaled) / each, data + scaled.size / each
        of_sd = judge.objective.terms[name].sd_degrees
        degrees = min(degrees, float(np.nanmin(noise.degrees)) if of_sd is None else of_sd)
    rest = data - n_free
    if rest < 1:
        return ""
    reduced = squares / rest
    by_chance = chdtrc(rest, squares) if np.isinf(degrees) else fdtrc(rest, degrees, reduced)
    if by_chance > _BY_CHANCE:
        return ""
    return (
        f"the misses are larger than the sd of the targets lets expect: reduced χ² is "
        f"{number(reduced, 2)} with {number(rest, 3)} degrees of freedom. If the model is right, "
        f"the sd are too small, and the standard errors with them, by a factor of "
        f"{number(np.sqrt(reduced), 2)}"
    )
