"""Headers of columns: the name, the unit and the dimension that they state."""

from __future__ import annotations

import re
from dataclasses import dataclass

Dimension = str  # "time", "voltage" or "current"

# As people write a unit → as it is written here.
_UNITS: dict[Dimension, dict[str, tuple[str, ...]]] = {
    "time": {
        "s": ("s", "S", "sec", "secs", "second", "seconds"),
        "ms": ("ms", "mS", "msec", "msecs", "millisecond", "milliseconds"),
        "us": ("us", "µs", "μs", "usec", "microseconds"),
        "min": ("min", "minutes"),
    },
    "voltage": {
        "V": ("V", "volt", "volts", "Volt", "Volts"),
        "mV": ("mV", "mv", "millivolt", "millivolts"),
        "uV": ("uV", "µV", "μV", "microvolts"),
    },
    "current": {
        "A": ("A", "amp", "amps", "ampere", "amperes", "Ampere", "Amperes"),
        "mA": ("mA",),
        "uA": ("uA", "µA", "μA"),
        "nA": ("nA", "na", "nanoamps", "nanoampere", "nanoamperes"),
        "pA": ("pA", "pa", "picoamps", "picoampere", "picoamperes"),
        "fA": ("fA",),
    },
}
_KNOWN = {
    spelling: (unit, dimension)
    for dimension, units in _UNITS.items()
    for unit, spellings in units.items()
    for spelling in spellings
}
_NAMES: dict[Dimension, str] = {
    "time": r"t|times?|zeit|temps|tiempo|x|sweep time|elapsed( time)?|timestamps?",
    "voltage": r"[vu]|v ?m|vm ?\d*|voltages?|membrane (potential|voltage)|potential|"
    r"[ei]psp|psp|vcell",
    "current": r"i|i ?m|im ?\d*|currents?|membrane current|clamp current|[ei]psc|psc",
}
_STIMULUS = re.compile(
    r"(stim(ulus|uli|ulation)?|triggers?|ttl|events?|pulses?|(presynaptic )?spikes?)"
    r"( (times?|onsets?|times? onset|trigger|signal|\d+))?"
)
_SWEEP = re.compile(
    r"(sweep|trial|episode|repeat|repetition|trace|run)s?( (no|nr|number|id|index))?"
)

# name (unit), name [unit]; name / unit; name, unit; name_unit, name unit
_BRACKETS = re.compile(r"^(.*?)\s*[\(\[\{<]\s*([^\(\)\[\]\{\}<>]+?)\s*[\)\]\}>]\s*$")
_MARKED = re.compile(r"^(.*?)\s*(?:/|,|:| in )\s*([^\s/,:]+)$")
_JOINED = re.compile(r"^(.*?)[\s_.-]+([^\s_.-]+)$")


@dataclass(frozen=True)
class Header:
    """What a header says of its column.

    Attributes
    ----------
    text : str
        As it is written.
    name : str
        Without the unit, in small letters, its words with single spaces between them.
    unit : str
        Such as ``mV``; empty if it names none.
    """

    text: str
    name: str
    unit: str = ""

    @classmethod
    def of(cls, text: str, unit: str = "") -> Header:
        """Read a header.

        Parameters
        ----------
        text : str
        unit : str
            From a row of units below the header.
        """
        text = text.strip().strip("\"'").strip()
        name, own = _parts(text)
        below = known_unit(unit.strip().strip("\"'()[]{} "))
        return cls(text, _plain(name), own or below)

    @property
    def dimension(self) -> Dimension | None:
        """Of the unit; without one, the dimension that goes with such a name."""
        if self.unit:
            return dimension_of(self.unit)
        fits = (d for d, names in _NAMES.items() if re.fullmatch(names, self.name))
        return next(fits, None)

    @property
    def is_time(self) -> bool:
        """Whether the column is that of the times."""
        return self.dimension == "time" and not self.is_stimulus

    @property
    def is_stimulus(self) -> bool:
        """Whether the column tells when the stimuli come."""
        return _STIMULUS.fullmatch(self.name) is not None

    @property
    def is_sweep(self) -> bool:
        """Whether the column tells to which sweep a row belongs."""
        return not self.unit and _SWEEP.fullmatch(self.name) is not None

    def is_called(self, name: str) -> bool:
        """Tell whether people would call the column so: with or without its unit."""
        return _plain(name) in (_plain(self.text), self.name)


def known_unit(text: str) -> str:
    """Return a unit of time, voltage or current as it is written here; empty if it is none."""
    return _KNOWN.get(text, ("", None))[0]


def dimension_of(unit: str) -> Dimension | None:
    """Return the dimension of a unit; None of one that is neither time, voltage nor current."""
    return _KNOWN.get(unit, ("", None))[1]


def _parts(text: str) -> tuple[str, str]:
    """Split a header into its name and its unit, empty if there is none."""
    for pattern in (_BRACKETS, _MARKED, _JOINED):
        match = pattern.match(text)
        if match is None or not known_unit(match[2]):
            continue
        unit, dimension = _KNOWN[match[2]]
        # "Channel A" has no unit, "Vm_V" has one.
        is_name = len(match[2]) == 1 and pattern is _JOINED
        if not is_name or (dimension and re.fullmatch(_NAMES[dimension], _plain(match[1]))):
            return match[1], unit
    unit = known_unit(text)
    return text, unit if len(text) > 1 or unit == "s" else ""  # "V" is a name as well


def _plain(name: str) -> str:
    return " ".join(re.split(r"[\s_.\-]+", name.strip().lower())).strip()
