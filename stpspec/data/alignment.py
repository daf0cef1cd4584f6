"""Alignment of a recording with a protocol: which of its times is the stimulus onset."""

from __future__ import annotations

import numpy as np

from stpspec.data.recording import Recording
from stpspec.errors import DataError
from stpspec.specs.stimulus import Stimulus

SLACK = 0.05  # ms beyond one sampling interval, that a recorded stimulus may be off


def onset_in(recording: Recording, stimulus: Stimulus, protocol: str) -> float:
    """Return the stimulus onset of a protocol on the time axis of a recording, ms.

    Parameters
    ----------
    recording : Recording
        One stimulus is the first of the protocol; several must be those of the protocol.
    stimulus : Stimulus
        What the protocol does.
    protocol : str
        Its name.

    Raises
    ------
    DataError
        If the recording does not tell when the stimuli came, or they came at other times.
    """
    spikes, stimuli = np.asarray(stimulus.spikes, float), recording.stimuli
    if not spikes.size:
        raise DataError(f"the protocol {protocol!r} has no presynaptic event")
    if not stimuli.size:
        raise DataError(
            f"{recording.name} does not tell when the stimuli came: give stimulus, a list of their "
            f"times in ms, or what holds them (the first one will do)"
        )
    if stimuli.size == 1:
        return float(stimuli[0] - spikes[0])
    shifts = stimuli - spikes if stimuli.size == spikes.size else np.array([np.nan])
    onset = float(shifts.mean())
    if not np.abs(shifts - onset).max() <= recording.interval + SLACK:
        raise DataError(
            f"the {stimuli.size} stimuli of {recording.name} come at "
            f"{_listed(stimuli - stimuli[0])} ms after the first, and the {spikes.size} of the "
            f"protocol {protocol!r} at {_listed(spikes - spikes[0])} ms"
        )
    return onset


def _listed(times: np.ndarray) -> str:
    shown = [f"{t:.5g}" for t in times[:12]]
    return ", ".join(shown) + (" …" if times.size > 12 else "")
