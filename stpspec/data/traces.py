"""Files of recorded traces: which reader takes which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from stpspec.data.alignment import SLACK
from stpspec.data.recording import Recording, aligned
from stpspec.errors import DataError
from stpspec.specs.trace_file import TraceFile

_TEXT = (".csv", ".tsv", ".txt", ".dat", ".asc", ".atf", "")
ENDINGS = (*_TEXT[:-1], ".nwb", ".abf")


def read_traces(paths: Sequence[Path], spec: TraceFile, dimension: str | None = None) -> Recording:
    """Read a recorded trace whose sweeps may be in several files; as :func:`read_trace`."""
    return _joined([read_trace(path, spec, dimension) for path in paths])


def read_trace(path: Path, spec: TraceFile, dimension: str | None = None) -> Recording:
    """Read a recorded trace.

    Parameters
    ----------
    path : Path
    spec : TraceFile
        How it is read where it does not say so itself.
    dimension : {"voltage", "current"}, optional
        Of the signal that is wanted, where a file may have several.

    Raises
    ------
    DataError
        If it cannot be read, or does not tell what it holds.
    """
    ending = path.suffix.lower()
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    if ending == ".nwb":
        from stpspec.data.nwb_trace import read_nwb_trace

        recording = read_nwb_trace(path, spec, dimension)
    elif ending == ".abf":
        from stpspec.data.abf_trace import read_abf_trace

        recording = read_abf_trace(path, spec, dimension)
    elif ending in _TEXT:
        from stpspec.data.text_trace import read_text_trace

        recording = read_text_trace(path, spec, dimension)
    else:
        raise DataError(f"{path.name} is of no kind that can be read ({', '.join(ENDINGS)})")
    if dimension is not None and recording.dimension != dimension:
        raise DataError(f"{path.name} holds a {recording.dimension}, where a {dimension} is wanted")
    if not recording.counts.any():
        raise DataError(f"{path.name} holds no sample of the signal")
    return recording


def _joined(recordings: list[Recording]) -> Recording:
    """Return the sweeps of several files as one recording, aligned by their first stimuli.

    Raises
    ------
    DataError
        If they differ in their dimension or in their stimuli.
    """
    first = recordings[0]
    for other in recordings[1:]:
        near = first.interval + SLACK
        after = [r.stimuli - r.stimuli[:1] for r in (first, other)]
        same = after[0].size == after[1].size and np.abs(after[0] - after[1]).max(initial=0) <= near
        if other.unit != first.unit or not same:
            raise DataError(f"{other.name} has another signal, or other stimuli, than {first.name}")
    if len(recordings) == 1:
        return first
    shifts = [float(r.stimuli[0] - first.stimuli[0]) if r.stimuli.size else 0.0 for r in recordings]
    times = [r.time - s for r, s in zip(recordings, shifts, strict=True) for _ in r.sweeps]
    time, sweeps = aligned(times, [s for r in recordings for s in r.sweeps])
    return replace(first, time=time, sweeps=sweeps)
