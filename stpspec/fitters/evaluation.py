"""Evaluations: points that were simulated and judged, and what ends a search of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stpspec.studies.records import EvaluationRecord

FLOOR = 1e-6  # of the loss, a residual: misses of 1e-3 sd are below what a search can tell


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One point that was evaluated.

    Attributes
    ----------
    point : ndarray, shape (parameter,)
        In the unit cube.
    values : dict of str to float
        Parameter values.
    loss : float
        NaN when the evaluation failed.
    residuals : ndarray or None
    metrics : dict of str to ndarray
        0-D or 1-D, by term name; empty when the evaluation failed.
    reason : str
        Why it failed; empty if it did not.
    seconds : float
        Since the start of the fit.
    start : int
        Index of the start that the fitter was following.
    """

    point: np.ndarray
    values: dict[str, float]
    loss: float
    residuals: np.ndarray | None
    metrics: dict[str, np.ndarray]
    reason: str
    seconds: float
    start: int = 0

    @property
    def failed(self) -> bool:
        """Whether the evaluation gave no loss."""
        return bool(self.reason)

    def to_record(self, batch: str, index: int) -> EvaluationRecord:
        """Return what a study stores of it: plain data."""
        return {
            "batch": batch, "index": index, "point": self.point.tolist(), "values": self.values,
            "loss": None if self.failed else float(self.loss),
            "residuals": None if self.residuals is None else self.residuals.tolist(),
            "metrics": {n: np.asarray(v).tolist() for n, v in self.metrics.items()},
            "reason": self.reason, "seconds": self.seconds, "start": self.start,
        }  # fmt: skip

    @classmethod
    def from_record(cls, record: EvaluationRecord) -> Evaluation:
        """Return the evaluation of a record."""
        residuals = record["residuals"]
        return cls(
            np.array(record["point"]), dict(record["values"]),
            float("nan") if record["loss"] is None else record["loss"],
            None if residuals is None else np.array(residuals),
            {n: np.array(v) for n, v in record["metrics"].items()},
            record["reason"], record["seconds"], record["start"],
        )  # fmt: skip


class AtNoise(Exception):
    """The search has come as close as its numerics can tell."""

    def __init__(self, evaluation: Evaluation):
        super().__init__("no target is missed by more than the search can tell")
        self.evaluation = evaluation


class BudgetSpent(Exception):
    """The budget of evaluations or seconds is spent."""
