"""The table and the figure of the jobs of a multirun."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from stpspec.formatting.layout import fitted, numbered, screen_width
from stpspec.view.style import DASHES, GRAY, LINES, legend, new_axes
from stpspec.view.tables import columns, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stpspec.view.contract import JobState


def jobs_rows(
    jobs: Sequence[JobState], varied: Sequence[str], *, show: Callable[[float], str] = number
) -> list[list[str]]:
    """Return header and one row a job: what varied, loss, cost, parameters, status.

    Parameters
    ----------
    jobs : sequence of Job
    varied : sequence of str
        The overrides that differ between them.
    show : callable
        How numbers are written; ``repr`` keeps every digit.
    """
    parameters = list(dict.fromkeys(p for j in jobs for p in j.summary.get("parameters", {})))
    rows = [["job", *varied, "loss", "simulations", "seconds", *parameters, "status"]]
    for job in jobs:
        s = job.summary
        values = s.get("parameters", {})
        row = [job.name, *(job.overrides.get(v, "") for v in varied)]
        row += [show(s["loss"]) if "loss" in s else "", str(s.get("evaluations", ""))]
        row += [f"{s['seconds']:.1f}" if "seconds" in s else ""]
        row += [show(values[p]["value"]) if p in values else "" for p in parameters]
        why = f"{job.status}: {job.cause}" if job.cause else ""
        rows.append([*row, why or s.get("status", job.status)])
    return rows


def jobs_table(jobs: Sequence[JobState], varied: Sequence[str], width: int | None = None) -> str:
    """Return the table of the jobs as text; what several jobs failed of is said once.

    Parameters
    ----------
    jobs : sequence of Job
    varied : sequence of str
    width : int, optional
        Columns for the table; by default those of the terminal, and no end in a pipe.
    """
    width = width or screen_width()
    rows, notes = numbered(jobs_rows(jobs, varied))
    right = range(1 + len(varied), len(rows[0]) - 1)
    text = columns(rows, right=right, width=width, keys=1 + len(varied))
    return "\n\n".join([text, fitted("\n".join(notes), screen_width())] if notes else [text])


def plot_jobs(
    jobs: Sequence[JobState], *, axes: Sequence[Axes] | np.ndarray | None = None
) -> np.ndarray:
    """Plot the best loss so far against simulations and against seconds, a color for each fitter.

    Each experiment has dashes of its own.

    Returns
    -------
    ndarray of Axes, shape (2,)
    """
    size = (7.2, 6.0)
    panels: np.ndarray = (
        new_axes(2, size, share=False) if axes is None else np.asarray(axes).ravel()
    )
    done = [j for j in jobs if j.losses.size]
    fitters = list(dict.fromkeys(j.fitter for j in done))
    positive = [j.losses[j.losses > 0].min() for j in done if (j.losses > 0).any()]
    floor = min(positive, default=1.0)  # an exact hit has no place on a log axis
    names = list(dict.fromkeys(str(j.summary.get("name", "")) for j in done))
    for job in done:
        color = LINES[fitters.index(job.fitter) % len(LINES)]
        style = DASHES[names.index(str(job.summary.get("name", ""))) % len(DASHES)]
        losses = np.maximum(job.losses, floor)
        steps = np.arange(1, losses.size + 1)
        kind = {"color": color, "ls": style, "alpha": 0.8, "lw": 1.2}
        kind |= {"marker": "o", "ms": 4} if losses.size == 1 else {}  # a line needs two
        panels[0].plot(steps, losses, **kind)
        panels[1].plot(job.seconds, losses, **kind)
    for k, name in enumerate(fitters):
        panels[0].plot([], [], color=LINES[k % len(LINES)], label=name)
    for k, name in enumerate(names if len(names) > 1 else []):  # losses of another problem
        panels[0].plot([], [], color=GRAY, ls=DASHES[k % len(DASHES)], label=name)
    for ax, label in zip(panels, ("Simulations", "Time (s)"), strict=True):
        ax.set_yscale("log")
        ax.set_xlabel(label)
        ax.set_ylabel("Best loss so far")
    panels[0].set_xlim(left=0)
    panels[0].xaxis.get_major_locator().set_params(integer=True)
    legend(panels[0])
    return panels
