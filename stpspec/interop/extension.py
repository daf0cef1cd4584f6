"""An extension of foreign files: a key of our own with what they cannot say of an experiment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stpspec.specs.places import DELAY
from stpspec.specs.result_files import with_values
from stpspec.units import UnitError, convert

KEY = "stpspec"
_SAME = 1e-12  # relative difference of two values that are one


def extension_of(
    data: Mapping[str, Any], units: Mapping[str, str], files: Mapping[str, str]
) -> dict[str, Any]:
    """Return what is written under the key: the whole experiment, and the units of its values.

    Parameters
    ----------
    data : mapping
        Of the experiment, as :func:`stpspec.interop.imported.minimal` gives it.
    units : mapping of str to str
        Parameter of the mechanism → unit of its values in the foreign file.
    files : mapping of str to str
        Field that names a file → the file, beside the foreign one.
    """
    return {"experiment": dict(data), "units": dict(units), "files": dict(files)}


def own_experiment(own: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the experiment under the key, with the places of the files that it names.

    Parameters
    ----------
    own : mapping
        As :func:`extension_of` returns it.
    folder : Path
        Where the foreign file lies.
    """
    places = {path: str(folder / name) for path, name in own.get("files", {}).items()}
    return with_values(own["experiment"], places)


def joined(native: dict[str, Any], own: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return an experiment from a foreign file, completed by what stands under the key.

    The values of the foreign file go before: they may have been changed since.

    Parameters
    ----------
    native : dict
        Data of an experiment, from the foreign file alone.
    own : mapping
        As :func:`extension_of` returns it.
    folder : Path
        Where the foreign file lies.
    """
    data = own_experiment(own, folder)
    units = own.get("units", {})
    model, theirs = data["model"], native["model"]
    model["cell"] = _cell(model["cell"], theirs["cell"])
    if "mod" in model:
        model["mod"] = theirs["mod"]
    for key in ("section", "position", "mechanism"):
        _take(model, key, theirs.get(key), {"section": "soma", "position": 0.5}.get(key))
    net_con, free = dict(model.get("net_con") or {}), data.get("parameters") or {}
    for key, parameter, usual in (("weight", "weight", 1.0), ("delay", DELAY, 1.3)):
        if parameter in free and parameter not in theirs["fixed"]:
            _take(free[parameter], "start", theirs["net_con"][key], None)
        else:
            _take(net_con, key, theirs["net_con"][key], usual)
    if net_con:
        model["net_con"] = net_con
    _take_values(data, theirs["fixed"], units)
    numerics = dict(data.get("numerics") or {})
    for key, usual in (("dt", 0.025), ("temperature", 20.0), ("v_init", -70.0)):
        _take(numerics, key, native["numerics"].get(key), usual)
    if numerics:
        data["numerics"] = numerics
    return data


def _take_values(
    data: dict[str, Any], values: Mapping[str, float], units: Mapping[str, str]
) -> None:
    """Set the parameters of the mechanism: the start of free ones, the value of the others."""
    fixed, free = dict(data["model"].get("fixed") or {}), data.get("parameters") or {}
    for name, value in values.items():
        place, key = (free[name], "start") if name in free else (fixed, name)
        if not _is_value(place.get(key), value, units.get(name, "1")):
            place[key] = value
    if fixed:
        data["model"]["fixed"] = fixed


def _cell(own: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cell of the foreign file with the arguments that it cannot name."""
    arguments = {"arguments": own["arguments"]} if "arguments" in own else {}
    return {"file": theirs["file"], "template": theirs["template"], **arguments}


def _take(place: dict[str, Any], key: str, value: Any, usual: Any) -> None:
    """Set a value that is not as it was, or as by default."""
    if value is None or _is_value(place.get(key, usual), value, "1"):
        return
    place[key] = value


def _is_value(own: Any, value: Any, unit: str) -> bool:
    if own is None:
        return False
    try:
        number = convert(own, unit) if isinstance(own, str) and unit != "1" else float(own)
        return abs(number - float(value)) <= _SAME * max(abs(number), abs(float(value)))
    except (UnitError, TypeError, ValueError):
        return own == value
