"""Amplitudes per train and pulse in a table: long, a row a pulse, or wide, a row a train."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stpspec.data.decimal_sign import DecimalSign
from stpspec.data.table_files import TextTable, has_decimal_comma, is_missing, split_header
from stpspec.errors import SpecProblem, nearest
from stpspec.units import UnitError, convert, split

# Part of a row → what laboratories call its column; an underscore stands for a space, too.
NAMES = {
    "train": ("train", "frequency", "freq", "rate"),
    "delay": ("recovery_delay", "delay"),
    "pulse": ("pulse", "pulse_number", "stimulus", "stimulus_number"),
    "amplitude": ("amplitude", "amp", "mean", "response", "epsc", "ipsc", "psc", "epsp", "ipsp",
                  "psp"),
    "sd": ("sd", "std", "amplitude_sd"),
    "sem": ("sem", "se", "s.e.m.", "amplitude_sem"),
    "n": ("n", "count"),
}  # fmt: skip
_NUMBERED = {
    "amplitude": re.compile(r"(?:a|amp|amplitude|pulse|p|epsc|ipsc|psc|epsp|ipsp|psp)[ _]?(\d+)"),
    "sd": re.compile(r"(?:sd|std)[ _]?(\d+)|a[ _]?(\d+)[ _](?:sd|std)"),
    "sem": re.compile(r"(?:sem|se)[ _]?(\d+)|a[ _]?(\d+)[ _](?:sem|se)"),
    "n": re.compile(r"n[ _]?(\d+)|a[ _]?(\d+)[ _]n"),
}
_ARBITRARY = ("a.u.", "a.u", "au", "arb.", "arb.u.", "arb.units", "norm", "norm.", "normalized",
              "normalised", "rel.", "relative")  # fmt: skip
_UNITS = {"train": "Hz", "delay": "ms", "pulse": "1", "n": "1"}


@dataclass(frozen=True)
class TableValue:
    """One amplitude, as far as it was measured, with the place where it was written.

    Attributes
    ----------
    amplitude : float or None
        None is a gap.
    sd, sem : float or None
    n : int or None
    """

    amplitude: float | None
    sd: float | None = None
    sem: float | None = None
    n: int | None = None
    where: str = ""


@dataclass(frozen=True)
class TableTrain:
    """One train of a table: its name or frequency, and what each pulse gave.

    Attributes
    ----------
    name : str
        As it was written; empty if the table does not name its trains.
    frequency, delay : float or None
        Hz and ms, where they are written as numbers.
    pulses : dict of int to TableValue
        By the number of the pulse, from 1.
    """

    name: str
    frequency: float | None
    delay: float | None
    pulses: dict[int, TableValue] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The train in messages."""
        delay = "" if self.delay is None else f", delay {self.delay:g} ms"
        return f"{self.name or 'the only one'}{delay}"


@dataclass(frozen=True)
class _Column:
    """What a column holds: a part of a row, of one pulse where the table is wide, and its unit."""

    index: int
    name: str
    part: str
    pulse: int | None
    unit: str


class AmplitudeTable:
    """The trains of a table, and everything that is wrong with it.

    Parameters
    ----------
    table : TextTable
    named : mapping of str to str
        Part of a row (``train``, ``pulse``, ``amplitude`` …) → the name of its column.
    ignored : sequence of str
        Columns that are left out.
    unit : str
        Of the amplitudes: what they are converted to.
    written_unit : str
        Of amplitudes whose column names no unit.

    Attributes
    ----------
    trains : list of TableTrain
    problems : list of SpecProblem
    """

    def __init__(
        self,
        table: TextTable,
        named: Mapping[str, str],
        ignored: Sequence[str],
        unit: str,
        written_unit: str,
    ):
        self.table, self.unit, self.written_unit = table, unit, written_unit
        self.problems: list[SpecProblem] = []
        self.trains: list[TableTrain] = []
        self._columns = self._found(named, ignored)
        self._sign = self._decimal_sign()
        if not self.problems:
            self._sign.tell(table.path)
            for line, texts in table.rows:
                self._add(line, [self._sign.with_point(t) for t in texts])

    # -- columns ----------------------------------------------------------------------------

    def _found(self, named: Mapping[str, str], ignored: Sequence[str]) -> list[_Column]:
        names = [split_header(c)[0] for c in self.table.header]
        for part, name in named.items():
            if name not in names:
                rule = f"{self.table.path.name} has no column of this name: {', '.join(names)}"
                self._tell(f"columns.{part}", rule, name, nearest(name, names))
        for name in ignored:
            if name not in names:
                self._tell("ignore", f"{self.table.path.name} has no such column", name,
                           nearest(name, names))  # fmt: skip
        columns: list[_Column] = []
        for index, header in enumerate(self.table.header):
            name, unit = split_header(header)
            if not name or name.startswith("#") or name in ignored:
                continue
            meaning = _meaning(name, named)
            if meaning is None:
                self._tell_unknown(name)
                continue
            part, pulse = meaning
            same = next((c for c in columns if (c.part, c.pulse) == meaning), None)
            if same is not None:
                rule = f"two columns say the {part}: {same.name} and {name} (ignore: [{name}])"
                self._tell("file", self._at(self.table.header_line, name, rule))
                continue
            columns.append(_Column(index, name, part, pulse, unit))
        self._require(columns)
        return columns

    def _require(self, columns: Sequence[_Column]) -> None:
        long = any(c.part == "amplitude" and c.pulse is None for c in columns)
        wide = any(c.part == "amplitude" and c.pulse is not None for c in columns)
        has_pulse = any(c.part == "pulse" for c in columns)
        line = self.table.header_line
        if long and wide:
            rule = "either a column of amplitudes, or a column for each pulse (a1, a2 …)"
            self._tell("file", self._at(line, "", rule))
        elif long and not has_pulse:
            rule = "a column 'pulse' says which pulse each amplitude is of, from 1"
            self._tell("file", self._at(line, "", rule))
        elif wide and len({bool(c.unit) for c in columns if c.part == "amplitude"}) > 1:
            rule = "either every column of an amplitude names its unit, or none does"
            self._tell("file", self._at(line, "", rule))
        elif wide and has_pulse:
            self._tell("file", self._at(line, "pulse", "a row of a1, a2 … is of all pulses"))
        elif not long and not wide and not self.problems:
            rule = "a column 'amplitude', or a column for each pulse (a1, a2 …), is needed"
            self._tell("file", self._at(line, "", rule), ", ".join(self.table.header))

    def _tell_unknown(self, name: str) -> None:
        known = [n for names in NAMES.values() for n in names]
        rule = self._at(
            self.table.header_line, name,
            f"no such column ({', '.join(NAMES)}, or a1, a2 …): columns: {{amplitude: {name}}} "
            f"says what it is, ignore: [{name}] leaves it out, and so does a name that begins "
            f"with #",
        )  # fmt: skip
        self._tell("file", rule, name, nearest(name, known, 0.7))

    def _decimal_sign(self) -> DecimalSign:
        used = [c.index for c in self._columns]
        rows = [texts for _, texts in self.table.rows if len(texts) == len(self.table.header)]
        return DecimalSign.of(texts[k] for texts in rows for k in used)

    # -- rows -------------------------------------------------------------------------------

    def _add(self, line: int, texts: Sequence[str]) -> None:
        if len(texts) != len(self.table.header):
            commas = "; is there a decimal comma? Write 1.5, not 1,5"
            rule = f"{len(self.table.header)} cells are needed, as many as columns{commas}"
            self._tell("file", self._at(line, "", rule), f"{len(texts)} cells")
            return
        row = {c.part: c for c in self._columns if c.pulse is None}
        cells = {part: texts[c.index] for part, c in row.items()}
        train = self._train(line, row, cells)
        if train is None:
            return
        pulses = self._pulses(line, row, cells)
        again = next((k for k in pulses if k in train.pulses), None)
        if again is not None:
            rule = (f"pulse {again} of train {train.label} stands in "
                    f"{train.pulses[again].where} already: of several sweeps, write their mean, "
                    f"sd and n")  # fmt: skip
            self._tell("file", self._at(line, "", rule))
            return
        for pulse in pulses:
            columns = {**row, **{c.part: c for c in self._columns if c.pulse == pulse}}
            value = self._value(line, columns, texts)
            if value is not None:
                train.pulses[pulse] = value

    def _train(
        self, line: int, row: Mapping[str, _Column], cells: Mapping[str, str]
    ) -> TableTrain | None:
        name = cells.get("train", "")
        if "train" in row and is_missing(name):
            self._tell("file", self._at(line, row["train"].name, "each row names its train"), name)
            return None
        frequency, delay = None, None
        if "train" in row and _looks_like_number(name):
            frequency = self._number(line, row["train"], name)
            if frequency is None:
                return None
        if "delay" in row and not is_missing(cells["delay"]):
            delay = self._number(line, row["delay"], cells["delay"])
        for train in self.trains:
            same = train.name == name if frequency is None else train.frequency == frequency
            if same and train.delay == delay:
                return train
        self.trains.append(TableTrain(name, frequency, delay))
        return self.trains[-1]

    def _pulses(
        self, line: int, row: Mapping[str, _Column], cells: Mapping[str, str]
    ) -> Sequence[int]:
        if "pulse" not in row:
            return [c.pulse for c in self._columns if c.part == "amplitude" and c.pulse is not None]
        number = self._number(line, row["pulse"], cells["pulse"])
        if number is not None and (number < 1 or number != int(number)):
            rule = "pulses are counted 1, 2, 3 …"
            self._tell("file", self._at(line, row["pulse"].name, rule), cells["pulse"])
            number = None
        return [] if number is None else [int(number)]

    def _value(
        self, line: int, columns: Mapping[str, _Column], texts: Sequence[str]
    ) -> TableValue | None:
        """Return what was measured of one pulse; None if anything is wrong with it."""
        where = f"line {line}"
        if is_missing(texts[columns["amplitude"].index]):
            return TableValue(None, where=where)
        found: dict[str, float | None] = {}
        amplitude = texts[columns["amplitude"].index]
        for part in ("amplitude", "sd", "sem", "n"):
            column = columns.get(part)
            if column is None:
                continue
            beside = ""
            if part in ("sd", "sem"):  # without a unit, that of the amplitude: never pA beside nA
                beside = _unit_in(amplitude) or columns["amplitude"].unit
            found[part] = self._number(line, column, texts[column.index], beside)
            if found[part] is None:
                return None
            fault = _fault(part, found[part] or 0.0)
            if fault:
                self._tell("file", self._at(line, column.name, fault), texts[column.index])
                return None
        n = found.get("n")
        return TableValue(found["amplitude"], found.get("sd"), found.get("sem"),
                          None if n is None else int(n), where)  # fmt: skip

    def _number(self, line: int, column: _Column, text: str, beside: str = "") -> float | None:
        """Return a cell in its unit; None, and a problem, if it is no number of that unit."""
        unit = _UNITS.get(column.part, self.unit)
        own = column.unit or beside or (self.written_unit if column.part not in _UNITS else "")
        try:
            if is_missing(text):
                raise UnitError(f"the {column.part} is missing")
            if has_decimal_comma(text):
                raise UnitError(f"{self._sign.doubt}: write 1.5, not 1,5 (of a whole table, save "
                                f"it with decimal points)")  # fmt: skip
            number, written = split(text)
            own = written or own
            if is_arbitrary(own) and column.part not in _UNITS:
                if unit != "1":
                    raise UnitError(f"amplitudes in {own} are relative: they need a free scale "
                                    f"(scale: free)")  # fmt: skip
                own = ""
            return convert(f"{number!r} {own}" if own else number, unit)
        except UnitError as error:
            self._tell("file", self._at(line, column.name, str(error)), text)
            return None

    def _at(self, line: int, column: str, rule: str) -> str:
        place = f"{self.table.path.name}:{line}"
        return f"{place}, column {column}: {rule}" if column else f"{place}: {rule}"

    def _tell(
        self, path: str, rule: str, received: object = None, guess: str | None = None
    ) -> None:
        self.problems.append(SpecProblem(path, rule, received, guess))


def is_arbitrary(unit: str) -> bool:
    """Tell whether a unit says that numbers are relative: a.u., normalized."""
    return unit.lower().replace(" ", "") in _ARBITRARY


def _unit_in(text: str) -> str:
    """Return the unit that a cell itself names; empty if it names none."""
    try:
        return split(text)[1]
    except UnitError:  # told where it is read
        return ""


def unit_of_amplitudes(table: TextTable, named: str | None) -> str:
    """Return the unit in the header of the amplitudes; empty if there is none."""
    for header in table.header:
        name, unit = split_header(header)
        meaning = _meaning(name, {} if named is None else {"amplitude": named})
        if unit and meaning is not None and meaning[0] == "amplitude":
            return "1" if is_arbitrary(unit) else unit
    return ""


def _meaning(name: str, named: Mapping[str, str]) -> tuple[str, int | None] | None:
    """Return what a column holds, and of which pulse; None if nobody knows."""
    for part, chosen in named.items():
        if name == chosen:
            return part, None
    plain = name.lower().replace(" ", "_").replace("-", "_")
    for part, names in NAMES.items():
        if plain in names and part not in named:
            return part, None
    for part, pattern in _NUMBERED.items():
        if match := pattern.fullmatch(plain):
            return part, int(next(g for g in match.groups() if g))
    return None


def _looks_like_number(text: str) -> bool:
    return text[:1].isdigit() or has_decimal_comma(text)


def _fault(part: str, value: float) -> str:
    if part in ("sd", "sem") and not value > 0:
        return f"the {part} of a measured amplitude is above 0; an empty amplitude is a gap"
    if part == "n" and (value < 1 or value != int(value)):
        return "n is a number of measurements: 1, 2, 3 …"
    return ""
