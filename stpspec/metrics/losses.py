"""Losses: how far an achieved value is from its target. Measured first, then judged."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from stpspec.metrics.registration import loss

Positive = Annotated[float, Field(gt=0)]


@loss("squared", residuals=True)
def squared(value: np.ndarray, target: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """d², with d = (value − target) / sd."""
    return ((value - target) / sd) ** 2


@loss("absolute")
def absolute(value: np.ndarray, target: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """|d|, with d = (value − target) / sd. Has a corner at 0: no least squares."""
    return np.abs(value - target) / sd


@loss("relative", residuals=True, takes_sd=False)
def relative(value: np.ndarray, target: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """((value − target) / target)²; takes no sd."""
    return ((value - target) / target) ** 2


@loss("huber", residuals=True)
def huber(
    value: np.ndarray, target: np.ndarray, sd: np.ndarray, *, delta: Positive = 1.345
) -> np.ndarray:
    """d² up to delta, 2·delta·|d| − delta² beyond (Huber 1964, doi:10.1214/aoms/1177703732)."""
    d = np.abs(value - target) / sd
    return np.where(d <= delta, d**2, 2 * delta * d - delta**2)


@loss("band", residuals=True)
def band(
    value: np.ndarray, target: np.ndarray, sd: np.ndarray, *, width: Positive = 1.0
) -> np.ndarray:
    """0 within target ± width·sd, the square of the excess beyond."""
    d = np.abs(value - target) / sd
    return np.maximum(d - width, 0.0) ** 2
