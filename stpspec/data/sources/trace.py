"""Recorded traces as targets: samples of a CSV, NWB or ABF file, aligned with a protocol."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from stpspec.data.alignment import onset_in
from stpspec.data.recording import UNITS, Recording
from stpspec.data.traces import read_traces
from stpspec.errors import DataError, SpecError, SpecProblem
from stpspec.resources import find_file
from stpspec.specs.stimulus import Stimulus
from stpspec.specs.target_source import TargetData, TargetSource, Wanted, target_source
from stpspec.specs.trace_file import TraceFile

_EDGE = 0.1  # ms at both ends of a run, which a delay between two of its steps may shift it by
_DIGITS = 6  # of times, ms: far below any sampling interval


@target_source("trace")
class RecordedTrace(TraceFile, TargetSource):
    """A recorded trace, in one or several sweeps, that the metric ``trace`` is compared with.

    Its samples are those of the mean of the sweeps within ``windows`` of the metric, or wherever
    both the recording and the run have some. What was sampled more often than every ``interval``
    of the metric is averaged over bins of about that width, and so is the model; else the model
    is taken at the times of the samples. A missing sample does not count. The sd is that of each
    sample over the sweeps, with their number; of one sweep, that of the trace before the first
    stimulus.
    """

    source: Literal["trace"] = "trace"

    def read(self, wanted: Wanted) -> TargetData:
        try:
            return self._read(wanted)
        except DataError as error:
            raise SpecError([SpecProblem("", str(error))]) from error

    def _read(self, wanted: Wanted) -> TargetData:
        if "times" not in wanted.options:
            raise DataError(
                f"a recorded trace is a target of the metric trace, and not of {wanted.metric} "
                f"(stpspec measure FILE measures it, as it does all others)"
            )
        dimension = next((d for d, u in UNITS.items() if u == wanted.unit), None)
        if dimension is None:
            raise DataError(
                f"recorded are voltages and currents, and the signal is in {wanted.unit}"
            )
        if len(wanted.stimuli) != 1:
            raise DataError("a recorded trace is the target of one train, and not of several")
        (stimulus,) = wanted.stimuli.values()
        recording = read_traces(self._files(), self, dimension)
        onset = onset_in(recording, stimulus, wanted.protocol)
        recording = replace(recording, time=recording.time - onset)
        return _target(recording, stimulus, wanted)

    def _files(self) -> list[Path]:
        names = self.file if isinstance(self.file, list) else [self.file]
        try:
            return [find_file(name, "data") for name in names]
        except FileNotFoundError as error:
            raise SpecError([SpecProblem("file", str(error), self.file)]) from error


@dataclass(frozen=True)
class _Leveled:
    """How the level of a trace is made comparable."""

    mode: Any  # of the metric: True, False or "mean"

    def of(self, samples: np.ndarray, before: np.ndarray, name: str) -> float:
        """Return what is subtracted from the samples."""
        if self.mode == "mean":
            return float(samples.mean())
        if not self.mode:
            return 0.0
        before = before[np.isfinite(before)]
        if not before.size:
            raise DataError(
                f"{name} has no sample before the first stimulus, whose mean is to be subtracted "
                f"(subtract_baseline: mean subtracts that of all samples)"
            )
        return float(before.mean())


def _target(recording: Recording, stimulus: Stimulus, wanted: Wanted) -> TargetData:
    """Return the samples of a recording whose times count from the onset of a stimulus."""
    options = wanted.options
    sampled = recording.binned(float(options["interval"]))
    width = 0.0
    if sampled is not recording:
        width = round(sampled.interval / recording.interval) * recording.interval
    inside = np.zeros(sampled.time.size, bool)
    first, last = -stimulus.before + width / 2 + _EDGE, stimulus.stop - width / 2 - _EDGE
    for start, stop in options["windows"] or [(first, last)]:
        inside |= (sampled.time >= start - 1e-9) & (sampled.time <= stop + 1e-9)
    inside &= (sampled.time >= first) & (sampled.time <= last) & (sampled.counts > 0)
    if not inside.any():
        raise DataError(
            f"{recording.name} has no sample where the protocol {wanted.protocol!r} has: it "
            f"is there from {recording.time[0]:.5g} to {recording.time[-1]:.5g} ms after the onset"
        )
    given = "subtract_baseline" in wanted.chosen
    mode = options["subtract_baseline"] if given else "mean"
    spike = float(stimulus.spikes[0])
    level = _Leveled(mode).of(
        sampled.mean[inside], recording.mean[recording.time < spike - 1e-9], recording.name
    )
    values = sampled.mean[inside] - level
    added: dict[str, Any] = {
        "times": np.round(sampled.time[inside], _DIGITS).tolist(),
        "subtract_baseline": mode,
    }
    if width:
        added["bin_width"] = round(width, _DIGITS)
    return TargetData(values.tolist(), options=added, **_noise(sampled, inside, spike))


def _noise(recording: Recording, inside: np.ndarray, spike: float) -> dict[str, Any]:
    """Return sd and n of the samples: over the sweeps, or of the trace before the first spike."""
    counts = recording.counts[inside]
    deviations = recording.sweeps[:, inside] - recording.mean[inside]
    squares = np.nansum(deviations**2, axis=0)
    degrees = int((counts - 1).sum())
    if not degrees or not squares.any():
        before = recording.noise(spike)
        return {} if before is None else {"sd": before[0], "sd_degrees": before[1]}
    with np.errstate(invalid="ignore", divide="ignore"):
        sds = np.sqrt(squares / (counts - 1))
    # Of a sample in one sweep, or of values that a coarse digitizer made equal, that of all.
    sds = np.where((counts > 1) & (sds > 0), sds, np.sqrt(squares.sum() / degrees))
    n = int(counts[0]) if np.ptp(counts) == 0 else counts.tolist()
    return {"sd": sds.tolist(), "n": n}
