"""Records of evaluations as a study stores them, and an index of those that a process knows."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import TypedDict


class EvaluationRecord(TypedDict):
    """One evaluation as plain data: what a trial holds in its attribute `evaluation`.

    Attributes
    ----------
    batch : str
        Key of the batch in which the point was evaluated.
    index : int
        Of the point in its batch.
    point : list of float
        In the unit cube.
    values : dict of str to float
        Parameter values.
    loss : float or None
        None when the evaluation failed.
    residuals : list of float or None
    metrics : dict of str to float or list of float
        By term name; empty when the evaluation failed.
    reason : str
        Why it failed; empty if it did not.
    seconds : float
        Since the start of the fit.
    start : int
        Index of the start that the fitter was following.
    """

    batch: str
    index: int
    point: list[float]
    values: dict[str, float]
    loss: float | None
    residuals: list[float] | None
    metrics: dict[str, float | list[float]]
    reason: str
    seconds: float
    start: int


class RecordIndex:
    """The finished trials of a study that a process knows, by number, batch and point."""

    def __init__(self) -> None:
        self.first_unfinished = 0
        """Lowest number of a trial that is not known to be finished."""
        self._finished: set[int] = set()
        self._by_number: dict[int, EvaluationRecord] = {}
        self._by_batch: dict[str, dict[int, EvaluationRecord]] = {}
        self._by_point: dict[tuple[float, ...], EvaluationRecord] = {}

    def __contains__(self, number: int) -> bool:
        """Tell whether the trial of this number is known to be finished."""
        return number in self._finished

    def add(self, number: int, record: EvaluationRecord | None) -> None:
        """Add a finished trial; its record is None if it was never evaluated."""
        self._finished.add(number)
        while self.first_unfinished in self._finished:
            self.first_unfinished += 1
        if record is not None:
            self._by_number[number] = record
            self._by_batch.setdefault(record["batch"], {}).setdefault(record["index"], record)
            self._by_point.setdefault(tuple(record["point"]), record)

    def records(self) -> dict[int, EvaluationRecord]:
        """Return the records by the numbers of their trials, in their order."""
        return dict(sorted(self._by_number.items()))

    def has(self, batch: str, index: int) -> bool:
        """Tell whether there is a record of this place in a batch."""
        return index in self._by_batch.get(batch, ())

    def batch(self, batch: str, n: int) -> list[EvaluationRecord] | None:
        """Return the records of a batch of n points, or None if it is not complete."""
        records = self._by_batch.get(batch, {})
        return [records[i] for i in range(n)] if len(records) == n else None

    def at(self, point: Sequence[float]) -> EvaluationRecord | None:
        """Return the record of a point of the unit cube, in whichever batch it was."""
        return self._by_point.get(tuple(point))
