"""Tables of amplitudes: CSV, TSV or Excel, one row a pulse or one row a train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field

from stpspec.data.amplitude_table import (
    AmplitudeTable,
    TableTrain,
    TableValue,
    unit_of_amplitudes,
)
from stpspec.data.table_files import read_table
from stpspec.errors import SpecError, SpecProblem, nearest
from stpspec.resources import find_file
from stpspec.specs.base import Spec
from stpspec.specs.protocol import Protocol
from stpspec.specs.target_source import TargetData, TargetSource, Wanted, target_source
from stpspec.units import UnitError, convert

_ALIKE = 1e-6  # of a frequency or a delay


class Columns(Spec):
    """Names of the columns of a table, where they are not called as usual."""

    train: str | None = Field(default=None, description="frequency, or name, of the train")
    delay: str | None = Field(default=None, description="recovery delay")
    pulse: str | None = Field(default=None, description="number of the pulse, from 1")
    amplitude: str | None = None
    sd: str | None = None
    sem: str | None = None
    n: str | None = None


@target_source("table")
class Table(TargetSource):
    """Amplitudes per train and pulse, with sd (or s.e.m.), n and gaps.

    A row is one pulse (columns train, pulse, amplitude, sd, n), or one train (a1, a2 …, sd1 …).
    What is empty, or NA, or has no row, was not measured: a gap, and never 0. Units stand in the
    header, ``amplitude [pA]``.
    """

    source: Literal["table"] = "table"
    file: str = Field(min_length=1, description="path, from the folder of the experiment")
    train: float | str | None = Field(
        default=None,
        description="which train of the table, as it is called there; by default the one of the "
        "frequency (and recovery delay) of the protocol",
    )
    columns: Columns = Field(default_factory=Columns)
    ignore: list[str] = Field(default_factory=list, description="columns that are left out")
    unit: str | None = Field(
        default=None, description="of the amplitudes, where their column names none"
    )
    sign: Literal["positive", "negative"] = Field(
        default="positive",
        description="negative where inward currents or IPSPs were written below 0",
    )
    sheet: str | None = Field(default=None, description="of an Excel file; its first by default")

    def read(self, wanted: Wanted) -> TargetData:
        if wanted.metric != "amplitudes":
            rule = "a table of amplitudes gives the targets of the metric amplitudes"
            raise _refused("", rule, wanted.metric)
        unit = self._unit(wanted)
        try:
            path = find_file(self.file, "data")
        except FileNotFoundError as error:
            raise _refused("file", str(error)) from error
        named = {p: n for p, n in self.columns.model_dump().items() if n is not None}
        table = AmplitudeTable(
            read_table(path, self.sheet), named, self.ignore, unit, self.unit or ""
        )
        if table.problems:
            raise SpecError(table.problems, f"the table {path.name} is not valid")
        values: list[TableValue] = []
        problems: list[SpecProblem] = []
        for name, run in wanted.runs.items():
            train = self._train_of(name, run, table.trains, path.name)
            if isinstance(train, SpecProblem):
                problems.append(train)
                continue
            found, beyond = _pulses(train, len(wanted.stimuli[name].spikes), path.name, name)
            values += found
            problems += beyond
        if problems:
            raise SpecError(problems, f"the table {path.name} does not fit")
        return self._data(values, unit, path.name)

    def _unit(self, wanted: Wanted) -> str:
        """Return the unit in which the amplitudes are told: that of the metric, or their own."""
        if self.unit is not None:
            try:
                convert(f"1 {self.unit}", self.unit)
            except UnitError as error:
                raise _refused("unit", str(error), self.unit) from error
        if wanted.scale is None:
            return wanted.unit
        return self.unit or self._unit_in_header() or "1"

    def _unit_in_header(self) -> str:
        try:
            table = read_table(find_file(self.file, "data"), self.sheet)
        except FileNotFoundError:  # told where it is read
            return ""
        return unit_of_amplitudes(table, self.columns.amplitude)

    def _train_of(
        self, name: str, run: Protocol, trains: Sequence[TableTrain], file: str
    ) -> TableTrain | SpecProblem:
        """Return the train of a table that a run is, or why there is none."""
        labels = ", ".join(t.label for t in trains) or "none"
        if self.train is not None:
            asked = str(self.train)
            found = [t for t in trains if t.name == asked or _is(t.frequency, _float(asked))]
            if len(found) != 1:
                rule = f"{file} has no such train, or several; it has {labels}"
                names = [t.name for t in trains]
                return SpecProblem("train", rule, self.train, nearest(asked, names))
            return found[0]
        if len(trains) == 1 and not trains[0].name:
            return trains[0]
        frequency, delay = getattr(run, "frequency", None), getattr(run, "recovery_delay", None)
        if frequency is None:
            rule = f"{name!r} has no frequency to be found by: train: NAME says which ({labels})"
            return SpecProblem("train", rule)
        found = [t for t in trains if _is(t.frequency, frequency)
                 and (t.delay is None or _is(t.delay, delay))]  # fmt: skip
        if len(found) == 1:
            return found[0]
        many = "several trains" if found else "no train"
        rule = f"{file} has {many} of {frequency:g} Hz for {name!r}; it has {labels}"
        return SpecProblem("file", rule)

    def _data(self, values: Sequence[TableValue], unit: str, file: str) -> TargetData:
        measured = [v for v in values if v.amplitude is not None]
        if not measured:
            raise _refused("file", f"{file} has no amplitude of this protocol: all are gaps")
        flip = -1.0 if self.sign == "negative" else 1.0
        if self.sign == "positive" and all((v.amplitude or 0.0) < 0 for v in measured):
            rule = f"every amplitude in {file} is below 0, and the metric is a size: sign: negative"
            raise _refused("sign", rule, self.sign)
        target = [None if v.amplitude is None else flip * v.amplitude for v in values]
        known = [v.n for v in measured]
        both = [replace(v, sd=v.sem * (v.n or 1) ** 0.5) if v.sd is None and v.sem is not None
                else v for v in values]  # fmt: skip
        has_sd = all(v.sd is not None for v in both if v.amplitude is not None)
        has_n = has_sd and all(n is not None for n in known)
        return TargetData(
            target,
            [v.sd if v.amplitude is not None else None for v in both] if has_sd else None,
            [v.n if v.amplitude is not None else None for v in values] if has_n else None,
            unit if unit != "1" else "",
        )


def _pulses(
    train: TableTrain, n: int, file: str, protocol: str
) -> tuple[list[TableValue], list[SpecProblem]]:
    """Return the values of n pulses, gaps among them, and what the table has beyond."""
    gap = TableValue(None)
    beyond = [k for k, v in train.pulses.items() if k > n and v.amplitude is not None]
    problems = []
    for k in beyond:
        where = f"{file}, {train.pulses[k].where}"
        rule = f"{where}: pulse {k} of train {train.label}, and {protocol!r} has {n} pulses"
        problems.append(SpecProblem("file", rule))
    return [train.pulses.get(k, gap) for k in range(1, n + 1)], problems


def _is(value: float | None, other: float | None) -> bool:
    return value is not None and other is not None and abs(value - other) <= _ALIKE * abs(other)


def _float(text: str) -> float | None:
    try:
        return convert(text, "Hz")
    except UnitError:
        return None


def _refused(path: str, rule: str, received: object = None) -> SpecError:
    return SpecError([SpecProblem(path, rule, received)], "the table cannot be used")
