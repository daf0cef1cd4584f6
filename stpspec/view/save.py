"""The figures in the folder of a result, as PNG files."""

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
from stpspec.resources import replaced
from stpspec.view.campaign_figure import plot_campaign
from stpspec.view.multirun import plot_jobs
from stpspec.view.path import plot_path
from stpspec.view.style import DPI
from stpspec.view.sweep import plot_sweep
from stpspec.view.targets import plot_targets
from stpspec.view.traces import plot_traces

log = logging.getLogger("stpspec")


def write_traces(tree: Any, folder: Path) -> list[Path]:
    """Write ``traces_PROTOCOL.png`` for each protocol of a simulated DataTree.

    Returns
    -------
    list of Path
        Of the figures that could be drawn and written; of the others there is a warning.
    """
    files = {name: f"traces_{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.png" for name in tree.children}
    written = []
    for name, file in files.items():
        written += write_figure(functools.partial(plot_traces, tree, name), folder / file)
    return written


def write_figures(result: Any, folder: Path) -> list[Path]:
    """Write the figures of a fit as PNG into an existing folder.

    Parameters
    ----------
    result : FitResult
    folder : Path

    Returns
    -------
    list of Path
        ``traces_PROTOCOL.png`` for each protocol, ``path.png`` and ``targets.png``, without those
        that could not be drawn and written, of which there is a warning.
    """
    parameters = result.experiment.parameters
    path = write_figure(lambda: plot_path(result.history, parameters), folder / "path.png")
    targets = write_figure(lambda: plot_targets(result), folder / "targets.png")
    return [*write_traces(result.traces, folder), *path, *targets]


def write_sweep(swept: Any, folder: Path, *, scale: Any = "auto") -> list[Path]:
    """Write ``sweep.png`` into an existing folder; return its path, if it could be written."""
    return write_figure(lambda: plot_sweep(swept, scale=scale), folder / "sweep.png")


def write_jobs(jobs: Sequence[Any], folder: Path) -> list[Path]:
    """Write ``jobs.png`` into an existing folder; return its path, if it could be written."""
    return write_figure(lambda: plot_jobs(jobs), folder / "jobs.png")


def write_campaign(connections: Sequence[Any], folder: Path) -> list[Path]:
    """Write ``summary.png`` into an existing folder; return its path, if it could be written."""
    return write_figure(lambda: plot_campaign(connections), folder / "summary.png")


def write_figure(plot: Callable[[], Any], path: Path) -> list[Path]:
    """Draw a figure and write it in one piece; where that fails, warn: numbers do not depend on it.

    Returns
    -------
    list of Path
        Its path, or nothing.
    """
    try:
        drawn = io.BytesIO()
        np.ravel(plot())[0].get_figure().savefig(drawn, dpi=DPI, format="png")
        with replaced(path) as temporary:
            temporary.write_bytes(drawn.getvalue())
    except Exception as error:  # whatever it is, as matplotlib without the LaTeX that it is to use
        log.warning("the figure %s is left out: %s", path, first_line(error))
        return []
    return [path]
