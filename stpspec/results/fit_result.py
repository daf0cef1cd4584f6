"""Result of a fit: saved to a folder in one piece, and loaded again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stpspec.errors import ResultError
from stpspec.formatting import masked, presentable
from stpspec.log import write as write_log
from stpspec.metrics.miss import Miss, is_own_ratio, misses_of
from stpspec.resources.plugin_folders import note_plugins
from stpspec.results.folder import (
    nodes,
    read_netcdf,
    to_yaml,
    with_own_files,
    write_folder,
    write_netcdf,
)
from stpspec.results.saved_fit import saved_fit
from stpspec.specs.experiment import FORMAT, Experiment
from stpspec.specs.result_files import (
    EXPERIMENT,
    FIT,
    SUMMARY,
    tell_changed_experiment,
    tell_differences,
    write_sources,
)
from stpspec.view.contract import terms_of
from stpspec.view.save import write_figures
from stpspec.view.tables import fit_table

if TYPE_CHECKING:
    import xarray as xr

    from stpspec.specs.objective import Term
    from stpspec.view.contract import FitSummary, MetricSummary, ParameterSummary, ScaleSummary
    from stpspec.view.pictures import ShownFigure


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
    degrees_of_freedom : dict of str to float
        Of a standard error that rests on few data or repeats: its 95 % interval is that of
        Student's t.
    undetermined : dict of str to str
        Parameter → why it has no standard error.
    scales : dict of str to dict
        Free scale → its ``value``, ``unit``, and ``standard_error`` or why it has none.
    at_bound : dict of str to str
        Parameter → ``"min"`` or ``"max"``.
    loss, loss_start : float
        At the best point (simulated once more, on the reference numerics), and at the first
        evaluation (NaN if it failed).
    loss_search : float
        At the best point on the numerics of the search.
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
    places : dict of str to str
        Field of the experiment that names a file → which of these it is.
    log : tuple of str
        What was logged from INFO on, line by line.
    """

    experiment: Experiment
    parameters: dict[str, float]
    units: dict[str, str]
    errors: dict[str, float]
    undetermined: dict[str, str]
    at_bound: dict[str, str]
    loss: float
    loss_start: float
    loss_search: float
    metrics: dict[str, float | np.ndarray]
    metric_units: dict[str, str]
    history: xr.Dataset
    traces: xr.DataTree
    status: str
    message: str
    seconds: float
    notes: dict[str, list[str]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    log: tuple[str, ...] = ()
    degrees_of_freedom: dict[str, float] = field(default_factory=dict)
    scales: dict[str, ScaleSummary] = field(default_factory=dict)

    @property
    def n_evaluations(self) -> int:
        """Number of simulated candidates, failed ones included."""
        return int(self.history.sizes["evaluation"])

    @property
    def misses(self) -> dict[str, Miss]:
        """Term → what was achieved of it, compared with its target."""
        return misses_of(self.experiment.objective, self.metrics)

    def __str__(self) -> str:
        return fit_table(self)

    def __repr__(self) -> str:
        values = ", ".join(f"{n}={v:.4g}" for n, v in self.parameters.items())
        text = f"FitResult({self.experiment.name}: {values}; loss {self.loss:.4g}, {self.status})"
        return presentable(text)

    def _repr_html_(self) -> str:
        from stpspec.view.html import fit_html

        return fit_html(self)

    def plot(self) -> ShownFigure:
        """Plot the traces of every protocol above the targets: a notebook shows the figure.

        Returns
        -------
        ShownFigure
        """
        from stpspec.view.trial import plot_trial

        title = f"{self.experiment.name}: loss {self.loss:.4g}, {self.status}"
        return plot_trial(self.traces, self, title)

    # -- as data ----------------------------------------------------------------------------

    def summary(self) -> FitSummary:
        """Return everything but history and traces as plain JSON data."""
        terms = terms_of(self.experiment)
        return {
            "format": FORMAT,
            "name": self.experiment.name,
            "status": self.status,
            "message": self.message,
            "loss": self.loss,
            "loss_start": _number(self.loss_start),
            "loss_search": self.loss_search,
            "parameters": {n: self._parameter(n) for n in self.parameters},
            "scales": self.scales,
            "metrics": {n: self._metric(n, t) for n, t in terms.items()},
            "notes": self.notes,
            "evaluations": self.n_evaluations,
            "failed_evaluations": int((self.history["reason"] != "").sum()),
            "seconds": self.seconds,
            "seed": self.experiment.seed,
            "fitter": self.experiment.fitter.kind,
            "versions": self.versions,
            "sources": self.sources,
        }

    def _parameter(self, name: str) -> ParameterSummary:
        spec = self.experiment.parameters[name]
        summary: ParameterSummary = {
            "value": self.parameters[name],
            "unit": self.units[name],
            "min": spec.min,
            "max": spec.max,
        }
        if name in self.errors:
            summary["standard_error"] = self.errors[name]
        if name in self.degrees_of_freedom:
            summary["degrees_of_freedom"] = self.degrees_of_freedom[name]
        if name in self.undetermined:
            summary["undetermined"] = self.undetermined[name]
        if name in self.at_bound:
            summary["at_bound"] = self.at_bound[name]
        return summary

    def _metric(self, name: str, term: Term) -> MetricSummary:
        achieved, unit = np.asarray(self.metrics[name]).tolist(), self.metric_units[name]
        summary: MetricSummary = {"achieved": achieved, "target": term.target, "unit": unit}
        if term.sd is not None:
            summary["sd"] = term.sd
        if term.n is not None:
            summary["n"] = term.n
        if is_own_ratio(term):
            summary["divided_by_first"] = True
        if term.scale is not None:
            summary["scale"] = self.scales[term.scale]["value"]
            summary["target_unit"] = term.unit or "1"
        return summary

    # -- to and from a folder ---------------------------------------------------------------

    def save(self, folder: str | Path, *, overwrite: bool = False, figures: bool = True) -> Path:
        """Write the result into a new folder: in one piece, or not at all.

        Figures come last; one that cannot be drawn or written is left out with a warning.

        Parameters
        ----------
        folder : path
        overwrite : bool
            Replace a result that is there already.
        figures : bool
            Draw the figures, too.

        Returns
        -------
        Path

        Raises
        ------
        ResultError
            If the folder exists and is not to be overwritten, or cannot be written.
        """
        saved = write_folder(folder, self._write, overwrite=overwrite)
        if figures:
            write_figures(self, saved)
        return saved

    def _write(self, folder: Path) -> None:
        import xarray as xr

        attrs = {
            "spec": masked(json.dumps(self.experiment.to_data())),
            "summary": masked(json.dumps(self.summary())),
            "files": json.dumps(self.files),
            "sources": json.dumps(self.sources),
            "places": json.dumps(self.places),
            "log": masked(json.dumps(self.log)),
        }
        tree = {"/": xr.Dataset(attrs=attrs), "/history": self.history}
        tree |= {f"/traces{'' if p == '/' else p}": n for p, n in nodes(self.traces).items()}
        write_netcdf(xr.DataTree.from_dict(tree), folder / FIT)
        text = masked(json.dumps(self.summary(), indent=2))
        (folder / SUMMARY).write_text(f"{text}\n", encoding="utf-8")
        text = to_yaml(with_own_files(self.experiment, self.files, self.places))
        (folder / EXPERIMENT).write_text(text, encoding="utf-8")
        write_sources(folder, self.files)
        write_log(folder, self.log)

    @classmethod
    def load(cls, folder: str | Path) -> FitResult:
        """Load a saved result; nothing that it names, such as its plug-ins, is run.

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
        try:
            path = path / FIT if path.is_dir() else path
            is_there = path.is_file()
        except OSError as error:  # a folder without permission, too long a name
            raise ResultError(f"{path} cannot be read: {error.strerror}") from error
        if not is_there:
            raise ResultError(f"no result at {path} (a result folder holds result.nc)")
        with read_netcdf(path) as opened:
            tree = opened.load()
        saved = saved_fit(tree, path)
        experiment, summary = saved.experiment, saved.summary
        tell_differences(path.parent, summary)
        note_plugins(path.parent)
        tell_changed_experiment(path.parent)
        parameters: dict[str, ParameterSummary] = summary["parameters"]
        metrics: dict[str, MetricSummary] = summary["metrics"]
        return cls(
            experiment=experiment,
            parameters={n: p["value"] for n, p in parameters.items()},
            units={n: p["unit"] for n, p in parameters.items()},
            errors={n: p["standard_error"] for n, p in parameters.items() if "standard_error" in p},
            undetermined={
                n: p["undetermined"] for n, p in parameters.items() if "undetermined" in p
            },
            at_bound={n: p["at_bound"] for n, p in parameters.items() if "at_bound" in p},
            loss=summary["loss"],
            loss_start=float("nan") if summary["loss_start"] is None else summary["loss_start"],
            loss_search=summary["loss_search"],
            metrics={n: _value(m["achieved"]) for n, m in metrics.items()},
            metric_units={n: m["unit"] for n, m in metrics.items()},
            history=tree.children["history"].to_dataset(inherit=False),
            traces=xr.DataTree.from_dict(nodes(tree.children["traces"])),
            status=summary["status"],
            message=summary["message"],
            seconds=summary["seconds"],
            notes=summary["notes"],
            versions=summary["versions"],
            sources=summary["sources"],
            files=saved.files,
            places=saved.places,
            log=saved.log,
            scales=summary.get("scales", {}),
            degrees_of_freedom={
                n: p["degrees_of_freedom"]
                for n, p in parameters.items()
                if "degrees_of_freedom" in p
            },
        )


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None  # JSON has no NaN


def _value(data: float | list[float]) -> float | np.ndarray:
    return np.array(data) if isinstance(data, list) else data
