"""Recorded traces that are targets, as the page draws them over those of the model."""

from __future__ import annotations

import numpy as np

from stpspec.metrics.measure import Recorded
from stpspec.metrics.response import Response
from stpspec.specs.experiment import Experiment
from stpspec.tuner.decimation import shown_samples
from stpspec.tuner.messages import RecordedData
from stpspec.view.recorded import RecordedTrace, recorded_traces, response_options


def recorded_data(
    experiment: Experiment, protocol: str, simulated: Recorded, pixels: int
) -> tuple[RecordedData, ...]:
    """Return what was recorded of each signal of a protocol, at the level of the model's trace.

    Parameters
    ----------
    experiment : Experiment
        Bound: its targets are numbers.
    protocol : str
    simulated : Recorded
        The model's traces.
    pixels : int
        Width of the figure.
    """
    t, signals = simulated.at(0, slice(None))
    options = response_options(experiment, protocol)
    data = []
    for signal in signals:
        response = Response(t, signals, simulated.units, simulated.stimulus,
                            **{**options, "signal": signal})  # fmt: skip
        for each in recorded_traces(experiment, protocol, response):
            data.append(_drawn(signal, each, pixels))
    return tuple(data)


def _drawn(signal: str, recorded: RecordedTrace, pixels: int) -> RecordedData:
    sd = np.zeros_like(recorded.y) if recorded.sd is None else recorded.sd
    chosen = shown_samples(recorded.y, recorded.t, pixels)
    breaks = np.searchsorted(chosen, recorded.breaks)
    columns = (recorded.t, recorded.y, recorded.y - sd, recorded.y + sd)
    return RecordedData(signal, *(np.insert(v[chosen], breaks, np.nan) for v in columns))
