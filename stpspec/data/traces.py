"""Files of recorded traces: which reader takes which."""

from __future__ import annotations

from pathlib import Path

from stpspec.data.recording import Recording
from stpspec.errors import DataError
from stpspec.specs.trace_file import TraceFile

_TEXT = (".csv", ".tsv", ".txt", ".dat", ".asc", ".atf", "")
ENDINGS = (*_TEXT[:-1], ".nwb", ".abf")


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
