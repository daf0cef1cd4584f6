"""The parts of a ``result.nc``, checked before anything is made of them: it may be of others."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stpspec.errors import ResultError, StpspecError
from stpspec.resources import SOURCE_FOLDERS, path_inside
from stpspec.specs.experiment import Experiment, migrate
from stpspec.specs.records import parsed_record
from stpspec.view.contract import FitSummary, checked_summary, terms_of

if TYPE_CHECKING:
    import xarray as xr


_FILE_FIELD = re.compile(
    r"model\.(cell|cell_2)\.(file|arguments\.[^.]+)$"
    r"|objective\.terms\..+\.(written\.)?target\.file(\.\d+)?$"
)


@dataclass(frozen=True)
class SavedFit:
    """What the attributes of a ``result.nc`` hold.

    Attributes
    ----------
    experiment : Experiment
        Nothing that it names has been run.
    summary : dict
        Whole, and of this experiment.
    files : dict of str to str
    places : dict of str to str
    log : tuple of str
    """

    experiment: Experiment
    summary: Any  # a FitSummary that lacks nothing
    files: dict[str, str]
    places: dict[str, str]
    log: tuple[str, ...]


def saved_fit(tree: xr.DataTree, path: Path) -> SavedFit:
    """Check and return what a ``result.nc`` holds.

    Raises
    ------
    ResultError
        If anything lacks or does not go together.
    """
    where = f"{path}"
    texts = {n: tree.attrs.get(n) for n in ("spec", "summary", "files")}
    for name, text in texts.items():
        if not isinstance(text, str):
            raise ResultError(f"{path} is damaged, or no result of a fit: it has no {name}")
    files = _sources(str(texts["files"]), path)
    places = parsed_record(
        str(tree.attrs.get("places", "{}")), dict[str, str], where, "result of a fit"
    )
    for field, name in places.items():
        if not _FILE_FIELD.match(field):
            raise ResultError(f"{path} is damaged: no field of files is called {field!r}")
        path_inside(path.parent, name, of=SOURCE_FOLDERS)
    log = parsed_record(str(tree.attrs.get("log", "[]")), list[str], where, "result of a fit")
    summary: Any = parsed_record(str(texts["summary"]), FitSummary, where, "summary of a fit")
    summary.setdefault("scales", {})  # of results from before there were any
    missing = [name for name in FitSummary.__annotations__ if name not in summary]
    if missing:
        raise ResultError(f"{path} is damaged: its summary has no {', '.join(missing)}")
    spec = parsed_record(str(texts["spec"]), dict[str, object], where, "result of a fit")
    try:
        migrate({"format": summary["format"]})
        experiment = Experiment.from_saved(spec)
    except StpspecError as error:
        raise ResultError(f"{path} cannot be read as a result: {error}") from error
    for fault in _faults(experiment, summary, tree):
        raise ResultError(f"{path} is damaged: {fault}")
    return SavedFit(experiment, checked_summary(summary, where), files, places, tuple(log))


def _sources(text: str, path: Path) -> dict[str, str]:
    """Return name → text of the sources; bytes that are no UTF-8 are surrogates in them."""
    try:
        files = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{path} is damaged: its files are no JSON: {error}") from error
    if not isinstance(files, dict) or not all(isinstance(t, str) for t in files.values()):
        raise ResultError(f"{path} is damaged: its files are no texts by name")
    for name in files:
        path_inside(path.parent, name, of=SOURCE_FOLDERS)
    return files


def _faults(experiment: Experiment, summary: Any, tree: xr.DataTree) -> list[str]:
    """Return what does not go together."""
    parameters, metrics = set(summary["parameters"]), set(summary["metrics"])
    faults = []
    if not parameters <= set(experiment.parameters):
        faults.append("its summary has parameters that its experiment has not")
    if metrics != set(terms_of(experiment)):
        faults.append("its summary has other metrics than the terms of its experiment")
    if not set(summary["notes"]) <= metrics:
        faults.append("its summary has notes on other metrics than its own")
    scales = {t.scale for t in terms_of(experiment).values() if t.scale is not None}
    if set(summary["scales"]) != scales:
        faults.append("its summary has other free scales than the terms of its experiment")
    faults += [f"it has no {n}" for n in ("history", "traces") if n not in tree.children]
    if faults:
        return faults
    history = tree.children["history"].to_dataset(inherit=False)
    kinds = {
        "loss": "f",
        "seconds": "f",
        "reason": "OSTU",
        **{f"parameter_{n}": "f" for n in parameters},
    }
    return [
        f"its history has no {name} of each evaluation"
        for name, kind in kinds.items()
        if name not in history.data_vars
        or history[name].dims != ("evaluation",)
        or history[name].dtype.kind not in kind
    ]
