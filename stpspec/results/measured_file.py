"""Metrics of a recorded trace: measured as those of a model, shown, and saved when asked."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from stpspec.data.traces import read_traces
from stpspec.errors import DataError, SpecError, unknown_name
from stpspec.formatting import spreadsheet_rows
from stpspec.metrics.measure import Measurement, measure_candidates
from stpspec.metrics.recorded import as_tree, stimuli_as_protocol
from stpspec.metrics.requests import Request, everything
from stpspec.registry import METRICS
from stpspec.results.folder import write_folder
from stpspec.specs.base import problems_of
from stpspec.specs.protocol import Protocol
from stpspec.specs.trace_file import TraceFile
from stpspec.view.save import write_traces
from stpspec.view.tables import run_table

if TYPE_CHECKING:
    import xarray as xr

    from stpspec.view.pictures import ShownFigure


@dataclass(frozen=True)
class FileMeasurement:
    """What was measured of a recorded trace.

    Attributes
    ----------
    name : str
        Of the protocol, after the file.
    protocol : Protocol
        The stimuli.
    tree : xarray.DataTree
        The recording as a run of a model: see :mod:`stpspec.dataset`; its sweeps are trials.
    measured : dict of Request to Measurement
        Of the mean of the sweeps.
    spreads : dict of str to ndarray
        Metric → its sd over the sweeps, where there are several, and it can be measured in each.
    """

    name: str
    protocol: Protocol
    tree: xr.DataTree
    measured: dict[Request, Measurement]
    spreads: dict[str, np.ndarray]

    @property
    def n_sweeps(self) -> int:
        """Number of sweeps."""
        return int(self.tree.children[self.name].sizes["trial"])

    @property
    def metrics(self) -> dict[str, float | np.ndarray]:
        """Metric → value, of all that could be measured."""
        return {
            r.metric: m.value if m.value.ndim else float(m.value)
            for r, m in self.measured.items()
            if not m.reason
        }

    @property
    def units(self) -> dict[str, str]:
        """Metric → unit."""
        return {r.metric: m.unit for r, m in self.measured.items() if not m.reason}

    @property
    def reasons(self) -> dict[str, str]:
        """Metric → why it could not be measured."""
        return {r.metric: m.reason for r, m in self.measured.items() if m.reason}

    def __str__(self) -> str:
        return run_table(self.measured, {self.name: self.protocol}, spreads=self.spreads)

    def plot(self) -> ShownFigure:
        """Plot the trace as it was measured: a notebook shows the figure."""
        from stpspec.view.traces import plot_traces

        axes: Any = plot_traces(self.tree, self.name)
        return np.ravel(axes)[0].get_figure()

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write ``metrics.csv``, and the figure of the trace with its data, into a new folder.

        Raises
        ------
        ResultError
            If it cannot be written, or exists and is not to be overwritten.
        """

        def write(temporary: Path) -> None:
            with (temporary / "metrics.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows(spreadsheet_rows(self._rows()))

        saved = write_folder(folder, write, overwrite=overwrite)
        write_traces(self.tree, saved)
        return saved

    def _rows(self) -> list[list[str]]:
        rows = [["metric", "element", "value", "sd", "n", "unit", "reason"]]
        for request, m in self.measured.items():
            if m.reason:
                rows.append([request.metric, "", "", "", "", "", m.reason])
                continue
            sds = np.atleast_1d(self.spreads.get(request.name, np.full(m.value.shape, np.nan)))
            values = np.atleast_1d(m.value)
            for k, (value, sd) in enumerate(zip(values, sds, strict=True), 1):
                place = str(k) if m.value.ndim else ""
                spread = [f"{sd:.10g}", str(self.n_sweeps)] if np.isfinite(sd) else ["", ""]
                rows.append([request.metric, place, f"{value:.10g}", *spread, m.unit, ""])
        return rows


def measure_file(
    file: str | PathLike[str] | Sequence[str | PathLike[str]],
    metrics: Sequence[str] | None = None,
    *,
    protocol: Protocol | None = None,
    n_induction: int | None = None,
    delay: float = 0.0,
    bin_width: float = 0.0,
    options: Mapping[str, object] | None = None,
    **reading: Any,
) -> FileMeasurement:
    """Measure a recorded trace by the code that measures the traces of a model.

    Parameters
    ----------
    file : path or sequence of path
        CSV, TSV, ATF, NWB or ABF; of several files, each is a sweep.
    metrics : sequence of str, optional
        By default all that the stimuli allow, and the amplitudes.
    protocol : Protocol, optional
        Whose spikes came at the stimuli; by default the stimuli of the file.
    n_induction : int, optional
        Without a protocol: how many of the stimuli are induction pulses.
    delay : float
        ms from a stimulus, before which no response is looked for.
    bin_width : float
        ms over which samples are averaged before anything is measured; 0: they are not.
    options : mapping of str to object, optional
        Of the metrics, as in a term; those that a metric does not have are left out of it.
    **reading
        How the file is read: the fields of :class:`stpspec.specs.trace_file.TraceFile`, such as
        ``unit``, ``sampling_rate`` and ``stimulus``.

    Returns
    -------
    FileMeasurement

    Raises
    ------
    DataError
        If the file cannot be read, or does not tell what it holds.
    SpecError
        If a field of ``reading`` or an option is not valid.
    UnknownNameError
        If there is no such metric.
    """
    paths = [Path(file)] if isinstance(file, str | PathLike) else [Path(f) for f in file]
    try:
        spec = TraceFile(file=[str(p) for p in paths], **reading)
    except ValidationError as error:
        raise SpecError(problems_of(error), "the trace cannot be read so") from None
    recording = read_traces(paths, spec)
    if bin_width:
        recording = recording.binned(bin_width)
    if protocol is None:
        protocol = stimuli_as_protocol(recording, n_induction)
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", paths[0].stem) or "trace"
    tree = as_tree(recording, name, protocol, delay)
    requests = _requests(name, protocol, metrics, options or {})
    measured = measure_candidates(tree, requests)[0]
    spreads = _spreads(tree, requests) if tree.children[name].sizes["trial"] > 1 else {}
    return FileMeasurement(name, protocol, tree, {r: measured[r.name] for r in requests}, spreads)


def _requests(
    name: str, protocol: Protocol, metrics: Sequence[str] | None, options: Mapping[str, object]
) -> list[Request]:
    found = everything({name: protocol})
    if metrics is None:
        found.append(Request(f"{name}.amplitudes", "amplitudes", name))
    else:
        known = METRICS.names()
        for metric in metrics:
            if metric not in known:
                raise unknown_name("metric", metric, known)
            if not set(METRICS.get(metric).needs) <= protocol.provides():
                raise DataError(f"{metric} needs other stimuli than those of this recording")
        found = [Request(f"{name}.{m}", m, name) for m in metrics]
    chosen = []
    for request in found:
        fields = METRICS.get(request.metric).options.model_fields
        own = {n: v for n, v in options.items() if n in fields}
        try:
            METRICS.get(request.metric).options.model_validate(own)
        except ValidationError as error:
            raise SpecError(problems_of(error), f"{request.metric} has no such options") from None
        chosen.append(replace(request, options=own))
    return chosen


def _spreads(tree: xr.DataTree, requests: Sequence[Request]) -> dict[str, np.ndarray]:
    """Return the sd over the sweeps of what can be measured in each of them."""
    takes = [r for r in requests if "trials" in METRICS.get(r.metric).options.model_fields]
    each = [replace(r, options={**r.options, "trials": "each"}) for r in takes]
    measured = measure_candidates(tree, each)[0]
    return {n: m.value.std(axis=0, ddof=1) for n, m in measured.items() if not m.reason}
