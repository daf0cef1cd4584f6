"""Saved simulations, sweeps and tables of a multirun."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stpspec.formatting import masked, spreadsheet_rows
from stpspec.resources.drafts import replaced
from stpspec.results.folder import (
    as_result_error,
    netcdf_lock,
    nodes,
    to_yaml,
    with_own_files,
    write_folder,
    write_netcdf,
)
from stpspec.results.provenance import versions, with_targets
from stpspec.specs.experiment import Experiment
from stpspec.specs.result_files import EXPERIMENT, RUN, SWEEP, Sources, write_sources
from stpspec.view.multirun import jobs_rows
from stpspec.view.save import write_jobs, write_traces

if TYPE_CHECKING:
    import xarray as xr

    from stpspec.view.contract import JobState


def save_run(
    folder: Path,
    experiment: Experiment,
    tree: xr.DataTree,
    sources: Sources,
    *,
    overwrite: bool = False,
) -> Path:
    """Write a simulation: ``simulation.nc``, ``experiment.yaml`` and sources.

    Parameters
    ----------
    folder : Path
    experiment : Experiment
    tree : xarray.DataTree
    sources : Sources
        The mechanisms and templates.
    overwrite : bool

    Raises
    ------
    ResultError
        If it cannot be written.
    """
    import xarray as xr

    experiment = with_targets(experiment)

    def write(temporary: Path) -> None:
        kept = xr.DataTree.from_dict(nodes(tree))
        again = with_own_files(_at(experiment, tree), sources.texts, sources.places)
        kept.attrs["spec"] = masked(json.dumps(again.to_data()))
        kept.attrs["versions"] = json.dumps(versions())
        kept.attrs["files"] = json.dumps(sources.texts)
        kept.attrs["sources"] = json.dumps(sources.sha256)
        kept.attrs["places"] = json.dumps(sources.places)
        write_netcdf(kept, temporary / RUN)
        (temporary / EXPERIMENT).write_text(to_yaml(again), encoding="utf-8")
        write_sources(temporary, sources.texts)

    return write_folder(folder, write, overwrite=overwrite)


def draw_run(tree: xr.DataTree, folder: Path, experiment: Experiment) -> None:
    """Draw the traces of a simulation into its folder, unless it failed."""
    if not str(tree.dataset["failure"].values[0]):
        write_traces(tree, folder, with_targets(experiment))


def _at(experiment: Experiment, tree: xr.DataTree) -> Experiment:
    """Return the experiment with the values that were simulated as its own.

    A free parameter begins there, with its bounds widened to the value if need be: they set the
    length of a run. The value of any other parameter is a fixed one.
    """
    data = experiment.to_data()
    for name, variable in tree.to_dataset().data_vars.items():
        if name == "failure":
            continue
        value, unit = float(variable.values[0]), variable.attrs["units"]
        free = experiment.parameters.get(str(name))
        if free is None:
            data["model"]["fixed"][name] = value
            continue
        numbers = free.in_unit(unit)
        low, high = min(float(numbers.min), value), max(float(numbers.max), value)
        scale = numbers.scale if low > 0 else "linear"
        data["parameters"][name] = {"min": low, "max": high, "start": value, "scale": scale}
    return Experiment.from_data(data)


def save_sweep(
    folder: Path,
    experiment: Experiment,
    swept: xr.Dataset,
    sources: Sources,
    *,
    overwrite: bool = False,
) -> Path:
    """Write a sweep: ``sweep.nc``, ``sweep.csv``, ``experiment.yaml`` and sources.

    Raises
    ------
    ResultError
        If it cannot be written.
    """
    experiment = with_targets(experiment)

    def write(temporary: Path) -> None:
        again = with_own_files(experiment, sources.texts, sources.places)
        told = {"files": sources.texts, "sources": sources.sha256, "places": sources.places}
        kept = swept.assign_attrs({name: json.dumps(value) for name, value in told.items()})
        kept.attrs["spec"] = masked(json.dumps(again.to_data()))
        with netcdf_lock:
            kept.to_netcdf(temporary / SWEEP, engine="netcdf4")
        frame = swept.to_dataframe().reset_index()
        rows = [list(map(str, frame.columns)), *frame.map(_cell).to_numpy().tolist()]
        with (temporary / "sweep.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(spreadsheet_rows(rows))
        (temporary / EXPERIMENT).write_text(to_yaml(again), encoding="utf-8")
        write_sources(temporary, sources.texts)

    return write_folder(folder, write, overwrite=overwrite)


def _cell(value: object) -> str:
    """Return a value of a sweep with all its digits; nothing where there is none."""
    return "" if value != value else str(value)


def save_jobs(folder: Path, jobs: Sequence[JobState], varied: Sequence[str]) -> list[Path]:
    """Write ``jobs.csv`` and ``jobs.png`` (or other formats) into the folder of a multirun.

    Returns
    -------
    list of Path
        What was written; of a figure that cannot be drawn there is a warning.

    Raises
    ------
    ResultError
        If they cannot be written.
    """
    with as_result_error(folder):
        with (
            replaced(folder / "jobs.csv") as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            csv.writer(file).writerows(spreadsheet_rows(jobs_rows(jobs, varied, show=repr)))
        formats = dict.fromkeys(kind for job in jobs for kind in job.formats)
        return [folder / "jobs.csv", *write_jobs(jobs, folder, list(formats) or ["png"])]
