"""Recorded arrays of the protocols, and the responses of one candidate that are read from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stpspec.dataset import (
    ClampDescription,
    StimulusDescription,
    clamps_of,
    delays_of,
    signals_of,
    stimulus_of,
    times_of,
)
from stpspec.metrics.registration import Options
from stpspec.metrics.response import Response

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Recorded:
    """The arrays of one protocol, without xarray's cost per access.

    Attributes
    ----------
    time : ndarray, shape (n,) or (candidate, n)
        ms; of its own for each candidate, and padded with NaN, after a variable step.
    signals : mapping of str to ndarray, shape (candidate, trial, n)
    units : mapping of str to str
    stimulus : StimulusDescription
        As in :func:`stpspec.dataset.protocol_dataset`.
    delays : ndarray, shape (candidate,), or None
        Of the NetCon, ms, where each candidate has its own.
    clamps : sequence of ClampDescription, or None
        Of each candidate, where a voltage clamp is not ideal.
    """

    time: np.ndarray
    signals: Mapping[str, np.ndarray]
    units: Mapping[str, str]
    stimulus: StimulusDescription
    delays: np.ndarray | None = None
    clamps: Sequence[ClampDescription] | None = None

    @classmethod
    def of(cls, dataset: xr.Dataset) -> Recorded:
        """Return the arrays of a protocol's Dataset."""
        names = signals_of(dataset)
        return cls(
            times_of(dataset),
            {n: dataset[n].values for n in names},
            {n: str(dataset[n].attrs.get("units", "")) for n in names},
            stimulus_of(dataset),
            delays_of(dataset),
            clamps_of(dataset),
        )

    def stimulus_at(self, candidate: int) -> StimulusDescription:
        """Return what the protocol did to one candidate."""
        if self.delays is None and self.clamps is None:
            return self.stimulus
        stimulus = self.stimulus.copy()
        if self.delays is not None:
            stimulus["delay"] = float(self.delays[candidate])
        if self.clamps is not None:
            stimulus["clamp"] = self.clamps[candidate]
        return stimulus

    @property
    def n_trials(self) -> int:
        """Number of trials."""
        return next(iter(self.signals.values())).shape[1]

    def at(
        self, candidate: int, trials: slice | Sequence[int]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the times of one candidate, and its signals, the mean over some trials."""
        time = self.time if self.time.ndim == 1 else self.time[candidate]
        n = time.size if self.time.ndim == 1 else int(np.isfinite(time).sum())
        # Ratios of a stochastic synapse come from the mean trace, not from the mean of ratios.
        signals = {s: _mean(a[candidate, trials])[:n] for s, a in self.signals.items()}
        return time[:n], signals


Trials = tuple[int, ...] | None  # which trials are averaged; None: all


class Candidate:
    """The responses of one candidate, built once for each set of common options."""

    def __init__(self, children: Mapping[str, Recorded], index: int):
        self.children = children
        self.index = index
        self._responses: dict[tuple[object, ...], Response] = {}

    def response(self, protocol: str, common: Options, trials: Trials) -> Response:
        """Return the response to a protocol: the mean of all trials (None), or of some."""
        key = (protocol, trials, *sorted(common.items()))
        if key not in self._responses:
            child = self.children[protocol]
            time, signals = child.at(self.index, slice(None) if trials is None else trials)
            stimulus = child.stimulus_at(self.index)
            response = Response(time, signals, child.units, stimulus, **common)
            response.find_siblings = lambda: self._siblings(protocol, common, trials)
            if trials is None or len(trials) > 1:
                response.find_trials = lambda: self._each(protocol, common, trials, response)
            self._responses[key] = response
        return self._responses[key]

    def _each(
        self, protocol: str, common: Options, trials: Trials, mean: Response
    ) -> list[Response]:
        """Return the response in each of some trials, along the response of their mean."""
        numbers = range(self.children[protocol].n_trials) if trials is None else trials
        found = [self.response(protocol, common, (k,)) for k in numbers]
        for response in found:
            response.mean = response.mean or mean
        return found

    def _siblings(self, protocol: str, common: Options, trials: Trials) -> list[Response]:
        mine = bool(self.children[protocol].stimulus["spikes"])
        found = []
        for name, child in self.children.items():
            if bool(child.stimulus["spikes"]) != mine:
                continue
            picks: list[Trials] = [None]
            if trials is not None and len(trials) == 1:
                picks = [(k,) for k in range(child.n_trials)]
            elif trials is not None and child.n_trials == self.children[protocol].n_trials:
                picks = [trials]
            found += [
                self.response(name, common, k) for k in picks if (name, k) != (protocol, trials)
            ]
        return found


def _mean(trials: np.ndarray) -> np.ndarray:
    return trials[0] if trials.shape[0] == 1 else trials.mean(axis=0)
