"""Decimation of traces to what a screen shows: the lowest and the highest sample of each pixel."""

from __future__ import annotations

import numpy as np


def shown_samples(y: np.ndarray, t: np.ndarray, pixels: int) -> np.ndarray:
    """Return the indices of the samples that a line of some width in pixels cannot do without.

    Parameters
    ----------
    y, t : ndarray, shape (n,)
    pixels : int

    Returns
    -------
    ndarray of int
        Rising; at most four a pixel, always with the first and the last sample.
    """
    n = t.size
    if n <= 4 * pixels or not np.isfinite(y).all():
        return np.arange(n)
    # By time, not by number: the samples of a variable step crowd where much happens.
    edges = np.searchsorted(t, np.linspace(t[0], t[-1], pixels + 1)[1:-1])
    starts = _marked(n, np.array([0]), edges)
    stops = np.append(starts[1:], n)
    return _marked(
        n, starts, stops - 1, _extremes(y, starts, np.fmin), _extremes(y, starts, np.fmax)
    )


def _extremes(y: np.ndarray, starts: np.ndarray, which: np.ufunc) -> np.ndarray:
    """Return the index of the first extreme sample of each stretch."""
    extremes = which.reduceat(y, starts)
    counts = np.diff(np.append(starts, y.size))
    places = np.flatnonzero(y == np.repeat(extremes, counts))
    stretches = np.repeat(np.arange(starts.size), counts)[places]
    return places[np.diff(stretches, prepend=-1) > 0]


def _marked(n: int, *indices: np.ndarray) -> np.ndarray:
    """Return some indices below n, sorted and each once: np.unique takes ten times as long."""
    is_marked = np.zeros(n, dtype=bool)
    for some in indices:
        is_marked[some] = True
    return np.flatnonzero(is_marked)
