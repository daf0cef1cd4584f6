"""The table and the figure of the jobs of a multirun."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stpspec.view.style import LINES, legend, new_axes
from stpspec.view.tables import columns, number


def jobs_rows(jobs: Sequence[Any], varied: Sequence[str]) -> list[list[str]]:
    """Return header and one row a job: what varied, loss, cost, parameters, status."""
    parameters = list(dict.fromkeys(p for j in jobs for p in j.summary.get("parameters", {})))
    rows = [["job", *varied, "loss", "simulations", "seconds", *parameters, "status"]]
    for job in jobs:
        s = job.summary
        values = s.get("parameters", {})
        row = [job.name, *(job.overrides.get(v, "") for v in varied)]
        row += [number(s["loss"]) if s else "", str(s.get("evaluations", ""))]
        row += [f"{s['seconds']:.1f}" if s else ""]
        row += [number(values[p]["value"]) if p in values else "" for p in parameters]
        # The last line of an error says what is wrong; the first only that something is.
        reason = job.reason.strip().splitlines()[-1].strip() if job.reason else ""
        rows.append([*row, f"{job.status}: {reason}" if reason else s.get("status", job.status)])
    return rows


def jobs_table(jobs: Sequence[Any], varied: Sequence[str]) -> str:
    """Return the table of the jobs as text."""
    rows = jobs_rows(jobs, varied)
    right = range(1 + len(varied), len(rows[0]) - 1)
    return columns(rows, right=right)


def plot_jobs(jobs: Sequence[Any], *, axes: Any = None) -> Any:
    """Plot the best loss so far against simulations and against seconds, a color for each fitter.

    Returns
    -------
    ndarray of Axes, shape (2,)
    """
    axes = new_axes(2, (7.2, 6.0), share=False) if axes is None else np.ravel(axes)
    done = [j for j in jobs if j.losses.size]
    fitters = list(dict.fromkeys(j.fitter for j in done))
    positive = [j.losses[j.losses > 0].min() for j in done if (j.losses > 0).any()]
    floor = min(positive, default=1.0)  # an exact hit has no place on a log axis
    for job in done:
        color = LINES[fitters.index(job.fitter) % len(LINES)]
        losses = np.maximum(job.losses, floor)
        steps = np.arange(1, losses.size + 1)
        axes[0].plot(steps, losses, color=color, alpha=0.8, lw=1.2, label=job.fitter)
        axes[1].plot(job.seconds, losses, color=color, alpha=0.8, lw=1.2)
    for ax, label in zip(axes, ("Simulations", "Time (s)"), strict=True):
        ax.set_yscale("log")
        ax.set_xlabel(label)
        ax.set_ylabel("Best loss so far")
    legend(axes[0])
    return axes
