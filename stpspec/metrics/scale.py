"""Free scales: factors between model and target that several terms share, found with the misses.

Amplitudes that were normalized, or were recorded where the model is not (in current clamp, in
another cell), tell the shape of a train and not its size. Their model is s·m with one factor s for
all terms that name it. As the misses are linear in s, the s that makes the loss least follows from
the model's values m alone (variable projection: Golub & Pereyra 1973, doi:10.1137/0710036).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from stpspec.errors import MetricError
from stpspec.metrics.noise import Noise
from stpspec.specs.objective import Objective, Term

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def free_scales(objective: Objective) -> dict[str, list[str]]:
    """Return the terms that share each free scale, by its name."""
    found: dict[str, list[str]] = {}
    for name, term in objective.terms.items():
        if term.scale is not None:
            found.setdefault(term.scale, []).append(name)
    return found


def unit_of_scale(target_unit: str, metric_unit: str) -> str:
    """Return the unit of a scale, such as ``mV/pA``: that of the target by that of the metric."""
    if target_unit in ("", "1"):
        return f"1/{metric_unit}"
    return "1" if target_unit == metric_unit else f"{target_unit}/{metric_unit}"


def scales_at(objective: Objective, metrics: Mapping[str, ArrayLike]) -> dict[str, float]:
    """Return the value of each free scale at which the loss is least.

    Parameters
    ----------
    objective : Objective
        With plain numbers.
    metrics : mapping of str to array_like
        What the model gives, by term name, over trials or their mean, in the unit of the metric.

    Raises
    ------
    MetricError
        If every value of its terms is 0.
    """
    return {
        scale: _least_squares(scale, {n: objective.terms[n] for n in names}, metrics)
        for scale, names in free_scales(objective).items()
    }


def _least_squares(
    scale: str, terms: Mapping[str, Term], metrics: Mapping[str, ArrayLike]
) -> float:
    counted = [n for n, t in terms.items() if t.weight > 0] or list(terms)
    above, below = 0.0, 0.0
    for name in counted:
        term = terms[name]
        target = np.atleast_1d(np.asarray(term.target, float))
        known = np.isfinite(target)
        sd = np.ones(target.size) if term.sd is None else Noise.of(term.sd, term.n, target).sd
        model = np.atleast_1d(np.asarray(metrics[name], float))
        model = model.mean(axis=0) if model.ndim > 1 else model
        if model.shape != target.shape:
            raise MetricError(
                f"{name}: the target has {target.size} values, the metric gives {model.size}"
            )
        weights = (term.weight or 1.0) / known.sum() / sd[known] ** 2
        above += float(weights @ (model[known] * target[known]))
        below += float(weights @ model[known] ** 2)
    if not below > 0:
        raise MetricError(
            f"{', '.join(counted)}: every value is 0, so that the scale {scale!r} has none"
        )
    return above / below
