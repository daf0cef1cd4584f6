"""Notes on the numerics of a fit: where search and reference part, which is right, what helps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from stpspec.engine.binding.bound import Bound
from stpspec.engine.reference import finer_step, measured_on_reference, step_errors
from stpspec.fitters.evaluation import Evaluation
from stpspec.metrics.judge import Goal, Judge
from stpspec.metrics.measure import Measurement

_OF_SD = 0.1  # that numerics may move a target by
_COMPARED = {True: "nearer", False: "farther off"}
_OF_TARGET = 0.005, 0.001  # without an sd: between search and reference, and by the reference


@dataclass(frozen=True)
class _Scale:
    """What of a difference matters to a term; ``factor`` is that of its free scale, or 1."""

    goal: Goal
    factor: float = 1.0

    @property
    def target(self) -> float:
        """Size of the target in the unit of the metric."""
        return float(np.nanmax(np.abs(self.goal.target))) / self.factor or 1.0

    @property
    def unit(self) -> np.ndarray | float:
        """The sd, or the target without one, in the unit of the metric; infinite in gaps."""
        if self.goal.sd is None:
            return np.where(np.isfinite(self.goal.target), self.target, np.inf)
        return np.where(np.isfinite(self.goal.sd), self.goal.sd / self.factor, np.inf)

    def size(self, difference: np.ndarray) -> float:
        """Return the largest difference in sd, or in parts of the target without one."""
        return float(np.max(np.abs(difference) / self.unit))

    @property
    def most_apart(self) -> float:
        return _OF_SD if self.goal.sd is not None else _OF_TARGET[0]

    @property
    def most_off(self) -> float:
        return _OF_SD if self.goal.sd is not None else _OF_TARGET[1]

    def text(self, size: float) -> str:
        """Say how large a difference of this size is."""
        if self.goal.sd is not None:
            return f"{size:.2g} sd"
        return f"{100 * size:.2g} % of the target"


def numerics_notes(
    reference: Bound,
    judge: Judge,
    best: Evaluation,
    measured: Mapping[str, Measurement],
    *,
    is_one: bool,
) -> dict[str, str]:
    """Say of which terms the numerics are off by what matters, and what helps.

    Two integrators that agree vouch for each other. Where there is but one, twice its step is the
    other, at half of its cost. Where two do not agree, the point is simulated once more with half
    of the reference's step, which shows the error of the step.

    Parameters
    ----------
    reference : Bound
    judge : Judge
    best : Evaluation
        The point as the search has simulated it.
    measured : mapping of str to Measurement
        The same point on the reference.
    is_one : bool
        Whether the search simulates as the reference does.

    Returns
    -------
    dict of str to str
        Term → note.
    """
    factors = judge.scales({n: m.value for n, m in measured.items()})
    scales = {n: _Scale(g, abs(judge.scale_of(n, factors)) or 1.0) for n, g in judge.goals.items()}
    gaps = {n: np.asarray(best.metrics[n]) - measured[n].value for n in scales}
    apart = {n: s.size(gaps[n]) for n, s in scales.items()}
    if not is_one and all(apart[n] <= s.most_off for n, s in scales.items()):
        return {}
    brief = replace(reference, brief=True)  # no more of a train than the terms read
    if is_one and _is_fine(brief, judge, best, measured, scales):
        return {}
    allowed = {n: s.most_off * s.unit for n, s in scales.items()}
    errors = step_errors(brief, best.values, judge.requests, measured, allowed)
    off = {n: scales[n].size(e) for n, e in errors.sizes.items()}
    excess = max((off[n] / scales[n].most_off for n in off), default=0.0)
    dt = reference.experiment.numerics.dt
    step = finer_step(dt, excess)
    notes = {}
    for name, scale in scales.items():
        if off.get(name, 0.0) > scale.most_off:
            left = off[name] * step / dt
            helps = f"below {scale.text(scale.most_off)}"
            if left > scale.most_off:
                helps = f"to about {scale.text(left)}"
            size = _with_percent(scale, errors.sizes[name])
            text = (
                f"the reference numerics (fixed step of {dt:g} ms) are themselves off by about "
                f"{size}; numerics.dt={step:g} brings that {helps}"
            )
            if apart[name] > scale.most_off and name in errors.converging:
                is_nearer = scale.size(gaps[name] + errors.sizes[name]) < off[name]
                text += f", and the search was {_COMPARED[is_nearer]}"
            notes[name] = text
        elif apart[name] > scale.most_apart:
            notes[name] = (
                f"the search and the reference numerics (fixed step) differ by "
                f"{scale.text(apart[name])}: search with numerics.integrator: fixed, or a smaller "
                f"numerics.tolerance"
            )
    return notes


def _is_fine(
    reference: Bound,
    judge: Judge,
    best: Evaluation,
    measured: Mapping[str, Measurement],
    scales: Mapping[str, _Scale],
) -> bool:
    """Tell whether twice the step of the reference gives the same within half of what matters."""
    numerics = reference.experiment.numerics
    if 2 * numerics.dt > min(numerics.settle, 1.0):
        return False
    coarse = measured_on_reference(reference, best.values, judge.requests, dt=2 * numerics.dt)
    return all(
        not coarse[n].reason
        and s.size(np.asarray(coarse[n].value) - measured[n].value) <= s.most_off / 2
        for n, s in scales.items()
    )


def _with_percent(scale: _Scale, error: np.ndarray) -> str:
    """Say how large an error is, also in % of the target."""
    text = scale.text(scale.size(error))
    if scale.goal.sd is None:
        return text
    return f"{text} ({100 * float(np.abs(error).max()) / scale.target:.2g} % of the target)"
