"""Conversion of quantities: a number, or a string such as "0.25 s", as a number in one unit.

pint is imported only for a pair of units that has never been converted before: to import it takes
longer than all else that checks an experiment.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import re
import tempfile
import traceback
from importlib.metadata import version
from numbers import Real
from pathlib import Path
from typing import Any

from stpspec.errors import StpspecError
from stpspec.resources import cache_folder

_QUANTITY = re.compile(r"^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*$")

_DIGIT = r"[-+]?\d(?:\.\d)?"
_PLAIN_POWER = re.compile(rf"(?:\*\*|\^)\s*(?:{_DIGIT}|\(\s*{_DIGIT}\s*\))(?![\d.]|\s*(?:\*\*|\^))")
_LONGEST, _POWERS = 100, 4  # characters of a unit, and powers in it

_TYPOGRAPHIC = tuple("“”„‟‘’‚‛«»")
# How mechanisms and people write units that pint spells differently.
_SPELLINGS = {
    "°C": "degC", "degC": "degC", "celsius": "degC", "Ω": "ohm", "µ": "u", "μ": "u",
    "mho": "siemens", "megohm": "megaohm", "Ohm": "ohm",
}  # fmt: skip


class UnitError(StpspecError, ValueError):
    """A quantity has no number, an unknown unit, or a unit of another dimension."""


@functools.cache
def _pint() -> Any:
    import pint

    # Reading its definitions takes pint half a second; what it has read is kept.
    try:
        return pint.UnitRegistry(cache_folder=cache_folder("units"))
    except Exception:  # a folder that cannot be written, or a file torn by a crash
        return pint.UnitRegistry(cache_folder=None)


def _factors_file() -> Path:
    """Return where the conversion factors of this version of pint are remembered."""
    return cache_folder("units") / f"factors-{version('pint')}.json"


def _read_factors(file: Path) -> dict[str, dict[str, float]]:
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
        return {
            source: {target: float(factor) for target, factor in row.items()}
            for source, row in table.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):  # not there, or damaged
        return {}


@functools.cache
def _factors() -> dict[str, dict[str, float]]:
    """Return unit → unit → factor, of the conversions that are plain multiplications."""
    return _read_factors(_factors_file())


def _remember(source: str, target: str, factor: float) -> None:
    _factors().setdefault(source, {})[target] = factor
    file, temporary = _factors_file(), None
    table = _read_factors(file)  # another process may have added to it
    table.setdefault(source, {})[target] = factor
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as written:
            json.dump(table, written, sort_keys=True)
        Path(temporary).replace(file)
    except OSError:  # pint is asked each time
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def split(value: str) -> tuple[float, str]:
    """Split ``"0.25 s"`` into 0.25 and ``"s"``; a bare number has the unit ``""``.

    Raises
    ------
    UnitError
        If it does not begin with a finite number.
    """
    match = _QUANTITY.match(value.replace("\u2212", "-"))  # the minus that papers are printed with
    if match is None and value.strip()[:1] in _TYPOGRAPHIC:
        raise UnitError(f"there are typographic quotes around it: {value!r}; write plain ones")
    if match is None:
        raise UnitError(f"not a number with a unit: {value!r}")
    if match.group(2)[:1] in _TYPOGRAPHIC:
        raise UnitError(f"there are typographic quotes in {value!r}: write plain ones")
    if match.group(2).startswith(","):  # pint takes "0,1" for 0 × 1
        thousands = re.match(r",\d{3}(?!\d)", match.group(2))
        also = ", nor one between thousands" if thousands else ""
        raise UnitError(f"a number has a decimal point, no comma{also}: {value!r}")
    return float(match.group(1)), match.group(2)


def _float_of(value: Real | float) -> float:
    """Return a number as a float; infinite where it is beyond all floats."""
    try:
        return float(value)
    except OverflowError:  # an integer of more than 308 digits
        return math.inf


def number_of(value: float | str) -> float:
    """Return the number of a quantity, whatever its unit."""
    return split(value)[0] if isinstance(value, str) else _float_of(value)


def convert(value: float | str, unit: str) -> float:
    """Express a quantity as a plain number in ``unit``.

    Parameters
    ----------
    value : float or str
        A number, taken to be in ``unit`` already, or a string such as ``"0.25 s"``.
    unit : str
        Target unit as pint or NMODL writes it; ``"1"`` or ``""`` means dimensionless.

    Returns
    -------
    float

    Raises
    ------
    UnitError
        If the string is no quantity, or its unit has another dimension than ``unit``.
    """
    if isinstance(value, bool):
        raise UnitError(f"expected a number in {unit or '1'}, not a truth value")
    if isinstance(value, Real):
        number = _float_of(value)
    elif not isinstance(value, str):
        raise UnitError(f"expected a number in {unit or '1'}, or a string with a unit")
    else:
        number, written = split(value)
        if written:
            number = _convert_written(number, written, unit)
    if not math.isfinite(number):
        raise UnitError(f"expected a finite number in {unit or '1'}")
    return number


def _convert_written(number: float, written: str, unit: str) -> float:
    source, target = _spell(written), _spell(unit) or "dimensionless"
    factor = _factors().get(source, {}).get(target)
    converted = _ask_pint(number, written, unit) if factor is None else number * factor
    return float(f"{converted:.15g}")  # "-10 pA" is -0.01 nA, not -0.009999999999999998


def _ask_pint(number: float, written: str, unit: str) -> float:
    import pint

    quantity = _pint().Quantity
    source, target = _spell(written), _spell(unit) or "dimensionless"
    try:
        converted = quantity(number, source).to(target).magnitude
    except pint.DimensionalityError as error:
        _release_frames(error)
        if target == "dimensionless":
            raise UnitError(f"expected a number without unit, and {written!r} is one") from error
        raise UnitError(
            f"expected a quantity in {unit or '1'}, and {written!r} has another dimension"
        ) from error
    except Exception as error:  # pint raises a dozen types on text it cannot read
        _release_frames(error)
        require_unit(written, unit or "1")
        raise UnitError(
            f"the unit {unit!r} of the mechanism is none that is known here: write a bare number"
        ) from error
    with contextlib.suppress(Exception):  # 0 W has no decibels
        zero, one, two = (quantity(n, source).to(target).magnitude for n in (0.0, 1.0, 2.0))
        if zero == 0 and two == 2 * one:  # not so from kelvin to °C
            _remember(source, target, one)
    return converted


def _release_frames(error: Exception) -> None:
    """Let go of what pint's frames hold.

    One of them holds the error, and that holds the frame and all its callers: the cell of a rig
    that asked for a unit would stay in NEURON, and be integrated with the next one, until Python
    collects its garbage.
    """
    traceback.clear_frames(error.__traceback__)


def require_unit(written: str, expected: str = "") -> None:
    """Require a text to be a unit, of whatever dimension.

    Parameters
    ----------
    written : str
    expected : str, optional
        The unit that would have been right, which the message names.

    Raises
    ------
    UnitError
        If it is no unit at all.
    """
    source = _spell(written)
    if source in _factors():
        return
    try:
        _pint().Quantity(1.0, source)
    except Exception as error:  # as above
        _release_frames(error)
        rather = f" (expected {expected})" if expected else ""
        same = written.casefold() == expected.casefold()
        hint = f"; did you mean {expected!r}?" if same else ""
        raise UnitError(f"unknown unit {written!r}{rather}{hint}") from error
    _remember(source, source, 1.0)


def _spell(unit: str) -> str:
    text = unit.strip()
    if text in ("", "1"):
        return ""
    for wrong, right in _SPELLINGS.items():
        if right not in text or wrong in ("µ", "μ"):
            text = text.replace(wrong, right)
    if text.startswith("/"):
        text = "1" + text
    if "/" not in text:  # NMODL writes products with a hyphen: ohm-cm
        text = re.sub(r"(?<=[A-Za-z])-(?=[A-Za-z])", "*", text)
    if "**" not in text:  # NMODL writes powers without a caret: mA/cm2, um2.
        text = re.sub(r"(?<=[A-Za-z])(\d)", r"**\1", text).replace("-1", "**-1")
    if _is_endless(text):
        raise UnitError(f"unknown unit {unit[:_LONGEST]!r}: it has too many powers, or is too long")
    return text


def _is_endless(text: str) -> bool:
    """Tell whether pint, which calculates what stands in a unit, might never end: 9**9**9**9."""
    powers = re.findall(r"\*\*|\^", text)
    plain = _PLAIN_POWER.findall(text)
    return len(text) > _LONGEST or len(powers) > _POWERS or len(powers) != len(plain)
