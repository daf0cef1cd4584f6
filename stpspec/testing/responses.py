"""Exact responses of a known synapse, and of two coupled cells, to any protocol."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stpspec.analytic import event_map, trace
from stpspec.dataset import StepDescription, StimulusDescription
from stpspec.metrics.response import Response
from stpspec.specs.protocol import Protocol
from stpspec.specs.stimulus import CurrentStep, Timing

SYNAPSE = {"U": 0.25, "D": 706.0, "F": 21.0}
RISE, DECAY = 0.5, 5.0  # ms
_SIZES = (0.0, 0.5, 1.5, 2.0)  # of the responses in the trials of a protocol that has any
ONSET, DELAY, DT = 50.0, 1.3, 0.025  # ms


def response_to(protocol: Protocol, *, scale: float = 100.0, shift: float = 0.0) -> Response:
    """Return the exact response of a known synapse (or of two passive cells) to a protocol.

    Parameters
    ----------
    protocol : Protocol
        With ``trials`` above 1, the response has four trials, of which one is a failure.
    scale : float
        Amplitude at full release, pA; negative for an inward current.
    shift : float
        ms by which everything comes later.
    """
    stimulus = protocol.stimulus(Timing(DECAY, SYNAPSE["D"], SYNAPSE["F"]))
    onset = ONSET + shift
    time = np.arange(0.0, onset + stimulus.stop + DT, DT)
    description: StimulusDescription = {
        "onset": onset, "delay": DELAY, "spikes": [onset + s for s in stimulus.spikes],
        "n_induction": stimulus.n_induction, "default_signal": "synaptic_current", "step": None,
    }  # fmt: skip
    if stimulus.step is not None:
        return _coupled(time, description, stimulus.step)
    spikes = np.array(description["spikes"])
    released = np.ravel(event_map(SYNAPSE["U"], SYNAPSE["D"], SYNAPSE["F"], spikes))
    signal = scale * np.ravel(trace(spikes + DELAY, released, time, RISE, DECAY))
    units = {"synaptic_current": "pA"}
    response = Response(time, {"synaptic_current": signal}, units, description)
    sizes = _SIZES if (protocol.trials or 1) > 1 else ()
    each = [Response(time, {"synaptic_current": k * signal}, units, description) for k in sizes]
    for trial in each:
        trial.mean = response
    response.find_trials = lambda: each
    return response


def _coupled(time: np.ndarray, description: StimulusDescription, step: CurrentStep) -> Response:
    start, stop = description["onset"], description["onset"] + step.duration
    shape = np.where(time < start, 0, 1 - np.exp(-(time - start) / 10.0))
    shape = np.where(time > stop, np.exp(-(time - stop) / 10.0), shape)
    mine, other = 1e3 * step.amplitude * 0.1 * shape, 1e3 * step.amplitude * 0.01 * shape
    first, second = (mine, other) if step.cell == 1 else (other, mine)
    description = {
        **description,
        "step": {"amplitude": step.amplitude, "start": start, "stop": stop, "cell": step.cell},
    }
    signals = {"somatic_voltage_1": first - 70, "somatic_voltage_2": second - 70}
    response = Response(time, signals, dict.fromkeys(signals, "mV"), description)
    reverse = _reverse(description, time, signals)
    response.find_siblings = lambda: [reverse]
    return response


def _reverse(
    description: StimulusDescription, time: np.ndarray, signals: Mapping[str, np.ndarray]
) -> Response:
    """Return the response of the same two (equal) cells to the step into the other one."""
    step = description["step"]
    assert step is not None  # coupled cells are stimulated by one
    other: StepDescription = {**step, "cell": 3 - step["cell"]}
    swapped = {
        "somatic_voltage_1": signals["somatic_voltage_2"],
        "somatic_voltage_2": signals["somatic_voltage_1"],
    }
    return Response(time, swapped, dict.fromkeys(swapped, "mV"), {**description, "step": other})
