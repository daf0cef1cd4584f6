"""Recorded traces in NWB files (Neurodata Without Borders), read by pynwb."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from stpspec.data.headers import Header, dimension_of, known_unit
from stpspec.data.recording import UNITS, Recording, aligned, in_held_unit, rising_edges
from stpspec.errors import DataError, nearest
from stpspec.formatting import first_line
from stpspec.specs.trace_file import TraceFile

_SAME = 1.01  # sampling intervals, by which stimuli of the sweeps may differ


def read_nwb_trace(path: Path, spec: TraceFile, dimension: str | None = None) -> Recording:
    """Read a recorded trace from an NWB file.

    Parameters
    ----------
    path : Path
    spec : TraceFile
    dimension : {"voltage", "current"}, optional
        Of the signal that is wanted.

    Raises
    ------
    DataError
        If pynwb is not installed, or the file does not tell what it holds.
    """
    try:
        from pynwb import NWBHDF5IO
    except ImportError as error:
        raise DataError(
            f"{path.name} is read by pynwb, which is not installed: pip install 'stpspec[nwb]'"
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of versions of the format
        try:
            opened: Any = cast(Any, NWBHDF5IO)(str(path), mode="r")
            with opened as file:
                return _recording(_File(path.name, file.read(), spec), spec, dimension)
        except DataError:
            raise
        except Exception as error:  # HDF5, hdmf and pynwb each have their own
            raise DataError(f"{path.name} cannot be read as NWB: {first_line(error)}") from error


def _recording(file: _File, spec: TraceFile, dimension: str | None) -> Recording:
    chosen = file.series(dimension)
    units = {known_unit(str(s.unit)) for s in chosen.values()}
    unit = spec.unit or (units.pop() if len(units) == 1 else "")
    if dimension_of(unit) not in UNITS:
        raise DataError(
            f"the series of {file.name} ({', '.join(chosen)}) are in {unit or 'several units'}, "
            f"and not in volts or amperes: give unit"
        )
    times, values, stimuli, held = [], [], [], ""
    for name, series in chosen.items():
        start, time = file.times(name, series)
        times.append(time)
        signal, held = in_held_unit(file.values(name, series), unit, invert=spec.invert)
        values.append(signal)
        if not isinstance(spec.stimulus, list):
            stimuli.append(file.stimuli(series, start, float(time[-1])))
    merged, sweeps = aligned(times, values)
    found = file.stimuli_of_all(stimuli, float(np.median(np.diff(merged))))
    if isinstance(spec.stimulus, list):
        found = np.asarray(spec.stimulus, float)
    return Recording(merged, sweeps, held, found, file.name).chosen(spec.sweeps)


class _File:
    """The parts of one NWB file that a trace is read from."""

    def __init__(self, name: str, content: Any, spec: TraceFile):
        self.name = name
        self.content = content
        self.spec = spec

    def series(self, dimension: str | None) -> dict[str, Any]:
        """Return the series of the signal by name, one a sweep."""
        everything = {str(n): s for n, s in self.content.acquisition.items() if hasattr(s, "data")}
        if self.spec.column is not None:
            named = self.spec.column if isinstance(self.spec.column, list) else [self.spec.column]
            names = [_named(self.name, "series", n, everything) for n in named]
            return {n: everything[n] for n in names}
        held = {n: dimension_of(known_unit(str(s.unit))) for n, s in everything.items()}
        fitting = {
            n: s
            for n, s in everything.items()
            if held[n] == dimension or (dimension is None and held[n] in UNITS)
        }
        if not fitting:
            what = f"a {dimension}" if dimension else "a voltage or current"
            there = ", ".join(everything) or "there is none"
            raise DataError(f"no acquired series of {self.name} is {what} ({there})")
        kinds = {(held[n], _electrode(s)) for n, s in fitting.items()}
        if len(kinds) > 1:
            raise DataError(
                f"which of the series of {self.name} is the signal ({', '.join(fitting)})? give "
                f"column: one, or a list of those that are its sweeps"
            )
        return dict(sorted(fitting.items(), key=lambda item: _start(item[1])))

    def times(self, name: str, series: Any) -> tuple[float, np.ndarray]:
        """Return the start of a series in the session, s, and the times from there, ms."""
        n = len(series.data)
        if n < 2:
            raise DataError(f"the series {name!r} of {self.name} has {n} samples")
        if series.timestamps is not None:
            stamps = np.asarray(series.timestamps[:], float)
            if not (np.diff(stamps) > 0).all():
                raise DataError(f"the timestamps of {name!r} in {self.name} do not rise")
            return float(stamps[0]), 1e3 * (stamps - stamps[0])
        return float(series.starting_time or 0.0), 1e3 * np.arange(n) / float(series.rate)

    def values(self, name: str, series: Any) -> np.ndarray:
        """Return the values of a series in its unit."""
        data = np.asarray(series.data[:], float)
        if data.ndim == 2 and data.shape[1] == 1:
            data = data[:, 0]
        if data.ndim != 1:
            raise DataError(f"the series {name!r} of {self.name} has data of shape {data.shape}")
        return data * float(series.conversion or 1.0) + float(series.offset or 0.0)

    def stimuli(self, series: Any, start: float, duration: float) -> np.ndarray:
        """Return the stimuli of a sweep, ms after its start."""
        tables = {str(n): t for n, t in self._intervals().items()}
        commands = {str(n): s for n, s in self.content.stimulus.items() if hasattr(s, "data")}
        name = self.spec.stimulus
        if name is None or isinstance(name, list):
            of_stimuli = [n for n in tables if Header.of(n).is_stimulus or "stim" in n.lower()]
            if len(of_stimuli) == 1:
                return _within(self._starts(tables[of_stimuli[0]]), start, duration)
            return self._edges(commands, series, start, duration)
        chosen = _named(self.name, "intervals or stimulus", name, {**tables, **commands})
        if chosen in tables:
            return _within(self._starts(tables[chosen]), start, duration)
        of_sweep = self._edges(commands, series, start, duration)
        if of_sweep.size:
            return of_sweep
        first, time = self.times(chosen, commands[chosen])
        values = np.asarray(commands[chosen].data[:], float)
        return _within((first + rising_edges(time, values) / 1e3), start, duration)

    def _intervals(self) -> Mapping[str, Any]:
        tables = dict(self.content.intervals or {})
        for name in ("trials", "epochs"):
            if getattr(self.content, name, None) is not None:
                tables[name] = getattr(self.content, name)
        return tables

    @staticmethod
    def _starts(table: Any) -> np.ndarray:
        return np.asarray(table["start_time"][:], float)

    def _edges(
        self, commands: Mapping[str, Any], series: Any, start: float, duration: float
    ) -> np.ndarray:
        """Return the rising edges of the command that belongs to a sweep; none without one."""
        number = getattr(series, "sweep_number", None)
        for name, command in commands.items():
            same = number is not None and getattr(command, "sweep_number", None) == number
            if same or (number is None and _start(command) == _start(series)):
                first, time = self.times(name, command)
                values = np.asarray(command.data[:], float)
                return _within(first + rising_edges(time, values) / 1e3, start, duration)
        return np.array([])

    def stimuli_of_all(self, stimuli: list[np.ndarray], interval: float) -> np.ndarray:
        """Return the stimuli that all sweeps have in common.

        Raises
        ------
        DataError
            If the sweeps differ in them: then their mean has no meaning.
        """
        if not stimuli:
            return np.array([])
        first = stimuli[0]
        for k, other in enumerate(stimuli[1:], 2):
            if other.size != first.size or np.abs(other - first).max(initial=0) > _SAME * interval:
                raise DataError(
                    f"sweep {k} of {self.name} has other stimuli than sweep 1: name those that are "
                    f"alike (column, or sweeps), or give the times (stimulus)"
                )
        return first


def _within(times: np.ndarray, start: float, duration: float) -> np.ndarray:
    after = np.sort(1e3 * (times - start))
    return np.round(after[(after >= -1e-6) & (after <= duration)], 9)


def _start(series: Any) -> float:
    if series.timestamps is not None:
        return float(series.timestamps[0])
    return float(series.starting_time or 0.0)


def _electrode(series: Any) -> str:
    return str(getattr(getattr(series, "electrode", None), "name", ""))


def _named(file: str, kind: str, name: str | int, there: Mapping[str, Any]) -> str:
    names = list(there)
    if isinstance(name, int):
        if name > len(names):
            raise DataError(f"{file} has {len(names)} {kind}, and none of number {name}")
        return names[name - 1]
    if name in there:
        return name
    guess = nearest(name, names)
    hint = f"; did you mean {guess!r}?" if guess else ""
    raise DataError(f"{file} has no {kind} called {name!r} ({', '.join(names) or 'none'}){hint}")
