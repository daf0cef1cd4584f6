"""What is kept of a fit: saved to a folder in one piece, and loaded again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from stpspec.errors import ResultError, StpspecError
from stpspec.resources import shipped
from stpspec.spec.experiment import FORMAT, Experiment, migrate
from stpspec.view.figures import write_figures, write_jobs, write_sweep, write_traces
from stpspec.view.jobs import jobs_rows
from stpspec.view.tables import fit_table

_SCHEMA_LINE = "# Resolved by stpspec; run it again with: stpspec fit THIS_FOLDER\n"


@dataclass(frozen=True)
class FitResult:
    """The result of a fit.

    Attributes
    ----------
    experiment : Experiment
        As it was run: resolved, with every default filled in.
    parameters : dict of str to float
        Best values seen, in ``units``.
    units : dict of str to str
    errors : dict of str to float
        Approximate standard errors, for the parameters that have one.
    undetermined : dict of str to str
        Parameter → why it has no standard error.
    at_bound : dict of str to str
        Parameter → ``"min"`` or ``"max"``.
    loss, loss_start : float
        At the best point (simulated once more), and at the first evaluation (NaN if it failed).
    metrics : dict of str to float or ndarray
        Achieved values at the best point, by term name.
    metric_units : dict of str to str
    history : xarray.Dataset
        Over ``evaluation``: parameters, loss, metrics, ``reason`` (of failures), seconds, start.
    traces : xarray.DataTree
        At the best point.
    status, message : str
        Why the fit stopped.
    notes : dict of str to list of str
        What a reader of the metrics should know.
    seconds : float
    versions : dict of str to str
    sources : dict of str to str
        File of each mechanism and template → sha256.
    files : dict of str to str
        Their texts, by ``mod/NAME`` and ``templates/NAME``.
    """

    experiment: Experiment
    parameters: dict[str, float]
    units: dict[str, str]
    errors: dict[str, float]
    undetermined: dict[str, str]
    at_bound: dict[str, str]
    loss: float
    loss_start: float
    metrics: dict[str, Any]
    metric_units: dict[str, str]
    history: Any
    traces: Any
    status: str
    message: str
    seconds: float
    notes: dict[str, list[str]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    @property
    def n_evaluations(self) -> int:
        """Number of simulated candidates, failed ones included."""
        return int(self.history.sizes["evaluation"])

    def __str__(self) -> str:
        return fit_table(self)

    def __repr__(self) -> str:
        values = ", ".join(f"{n}={v:.4g}" for n, v in self.parameters.items())
        return f"FitResult({self.experiment.name}: {values}; loss {self.loss:.4g}, {self.status})"

    # -- as data ----------------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """Return everything but history and traces as plain JSON data."""
        objective = self.experiment.objective
        terms = objective.terms if objective else {}
        return {
            "format": FORMAT,
            "name": self.experiment.name,
            "status": self.status,
            "message": self.message,
            "loss": self.loss,
            "loss_start": _number(self.loss_start),
            "parameters": {
                n: {
                    "value": v,
                    "unit": self.units[n],
                    "min": self.experiment.parameters[n].min,
                    "max": self.experiment.parameters[n].max,
                    **({"standard_error": self.errors[n]} if n in self.errors else {}),
                    **({"undetermined": self.undetermined[n]} if n in self.undetermined else {}),
                    **({"at_bound": self.at_bound[n]} if n in self.at_bound else {}),
                }
                for n, v in self.parameters.items()
            },
            "metrics": {
                n: {
                    "achieved": np.asarray(self.metrics[n]).tolist(),
                    "target": t.target,
                    **({"sd": t.sd} if t.sd is not None else {}),
                    "unit": self.metric_units[n],
                }
                for n, t in terms.items()
            },
            "notes": self.notes,
            "evaluations": self.n_evaluations,
            "failed_evaluations": int((self.history["reason"] != "").sum()),
            "seconds": self.seconds,
            "seed": self.experiment.seed,
            "fitter": self.experiment.fitter.kind,
            "versions": self.versions,
            "sources": self.sources,
        }

    # -- to and from a folder ---------------------------------------------------------------

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the result into a new folder: in one piece, or not at all.

        Parameters
        ----------
        folder : path
        overwrite : bool
            Replace a result that is there already.

        Returns
        -------
        Path

        Raises
        ------
        ResultError
            If the folder exists and is not to be overwritten, or cannot be written.
        """
        return write_folder(folder, self._write, overwrite=overwrite)

    def _write(self, folder: Path) -> None:
        import xarray as xr

        attrs = {
            "spec": json.dumps(self.experiment.to_data()),
            "summary": json.dumps(self.summary()),
            "files": json.dumps(self.files),
        }
        nodes = {"/": xr.Dataset(attrs=attrs), "/history": self.history}
        nodes |= {f"/traces{'' if p == '/' else p}": n for p, n in _nodes(self.traces).items()}
        write_netcdf(xr.DataTree.from_dict(nodes), folder / "result.nc")
        (folder / "summary.json").write_text(json.dumps(self.summary(), indent=2) + "\n")
        text = to_yaml(with_own_files(self.experiment, self.files))
        (folder / "experiment.yaml").write_text(text, encoding="utf-8")
        for name, text in self.files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        write_figures(self, folder)

    @classmethod
    def load(cls, folder: str | Path) -> FitResult:
        """Load a saved result.

        Parameters
        ----------
        folder : path
            A result folder, or the ``result.nc`` in it.

        Raises
        ------
        ResultError
            If there is no readable result.
        """
        import xarray as xr

        path = Path(folder)
        path = path / "result.nc" if path.is_dir() else path
        if not path.is_file():
            raise ResultError(f"no result at {path} (a result folder holds result.nc)")
        try:
            with xr.open_datatree(path, engine="netcdf4") as opened:
                tree = opened.load()
            summary = json.loads(tree.attrs["summary"])
            experiment = Experiment.from_data(migrate(json.loads(tree.attrs["spec"])))
            migrate({"format": summary["format"]})
        except (OSError, KeyError, ValueError, TypeError, StpspecError) as error:
            raise ResultError(f"{path} cannot be read as a result: {error}") from error
        parameters, metrics = summary["parameters"], summary["metrics"]

        def having(key: str) -> dict[str, Any]:
            return {n: p[key] for n, p in parameters.items() if key in p}

        return cls(
            experiment=experiment,
            parameters=having("value"),
            units=having("unit"),
            errors=having("standard_error"),
            undetermined=having("undetermined"),
            at_bound=having("at_bound"),
            loss=summary["loss"],
            loss_start=float("nan") if summary["loss_start"] is None else summary["loss_start"],
            metrics={n: _value(m["achieved"]) for n, m in metrics.items()},
            metric_units={n: m["unit"] for n, m in metrics.items()},
            history=tree.children["history"].to_dataset(inherit=False),
            traces=xr.DataTree.from_dict(_nodes(tree.children["traces"])),
            status=summary["status"],
            message=summary["message"],
            seconds=summary["seconds"],
            notes=summary["notes"],
            versions=summary["versions"],
            sources=summary["sources"],
            files=json.loads(tree.attrs["files"]),
        )


def _nodes(tree: Any) -> dict[str, Any]:
    """Return the Datasets of a tree by path, relative to the tree itself."""
    children = {f"/{n}": c.to_dataset(inherit=False) for n, c in tree.children.items()}
    return {"/": tree.to_dataset(inherit=False), **children}


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None  # JSON has no NaN


def _value(data: Any) -> Any:
    return np.array(data) if isinstance(data, list) else data


def with_own_files(experiment: Experiment, files: Mapping[str, str]) -> Experiment:
    """Return the experiment with its mechanisms and templates as the files that are kept of it.

    A result can then be run again in another place, or after the originals have changed.
    """
    model = experiment.to_data()["model"]
    if model["mod"]:
        own = [PurePath(n).name for n, text in files.items() if n.startswith("mod/")
               and text != _shipped_text(n)]  # fmt: skip
        model["mod"] = own
    for cell in (model["cell"], model.get("cell_2")):
        if cell and f"templates/{PurePath(cell['file']).name}" in files:
            cell["file"] = PurePath(cell["file"]).name
    return experiment.copy_with(model=model)


def _shipped_text(name: str) -> str | None:
    folder, _, file = name.partition("/")
    path = shipped(folder) / file
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


def to_yaml(experiment: Experiment) -> str:
    """Return the resolved experiment as YAML that can be run again."""
    import yaml

    body = yaml.safe_dump(experiment.to_data(), sort_keys=False, allow_unicode=True)
    return "# @package _global_\n" + _SCHEMA_LINE + body


def write_netcdf(tree: Any, path: Path) -> None:
    """Write a DataTree as netCDF4: traces as float32, everything compressed."""
    encoding: dict[str, dict[str, Any]] = {}
    for node in tree.subtree:
        here = encoding.setdefault(node.path, {})
        for name, variable in node.dataset.data_vars.items():
            if variable.dtype.kind == "f" and variable.ndim:
                here[str(name)] = {"zlib": True, "complevel": 4, "shuffle": True}
                if "time" in variable.dims:
                    here[str(name)]["dtype"] = "float32"
    tree.to_netcdf(path, engine="netcdf4", encoding=encoding)


def write_folder(
    folder: str | Path, write: Callable[[Path], None], *, overwrite: bool = False
) -> Path:
    """Let ``write`` fill a temporary folder, then give it its name.

    Raises
    ------
    ResultError
        If the name is taken, or anything cannot be written; nothing half-written stays.
    """
    target = writable(Path(folder), overwrite=overwrite)
    with _as_result_error(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            temporary.chmod(0o755)
            write(temporary)
            if target.exists():
                shutil.rmtree(target) if target.is_dir() else target.unlink()
            temporary.replace(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return target


def writable(folder: Path, *, overwrite: bool = False) -> Path:
    """Return the absolute path of a result folder that can be written.

    Raises
    ------
    ResultError
        If the name is taken, or the folder it would stand in cannot be written.
    """
    target = folder.expanduser().resolve()
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        if not overwrite:
            raise ResultError(
                f"{target} exists already; choose another name, or overwrite it (--overwrite)"
            )
        # An overwrite replaces the whole folder: never one that holds something else.
        known = {"result.nc", "simulation.nc", "sweep.nc"}
        if not target.is_dir() or not known & {p.name for p in target.iterdir()}:
            raise ResultError(f"{target} is no result of stpspec and is not overwritten")
    existing = next(p for p in (target.parent, *target.parent.parents) if p.exists())
    if not existing.is_dir():
        raise ResultError(f"{target} cannot be written: {existing} is not a folder")
    if not os.access(existing, os.W_OK):
        raise ResultError(f"{target} cannot be written: no permission in {existing}")
    return target


def save_run(folder: Path, experiment: Experiment, tree: Any, *, overwrite: bool = False) -> Path:
    """Write a simulation: ``simulation.nc``, ``experiment.yaml`` and figures of the traces.

    Raises
    ------
    ResultError
        If it cannot be written.
    """
    import xarray as xr

    def write(temporary: Path) -> None:
        kept = xr.DataTree.from_dict(_nodes(tree))
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

    with _as_result_error(folder):
        with (folder / "jobs.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(jobs_rows(jobs, varied))
        write_jobs(jobs, folder)


@contextlib.contextmanager
def _as_result_error(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ResultError(f"{target} cannot be written: {error.strerror or error}") from error


def texts(paths: Mapping[str, Path]) -> dict[str, str]:
    """Return name → text of some source files."""
    return {n: p.read_text(encoding="utf-8", errors="replace") for n, p in paths.items()}
