"""Kinetics of a single response: amplitude, latency, rise, decay, half width, charge."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator

from stpspec.errors import MetricError
from stpspec.metrics.interpolate import crossing, resample
from stpspec.metrics.registration import Options, metric
from stpspec.metrics.response import Response
from stpspec.specs.stimulus import Stimulus

_FINE = 4000  # points over which a charge is integrated, at least, and
_PARTS = 2  # at least this many between two samples, however far they are apart
ONSET = 0.05  # fraction of the peak at which a response begins


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if not 0 < pair[0] < pair[1] < 1:
        raise ValueError(f"two fractions of the peak, 0 < first < second < 1 (got {pair})")
    return pair


def _falling(pair: tuple[float, float]) -> tuple[float, float]:
    if not 1 >= pair[0] > pair[1] > 0:
        raise ValueError(f"two fractions of the peak, 1 ≥ first > second > 0 (got {pair})")
    return pair


RisingInterval = Annotated[tuple[float, float], AfterValidator(_rising)]
FallingInterval = Annotated[tuple[float, float], AfterValidator(_falling)]


def _first(options: Options, stimulus: Stimulus) -> int:
    return 1


@metric("amplitude", "signal", pulses=_first, is_magnitude=True)
def amplitude(response: Response) -> float:
    """Peak of the first response; 0 when nothing was released."""
    return response.first_peak()[1]


@metric("max_amplitude", "signal", is_magnitude=True)
def max_amplitude(response: Response) -> float:
    """Largest peak over all pulses."""
    return float(response.amplitudes.max())


def _rise_crossing(response: Response, fraction: float) -> float:
    t, y, when, height = response.first_response()
    return crossing(t[t <= when + 1e-9], y[t <= when + 1e-9], fraction * height, rising=True)


def _onset(response: Response, method: str) -> float:
    if method == "threshold":
        return _rise_crossing(response, ONSET)
    t20, t80 = _rise_crossing(response, 0.2), _rise_crossing(response, 0.8)
    return t20 - 0.2 / 0.6 * (t80 - t20)


@metric("latency", "ms", pulses=_first)
def latency(
    response: Response, *, method: Literal["threshold", "extrapolated"] = "threshold"
) -> float:
    """Time from the presynaptic spike to the onset of the response, NetCon delay included.

    ``threshold``: first crossing of 5 % of the peak. ``extrapolated``: where the line through
    the 20 % and 80 % points meets the baseline.
    """
    spike = float(response.spikes[0]) if response.spikes.size else float("nan")
    value = _onset(response, method) - spike
    response.step(f"latency = onset − spike = {value:.4g} ms (includes the NetCon delay, "
                  f"{response.stimulus['delay']:.4g} ms)")  # fmt: skip
    return value


@metric("rise_time", "ms", pulses=_first, is_magnitude=True)
def rise_time(
    response: Response, *, interval: RisingInterval | Literal["onset_to_peak"] = (0.2, 0.8)
) -> float:
    """Time between two fractions of the peak on the rising side, or from onset to peak."""
    if interval == "onset_to_peak":
        return response.first_response()[2] - _onset(response, "threshold")
    return _rise_crossing(response, interval[1]) - _rise_crossing(response, interval[0])


def _fall_crossing(response: Response, fraction: float) -> float:
    t, y, when, height = response.first_response()
    if fraction == 1:
        return when
    after = t >= when
    if not after.any() or y[after].min() > fraction * height:
        lowest = y[after].min() / height if after.any() else 1.0
        raise MetricError(
            f"the response falls only to {100 * lowest:.0f} % of its peak before its window ends; "
            f"{100 * fraction:.0f} % is needed (a longer duration, or another interval, helps)"
        )
    # Start one sample early so that the bracket of the crossing is whole.
    start = max(int(after.argmax()) - 1, 0)
    return crossing(t[start:], np.where(t[start:] < when, height, y[start:]),
                    fraction * height, rising=False)  # fmt: skip


@metric("decay_time", "ms", pulses=_first, is_magnitude=True)
def decay_time(response: Response, *, interval: FallingInterval = (0.8, 0.2)) -> float:
    """Time constant of a·exp(−t/τ), fitted by least squares between two fractions of the peak."""
    start, stop = (_fall_crossing(response, f) for f in interval)
    t, y, _, height = response.first_response()
    if np.count_nonzero((t > start) & (t < stop)) < 2:
        raise MetricError(
            f"the response falls within {stop - start:.3g} ms, between two samples: its decay is "
            f"that of the step, not of the synapse (a smaller numerics.dt helps)"
        )
    # Equally spaced points between the two crossings: no sample jumps in or out of the fit.
    x = np.linspace(0.0, stop - start, 201)
    values = resample(t, y, start + x) / height
    a, rate = interval[0], np.log(interval[0] / interval[1]) / (stop - start)
    for _ in range(50):
        model = np.exp(-rate * x)
        slope, off = -a * x * model, values - a * model
        # The normal equations of two unknowns by hand: a general solver costs ten times as much.
        aa, ar, rr = model @ model, model @ slope, slope @ slope
        da, dr = model @ off, slope @ off
        determinant = aa * rr - ar * ar
        a, step = a + (rr * da - ar * dr) / determinant, (aa * dr - ar * da) / determinant
        rate += step
        if abs(step) <= 1e-12 * abs(rate):
            break
    if not rate > 0:
        raise MetricError("the falling side of the response does not decay exponentially")
    return float(1 / rate)


@metric("half_width", "ms", pulses=_first, is_magnitude=True)
def half_width(response: Response) -> float:
    """Time from half of the peak on the rise to half of the peak on the decay."""
    return _fall_crossing(response, 0.5) - _rise_crossing(response, 0.5)


@metric("charge", "signal ms", is_magnitude=True)
def charge(response: Response) -> float:
    """Integral of the first response above its baseline, to the next event or the end."""
    *_, height = response.first_response()
    t, y = response.window(0)
    if response.arrivals.size > 1:  # the last clean sample comes up to a step before it
        end = float(response.arrivals[1])
        y = np.append(y, y[-1] + (end - t[-1]) * (y[-1] - y[-2]) / (t[-1] - t[-2]))
        t = np.append(t, end)
    left = float(y[-1] / height)
    if abs(left) > 0.01:
        response.note(
            f"the response is still at {100 * left:.2g} % of its peak where its window ends, after "
            f"{t[-1] - t[0]:.4g} ms: charge lacks what follows (a longer duration, or a single "
            f"event, helps)"
        )
    # Parts of the steps, not of the window: the samples are dense where the response is fast.
    parts = max(_PARTS, math.ceil(_FINE / t.size))
    fine = np.interp(np.arange((t.size - 1) * parts + 1) / parts, np.arange(t.size), t)
    return float(np.trapezoid(resample(t, y, fine), fine))
