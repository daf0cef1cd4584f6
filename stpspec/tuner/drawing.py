"""Drawing of what was recorded: traces for a screen, and what is measured in them."""

from __future__ import annotations

import numpy as np

from stpspec.dataset import SIGNALS, arrival_times
from stpspec.errors import MetricError
from stpspec.metrics.coupling import mean_voltage, window_length
from stpspec.metrics.measure import Recorded
from stpspec.metrics.response import Response
from stpspec.specs.experiment import Experiment
from stpspec.tuner.decimation import shown_samples
from stpspec.tuner.messages import Level, Pulses, Trace, Traces
from stpspec.tuner.recorded import recorded_data


def drawn(experiment: Experiment, protocol: str, recorded: Recorded, pixels: int) -> Traces:
    """Return what a figure of a protocol shows.

    Parameters
    ----------
    experiment : Experiment
        Bound: its targets are numbers.
    protocol : str
    recorded : Recorded
        Of one candidate.
    pixels : int
        Width of the figure.
    """
    t, signals = recorded.at(0, slice(None))
    response = Response(t, signals, recorded.units, recorded.stimulus)
    onset = recorded.stimulus["onset"]
    first = _first_shown(t, onset, step=recorded.stimulus["step"] is not None)
    traces = tuple(
        _trace(signal, recorded.units[signal], t[first:] - onset, y[first:], pixels)
        for signal, y in signals.items()
    )
    data = recorded_data(experiment, protocol, recorded, pixels)
    return Traces(protocol, traces, _pulses(response, onset), _levels(response, onset),
                  recorded=data)  # fmt: skip


def _first_shown(t: np.ndarray, onset: float, *, step: bool) -> int:
    """Return the index of the first sample that is drawn: a little before the stimulus."""
    before = 100.0 if step else max(5.0, 0.05 * float(t[-1] - onset))
    return int(np.searchsorted(t, onset - before - 1e-6))


def _trace(signal: str, unit: str, t: np.ndarray, y: np.ndarray, pixels: int) -> Trace:
    chosen = shown_samples(y, t, pixels)
    label = SIGNALS[signal][1].capitalize() if signal in SIGNALS else signal
    return Trace(signal, label, unit, t[chosen], y[chosen])


def _pulses(response: Response, onset: float) -> Pulses | None:
    """Return the pulses of the default signal; None where there are none or no baseline."""
    n = response.arrivals.size
    if not n or response.signal_name not in response.signals:
        return None
    peak, base, top, amplitude = (np.full(n, np.nan) for _ in range(4))
    for k in range(n):
        try:
            when, height = response.peak(k)
            peak[k], amplitude[k] = when - onset, height
            base[k] = response.baseline_at(k, when)
            top[k] = base[k] + (response.sign or 1) * height
        except MetricError:  # its reason stands with the metrics
            continue
    arrivals = arrival_times(response.spikes, response.stimulus["delay"]) - onset
    return Pulses(response.signal_name, arrivals, peak, base, top, amplitude)


def _levels(response: Response, onset: float) -> tuple[Level, ...]:
    """Return the mean voltages that the metrics of a current step compare."""
    step = response.stimulus.get("step")
    if step is None:
        return ()
    ends = (step["start"], step["stop"])
    try:
        length = window_length(response)
        return tuple(
            Level(f"somatic_voltage_{cell}", stop - length - onset, stop - onset,
                  mean_voltage(response, cell, stop - length, stop))
            for cell in (1, 2) for stop in ends
        )  # fmt: skip
    except MetricError:
        return ()
