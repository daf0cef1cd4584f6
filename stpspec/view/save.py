"""The figures in the folder of a result, in the formats that are asked for, each with its data."""

from __future__ import annotations

import functools
import io
import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stpspec.formatting import first_line
from stpspec.resources.drafts import replaced
from stpspec.view.amplitudes import plot_amplitudes
from stpspec.view.campaign_figure import plot_campaign
from stpspec.view.data import csv_of
from stpspec.view.multirun import plot_jobs
from stpspec.view.path import plot_path
from stpspec.view.style import DPI, VECTORS
from stpspec.view.sweep import plot_sweep
from stpspec.view.targets import plot_targets
from stpspec.view.traces import plot_traces

log = logging.getLogger("stpspec")

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
        Of the figures that could be drawn and written; of the others there is a warning.
    """
    files = {name: f"traces_{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}" for name in tree.children}
    figures = experiment.figures if experiment is not None else None
    bars = figures is not None and figures.scale_bars
    formats = figures.format if figures is not None else _PNG
    written = []
    for name, file in files.items():
        plot = functools.partial(plot_traces, tree, name, experiment=experiment, scale_bars=bars)
        written += write_figure(plot, folder / file, formats)
    return written


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
        several events, ``amplitudes``, with the data behind each as CSV; without those that could
        not be drawn and written, of which there is a warning.
    """
    formats, parameters = result.experiment.figures.format, result.experiment.parameters
    plots: dict[str, Callable[[], Any]] = {
        "path": lambda: plot_path(result.history, parameters),
        "targets": lambda: plot_targets(result),
        "amplitudes": lambda: plot_amplitudes(result),
    }
    written = write_traces(result.traces, folder, result.experiment)
    for name, plot in plots.items():
        written += write_figure(plot, folder / name, formats)
    return written


def write_sweep(
    swept: Any, folder: Path, *, scale: Any = "auto", formats: Sequence[str] = _PNG
) -> list[Path]:
    """Write ``sweep.png``, or in other formats, into an existing folder; its data are there."""
    plot = functools.partial(plot_sweep, swept, scale=scale)
    return write_figure(plot, folder / "sweep", formats, data=False)


def write_jobs(jobs: Sequence[Any], folder: Path, formats: Sequence[str] = _PNG) -> list[Path]:
    """Write ``jobs.png``, or in other formats, and ``jobs_path.csv`` into an existing folder."""
    return write_figure(lambda: plot_jobs(jobs), folder / "jobs", formats, data="jobs_path")


def write_campaign(
    connections: Sequence[Any], folder: Path, formats: Sequence[str] = _PNG
) -> list[Path]:
    """Write ``summary.png``, or in other formats, into an existing folder; its data are there."""
    plot = functools.partial(plot_campaign, connections)
    return write_figure(plot, folder / "summary", formats, data=False)


def write_figure(
    plot: Callable[[], Any], path: Path, formats: Sequence[str] = _PNG, *, data: bool | str = True
) -> list[Path]:
    """Draw a figure and write it in each format, each file in one piece, and the data behind it.

    Where that fails, there is a warning: no number depends on it.

    Parameters
    ----------
    plot : callable
        Returns matplotlib Axes, or an array of them; an empty one where there is nothing to draw.
    path : Path
        Without the ending of a format.
    formats : sequence of {"png", "svg", "pdf"}
    data : bool or str
        Whether the data are written, or the name of their file without its ending.

    Returns
    -------
    list of Path
        What was written.
    """
    written: list[Path] = []
    try:
        axes = np.ravel(plot())
        if not axes.size:
            return []
        figure = axes[0].get_figure()
        for kind in dict.fromkeys(formats):
            written.append(_save(figure, path.with_name(f"{path.name}.{kind}"), kind))
        if data:
            file = path.with_name(f"{data if isinstance(data, str) else path.name}.csv")
            with replaced(file) as temporary:
                temporary.write_text(csv_of(figure), encoding="utf-8")
            written.append(file)
    except Exception as error:  # whatever it is, as matplotlib without the LaTeX that it is to use
        log.warning("the figure %s.%s is left out: %s", path, formats[0], first_line(error))
    return written


def _save(figure: Any, path: Path, kind: str) -> Path:
    from matplotlib import rc_context

    metadata = {"png": None, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    drawn = io.BytesIO()
    with rc_context(VECTORS):
        figure.savefig(drawn, dpi=DPI, format=kind, metadata=metadata)
    with replaced(path) as temporary:
        temporary.write_bytes(drawn.getvalue())
    return path
