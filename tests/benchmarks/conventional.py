"""The loop that is usually written: one cell, ``continuerun``, the whole settling every time, and
scipy's own differences, one simulation after the other."""

from __future__ import annotations

from collections.abc import Mapping

import bare
import numpy as np
import problem


def simulate(cell: bare.Cell) -> bare.Traces:
    """Run both protocols from the start."""
    h = cell.h
    h.CVode().active(0)
    h.celsius, h.dt, h.steps_per_ms = problem.CELSIUS, problem.DT, 1 / problem.DT
    traces = {}
    for name, spikes in (("single", problem.SINGLE), ("train", problem.TRAIN)):
        cell.arm(spikes)
        h.v_init = problem.V_INIT
        h.stdinit()
        h.continuerun(problem.SETTLE + problem.DELAY + problem.STOP[name])
        traces[name] = cell.read()
    return traces


def evaluate(cell: bare.Cell, values: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics of one candidate."""
    cell.set(values)
    return bare.measure(simulate(cell))


def fit(targets: Mapping[str, float]) -> tuple[dict[str, float], int]:
    """Return the parameters found from the middle of the bounds, and the number of evaluations."""
    from scipy.optimize import least_squares

    cell = bare.Cell(problem.middle())
    low, high = np.array(list(problem.BOUNDS.values())).T
    n = 0

    def residuals(x: np.ndarray) -> np.ndarray:
        nonlocal n
        n += 1
        values = dict(zip(problem.BOUNDS, low + x * (high - low), strict=True))
        return problem.residuals(evaluate(cell, values), targets)

    found = least_squares(residuals, np.full(low.size, 0.5), bounds=(0.0, 1.0))
    return dict(zip(problem.BOUNDS, (low + found.x * (high - low)).tolist(), strict=True)), n
