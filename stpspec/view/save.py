"""The figures in the folder of a result, in the formats that are asked for, each with its data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stpspec.view.amplitudes import plot_amplitudes
from stpspec.view.campaign_figure import plot_campaign
from stpspec.view.data import csv_of
from stpspec.view.multirun import plot_jobs
from stpspec.view.path import plot_path
from stpspec.view.style import DPI, VECTORS
from stpspec.view.sweep import plot_sweep
from stpspec.view.targets import plot_targets
from stpspec.view.traces import plot_traces

_PNG = ("png",)


def write_traces(tree: Any, folder: Path, experiment: Any = None) -> list[Path]:
    """Write ``traces_PROTOCOL`` for each protocol of a simulated DataTree.

    Parameters
    ----------
    tree : xarray.DataTree
    folder : Path
    experiment : Experiment, optional
        Whose terms say how pulses are measured, and which says how figures are written.

    Returns
    -------
    list of Path

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    files = {name: f"traces_{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}" for name in tree.children}
    figures = experiment.figures if experiment is not None else None
    bars = figures is not None and figures.scale_bars
    return [
        path
        for name, file in files.items()
        for path in write_figure(
            plot_traces(tree, name, experiment=experiment, scale_bars=bars),
            folder / file, figures.format if figures is not None else _PNG,
        )
    ]  # fmt: skip


def write_figures(result: Any, folder: Path) -> list[Path]:
    """Write the figures of a fit into an existing folder, in the formats of its experiment.

    Parameters
    ----------
    result : FitResult
    folder : Path

    Returns
    -------
    list of Path
        ``traces_PROTOCOL`` for each protocol, ``path``, ``targets`` and, where a protocol has
        several events, ``amplitudes``; with the data behind each as CSV.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    formats = result.experiment.figures.format
    drawn = {
        "path": plot_path(result.history, result.experiment.parameters),
        "targets": plot_targets(result),
        "amplitudes": plot_amplitudes(result),
    }
    written = write_traces(result.traces, folder, result.experiment)
    for name, axes in drawn.items():
        if np.size(axes):
            written += write_figure(axes, folder / name, formats)
    return written


def write_sweep(
    swept: Any, folder: Path, *, scale: Any = "auto", formats: Sequence[str] = _PNG
) -> list[Path]:
    """Write ``sweep.png``, or in other formats, into an existing folder; its data are there."""
    return write_figure(plot_sweep(swept, scale=scale), folder / "sweep", formats, data=False)


def write_jobs(jobs: Sequence[Any], folder: Path, formats: Sequence[str] = _PNG) -> list[Path]:
    """Write ``jobs.png``, or in other formats, and ``jobs_path.csv`` into an existing folder."""
    return write_figure(plot_jobs(jobs), folder / "jobs", formats, data="jobs_path")


def write_campaign(
    connections: Sequence[Any], folder: Path, formats: Sequence[str] = _PNG
) -> list[Path]:
    """Write ``summary.png``, or in other formats, into an existing folder; its data are there."""
    return write_figure(plot_campaign(connections), folder / "summary", formats, data=False)


def write_figure(
    axes: Any, path: Path, formats: Sequence[str] = _PNG, *, data: bool | str = True
) -> list[Path]:
    """Write a figure in each format, each file in one piece, and the data behind it.

    Parameters
    ----------
    axes : matplotlib Axes, or ndarray of Axes
    path : Path
        Without the ending of a format.
    formats : sequence of {"png", "svg", "pdf"}
    data : bool or str
        Whether the data are written, or the name of their file without its ending.

    Returns
    -------
    list of Path

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    from matplotlib import rc_context

    figure = np.ravel(axes)[0].get_figure()
    written = []
    for kind in dict.fromkeys(formats):
        temporary = path.with_name(f".{path.name}.{kind}")
        metadata = {"png": None, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
        with rc_context(VECTORS):
            figure.savefig(temporary, dpi=DPI, format=kind, metadata=metadata)
        written.append(temporary.replace(path.with_name(f"{path.name}.{kind}")))
    if data:
        name = data if isinstance(data, str) else path.name
        file = path.with_name(f"{name}.csv")
        file.write_text(csv_of(figure), encoding="utf-8")
        written.append(file)
    return written
