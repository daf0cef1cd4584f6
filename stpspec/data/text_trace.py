"""Recorded traces in text files: which columns are times, signal, sweeps and stimuli."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stpspec.data.headers import Header, dimension_of
from stpspec.data.recording import UNITS, Recording, aligned, in_held_unit, rising_edges
from stpspec.data.text_columns import TextColumns, read_columns
from stpspec.errors import DataError, nearest
from stpspec.specs.trace_file import ColumnName, TraceFile
from stpspec.units import convert

_SAME_RATE = 0.01  # relative; a sampling rate and times that differ by less agree


def read_text_trace(path: Path, spec: TraceFile, dimension: str | None = None) -> Recording:
    """Read a recorded trace from a text file.

    Parameters
    ----------
    path : Path
    spec : TraceFile
    dimension : {"voltage", "current"}, optional
        Of the signal that is wanted.

    Raises
    ------
    DataError
        If the file does not tell what it holds, and the spec does not either.
    """
    table = read_columns(path)
    columns = _Columns(path.name, table, spec)
    time = columns.times()
    places = columns.signals(dimension)
    unit = columns.unit(places)
    values, held = in_held_unit(table.values[:, places], unit, invert=spec.invert)
    sweeps_by = columns.sweep_numbers()
    pieces = [(time[rows], values[rows, k]) for rows in _sweeps(path.name, time, sweeps_by)
              for k in range(len(places))]  # fmt: skip
    pieces = [_rising(path.name, t, v) for t, v in pieces]
    merged, sweeps = aligned([t for t, _ in pieces], [v for _, v in pieces])
    stimuli = columns.stimuli(time, sweeps_by)
    return Recording(merged, sweeps, held, stimuli, path.name).chosen(spec.sweeps)


class _Columns:
    """The roles of the columns of one file."""

    def __init__(self, file: str, table: TextColumns, spec: TraceFile):
        self.file = file
        self.table = table
        self.spec = spec
        self.time_place = self._time_place()
        self.stimulus_place = self._stimulus_place()
        taken = {self.time_place, self.stimulus_place}
        found = [k for k, h in enumerate(table.headers) if h.is_sweep and k not in taken]
        # A column of that name which holds the signal itself is no number of a sweep.
        self.sweep_place = next((k for k in found if self._numbers_rows(k)), None)

    def _numbers_rows(self, place: int) -> bool:
        values = self.table.values[:, place]
        whole = np.isfinite(values).all() and (values == np.round(values)).all()
        return bool(whole) and 1 <= np.unique(values).size <= values.size / 3

    def find(self, name: ColumnName) -> int:
        """Return the place of a column that is named or numbered."""
        headers = self.table.headers
        if isinstance(name, int):
            if name > len(headers):
                raise DataError(f"{self.file} has {len(headers)} columns, and no column {name}")
            return name - 1
        exact = [k for k, h in enumerate(headers) if h.text == name]
        places = exact or [k for k, h in enumerate(headers) if h.is_called(name)]
        if len(places) == 1:
            return places[0]
        names = [h.text for h in headers]
        if places:
            raise DataError(
                f"{len(places)} columns of {self.file} are called {name!r}: give numbers"
            )
        guess = nearest(name, [h.name for h in headers])
        meant = next((h.text for h in headers if h.name == guess), "")
        hint = f"; did you mean {meant!r}?" if meant else ""
        raise DataError(f"no column of {self.file} is called {name!r} ({', '.join(names)}){hint}")

    def _time_place(self) -> int | None:
        if self.spec.time is not None:
            return self.find(self.spec.time)
        headers = self.table.headers
        found = [k for k, h in enumerate(headers) if h.is_time]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(headers[k].text for k in found)
            raise DataError(f"several columns of {self.file} are times ({names}): give time")
        first = self.table.values[:, 0]
        steps = np.diff(first)
        is_count = not self.table.has_headers and len(headers) > 1 and np.isfinite(first).all()
        if (
            is_count
            and self.spec.sampling_rate is None
            and ((steps > 0).all() or (steps < 0).all())
        ):
            return 0
        return None

    def _stimulus_place(self) -> int | None:
        stimulus = self.spec.stimulus
        if isinstance(stimulus, str | int):
            return self.find(stimulus)
        if stimulus is not None:
            return None
        found = [k for k, h in enumerate(self.table.headers) if h.is_stimulus]
        return found[0] if len(found) == 1 else None

    def times(self) -> np.ndarray:
        """Return the time of each row, ms."""
        n = len(self.table.values)
        stated = self.spec.sampling_rate or _rate_of(self.table)
        if self.time_place is None:
            if stated is None:
                raise DataError(
                    f"{self.file} has no column of times: name it (time), or give sampling_rate"
                )
            rows = self._rows_of_sweeps(n)
            return rows * 1000.0 / stated
        header = self.table.headers[self.time_place]
        unit = self.spec.time_unit or header.unit
        raw = self.table.values[:, self.time_place]
        if np.isnan(raw).any():
            row = int(np.isnan(raw).argmax()) + 1
            raise DataError(f"{self.file} has no time in row {row} of its numbers")
        if not unit:
            step = float(np.median(np.abs(np.diff(raw)))) if n > 1 else 0.0
            hint = "s" if step < 2e-3 else "ms"
            raise DataError(
                f"the column {header.text!r} of {self.file} names no unit: give time_unit (its "
                f"steps of {step:g} look like {hint})"
            )
        if dimension_of(unit) != "time":
            raise DataError(f"time_unit must be a unit of time, such as ms (got {unit!r})")
        time = raw * convert(f"1 {unit}", "ms")
        if self.spec.sampling_rate is not None:
            step = float(np.median(np.abs(np.diff(time))))
            if abs(step * self.spec.sampling_rate / 1000 - 1) > _SAME_RATE:
                raise DataError(
                    f"the times of {self.file} are {step:g} ms apart, and a sampling_rate of "
                    f"{self.spec.sampling_rate:g} Hz makes {1000 / self.spec.sampling_rate:g} ms"
                )
        return time

    def _rows_of_sweeps(self, n: int) -> np.ndarray:
        numbers = self.sweep_numbers()
        if numbers is None:
            return np.arange(n, dtype=float)
        rows = np.zeros(n)
        for number in np.unique(numbers):
            rows[numbers == number] = np.arange((numbers == number).sum())
        return rows

    def sweep_numbers(self) -> np.ndarray | None:
        """Return the sweep of each row; None where no column tells."""
        return None if self.sweep_place is None else self.table.values[:, self.sweep_place]

    def signals(self, dimension: str | None) -> list[int]:
        """Return the places of the columns with the signal, one a sweep."""
        named = self.spec.column
        if named is not None:
            return [self.find(c) for c in (named if isinstance(named, list) else [named])]
        headers = self.table.headers
        taken = {self.time_place, self.stimulus_place, self.sweep_place}
        free = [k for k in range(len(headers)) if k not in taken]
        fitting = [k for k in free if headers[k].dimension in ("voltage", "current")]
        wanted = dimension or (dimension_of(self.spec.unit) if self.spec.unit else None)
        if wanted is not None:
            fitting = [k for k in fitting if headers[k].dimension == wanted]
        places = fitting or [k for k in free if headers[k].dimension is None]
        names = ", ".join(headers[k].text for k in free)
        if not places:
            what = f"a {wanted}" if wanted else "a signal"
            raise DataError(f"no column of {self.file} is {what} ({names or 'there is no other'})")
        dimensions = {headers[k].dimension for k in places}
        are_sweeps = len(dimensions) == 1 and _are_sweeps([headers[k] for k in places])
        if len(places) > 1 and not are_sweeps:
            raise DataError(
                f"which of the columns of {self.file} is the signal ({names})? give column: one, "
                f"or a list of those that are its sweeps"
            )
        return places

    def unit(self, places: Sequence[int]) -> str:
        """Return the unit of the signal."""
        own = {self.table.headers[k].unit for k in places}
        unit = self.spec.unit or (next(iter(own)) if len(own) == 1 else "")
        if not unit:
            values = self.table.values[:, places]
            low, high = np.nanmin(values), np.nanmax(values)
            name = self.table.headers[places[0]].text
            raise DataError(
                f"the column {name!r} of {self.file} names no unit: give unit, such as mV or pA "
                f"(its values are {low:.4g} … {high:.4g})"
            )
        if dimension_of(unit) not in UNITS:
            raise DataError(f"unit must be one of voltage or current, such as mV (got {unit!r})")
        return unit

    def stimuli(self, time: np.ndarray, numbers: np.ndarray | None) -> np.ndarray:
        """Return the times of the stimuli, ms."""
        if isinstance(self.spec.stimulus, list):
            return np.asarray(self.spec.stimulus, float)
        if self.stimulus_place is None:
            return np.array([])
        header = self.table.headers[self.stimulus_place]
        values = self.table.values[:, self.stimulus_place]
        there = np.isfinite(values)
        if header.dimension == "time" or there.mean() < 0.5:  # a list of times beside the trace
            unit = header.unit or self.spec.time_unit
            if not unit and self.time_place is not None:
                unit = self.table.headers[self.time_place].unit
            if dimension_of(unit or "") != "time":
                raise DataError(
                    f"the column {header.text!r} of {self.file} holds times without a unit: give "
                    f"time_unit"
                )
            return np.unique(values[there]) * convert(f"1 {unit}", "ms")
        rows = next(iter(_sweeps(self.file, time, numbers)))
        order = np.argsort(time[rows], kind="stable")
        return rising_edges(time[rows][order], values[rows][order])


def _are_sweeps(headers: Sequence[Header]) -> bool:
    """Tell whether columns differ by no more than a number at their end, or have no names."""
    stems = {h.name.rstrip("0123456789#() ").strip() for h in headers}
    return len(stems) == 1


def _sweeps(file: str, time: np.ndarray, numbers: np.ndarray | None) -> list[np.ndarray]:
    """Return the rows of each sweep: by number, or where the times start anew."""
    if numbers is not None:
        return [np.flatnonzero(numbers == k) for k in dict.fromkeys(numbers.tolist())]
    falls = np.diff(time) < 0
    if not falls.any() or falls.all():
        return [np.arange(time.size)]
    pieces = np.split(np.arange(time.size), np.flatnonzero(falls) + 1)
    first, span = time[pieces[0][0]], np.ptp(time[pieces[0]])
    restarts = all(abs(time[p[0]] - first) <= 0.5 * span and p.size > 1 for p in pieces)
    if restarts and span > 0:
        return pieces
    if np.unique(time).size == time.size:
        return [np.arange(time.size)]  # rows in no order
    raise DataError(f"the times of {file} neither rise nor start anew with each sweep")


def _rising(file: str, time: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(time, kind="stable")
    time, values = time[order], values[order]
    if (same := np.flatnonzero(np.diff(time) <= 0)).size:
        raise DataError(f"{file} has more than one value at {time[same[0]]:g} ms")
    if time.size < 2:
        raise DataError(f"{file} has {time.size} sample{'s' * (time.size != 1)}")
    return time, values


def _rate_of(table: TextColumns) -> float | None:
    return convert(table.sampling_rate, "Hz") if table.sampling_rate else None
