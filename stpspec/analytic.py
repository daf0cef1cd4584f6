"""Closed forms of short-term plasticity and of two coupled cells, to which NEURON is held.

Numpy only. Synapse parameters are vectorized over candidates: each is a number or an array of
shape (candidate,); numbers are repeated, and the result always has a leading candidate axis.

The plasticity is the deterministic event map of Tsodyks and Markram (1997,
doi:10.1073/pnas.94.2.719; Tsodyks, Pawelzik and Markram 1998, doi:10.1162/089976698300017502) in
the form of Fuhrmann et al. (2002, doi:10.1152/jn.00258.2001), with instant inactivation: at event
n a fraction u of the available resources R is released, and

- u(n+1) = U + u(n)·(1 − U)·exp(−Δ/F), u(1) = U
- R(n+1) = 1 − (1 − R(n)·(1 − u(n)))·exp(−Δ/D), R(1) = 1

F = 0 means u = U at every event, D = 0 means R = 1 at every event.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


def _columns(*values: ArrayLike) -> list[np.ndarray]:
    """Return the values as float arrays of one shape (candidate,)."""
    arrays = np.broadcast_arrays(*[np.atleast_1d(np.asarray(v, float)) for v in values])
    if arrays[0].ndim != 1:
        raise ValueError(f"one number a candidate is needed (got shape {arrays[0].shape})")
    return [np.array(a) for a in arrays]


def _remaining(interval: ArrayLike, tau: np.ndarray) -> np.ndarray:
    """Return exp(−interval/tau); 0 where tau is 0 (what decays at once is gone)."""
    ratio = np.full(np.broadcast(interval, tau).shape, np.inf)
    np.divide(interval, tau, out=ratio, where=np.broadcast_to(tau > 0, ratio.shape))
    return np.exp(-ratio)


def _states(
    U: ArrayLike, D: ArrayLike, F: ArrayLike, times: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Return u and R at each event, shape (candidate, pulse)."""
    U, D, F = _columns(U, D, F)
    times = np.asarray(times, float)
    u, R = np.empty((2, U.size, times.size))
    u[:, 0], R[:, 0] = U, 1.0
    intervals = np.diff(times)
    by_f, by_d = _remaining(intervals, F[:, None]), _remaining(intervals, D[:, None])
    for n in range(intervals.size):
        u[:, n + 1] = U + u[:, n] * (1 - U) * by_f[:, n]
        R[:, n + 1] = 1 - (1 - R[:, n] * (1 - u[:, n])) * by_d[:, n]
    return u, R


def event_map(U: ArrayLike, D: ArrayLike, F: ArrayLike, times: ArrayLike) -> np.ndarray:
    """Return the release u·R at each presynaptic event.

    Parameters
    ----------
    U : float or ndarray, shape (candidate,)
        Utilization at rest, 0 to 1.
    D : float or ndarray, shape (candidate,)
        Time constant of recovery from depression, ms; 0 is no depression.
    F : float or ndarray, shape (candidate,)
        Time constant of the decay of facilitation, ms; 0 is no facilitation.
    times : array_like, shape (pulse,)
        Presynaptic spike times, ms, rising.

    Returns
    -------
    ndarray, shape (candidate, pulse)
        Amplitudes in units of the amplitude at full release, A.
    """
    u, R = _states(U, D, F, times)
    return u * R


def extended_event_map(
    U: ArrayLike, f: ArrayLike, D: ArrayLike, F: ArrayLike, times: ArrayLike
) -> np.ndarray:
    """Return the release u·R at each event where facilitation has an increment of its own.

    An event raises u, once it has released, by f·(1 − u); u relaxes to U (Costa et al. 2013,
    doi:10.3389/fncom.2013.00075). With f = U that is :func:`event_map`.

    - u(n+1) = U + (u(n) + f·(1 − u(n)) − U)·exp(−Δ/F), u(1) = U
    - R(n+1) = 1 − (1 − R(n)·(1 − u(n)))·exp(−Δ/D), R(1) = 1

    Parameters
    ----------
    U, D, F : float or ndarray, shape (candidate,)
        As in :func:`event_map` (1, ms, ms).
    f : float or ndarray, shape (candidate,)
        Increment of u, of 1 − u, 0 to 1.
    times : array_like, shape (pulse,)
        Presynaptic spike times, ms, rising.

    Returns
    -------
    ndarray, shape (candidate, pulse)
        In units of the amplitude at full release.
    """
    U, f, D, F = _columns(U, f, D, F)
    intervals = np.diff(np.asarray(times, float))
    u, R = np.empty((2, U.size, intervals.size + 1))
    u[:, 0], R[:, 0] = U, 1.0
    for n, interval in enumerate(intervals):
        raised = u[:, n] + f * (1 - u[:, n])
        u[:, n + 1] = U + (raised - U) * _remaining(interval, F)
        R[:, n + 1] = 1 - (1 - R[:, n] * (1 - u[:, n])) * _remaining(interval, D)
    return u * R


def varela_map(
    f: ArrayLike,
    tau_facil: ArrayLike,
    d1: ArrayLike,
    tau_rec_1: ArrayLike,
    d2: ArrayLike,
    tau_rec_2: ArrayLike,
    times: ArrayLike,
) -> np.ndarray:
    """Return F·D1·D2 at each event: additive facilitation, two multiplicative depressions.

    All three begin at 1 and relax to 1; an event adds f to F and multiplies D1 by d1, D2 by d2
    (Varela et al. 1997, doi:10.1523/JNEUROSCI.17-20-07926.1997).

    Parameters
    ----------
    f : float or ndarray, shape (candidate,)
        Increment of F.
    d1, d2 : float or ndarray, shape (candidate,)
        What an event leaves of D1 and D2, 0 to 1.
    tau_facil, tau_rec_1, tau_rec_2 : float or ndarray, shape (candidate,)
        Time constants of F, D1 and D2, ms; 0 means that the factor is always 1.
    times : array_like, shape (pulse,)
        Presynaptic spike times, ms, rising.

    Returns
    -------
    ndarray, shape (candidate, pulse)
        In units of the amplitude of a resting synapse.
    """
    f, tau_facil, d1, tau_rec_1, d2, tau_rec_2 = _columns(
        f, tau_facil, d1, tau_rec_1, d2, tau_rec_2
    )
    intervals = np.diff(np.asarray(times, float))
    factors = np.ones((3, f.size, intervals.size + 1))
    for n, interval in enumerate(intervals):
        after = (factors[0, :, n] + f, factors[1, :, n] * d1, factors[2, :, n] * d2)
        for factor, raised, tau in zip(
            factors, after, (tau_facil, tau_rec_1, tau_rec_2), strict=True
        ):
            factor[:, n + 1] = 1 + (raised - 1) * _remaining(interval, tau)
    return factors.prod(axis=0)


class Quanta(NamedTuple):
    """Statistics of the amplitude of one event over trials, with independent release sites.

    Attributes
    ----------
    mean, variance : ndarray
        In units of q and q².
    failures : ndarray
        Probability that nothing is released.
    """

    mean: np.ndarray
    variance: np.ndarray
    failures: np.ndarray


def quanta(N: ArrayLike, p: ArrayLike, q: ArrayLike = 1.0, cv: ArrayLike = 0.0) -> Quanta:
    """Return mean, variance and failures of the release of N independent vesicles.

    Binomial release (del Castillo and Katz 1954, doi:10.1113/jphysiol.1954.sp005129): mean N·p·q,
    variance q²·(N·p·(1 − p) + N·p·cv²), failures (1 − p)^N.

    Parameters
    ----------
    N : float or ndarray
        Number of vesicles.
    p : float or ndarray
        Probability that one is released; in a train u·R (:func:`event_map`), as the recovery of a
        vesicle does not depend on that of the others.
    q : float or ndarray
        Mean amplitude of one vesicle.
    cv : float or ndarray
        Its coefficient of variation.
    """
    N, p, q, cv = (np.asarray(x, float) for x in (N, p, q, cv))
    mean = N * p * q
    return Quanta(mean, q**2 * N * p * ((1 - p) + cv**2), (1 - p) ** N)


def steady_state(U: ArrayLike, D: ArrayLike, F: ArrayLike, f: ArrayLike) -> np.ndarray:
    """Return the release u·R in the steady state of a regular drive.

    Parameters
    ----------
    U, D, F : float or ndarray, shape (candidate,)
        As in :func:`event_map` (1, ms, ms).
    f : float or ndarray, shape (candidate,)
        Frequency of the drive, Hz.

    Returns
    -------
    ndarray, shape (candidate,)
        In units of A. For f ≫ 1/(U·D) it tends to A/(f·D), the 1/f law (Tsodyks and Markram
        1997, doi:10.1073/pnas.94.2.719).
    """
    U, D, F, f = _columns(U, D, F, f)
    period = 1000.0 / f
    u = U / (1 - (1 - U) * _remaining(period, F))
    kept = _remaining(period, D)
    return u * (1 - kept) / (1 - (1 - u) * kept)


def paired_pulse_ratio(U: ArrayLike, D: ArrayLike, F: ArrayLike, interval: ArrayLike) -> np.ndarray:
    """Return a2/a1 of two events on a resting synapse.

    Parameters
    ----------
    U, D, F : float or ndarray, shape (candidate,)
        As in :func:`event_map` (1, ms, ms).
    interval : float or ndarray, shape (candidate,)
        ms.

    Returns
    -------
    ndarray, shape (candidate,)
    """
    U, D, F, interval = _columns(U, D, F, interval)
    return (1 + (1 - U) * _remaining(interval, F)) * (1 - U * _remaining(interval, D))


def recovery(
    U: ArrayLike, D: ArrayLike, F: ArrayLike, n: int, f: float, gap: ArrayLike
) -> np.ndarray:
    """Return the amplitude of one event after a train, divided by the first of the train.

    Parameters
    ----------
    U, D, F : float or ndarray, shape (candidate,)
        As in :func:`event_map` (1, ms, ms). U above 0.
    n : int
        Number of events in the train.
    f : float
        Frequency of the train, Hz.
    gap : float or ndarray, shape (candidate,)
        From the last event of the train to the event after it, ms.

    Returns
    -------
    ndarray, shape (candidate,)
    """
    U, D, F, gap = _columns(U, D, F, gap)
    u, R = (x[:, -1] for x in _states(U, D, F, np.arange(n) * 1000.0 / f))
    later = U + u * (1 - U) * _remaining(gap, F)
    return later / U * (1 - (1 - R * (1 - u)) * _remaining(gap, D))


def peak_time(rise: ArrayLike, decay: ArrayLike) -> np.ndarray:
    """Return the time of the peak of a double exponential, ms.

    Parameters
    ----------
    rise, decay : float or ndarray
        Time constants, ms; rise below decay.
    """
    rise, decay = np.asarray(rise, float), np.asarray(decay, float)
    return rise * decay / (decay - rise) * np.log(decay / rise)


def kernel(t: ArrayLike, rise: float, decay: float) -> np.ndarray:
    """Return a double exponential with a peak of 1, and 0 before t = 0.

    Parameters
    ----------
    t : array_like, any shape
        Time since the event, ms.
    rise, decay : float
        Time constants, ms; rise below decay.

    Returns
    -------
    ndarray, shape of ``t``
    """
    peak = peak_time(rise, decay)
    norm = 1 / (np.exp(-peak / decay) - np.exp(-peak / rise))
    s = np.maximum(np.asarray(t, float), 0.0)
    return norm * (np.exp(-s / decay) - np.exp(-s / rise))


def trace(
    times: ArrayLike, amplitudes: ArrayLike, t: ArrayLike, rise: float, decay: float
) -> np.ndarray:
    """Return the linear sum of the responses to all events.

    Parameters
    ----------
    times : array_like, shape (pulse,)
        Arrivals of the events, ms.
    amplitudes : array_like, shape (pulse,) or (candidate, pulse)
        Amplitude of each, in any unit.
    t : array_like, shape (time,)
        ms.
    rise, decay : float
        Time constants of the kernel, ms.

    Returns
    -------
    ndarray, shape (time,) or (candidate, time)
        In the unit of the amplitudes.
    """
    t, amplitudes = np.asarray(t, float), np.asarray(amplitudes, float)
    total = np.zeros((*amplitudes.shape[:-1], t.size))
    for n, arrival in enumerate(np.asarray(times, float)):
        total += amplitudes[..., n, None] * kernel(t - arrival, rise, decay)
    return total


class GapPair(NamedTuple):
    """Two isopotential passive cells joined by a junctional conductance, current into cell 1.

    Attributes
    ----------
    coupling_coefficient : ndarray
        ΔV2/ΔV1 (1).
    input_resistance_1, input_resistance_2 : ndarray
        Of either cell while it is coupled, MΩ.
    transfer_resistance : ndarray
        ΔV2/I, MΩ; the same in both directions.
    """

    coupling_coefficient: np.ndarray
    input_resistance_1: np.ndarray
    input_resistance_2: np.ndarray
    transfer_resistance: np.ndarray


def gap_pair(R1: ArrayLike, R2: ArrayLike, G: ArrayLike) -> GapPair:
    """Return what a current step into cell 1 of two coupled passive cells settles at.

    Kirchhoff's and Ohm's laws for a junction of constant conductance (Furshpan and Potter 1959,
    doi:10.1113/jphysiol.1959.sp006143): CC = G/(G + 1/R2), Rin1 = 1/(1/R1 + 1/(1/G + R2)).

    Parameters
    ----------
    R1, R2 : float or ndarray
        Input resistances of the two cells when they are isolated, MΩ.
    G : float or ndarray
        Junctional conductance, nS.
    """
    R1, R2, G = (np.asarray(x, float) for x in (R1, R2, G))
    g1, g2, g = 1 / R1, 1 / R2, G * 1e-3
    determinant = g1 * g2 + g * (g1 + g2)
    return GapPair(g / (g + g2), (g2 + g) / determinant, (g1 + g) / determinant, g / determinant)
