"""Files of a saved result: their names, what the result says, and the sources kept in it.

``result.nc`` (of a fit), ``simulation.nc`` and ``sweep.nc`` say what a result is; all other files
are derived from it or are copies of sources, and are taken only where they agree with it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AllowInfNan
from typing_extensions import TypedDict

from stpspec.errors import ResultError
from stpspec.resources import SOURCE_FOLDERS, path_inside
from stpspec.specs.records import checked_record, parsed_record, read_record

log = logging.getLogger("stpspec")

FIT, RUN, SWEEP = "result.nc", "simulation.nc", "sweep.nc"
SUMMARY, EXPERIMENT = "summary.json", "experiment.yaml"


@dataclass(frozen=True)
class Sources:
    """The files that an experiment is made of, by ``mod/NAME``, ``data/NAME`` and so on.

    Attributes
    ----------
    texts : dict of str to str
        As :func:`text_of` gives them.
    sha256 : dict of str to str
        Of the bytes of each file, hexadecimal.
    places : dict of str to str
        Field of the experiment that names a file, such as ``model.cell.file`` → which it is.
    identity : tuple of str
        What of them an experiment is: bytes, and names only as the files themselves use them.
    """

    texts: dict[str, str] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    identity: tuple[str, ...] = ()

    def placeless(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the data of an experiment with its files as bytes, wherever they lie."""
        hashes = {path: self.sha256.get(name, name) for path, name in self.places.items()}
        changed = with_values(data, hashes)
        changed["model"] = {**changed["model"], "mod": []}
        return {**changed, "identity": list(self.identity)}


def with_values(data: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of an experiment with other values in some fields, by their paths."""
    changed = json.loads(json.dumps(data))
    for path, value in values.items():
        place: Any = changed
        *above, last = keys_along(changed, path)
        for key in above:
            place = place[key]
        place[last] = value
    return changed


def keys_along(data: object, path: str) -> list[Any]:
    """Return the keys along a dotted path; a name, as that of a term, may hold dots itself."""
    keys: list[Any] = []
    parts = path.split(".")
    while parts:
        if isinstance(data, list):
            part = parts.pop(0)
            keys.append(int(part) if part.isdecimal() else part)
        else:
            names = [".".join(parts[:k]) for k in range(1, len(parts) + 1)]
            known = data if isinstance(data, Mapping) else {}
            keys.append(next((n for n in names if n in known), names[0]))
            parts = parts[keys[-1].count(".") + 1 :]
        inner: Any = data
        try:
            data = inner[keys[-1]]
        except (LookupError, TypeError):
            data = None
    return keys


def field_in(data: Mapping[str, Any], path: str) -> str:
    """Return where a field of a target is: below ``written`` only where the source was read."""
    *above, _ = keys_along(data, path)
    place: Any = data
    for key in above:
        place = place.get(key) if isinstance(place, Mapping) else None
    return path if place is not None else path.replace(".written.target.", ".target.")


def as_written(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of an experiment with the sources of its targets, not what was read there."""
    objective = data.get("objective")
    terms = objective.get("terms") if isinstance(objective, Mapping) else None
    if not isinstance(objective, Mapping) or not isinstance(terms, Mapping):
        return dict(data)
    if not any(_written(t) for t in terms.values()):
        return dict(data)
    changed = {name: _unread(term) for name, term in terms.items()}
    return {**data, "objective": {**objective, "terms": changed}}


def _written(term: object) -> Mapping[str, Any] | None:
    written = term.get("written") if isinstance(term, Mapping) else None
    return written if isinstance(written, Mapping) else None


def _unread(term: Any) -> Any:
    written = _written(term)
    return term if written is None else {**term, **written, "written": None}


def in_their_folders(places: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return field → name of the file in its folder of a result, as experiments name files."""
    return {field: name.partition("/")[2] for field, name in places}


def text_of(content: bytes) -> str:
    """Return bytes as text that JSON can hold; :func:`bytes_of` gives the same bytes again."""
    return content.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """Return the bytes of a text from :func:`text_of`."""
    return text.encode("utf-8", "surrogateescape")


def write_sources(folder: Path, texts: Mapping[str, str]) -> None:
    """Write sources into the folder of a result, byte by byte as they were."""
    for name, text in texts.items():
        place = path_inside(folder, name, of=SOURCE_FOLDERS)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(bytes_of(text))


def is_result(folder: Path) -> bool:
    """Tell whether a folder is that of a saved fit, simulation or sweep."""
    return any((folder / name).is_file() for name in (FIT, RUN, SWEEP))


def attributes(folder: Path) -> dict[str, str]:
    """Return what a result says of itself, each as JSON; empty if the folder holds none.

    Raises
    ------
    ResultError
        If it cannot be read.
    """
    path = next((folder / n for n in (FIT, RUN, SWEEP) if (folder / n).is_file()), None)
    if path is None:
        return {}
    import netCDF4

    try:
        with netCDF4.Dataset(path) as opened:
            return {name: str(opened.getncattr(name)) for name in opened.ncattrs()}
    except (OSError, RuntimeError) as error:
        raise ResultError(f"{path} cannot be read as a result: {error}") from error


def summary_of(folder: Path) -> dict[str, Any]:
    """Return the summary of a saved fit; where ``summary.json`` says something else, that is told.

    Raises
    ------
    ResultError
        If there is none, or it cannot be read.
    """
    if not (folder / FIT).is_file():
        raise ResultError(f"no result at {folder / FIT} (a result folder holds {FIT})")
    text = attributes(folder).get("summary", "")
    summary = parsed_record(text, dict[str, Any], str(folder / FIT), "result of a fit")
    tell_differences(folder, summary)
    return summary


class _Value(TypedDict):
    value: Annotated[float, AllowInfNan(False)]


class _Fitted(TypedDict):
    parameters: dict[str, _Value]


def fitted_values(folder: Path) -> dict[str, float]:
    """Return the parameters of a saved fit; none if the folder holds no fit.

    Raises
    ------
    ResultError
        If it cannot be read.
    """
    if not (folder / FIT).is_file():
        return {}
    fitted = checked_record(summary_of(folder), _Fitted, str(folder / FIT), "result of a fit")
    return {name: parameter["value"] for name, parameter in fitted["parameters"].items()}


def tell_differences(folder: Path, summary: Mapping[str, Any]) -> None:
    """Tell each field in which ``summary.json`` differs from the result it was derived from.

    Raises
    ------
    ResultError
        If it is no JSON.
    """
    path = folder / SUMMARY
    if not path.is_file():
        return
    written = read_record(path, dict[str, Any], "summary of a fit")
    lines = [
        f"{field}: {true!r} in {FIT}, {changed!r} in {SUMMARY}"
        for field, true, changed in _differences(json.loads(json.dumps(summary)), written)
    ]
    if lines:
        _tell(f"{path} was changed; the result is what {FIT} says:", lines)


_told: set[str] = set()


def tell_changed_experiment(folder: Path) -> None:
    """Tell each field in which ``experiment.yaml`` is not what the result was made with.

    It is what runs again; but what was fitted or simulated is what the result says.
    """
    import yaml

    path = folder / EXPERIMENT
    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):  # where it is composed, that is an error
        return
    recorded = attributes(folder)
    if not isinstance(written, dict) or "spec" not in recorded:
        return
    names = json.loads(recorded.get("places", "{}")).items()
    true = as_written(with_values(json.loads(recorded["spec"]), in_their_folders(names)))
    result = next(n for n in (FIT, RUN, SWEEP) if (folder / n).is_file())
    lines = [
        f"{field}: {value!r} in {result}, {changed!r} in {EXPERIMENT}"
        for field, value, changed in _differences(true, written)
        if field != "model.mod"  # each mechanism is taken by its hash
    ]
    if lines:
        _tell(f"{path} was changed; {result} was made with another experiment:", lines)


def _tell(text: str, lines: list[str]) -> None:
    text = "\n  ".join([text, *lines])
    if text not in _told:
        _told.add(text)
        log.warning("%s", text)


def _differences(
    true: object, written: object, path: str = ""
) -> Iterator[tuple[str, object, object]]:
    if isinstance(true, dict) and isinstance(written, dict):
        for key in dict.fromkeys([*true, *written]):
            inner = f"{path}.{key}" if path else str(key)
            yield from _differences(true.get(key, "(none)"), written.get(key, "(none)"), inner)
    elif true != written and not (_is_nan(true) and _is_nan(written)):
        yield path, true, written


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def sha256_of(path: Path) -> str:
    """Return the hash of a file; empty if it is not there."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
