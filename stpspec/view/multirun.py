"""The table and the figure of the jobs of a multirun."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from stpspec.formatting import presentable, presentable_rows
from stpspec.formatting.layout import fitted, numbered, screen_width
from stpspec.view.data import keep
from stpspec.view.style import DASHES, GRAY, LINES, legend, new_axes, wrap
from stpspec.view.tables import columns, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stpspec.view.contract import JobState

_SAME = 1e-4  # of a loss; two starts of a fit do not come so close in every evaluation


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
    rows, notes = numbered(presentable_rows(jobs_rows(jobs, varied)))
    right = range(1 + len(varied), len(rows[0]) - 1)
    text = columns(rows, right=right, width=width, keys=1 + len(varied))
    note = seeds_note(jobs)
    said = ["\n".join(notes), presentable(f"note: {note}") if note else ""]
    return "\n\n".join([text, *(fitted(s, screen_width()) for s in said if s)])


def equal_jobs(jobs: Sequence[JobState]) -> list[list[JobState]]:
    """Return the groups of jobs that are the same fit: equal in every evaluation.

    Only jobs that end with the same losses, of one experiment and one fitter, are together. A
    process that has simulated before settles a little otherwise, which shows in the last digits.
    """
    groups: list[list[JobState]] = []
    for job in filter(lambda j: j.losses.size, jobs):
        for group in groups:
            if _is_same(group[0], job):
                group.append(job)
                break
        else:
            groups.append([job])
    return groups


def _is_same(one: JobState, other: JobState) -> bool:
    names = [str(j.summary.get("name", "")) for j in (one, other)]
    a, b = one.losses, other.losses
    return bool(
        one.fitter == other.fitter
        and names[0] == names[1]
        and a.shape == b.shape
        and np.allclose(a, b, rtol=_SAME, atol=_SAME**2 * float(np.max(a)))
    )


def seeds_note(jobs: Sequence[JobState]) -> str:
    """Say which jobs differ in their seed alone and are equal; empty if there are none.

    A deterministic fitter from a fixed start draws nothing: equal rows are then one fit, told
    several times, and no sign that other starts lead to the same end.
    """
    groups = []
    for group in equal_jobs(jobs):
        others = [{k: v for k, v in j.overrides.items() if k != "seed"} for j in group]
        seeds = [j.overrides.get("seed") for j in group]
        if len(group) > 1 and all(o == others[0] for o in others) and len(set(seeds)) > 1:
            groups.append(f"{_listed([j.name for j in group])} ({group[0].fitter})")
    if not groups:
        return ""
    return (
        f"seeds change nothing in jobs {'; '.join(groups)}: a deterministic fitter from a fixed "
        f"start draws no random numbers, so equal rows are one fit and no sign of robustness "
        f"(fitter.start=random begins elsewhere with each seed)"
    )


def _mark_result(panels: np.ndarray, job: JobState, color: str) -> None:
    """Mark the loss of a result: a last step on the reference numerics is none of the search."""
    loss = float(job.summary.get("loss", 0.0))
    if loss <= 0:  # has no place on a log axis
        return
    for ax, x in zip(panels, (job.losses.size, job.seconds[-1]), strict=True):
        ax.plot(x, loss, "D", color=color, ms=4, mec="white", mew=0.5, zorder=4)
        keep(ax, f"job {job.name}, result", [x], [loss])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:7])} … {names[-1]}"


def plot_jobs(
    jobs: Sequence[JobState], *, axes: Sequence[Axes] | np.ndarray | None = None
) -> np.ndarray:
    """Plot the best loss so far against simulations and against seconds, as steps.

    Each fitter has a color, and each experiment, or each fitter of one experiment, dashes of its
    own. Of jobs that are equal there is one line, with their names at its end.

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
    for ax, label in zip(panels, ("Simulations", "Time (s)"), strict=True):
        ax.set_xlabel(label)
        ax.set_ylabel("Best loss so far")
    for group in equal_jobs(done):
        job = group[0]
        color = LINES[fitters.index(job.fitter) % len(LINES)]
        by = names.index(str(job.summary.get("name", ""))) if len(names) > 1 else None
        ls = DASHES[(fitters.index(job.fitter) if by is None else by) % len(DASHES)]
        losses = np.maximum(job.losses, floor)
        kind = {"color": color, "ls": ls, "alpha": 0.8, "lw": 2.4 if len(group) > 1 else 1.2}
        kind |= {"marker": "o", "ms": 4} if losses.size == 1 else {}  # a line needs two
        steps = np.arange(1, losses.size + 1)
        panels[0].plot(steps, losses, drawstyle="steps-post", **kind)
        if len(group) > 1:
            panels[0].plot([], [], color=color, ls=ls, lw=2.4,
                           label=f"Jobs {_listed([j.name for j in group])} (equal)")  # fmt: skip
        for each in group:
            said = f"job {each.name}, {each.fitter}"
            panels[1].plot(each.seconds, losses, drawstyle="steps-post", **{**kind, "lw": 1.2})
            keep(panels[0], said, steps, job.losses, panel="loss against simulations")
            keep(panels[1], said, each.seconds, job.losses, panel="loss against seconds")
            _mark_result(panels, each, color)
    for k, name in enumerate(fitters):
        ls = "-" if len(names) > 1 else DASHES[k % len(DASHES)]
        panels[0].plot([], [], color=LINES[k % len(LINES)], ls=ls, label=name)
    for k, name in enumerate(names if len(names) > 1 else []):  # losses of another problem
        panels[0].plot([], [], color=GRAY, ls=DASHES[k % len(DASHES)], label=name)
    if any("loss" in job.summary for job in done):
        panels[0].plot([], [], "D", color=GRAY, ms=4, label="Result")
    for ax in panels:
        ax.set_yscale("log")
    panels[0].set_xlim(left=0)
    panels[0].xaxis.get_major_locator().set_params(integer=True)
    note = seeds_note(done)
    if note and axes is None:
        figure = panels[0].get_figure()
        text = wrap(note[0].upper() + note[1:], 100)
        figure.suptitle(text, x=0.01, ha="left", fontsize=8, color=GRAY)
    legend(panels[0])
    return panels
