"""Problems with known optima, and the contract of fitters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from stpspec.engine.binding.bound import Bound
from stpspec.engine.candidates import Candidates
from stpspec.engine.mechanisms.description import Mechanism
from stpspec.errors import Failure
from stpspec.fitters.evaluation import BudgetSpent, Evaluation
from stpspec.fitters.outcome import Outcome, search
from stpspec.fitters.problem import Evaluator, Problem
from stpspec.metrics.measure import Measurement
from stpspec.registry import FITTERS
from stpspec.specs.experiment import Experiment
from stpspec.specs.fitter import FitterSpec

Residuals = Sequence[float] | str  # or the reason of a failure
Function = Callable[[np.ndarray], Residuals]  # of a point of the unit cube


def _parabola(x: np.ndarray) -> Residuals:
    return [x[0] - 0.3, 2 * (x[1] - 0.6)]


def _rosenbrock(x: np.ndarray) -> Residuals:
    a, b = 4 * x[0] - 2, 4 * x[1] - 1.5
    return [10 * (b - a**2), 1 - a]


def _coupling_curve(x: np.ndarray) -> Residuals:
    g = 10 ** (4 * x[0] - 2)
    return [50 * (g / (g + 10.0) - 0.05), 0.1 * (x[1] - 0.5)]


def _staircase(x: np.ndarray) -> Residuals:
    return [np.round(20 * (x[0] - 0.3)) / 20, np.round(20 * (x[1] - 0.6)) / 20]


def _noise(x: np.ndarray) -> Residuals:
    wiggle = 1e-3 * np.sin(1e4 * x)
    return [x[0] - 0.3 + wiggle[0], x[1] - 0.6 + wiggle[1]]


def _nan_region(x: np.ndarray) -> Residuals:
    return "the mechanism divides by zero" if x[0] > 0.7 else _parabola(x)


def _at_bound(x: np.ndarray) -> Residuals:
    return [x[0] + 0.5, x[1] - 0.6]


PROBLEMS: dict[str, tuple[Function, float]] = {
    # name → (residuals, smallest possible loss)
    "parabola": (_parabola, 0.0),
    "rosenbrock": (_rosenbrock, 0.0),
    "coupling_curve": (_coupling_curve, 0.0),
    "staircase": (_staircase, 0.0),
    "noise": (_noise, 0.0),
    "nan_region": (_nan_region, 0.0),
    "at_bound": (_at_bound, 0.25),
}


class Watched(Problem):
    """A problem that remembers what a fitter asked for.

    Attributes
    ----------
    asked : list of ndarray, shape (point, parameter)
        The batches, as they were asked for: the problem itself moves points to the bounds.
    spent, interrupted : bool
        Whether the fitter was told that its budget is spent, or Ctrl-C was pressed.
    """

    def __init__(self, bound: Bound, evaluator: Evaluator):
        super().__init__(bound, evaluator)
        self.asked: list[np.ndarray] = []
        self.spent = self.interrupted = False

    def evaluate(self, points: np.ndarray, *, together: bool = False) -> list[Evaluation]:
        """Evaluate a batch of points, and remember it."""
        self.asked.append(np.atleast_2d(np.array(points, float)))
        try:
            return super().evaluate(points, together=together)
        except BudgetSpent:
            self.spent = True
            raise
        except KeyboardInterrupt:
            self.interrupted = True
            raise


def problem(
    fitter: FitterSpec,
    name: str,
    *,
    seed: int = 0,
    parameters: int = 2,
    interrupt: int | None = None,
) -> Watched:
    """Return one of :data:`PROBLEMS` for a fitter, without NEURON.

    Parameters
    ----------
    fitter : FitterSpec
    name : str
    seed : int
    parameters : int
        1 or 2; with 1 the second coordinate stands at its optimum.
    interrupt : int, optional
        The batch in which Ctrl-C is pressed.
    """
    function, _ = PROBLEMS[name]
    names = ["x", "y"][:parameters]
    term = {"metric": "amplitude", "protocol": "single", "target": 0.0}
    experiment = Experiment.from_data(
        {
            "name": name,
            "model": {"cell": {"file": "patch.py", "template": "Patch"}, "mechanism": "None"},
            "protocols": {"single": {"kind": "single_event"}},
            "parameters": {n: {"min": 0, "max": 1} for n in names},
            "objective": {"terms": {"r0": term, "r1": term}},
            "fitter": fitter.model_dump(),
            "seed": seed,
        }
    )

    batches = 0

    def evaluate(candidates: Candidates) -> list[dict[str, Measurement]]:
        nonlocal batches
        batches += 1
        if batches == interrupt:
            raise KeyboardInterrupt
        points = candidates.values
        if parameters == 1:
            optimum = {"rosenbrock": 0.625, "coupling_curve": 0.5}.get(name, 0.6)
            points = np.column_stack([points, np.full(len(points), optimum)])
        return [_measured(function(point)) for point in points]

    mechanism = Mechanism("None", {}, frozenset(), frozenset(), frozenset(), {}, {})
    bound = Bound(experiment, mechanism, dict.fromkeys(names, "1"), {}, ())
    return Watched(bound, evaluate)


def _measured(result: Residuals) -> dict[str, Measurement]:
    if isinstance(result, str):
        return {
            n: Measurement(np.array(np.nan), "1", Failure("simulation", result))
            for n in ("r0", "r1")
        }
    return {f"r{i}": Measurement(np.array(float(r)), "1") for i, r in enumerate(result)}


class FitterContract:
    """A fitter keeps its budget, is repeatable, survives failures, and finds what it claims.

    Attributes
    ----------
    fitter : FitterSpec
    parameters : int
        2, or 1 for a fitter of one parameter.
    solves : dict of str to float
        Problems whose smallest loss it must reach, and how near.
    """

    fitter: ClassVar[FitterSpec]
    parameters: ClassVar[int] = 2
    solves: ClassVar[dict[str, float]] = {"parabola": 1e-3}

    def fitted(self, name: str, **changes: object) -> tuple[Watched, Outcome]:
        """Run the fitter on a problem."""
        fitter = self.fitter.copy_with(**changes)
        made = problem(fitter, name, parameters=self.parameters)
        return made, search(made)

    def test_it_is_registered_under_its_kind(self) -> None:
        """YAML finds it."""
        assert FITTERS.get(self.fitter.kind) is type(self.fitter)

    def test_it_ends_on_every_problem_with_a_reason_and_no_worse_than_it_began(self) -> None:
        """Whatever the loss does: steps, noise, regions that fail."""
        for name in PROBLEMS:
            made, outcome = self.fitted(name)
            first = next(e.loss for e in made.history if not e.failed)
            assert made.best.loss <= first, name
            assert outcome.status in ("converged", "budget", "finished", "stopped"), name
            assert outcome.message, name

    def test_it_reaches_the_optimum_of_the_problems_that_it_claims_to_solve(self) -> None:
        """How near is said in ``solves``."""
        for name, near in self.solves.items():
            made, _ = self.fitted(name)
            assert made.best.loss - PROBLEMS[name][1] <= near, name

    def test_it_keeps_to_its_budget_of_evaluations(self) -> None:
        """To the evaluation."""
        made, outcome = self.fitted("rosenbrock", budget={"evaluations": 7})
        assert len(made.history) <= 7
        assert outcome.status == "budget" or not made.spent

    def test_ctrl_c_ends_it_and_keeps_what_it_had_found(self) -> None:
        """An hour of simulations is not thrown away, and nobody has to press twice."""
        made = problem(self.fitter, "rosenbrock", parameters=self.parameters, interrupt=2)
        outcome = search(made)
        assert made.history
        assert outcome.status == "interrupted" or not made.interrupted

    def test_it_stays_within_the_bounds(self) -> None:
        """Every point it asks for is in the unit cube."""
        made, _ = self.fitted("at_bound")
        points = np.concatenate(made.asked)
        assert ((points >= -1e-9) & (points <= 1 + 1e-9)).all()

    def test_the_same_seed_gives_the_same_history(self) -> None:
        """To the bit."""
        first, again = (self.fitted("rosenbrock")[0] for _ in range(2))
        assert [e.values for e in first.history] == [e.values for e in again.history]
        assert [e.loss for e in first.history] == [e.loss for e in again.history]

    def test_a_failed_evaluation_is_kept_with_its_reason_and_without_a_number(self) -> None:
        """Failure is never a number in disguise."""
        made, _ = self.fitted("nan_region", start="random", n_starts=8)
        for evaluation in made.history:
            assert evaluation.failed == bool(np.isnan(evaluation.loss))
            assert evaluation.failed == (evaluation.point[0] > 0.7)
