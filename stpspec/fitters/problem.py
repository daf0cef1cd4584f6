"""The problem a fitter sees: points of the unit cube in, losses or residuals out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from stpspec.engine.binding.bound import Bound
from stpspec.engine.candidates import Candidates
from stpspec.engine.workers.place import evaluate
from stpspec.engine.workers.pool import Pool
from stpspec.errors import FitError, MetricError
from stpspec.fitters import interrupts
from stpspec.fitters.evaluation import BudgetSpent, Evaluation
from stpspec.metrics.judge import Judge, why_no_residuals
from stpspec.metrics.measure import Measurement
from stpspec.metrics.requests import protocols_read
from stpspec.resources import content_key
from stpspec.studies.records import EvaluationRecord
from stpspec.studies.study import Study

log = logging.getLogger("stpspec.fitters")

_REPEATS = 1000  # batches in a row without any new point

Evaluator = Callable[[Candidates], list[dict[str, Measurement]]]


@dataclass
class Problem:
    """An experiment as a fitter sees it.

    Parameters
    ----------
    bound : Bound
    evaluator : callable, optional
        Candidates → measurements; simulates in NEURON by default.
    pool : Pool, optional
        Worker processes in which to simulate.
    study : Study, optional
        Where evaluations are kept; those that are there already are not made again.
    observe : callable, optional
        Called with the problem after each batch.

    Attributes
    ----------
    stencil : list of Evaluation
        The best point that a fitter has taken differences at, and then a step of each parameter.
    remarks : list of str
        What a reader of the result should know of the course of the fit.
    has_drawn : bool
        Whether anything has taken the seed.
    largest_batch : int
        Most candidates that were evaluated at once.
    """

    bound: Bound
    evaluator: Evaluator | None = None
    pool: Pool | None = None
    study: Study | None = None
    observe: Callable[[Problem], None] | None = None
    history: list[Evaluation] = field(default_factory=list)
    start_index: int = 0
    stencil: list[Evaluation] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    has_drawn: bool = False
    largest_batch: int = 0
    _known: dict[bytes, Evaluation] = field(default_factory=dict)
    _repeats: int = 0
    _lowest: float = np.inf

    def __post_init__(self) -> None:
        experiment = self.bound.experiment
        if experiment.objective is None:
            raise FitError("there is nothing to fit: the experiment has no objective")
        if not experiment.parameters:
            raise FitError("there is nothing to fit: the experiment has no free parameters")
        self.parameters = experiment.parameters
        self.names = list(experiment.parameters)
        self.fitter = experiment.fitter
        self.judge = Judge(experiment.objective)
        self.why_no_residuals = why_no_residuals(experiment.objective)
        self.started = time.monotonic()
        if self.study is not None:  # the budget is that of all runs
            self.started -= max((r["seconds"] for r in self.study.records()), default=0.0)
        self._protocols = protocols_read(self.judge.requests, experiment.protocols)

    @property
    def seed(self) -> int:
        """Seed of whatever draws."""
        self.has_drawn = True
        return self.bound.experiment.seed

    @property
    def n(self) -> int:
        """Number of free parameters."""
        return len(self.names)

    @property
    def best(self) -> Evaluation:
        """The evaluation with the smallest loss so far.

        Raises
        ------
        FitError
            If all failed.
        """
        good = [e for e in self.history if not e.failed]
        if not good:
            if not self.history:
                raise FitError("the budget was spent before the first evaluation was done")
            reasons = list(dict.fromkeys(e.reason for e in self.history))[:5]
            raise FitError(
                f"every one of {len(self.history)} evaluations failed: " + " | ".join(reasons)
            )
        return min(good, key=lambda e: e.loss)

    def values_at(self, point: Sequence[float] | np.ndarray) -> dict[str, float]:
        """Map a point of the unit cube to parameter values."""
        return {
            n: self.parameters[n].from_unit(float(x))
            for n, x in zip(self.names, point, strict=True)
        }

    def point_at(self, values: Mapping[str, float]) -> np.ndarray:
        """Map parameter values to a point of the unit cube."""
        return np.array([self.parameters[n].to_unit(values[n]) for n in self.names])

    # -- evaluating -------------------------------------------------------------------------

    @property
    def exact(self) -> bool:
        """Whether a point gives the same to the bit in any batch (not so in a variable step)."""
        return self.evaluator is not None or self.bound.scheme.is_fixed

    def evaluate(self, points: np.ndarray, *, together: bool = False) -> list[Evaluation]:
        """Evaluate a batch of points, shape (point, parameter); keep them in the history.

        A point that has been evaluated already is not evaluated again, unless all must be
        evaluated together, for their differences, and it matters in which batch a point is.

        Raises
        ------
        BudgetSpent
            Before anything is evaluated when the budget is spent; after as many as it allowed
            when the batch is larger than what is left.
        """
        interrupts.raise_lost()
        points = np.clip(np.atleast_2d(np.asarray(points, float)), 0.0, 1.0)
        known = {} if together and not self.exact else self._known
        new = list({p.tobytes(): p for p in points if p.tobytes() not in known}.values())
        self._repeats = 0 if new else self._repeats + 1
        if self._repeats > _REPEATS:  # a fitter that asks for nothing new would never end
            raise BudgetSpent
        done = self._evaluate_new(np.array(new), together and not self.exact) if new else []
        failed = next((e for e in done if e.failed), None)
        if failed is not None and self.fitter.on_failure == "raise":
            where = ", ".join(f"{n}={v:.6g}" for n, v in failed.values.items())
            raise FitError(f"an evaluation failed at {where}: {failed.reason}")
        if len(done) < len(new):
            raise BudgetSpent
        return [self._known[p.tobytes()] for p in points]

    def _evaluate_new(self, points: np.ndarray, whole: bool) -> list[Evaluation]:
        allowed = self._left()
        if whole and self.history and allowed < len(points):
            raise BudgetSpent(f"{allowed} left, and the next {len(points)} belong together")
        points = points[:allowed]
        key = content_key(points.tobytes())
        stored = self._recalled(key, points, whole)
        missing = [i for i, record in enumerate(stored) if record is None]
        if missing:
            self.be_in_time()
        self.largest_batch = max(self.largest_batch, len(missing))
        rows = [self.values_at(points[i]) for i in missing]
        judged = self._judge_all(rows) if rows else []
        now = time.monotonic() - self.started
        made = {
            i: Evaluation(points[i], row, loss, residuals, metrics, why, now, self.start_index)
            for i, row, (loss, residuals, metrics, why) in zip(missing, rows, judged, strict=True)
        }
        done = [
            made[i] if record is None else Evaluation.from_record(record)
            for i, record in enumerate(stored)
        ]
        self._tell(done)
        self.history += done
        self._known |= {e.point.tobytes(): e for e in done}
        if made and self.study is not None and not self.fitter.keeps_its_trials:
            with interrupts.deferred():
                self.study.record([e.to_record(key, i) for i, e in made.items()])
        if self.observe is not None:
            self.observe(self)
        return done

    def _recalled(
        self, key: str, points: np.ndarray, whole: bool
    ) -> Sequence[EvaluationRecord | None]:
        """Return the study's record of each point; of a batch that is one, of all or none."""
        if self.study is None or self.fitter.keeps_its_trials:
            return [None] * len(points)
        if whole:
            return self.study.recall(key, len(points)) or [None] * len(points)
        return [self.study.recall_point(p.tolist()) for p in points]

    def _tell(self, done: Sequence[Evaluation]) -> None:
        """Log what is better than all before, and what failed."""
        for number, e in enumerate(done, len(self.history) + 1):
            if e.failed:
                log.info("evaluation %d failed: %s", number, e.reason)
            elif not e.loss >= self._lowest:
                self._lowest = e.loss
                values = ", ".join(f"{n} = {v:.6g}" for n, v in e.values.items())
                log.info("evaluation %d: loss %.6g, the best so far, at %s", number, e.loss, values)

    def restore(self, records: Sequence[EvaluationRecord]) -> None:
        """Take the evaluations of a study as the history so far."""
        self.history = [Evaluation.from_record(record) for record in records]
        self._known = {e.point.tobytes(): e for e in self.history}

    def known_at(self, point: np.ndarray) -> Evaluation | None:
        """Return the evaluation of a point, if there has been one."""
        return self._known.get(np.clip(point, 0.0, 1.0).tobytes())

    def be_in_time(self) -> None:
        """Raise BudgetSpent if the seconds of the budget are."""
        seconds = self.fitter.budget.seconds
        if seconds is not None and time.monotonic() - self.started >= seconds:
            raise BudgetSpent

    def _left(self) -> int:
        budget = self.fitter.budget
        left = np.inf if budget.evaluations is None else budget.evaluations - len(self.history)
        if left <= 0:
            raise BudgetSpent
        return int(min(left, 10**9))

    def _judge_all(
        self, rows: Sequence[Mapping[str, float]]
    ) -> list[tuple[float, np.ndarray | None, dict[str, np.ndarray], str]]:
        values = np.array([[row[n] for n in self.names] for row in rows])
        candidates = Candidates(tuple(self.names), values)
        judged = []
        for measured in (self.evaluator or self._simulate)(candidates):
            try:
                loss, residuals = self.judge(measured)
                metrics = {n: m.value for n, m in measured.items()}
                judged.append((loss, residuals, metrics, ""))
            except MetricError as error:
                judged.append((np.nan, None, {}, str(error)))
        return judged

    def _simulate(self, candidates: Candidates) -> list[dict[str, Measurement]]:
        if self.pool is not None:
            return self.pool.evaluate(candidates, self._protocols, self.judge.requests)
        return evaluate(self.bound, candidates, self._protocols, self.judge.requests)

    # -- what a fitter sees -----------------------------------------------------------------

    def losses(self, points: np.ndarray) -> np.ndarray:
        """Return the losses of a batch, shape (point,); the spec's penalty where one failed."""
        return np.array([self.seen(e) for e in self.evaluate(points)])

    def seen(self, evaluation: Evaluation) -> float:
        """Return the loss, or the penalty that stands for a failed evaluation."""
        return float(self.fitter.penalty) if evaluation.failed else evaluation.loss

    def residuals_of(self, evaluation: Evaluation) -> np.ndarray:
        """Return the residuals; of a failed evaluation, ones whose squares give the penalty."""
        if evaluation.residuals is not None:
            return evaluation.residuals
        m = self.judge.n_residuals
        return np.full(m, np.sqrt(self.fitter.penalty / m))

    def judged_at(
        self, points: np.ndarray, scales: Mapping[str, float] | None = None
    ) -> list[tuple[np.ndarray, np.ndarray]] | None:
        """Return residuals and misses beside history and budget; None if any point failed.

        Misses are (achieved − target) / sd, without weight or loss. Free scales are held at
        ``scales``, or are at the best values of each point.
        """
        judged = self._judge_all([self.values_at(p) for p in points])
        found = []
        for _, residuals, metrics, _ in judged:
            if residuals is None:
                return None
            held = self.judge.scales(metrics) if scales is None else scales
            if held:
                residuals = self.judge.residuals(metrics, held)
            found.append((residuals, self.judge.misses_with(metrics, held)))
        return found
