"""Notes on fitted traces: whether what the model leaves of them is white noise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stpspec.formatting import number
from stpspec.metrics.judge import Judge
from stpspec.metrics.measure import Measurement
from stpspec.metrics.noise import correlation_time
from stpspec.registry import METRICS

_LAGS = 20
_LEAST = 50  # samples, below which nothing is said
_BY_CHANCE = 1e-3  # a probability; what is rarer is no white noise
_OPPOSITE = -0.5  # a correlation


def trace_notes(judge: Judge, measured: Mapping[str, Measurement]) -> dict[str, str]:
    """Say of each fitted trace whether its residual is white.

    Parameters
    ----------
    judge : Judge
    measured : mapping of str to Measurement
        At the best point.

    Returns
    -------
    dict of str to str
        Term → note, of the terms that count and are samples of a trace.
    """
    notes = {}
    compared = judge.compared({n: m.value for n, m in measured.items()})
    for name in judge.counted:
        if not METRICS.get(judge.objective.terms[name].metric).is_sampled:
            continue
        miss = compared[name]
        scaled = miss.scaled
        if scaled.size < _LEAST or miss.is_hit:
            continue
        notes[name] = _opposite(miss.achieved, miss.target) or _whiteness(scaled)
    return notes


def ljung_box(residual: np.ndarray, lags: int = _LAGS) -> tuple[float, float]:
    """Return statistic and probability of the Ljung-Box test for white noise.

    Q = n (n + 2) Σ ρₖ² / (n − k) follows χ² of as many degrees of freedom as there are lags
    (Ljung & Box 1978, doi:10.1093/biomet/65.2.297).

    Parameters
    ----------
    residual : ndarray, shape (sample,)
    lags : int
    """
    from scipy.special import chdtrc

    n, off = residual.size, residual - residual.mean()
    lags = min(lags, n // 5)
    k = np.arange(1, lags + 1)
    rho = np.array([off[j:] @ off[:-j] for j in k]) / (off @ off)
    statistic = float(n * (n + 2) * (rho**2 / (n - k)).sum())
    return statistic, float(chdtrc(lags, statistic))


def _whiteness(scaled: np.ndarray) -> str:
    _, probability = ljung_box(scaled)
    test = f"Ljung-Box, {_LAGS} lags, p {_text(probability)}"
    if probability > _BY_CHANCE:
        return f"the residual of the trace is white noise ({test})"
    each = correlation_time(scaled)
    return (
        f"the residual of the trace is not white noise ({test}): the noise is correlated, as "
        f"behind a filter, or the model does not follow the trace, which the figure shows; one in "
        f"{number(each, 2)} samples counts as independent"
    )


def _text(probability: float) -> str:
    return "< 0.001" if probability < 1e-3 else f"= {probability:.2g}"


def _opposite(achieved: np.ndarray, target: np.ndarray) -> str:
    off, aim = achieved - achieved.mean(), target - target.mean()
    size = float(np.sqrt((off @ off) * (aim @ aim)))
    if size == 0 or float(off @ aim) / size > _OPPOSITE:
        return ""
    return (
        "the recorded trace goes up where the model goes down: if it was saved with the opposite "
        "sign, the target needs invert: true"
    )
