"""The Dataset contract between the engine and the metrics: dimensions, variables, units.

A run is a DataTree: parameter values and ``failure`` (text, empty if all went well) over
``candidate`` at the root; one child per protocol. A child has the dimensions ``candidate``,
``trial`` and ``time`` (ms, fixed step) and, for protocols with presynaptic events, ``pulse``. After
a variable step ``sample`` takes the place of ``time``, and the coordinate ``t`` (candidate, sample)
holds the times of each candidate, ms; shorter ones are padded with NaN. So it does after a fixed
step where candidates have delays of their own that are no whole steps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NotRequired, TypedDict

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    import xarray as xr

# signal → (unit, long name, factor from NEURON's unit)
SIGNALS: dict[str, tuple[str, str, float]] = {
    "synaptic_current": ("pA", "synaptic current", 1e3),
    "clamp_current": ("pA", "clamp current", 1e3),
    "somatic_voltage": ("mV", "somatic voltage", 1.0),
    "conductance": ("nS", "synaptic conductance", 1e3),
    "synapse_voltage": ("mV", "voltage at the synapse", 1.0),
    "somatic_voltage_1": ("mV", "somatic voltage of cell 1", 1.0),
    "somatic_voltage_2": ("mV", "somatic voltage of cell 2", 1.0),
    "junctional_current": ("pA", "junctional current into cell 1", 1e3),
}


_DELAY = "net_con_delay"  # coordinate


class StepDescription(TypedDict):
    """A current step as it was given: nA, ms of the recording, and which of the cells."""

    amplitude: float
    start: float
    stop: float
    cell: int


class ClampDescription(TypedDict):
    """What a voltage clamp left of one candidate's response: mV, and parts of an amplitude."""

    departure: float
    losses: dict[str, float]


class StimulusDescription(TypedDict):
    """What a protocol did to the model, as it goes with what is recorded.

    Attributes
    ----------
    onset : float
        Of the stimulus, ms.
    delay : float
        Of the NetCon, ms; that of the first candidate where each has its own.
    spikes : list of float
        Presynaptic spikes, ms of the recording.
    n_induction : int or None
        How many of the pulses are induction pulses.
    default_signal : str
        What a metric reads that names no signal.
    step : StepDescription or None
    undriven : float or None
        The holding potential where it is the reversal potential, mV.
    gaps : list of (float, float)
        Of a recorded trace: from when to when samples are missing, ms of the recording.
    protocol : str
        The protocol that this is one of several runs of.
    clamp : ClampDescription or None
        What the clamp costs, where that may matter.
    """

    onset: float
    delay: float
    spikes: list[float]
    n_induction: int | None
    default_signal: str
    step: StepDescription | None
    undriven: NotRequired[float | None]
    gaps: NotRequired[list[tuple[float, float]]]
    protocol: NotRequired[str]
    clamp: NotRequired[ClampDescription | None]


def protocol_dataset(
    time: np.ndarray,
    signals: Mapping[str, np.ndarray],
    units: Mapping[str, str],
    stimulus: StimulusDescription,
    delays: np.ndarray | None = None,
) -> xr.Dataset:
    """Build the Dataset of one protocol.

    Parameters
    ----------
    time : ndarray, shape (n,) or (candidate, n)
        ms.
    signals : mapping of str to ndarray, shape (candidate, trial, n)
    units : mapping of str to str
        Units of the signals that are not in :data:`SIGNALS`.
    stimulus : StimulusDescription
    delays : ndarray, shape (candidate,), optional
        Of the NetCon, ms, where each candidate has its own.

    Returns
    -------
    xarray.Dataset
        With ``arrival_time`` over ``pulse``, and over ``candidate`` too where delays differ.
    """
    import xarray as xr

    data = {}
    axis = "time" if time.ndim == 1 else "sample"
    for name, values in signals.items():
        unit, long_name, _ = SIGNALS.get(name, (units.get(name, ""), name, 1.0))
        attrs = {"units": unit, "long_name": long_name}
        data[name] = (("candidate", "trial", axis), values, attrs)
    of_time = {"units": "ms", "long_name": "time"}
    coords: dict[str, tuple[object, ...]] = (
        {"time": ("time", time, of_time)}
        if time.ndim == 1
        else {"t": (("candidate", "sample"), time, of_time)}
    )
    spikes = np.asarray(stimulus["spikes"], float)
    if spikes.size:
        coords["pulse"] = ("pulse", np.arange(1, spikes.size + 1), {"long_name": "pulse"})
        coords["spike_time"] = ("pulse", spikes, {"units": "ms", "long_name": "presynaptic spike"})
        of_arrival = {"units": "ms", "long_name": "event arrival"}
        if delays is None:
            arrivals = arrival_times(spikes, stimulus["delay"])
            coords["arrival_time"] = ("pulse", arrivals, of_arrival)
        else:
            each = np.stack([arrival_times(spikes, float(d)) for d in delays])
            coords["arrival_time"] = (("candidate", "pulse"), each, of_arrival)
            coords[_DELAY] = ("candidate", delays, {"units": "ms", "long_name": "NetCon delay"})
    return xr.Dataset(data, coords, {"stimulus": json.dumps(dict(stimulus))})


def arrival_times(spikes: ArrayLike, delay: float, onset: float = 0.0) -> np.ndarray:
    """Return when the events of presynaptic spikes reach the synapse, ms, shape (pulse,).

    Parameters
    ----------
    spikes : array_like, shape (pulse,)
        ms, from the onset on.
    delay : float
        Of the NetCon, ms.
    onset : float
        ms; 0 where the spikes are times of the recording.
    """
    return (np.asarray(spikes, float) + onset) + delay


def stimulus_of(dataset: xr.Dataset, candidate: int = 0) -> StimulusDescription:
    """Return the description of the stimulus that a protocol's Dataset carries.

    Parameters
    ----------
    dataset : xarray.Dataset
    candidate : int
        Whose delay it has, where each has its own.
    """
    description: StimulusDescription = json.loads(dataset.attrs["stimulus"])
    delays = delays_of(dataset)
    return description if delays is None else {**description, "delay": float(delays[candidate])}


def delays_of(dataset: xr.Dataset) -> np.ndarray | None:
    """Return the delays of the NetCon, ms, shape (candidate,); None where all have the same."""
    if _DELAY not in dataset.coords:
        return None
    return np.atleast_1d(dataset[_DELAY].values)


def protocol_of(child: xr.DataTree) -> str:
    """Return the protocol that a child of a run is one of several runs of; empty if of none."""
    return json.loads(child.attrs["stimulus"]).get("protocol", "")


# Variables over candidates, of clamps that are not ideal.
_DEPARTURE, _LOSS = "clamp_departure", "_clamp_loss"


def with_clamps(dataset: xr.Dataset, clamps: Sequence[ClampDescription | None]) -> xr.Dataset:
    """Return a protocol's Dataset with what the clamp of each candidate costs; 0 where nothing."""
    if not any(clamps):
        return dataset
    signals = dict.fromkeys(s for c in clamps if c is not None for s in c["losses"])
    departures = [0.0 if c is None else c["departure"] for c in clamps]
    of_departure = {
        "units": "mV",
        "long_name": "departure of the synapse from the holding potential",
    }
    data = {_DEPARTURE: ("candidate", np.array(departures), of_departure)}
    for signal in signals:
        losses = [0.0 if c is None else c["losses"].get(signal, 0.0) for c in clamps]
        attrs = {"units": "1", "long_name": f"part of the first amplitude of the {signal} lost"}
        data[f"{signal}{_LOSS}"] = ("candidate", np.array(losses), attrs)
    return dataset.assign(data)


def clamps_of(dataset: xr.Dataset) -> list[ClampDescription] | None:
    """Return what the clamp of each candidate costs; None where all are ideal."""
    if _DEPARTURE not in dataset:
        return None
    departures = np.atleast_1d(dataset[_DEPARTURE].values)
    losses = {str(n).removesuffix(_LOSS): np.atleast_1d(v.values)
              for n, v in dataset.data_vars.items() if str(n).endswith(_LOSS)}  # fmt: skip
    return [
        {"departure": float(d), "losses": {s: float(v[k]) for s, v in losses.items()}}
        for k, d in enumerate(departures)
    ]


def times_of(dataset: xr.Dataset) -> np.ndarray:
    """Return the times of a protocol's Dataset, ms, shape (n,) or (candidate, n)."""
    return dataset["time"].values if "time" in dataset.dims else dataset["t"].values


def signals_of(dataset: xr.Dataset) -> list[str]:
    """Return the names of the variables that a protocol's Dataset holds over time."""
    return [str(n) for n, v in dataset.data_vars.items() if {"time", "sample"} & set(v.dims)]
