"""Scrambled Sobol' points, the same numbers as from ``scipy.stats.qmc``.

To import ``scipy.stats`` takes longer than a whole search that begins with these points.
"""

from __future__ import annotations

import numpy as np

_BITS = 30

# Of each dimension after the first: the primitive polynomial, and the direction numbers that it
# begins with (Joe and Kuo 2008, SIAM J Sci Comput 30:2635–2654).
_DIRECTIONS = (
    (3, (1,)),
    (7, (1, 3)),
    (11, (1, 3, 1)),
    (13, (1, 1, 1)),
    (19, (1, 1, 3, 3)),
    (25, (1, 3, 5, 13)),
    (37, (1, 1, 5, 5, 17)),
    (41, (1, 1, 5, 5, 5)),
    (47, (1, 1, 7, 11, 19)),
    (55, (1, 1, 5, 1, 1)),
    (59, (1, 1, 1, 3, 11)),
    (61, (1, 3, 5, 5, 31)),
    (67, (1, 3, 3, 9, 7, 49)),
    (91, (1, 1, 1, 15, 21, 21)),
    (97, (1, 3, 1, 13, 27, 49)),
)
MOST_DIMENSIONS = len(_DIRECTIONS) + 1


def scrambled(d: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return the first n points of a scrambled sequence, shape (n, d).

    The scrambling is a random linear one of the digits with a digital shift (Matoušek 1998).

    Parameters
    ----------
    d : int
        Dimension.
    n : int
    rng : numpy.random.Generator
    """
    if d > MOST_DIMENSIONS:
        from scipy.stats import qmc

        sampler = qmc.Sobol(d, scramble=True, rng=rng)
        return sampler.random_base2(max(int(np.ceil(np.log2(n))), 0))[:n]
    rng = rng.spawn(1)[0]  # as scipy does
    powers = 2 ** np.arange(_BITS, dtype=np.int64)
    shift = rng.integers(2, size=(d, _BITS), dtype=np.uint32) @ powers
    matrices = np.tril(rng.integers(2, size=(d, _BITS, _BITS), dtype=np.uint32)).astype(np.int64)
    matrices[:, range(_BITS), range(_BITS)] = 1
    digits = _directions(d)[:, :, None] // powers[::-1] % 2  # the highest first
    columns = (digits @ matrices.transpose(0, 2, 1) % 2) @ powers[::-1]
    index = np.arange(n)
    gray = index ^ (index >> 1)
    points = np.tile(shift, (n, 1))
    for bit in range(_BITS):
        points ^= np.where((gray >> bit & 1)[:, None] == 1, columns[:, bit], 0)
    return points / 2**_BITS


def _directions(d: int) -> np.ndarray:
    """Return the direction numbers, shape (d, bit)."""
    rows = [[1] * _BITS]
    for polynomial, first in _DIRECTIONS[: d - 1]:
        degree, row = len(first), list(first)
        for j in range(degree, _BITS):
            number = row[j - degree]
            for k in range(degree):
                if polynomial >> (degree - 1 - k) & 1:
                    number ^= row[j - k - 1] << (k + 1)
            row.append(number)
        rows.append(row)
    return np.array(rows, dtype=np.int64) << np.arange(_BITS - 1, -1, -1)
