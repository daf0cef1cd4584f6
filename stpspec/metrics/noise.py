"""Noise of the targets: the error of a mean of n repeats, and the noise that ratios share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

Numbers = ArrayLike | Sequence[float | str | None]  # of a term with plain numbers; None is a gap
_BY_CHANCE = 0.05  # a probability; variances whose scatter is rarer differ
_MOST = 1e4  # degrees of freedom; with more, a variance is as good as known


@dataclass(frozen=True, eq=False, slots=True)
class Noise:
    """What is known of the errors of the values of one target.

    Attributes
    ----------
    sd : ndarray, shape (target,)
        Of the values themselves: of means over n repeats, sd / √n.
    degrees : ndarray, shape (target,)
        Degrees of freedom of that sd; infinite where it counts as known.
    is_pooled : bool
        Whether all values have one estimate of the sd in common.
    """

    sd: np.ndarray
    degrees: np.ndarray
    is_pooled: bool

    @classmethod
    def of(cls, sd: Numbers, n: Numbers | None, target: np.ndarray) -> Noise:
        """Return the noise of the values of a target, with sd and n as in a term.

        Gaps, where the target is NaN, have neither sd nor degrees of freedom: NaN, too.
        """
        size, given = target.size, np.asarray(sd, float)
        sds = np.broadcast_to(given, (size,))
        known = np.isfinite(target)
        if not known.all():
            of_known = None
            if n is not None:
                of_known = np.broadcast_to(np.asarray(n, float), (size,))[known]
            part = cls.of(given if given.ndim == 0 else sds[known], of_known, target[known])
            wide = np.full((2, size), np.nan)
            wide[:, known] = part.sd, part.degrees
            return cls(wide[0], wide[1], part.is_pooled)
        if n is None:
            return cls(sds, np.full(size, np.inf), is_pooled=False)
        repeats = np.broadcast_to(np.asarray(n, float), (size,))
        degrees = np.where(repeats > 1, repeats - 1, np.inf)  # the sd of one is from elsewhere
        if given.ndim == 0:  # one sd for all values is one estimate
            return cls(sds / np.sqrt(repeats), np.full(size, degrees.sum()), is_pooled=size > 1)
        level = np.maximum(np.abs(target), sds / np.sqrt(repeats))
        spread, total = moderated(sds, degrees, level)
        is_pooled = bool(np.isinf(total).all() and np.isfinite(degrees).all())
        if is_pooled:
            total = np.full(size, degrees.sum())
        return cls(spread / np.sqrt(repeats), total, is_pooled)


def moderated(
    sd: np.ndarray, degrees: np.ndarray, level: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return sds that were each estimated from few repeats, with what the others tell of them.

    The sd of 5 repeats is uncertain by 35 %; weights made of such sds are so uneven that they waste
    data, and standard errors come out too small. As the values of a vector are of one kind, their
    variances are taken as drawn from one scaled inverse χ² distribution, which is estimated from
    all of them; each is replaced by its posterior mean (Smyth 2004, doi:10.2202/1544-6115.1027).
    Where the sds scatter no more than chance lets them (Bartlett 1937,
    doi:10.1098/rspa.1937.0109), they are pooled; else, they may follow a power of the values, as
    the sd of large amplitudes is large (Law et al. 2014, doi:10.1186/gb-2014-15-2-r29). Where n is
    large, each stays as it is.

    Parameters
    ----------
    sd, degrees, level : ndarray, shape (value,)
        ``level`` is the size of the value itself.

    Returns
    -------
    sd, degrees : ndarray, shape (value,)
        Degrees of freedom are infinite where all are pooled.
    """
    few = np.isfinite(degrees)
    if few.sum() < 2:
        return sd, degrees
    from scipy.special import digamma, polygamma

    variances, d = sd[few] ** 2, degrees[few]
    logs = np.log(variances) - digamma(d / 2) + np.log(d / 2)  # unbiased
    trend, k = np.ones(d.size), 1
    if not _are_alike(variances, d) and d.size > 2 and np.ptp(level[few]) > 0:
        slope, offset = np.polyfit(np.log(level[few]), logs, 1)
        trend, k = np.exp(offset + slope * np.log(level[few])), 2
    rest = logs - np.log(trend)
    rest -= rest.mean()
    excess = float(rest @ rest / (d.size - k) - np.mean(polygamma(1, d / 2)))
    if excess <= 0 or _are_alike(variances / trend, d):
        new = trend * float((variances / trend * d).sum() / d.sum())
        total = np.full(d.size, np.inf)
    else:
        prior = 2 * _trigamma_inverse(excess)
        common = np.exp(logs - rest + digamma(prior / 2) - np.log(prior / 2))
        new, total = (prior * common + d * variances) / (prior + d), prior + d
    sds, sums = sd.copy(), degrees.copy()
    sds[few], sums[few] = np.sqrt(new), total
    return sds, sums


def _are_alike(variances: np.ndarray, degrees: np.ndarray) -> bool:
    """Tell whether variances scatter no more than chance lets them (Bartlett's test)."""
    from scipy.special import chdtrc

    k, total = variances.size, degrees.sum()
    pooled = (variances * degrees).sum() / total
    statistic = total * np.log(pooled) - (degrees * np.log(variances)).sum()
    statistic /= 1 + ((1 / degrees).sum() - 1 / total) / (3 * (k - 1))
    return bool(chdtrc(k - 1, statistic) > _BY_CHANCE)


def _trigamma_inverse(value: float) -> float:
    """Return x with trigamma(x) = value > 0, by Newton's method on 1 / trigamma."""
    from scipy.special import polygamma

    x = 0.5 + 1 / value
    for _ in range(50):
        slope, curvature = float(polygamma(1, x)), float(polygamma(2, x))
        step = slope * (1 - slope / value) / curvature
        x += step
        if abs(step) < 1e-10 * x:
            break
    return x


def students_t(degrees: float) -> float:
    """Return how many standard errors on both sides hold 95 %: 1.96 with many degrees."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.975)) if degrees < _MOST else 1.96


def decorrelated(achieved: np.ndarray, target: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return what was achieved of amplitudes divided by their own first, free of shared noise.

    With amplitudes aₖ = A·(mₖ + eₖ), m₁ = 1 and independent errors eₖ of sd sₖ, a target is
    yₖ = aₖ / a₁, so that (yₖ − mₖ)·(1 + e₁) = eₖ − mₖ·e₁: the error of the first is in all. The
    covariance C = diag(sₖ²) + s₁²·m·mᵀ (k > 1) makes (y − m)ᵀC⁻¹(y − m) the very sum of squares
    that fitting the train with a free A would leave. Its symmetric root is applied here: the
    squares of (result − target) / scale add up to that sum. The first value, a₁ / a₁ = 1, is no
    datum and is left out.

    Parameters
    ----------
    achieved, target, scale : ndarray, shape (target,)
        ``scale`` is the sd of each single amplitude in units of the first.

    Returns
    -------
    ndarray, shape (target − 1,)
    """
    misses = (achieved - target)[1:] / scale[1:]
    shared = achieved[1:] * (scale[0] / scale[1:])
    root = np.sqrt(1 + shared @ shared)
    misses = misses - shared * ((shared @ misses) / (root * (root + 1)))
    return target[1:] + scale[1:] * misses


def correlation_time(misses: np.ndarray) -> float:
    """Return how many samples of a trace count as one: 1 + 2·Σ ρₖ, at least 1.

    N samples with autocorrelation ρ tell as much as N / (1 + 2·Σ ρₖ) independent ones (Bayley &
    Hammersley 1946, doi:10.2307/2983560); the sum ends where two successive ρ add up to nothing
    (Geyer 1992, doi:10.1214/ss/1177011137).

    Parameters
    ----------
    misses : ndarray, shape (sample,)
        At the best point: noise, and what the model does not follow.
    """
    n = misses.size
    power = float(misses @ misses)
    if n < 3 or power == 0:
        return 1.0
    padded = np.fft.rfft(misses, 2 * n)
    rho = np.fft.irfft(padded * padded.conj(), 2 * n)[:n] / power
    pairs = rho[: n - n % 2].reshape(-1, 2).sum(axis=1)  # ρ₀ + ρ₁, ρ₂ + ρ₃, …
    ends = np.flatnonzero(pairs <= 0)
    last = int(ends[0]) if ends.size else pairs.size
    return float(np.clip(2 * pairs[:last].sum() - 1, 1.0, n))
