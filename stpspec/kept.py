"""What is kept of a simulation, a sweep and a multirun."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stpspec.folders import as_result_error, nodes, to_yaml, write_folder, write_netcdf
from stpspec.spec.experiment import Experiment
from stpspec.view.figures import write_jobs, write_sweep, write_traces
from stpspec.view.jobs import jobs_rows


def save_run(folder: Path, experiment: Experiment, tree: Any, *, overwrite: bool = False) -> Path:
    """Write a simulation: ``simulation.nc``, ``experiment.yaml`` and figures of the traces.

    Raises
    ------
    ResultError
        If it cannot be written.
    """
    import xarray as xr

    def write(temporary: Path) -> None:
        kept = xr.DataTree.from_dict(nodes(tree))
        kept.attrs["spec"] = json.dumps(experiment.to_data())
        write_netcdf(kept, temporary / "simulation.nc")
        (temporary / "experiment.yaml").write_text(to_yaml(experiment), encoding="utf-8")
        if not str(tree["failure"].values[0]):
            write_traces(tree, temporary)

    return write_folder(folder, write, overwrite=overwrite)


def save_sweep(
    folder: Path,
    experiment: Experiment,
    swept: Any,
    *,
    scale: Any = "auto",
    overwrite: bool = False,
) -> Path:
    """Write a sweep: ``sweep.nc``, ``sweep.csv``, ``experiment.yaml`` and ``sweep.png``.

    Raises
    ------
    ResultError
        If it cannot be written.
    """

    def write(temporary: Path) -> None:
        kept = swept.assign_attrs(spec=json.dumps(experiment.to_data()))
        kept.to_netcdf(temporary / "sweep.nc", engine="netcdf4")
        swept.to_dataframe().to_csv(temporary / "sweep.csv")
        (temporary / "experiment.yaml").write_text(to_yaml(experiment), encoding="utf-8")
        write_sweep(swept, temporary, scale=scale)

    return write_folder(folder, write, overwrite=overwrite)


def save_jobs(folder: Path, jobs: Sequence[Any], varied: Sequence[str]) -> None:
    """Write ``jobs.csv`` and ``jobs.png`` into the folder of a multirun.

    Raises
    ------
    ResultError
        If they cannot be written.
    """
    import csv

    with as_result_error(folder):
        with (folder / "jobs.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(jobs_rows(jobs, varied))
        write_jobs(jobs, folder)
