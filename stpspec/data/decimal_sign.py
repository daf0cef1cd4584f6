"""The decimal sign of a table: a point, or the comma that Excel writes in many languages."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("stpspec.data")

_SIGN = r"[-+\u2212]?"
_REST = r"(?:[eE][-+]?\d+)?(?:\s*[^\d\s.,].*)?"  # an exponent, a unit
_COMMA = re.compile(rf"{_SIGN}\d+,\d+{_REST}")
_BETWEEN = re.compile(r"(?<=\d),(?=\d)")
_POINT = re.compile(rf"{_SIGN}\d*\.\d.*|{_SIGN}\d{{1,3}}(?:,\d{{3}})+\.\d.*")
_THOUSANDS = re.compile(rf"{_SIGN}[1-9]\d{{0,2}},\d{{3}}(?:\s*[^\d\s.,].*)?")

_TOLD: set[str] = set()


@dataclass(frozen=True)
class DecimalSign:
    """The decimal sign of all numbers of a table.

    Attributes
    ----------
    example : str
        A number that shows that it is a comma; empty where it is a point.
    doubt : str
        Why the commas of a table may mean something else; empty if there is none of them.
    """

    example: str = ""
    doubt: str = ""

    @classmethod
    def of(cls, cells: Iterable[str]) -> DecimalSign:
        """Return the sign that all numbers among some cells agree on.

        A comma counts where no number has a point, and where at least one number shows that its
        comma does not part thousands: 12,5 and 0,125 do, 1,500 does not.
        """
        texts = [c.strip() for c in cells]
        commas = [c for c in texts if _COMMA.fullmatch(c)]
        if not commas:
            return cls()
        pointed = next((c for c in texts if _POINT.fullmatch(c)), None)
        if pointed is not None:
            return cls("", f"{commas[0]} has a decimal comma and {pointed} a decimal point")
        sure = next((c for c in commas if not _THOUSANDS.fullmatch(c)), None)
        if sure is None:
            one = commas[0]
            return cls("", f"{one} is {one.replace(',', '.')} or {one.replace(',', '')}")
        return cls(example=sure)

    def with_point(self, cell: str) -> str:
        """Return a cell with a decimal point, where it is a number with a decimal comma."""
        if not self.example or not _COMMA.fullmatch(cell.strip()):
            return cell
        return _BETWEEN.sub(".", cell)  # both of 0,021 ± 0,001 nA

    def tell(self, path: Path) -> None:
        """Log that commas were read as decimal points, once for a file in a process."""
        text = f"a comma is the decimal point of its numbers: {self.example} is read as "
        text = f"{path.name}: {text}{self.with_point(self.example)}"
        if self.example and (told := f"{path}: {text}") not in _TOLD:
            _TOLD.add(told)
            log.warning("%s", text)
