"""The figures in the folder of a result, as PNG files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stpspec.resources import replaced
from stpspec.view.multirun import plot_jobs
from stpspec.view.path import plot_path
from stpspec.view.style import DPI
from stpspec.view.sweep import plot_sweep
from stpspec.view.targets import plot_targets
from stpspec.view.traces import plot_traces


def write_traces(tree: Any, folder: Path) -> list[Path]:
    """Write ``traces_PROTOCOL.png`` for each protocol of a simulated DataTree.

    Returns
    -------
    list of Path

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    files = {name: f"traces_{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.png" for name in tree.children}
    return [_save(plot_traces(tree, name), folder / file) for name, file in files.items()]


def write_figures(result: Any, folder: Path) -> list[Path]:
    """Write the figures of a fit as PNG into an existing folder.

    Parameters
    ----------
    result : FitResult
    folder : Path

    Returns
    -------
    list of Path
        ``traces_PROTOCOL.png`` for each protocol, ``path.png`` and ``targets.png``.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    path = _save(plot_path(result.history, result.experiment.parameters), folder / "path.png")
    targets = _save(plot_targets(result), folder / "targets.png")
    return [*write_traces(result.traces, folder), path, targets]


def write_sweep(swept: Any, folder: Path, *, scale: Any = "auto") -> Path:
    """Write ``sweep.png`` into an existing folder; return its path."""
    return _save(plot_sweep(swept, scale=scale), folder / "sweep.png")


def write_jobs(jobs: Sequence[Any], folder: Path) -> Path:
    """Write ``jobs.png`` into an existing folder; return its path."""
    with replaced(folder / "jobs.png") as temporary:
        _save(plot_jobs(jobs), temporary)
    return folder / "jobs.png"


def _save(axes: Any, path: Path) -> Path:
    np.ravel(axes)[0].get_figure().savefig(path, dpi=DPI, format="png")
    return path
