"""Action potentials in a voltage, which no metric of a synaptic potential may mistake for one."""

from __future__ import annotations

import numpy as np

_OVERSHOOT = 0.0  # mV
_HIGH, _FALL, _WITHIN = -20.0, 20.0, 2.0  # mV, mV, ms


def first_spike(t: np.ndarray, v: np.ndarray) -> float | None:
    """Return the time of the first action potential, or None.

    The voltage exceeds 0 mV, or it exceeds −20 mV and falls by 20 mV within 2 ms, as no passive
    decay does.

    Parameters
    ----------
    t, v : ndarray, shape (n,)
        ms, mV.
    """
    above = v > _OVERSHOOT
    if above.any():
        return float(t[above.argmax()])
    for k in np.flatnonzero(v > _HIGH):
        stop = int(np.searchsorted(t, t[k] + _WITHIN))
        if v[k] - v[k:stop].min(initial=v[k]) >= _FALL:
            return float(t[k])
    return None
