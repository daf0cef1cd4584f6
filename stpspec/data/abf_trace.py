"""Recorded traces in Axon binary files (ABF), read by pyabf."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stpspec.data.headers import dimension_of, known_unit
from stpspec.data.recording import UNITS, Recording, in_held_unit, rising_edges
from stpspec.errors import DataError
from stpspec.formatting import first_line
from stpspec.specs.trace_file import ColumnName, TraceFile


def read_abf_trace(path: Path, spec: TraceFile, dimension: str | None = None) -> Recording:
    """Read a recorded trace from an ABF file of version 1 or 2.

    Parameters
    ----------
    path : Path
    spec : TraceFile
    dimension : {"voltage", "current"}, optional
        Of the signal that is wanted.

    Raises
    ------
    DataError
        If pyabf is not installed, or the file does not tell what it holds.
    """
    try:
        from pyabf import ABF
    except ImportError as error:
        raise DataError(
            f"{path.name} is read by pyabf, which is not installed: pip install 'stpspec[abf]'"
        ) from error
    try:
        file: Any = ABF(str(path))
    except Exception as error:  # it raises whatever a damaged header leads to
        raise DataError(f"{path.name} cannot be read as ABF: {first_line(error)}") from error
    names = [str(n).strip("\0 ") or f"channel {k}" for k, n in enumerate(file.adcNames, 1)]
    channel = _channel(path.name, file, names, spec, dimension)
    unit = spec.unit or known_unit(str(file.adcUnits[channel]).strip("\0 "))
    if dimension_of(unit) not in UNITS:
        raise DataError(f"channel {names[channel]!r} of {path.name} is in no known unit: give unit")
    time = 1e3 * np.arange(file.sweepPointCount) / float(file.dataRate)
    sweeps, held = in_held_unit(_sweeps(file, channel), unit, invert=spec.invert)
    stimuli = np.array([])
    if isinstance(spec.stimulus, list):
        stimuli = np.asarray(spec.stimulus, float)
    elif spec.stimulus is not None:
        trigger = _place(path.name, names, spec.stimulus)
        stimuli = rising_edges(time, _sweeps(file, trigger)[0])
    return Recording(time, sweeps, held, stimuli, path.name).chosen(spec.sweeps)


def _sweeps(file: Any, channel: int) -> np.ndarray:
    return np.asarray(file.data[channel], float).reshape(file.sweepCount, -1)


def _channel(
    file: str, content: Any, names: list[str], spec: TraceFile, dimension: str | None
) -> int:
    if isinstance(spec.column, list):
        raise DataError(f"{file} has its sweeps in one channel: give one column")
    if spec.column is not None:
        return _place(file, names, spec.column)
    held = [dimension_of(known_unit(str(u).strip("\0 "))) for u in content.adcUnits]
    fitting = [
        k for k, d in enumerate(held) if d == dimension or (dimension is None and d in UNITS)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if len(names) == 1 and spec.unit is not None:
        return 0
    listed = ", ".join(f"{n} ({u})" for n, u in zip(names, content.adcUnits, strict=True))
    raise DataError(f"which channel of {file} is the signal ({listed})? give column")


def _place(file: str, names: list[str], name: ColumnName) -> int:
    if isinstance(name, int) and name <= len(names):
        return name - 1
    if name in names:
        return names.index(str(name))
    raise DataError(f"{file} has no channel {name!r} ({', '.join(names)})")
