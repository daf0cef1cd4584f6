"""Recorded traces as metrics read them: the Dataset of a run, made of a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stpspec.data.alignment import onset_in
from stpspec.data.recording import Recording
from stpspec.dataset import SIGNALS, StimulusDescription, protocol_dataset
from stpspec.errors import DataError
from stpspec.specs.protocol import Protocol, SpikeTimes
from stpspec.specs.stimulus import Timing

if TYPE_CHECKING:
    import xarray as xr

# Dimension → signal that an electrode records.
SIGNAL_OF = {"voltage": "somatic_voltage", "current": "clamp_current"}
_LEAST = 3  # samples


def stimuli_as_protocol(recording: Recording, n_induction: int | None = None) -> SpikeTimes:
    """Return the stimuli of a recording as a protocol.

    Parameters
    ----------
    recording : Recording
    n_induction : int, optional
        How many of them are induction pulses; the rest are recovery pulses.

    Raises
    ------
    DataError
        If it does not tell when they came.
    """
    if not recording.stimuli.size:
        raise DataError(f"{recording.name} does not tell when the stimuli came: give their times")
    n = recording.stimuli.size
    if n_induction is not None and n_induction > n:
        raise DataError(f"{recording.name} has {n} stimuli, and not {n_induction} of an induction")
    times = np.round(recording.stimuli - recording.stimuli[0], 6).tolist()
    return SpikeTimes(times=times, n_induction=n_induction)


def as_tree(recording: Recording, name: str, protocol: Protocol, delay: float = 0.0) -> xr.DataTree:
    """Return a recording as the DataTree of a run, its sweeps as trials of one candidate.

    A sample that is missing in any sweep is left out of all, and the gap is told of in the
    description of the stimulus: no metric reads across it.

    Parameters
    ----------
    recording : Recording
    name : str
        Of the protocol.
    protocol : Protocol
        Whose spikes come at the stimuli of the recording.
    delay : float
        From a spike to the arrival of its event, ms: before that no response is looked for.

    Raises
    ------
    DataError
        If the stimuli are others, or all samples are missing.
    """
    import xarray as xr

    stimulus = protocol.stimulus(Timing())
    onset = onset_in(recording, stimulus, name)
    there = np.isfinite(recording.sweeps).all(axis=0)
    if there.sum() < _LEAST:
        raise DataError(f"{recording.name} has no samples that are there in all sweeps")
    signal = SIGNAL_OF[recording.dimension]
    gaps = Recording(
        recording.time, np.where(there, 0.0, np.nan)[None], recording.unit, recording.stimuli, ""
    ).gaps
    description: StimulusDescription = {
        "onset": onset, "delay": delay, "spikes": [onset + s for s in stimulus.spikes],
        "n_induction": stimulus.n_induction, "default_signal": signal, "step": None, "gaps": gaps,
    }  # fmt: skip
    last = description["spikes"][-1] + delay
    if last >= recording.time[-1] or description["spikes"][0] + delay < recording.time[0]:
        raise DataError(
            f"{recording.name} is there from {recording.time[0]:.6g} to {recording.time[-1]:.6g} "
            f"ms, and the stimuli come at {description['spikes'][0]:.6g} … {last:.6g} ms"
        )
    assert SIGNALS[signal][0] == recording.unit
    node = protocol_dataset(
        recording.time[there], {signal: recording.sweeps[None][..., there]}, {}, description
    )
    root = xr.Dataset({"failure": ("candidate", np.array([""], dtype=object))})
    return xr.DataTree.from_dict({"/": root, f"/{name}": node})
