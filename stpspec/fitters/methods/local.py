"""Local fitters from scipy: minimize, least squares, and a bounded search over one parameter."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from stpspec.fitters.differences import NOISE, Differences, Values
from stpspec.fitters.evaluation import FLOOR, AtNoise
from stpspec.fitters.outcome import Outcome, fitter
from stpspec.metrics.judge import why_no_residuals
from stpspec.specs.fitter import FitterSpec

if TYPE_CHECKING:
    from stpspec.fitters.problem import Problem
    from stpspec.fitters.starts import Searches

log = logging.getLogger("stpspec.fitters")


_WITH_GRADIENT = ("SLSQP", "L-BFGS-B", "TNC", "trust-constr")

# How each method calls its tolerances.
_TOLERANCES: dict[str, dict[str, float]] = {
    "SLSQP": {"ftol": 1.0},
    "L-BFGS-B": {"ftol": 1.0, "gtol": 1.0},
    "TNC": {"ftol": 1.0, "gtol": 1.0, "xtol": 1.0},
    "trust-constr": {"gtol": 1.0, "xtol": 1.0},
    "Nelder-Mead": {"fatol": 1.0, "xatol": 100.0},
    "Powell": {"ftol": 1.0, "xtol": 100.0},
    "COBYLA": {"tol": 100.0},
    "COBYQA": {"final_tr_radius": 100.0},
}


@fitter("minimize")
class Minimize(FitterSpec):
    """Any bounded method of ``scipy.optimize.minimize``; SLSQP by default."""

    kind: Literal["minimize"] = "minimize"
    method: Literal[
        "SLSQP", "L-BFGS-B", "TNC", "trust-constr", "Nelder-Mead", "Powell", "COBYLA", "COBYQA"
    ] = "SLSQP"
    tolerance: float = Field(
        default=1e-10, gt=0, description="of the loss, relative to that at the start"
    )
    step: float = Field(
        default=1e-6, gt=0, lt=0.1, description="of differences, in the unit interval"
    )
    options: dict[str, Any] = Field(default_factory=dict, description="of the scipy method")

    @property
    def takes_differences(self) -> bool:
        return self.method in _WITH_GRADIENT

    def idle_settings(self) -> list[str]:
        return [*super().idle_settings(), *([] if self.takes_differences else ["step"])]

    def minimize(self, problem: Problem) -> Outcome:
        from scipy.optimize import Bounds, minimize

        from stpspec.fitters.starts import from_every_start

        with_gradient = self.takes_differences
        differences = (Differences if with_gradient else Values)(
            problem, self.step, both_sides=not problem.judge.has_residuals
        )
        scales = _TOLERANCES[self.method]

        def local(x0: np.ndarray) -> Any:
            # The methods have absolute thresholds: they see a loss that is 1 at the start.
            first = differences.at(x0)
            scale = 1.0 if first.failed else max(first.loss, self.tolerance)
            options = {name: self._threshold(problem, scale) * s for name, s in scales.items()}
            if self.method == "SLSQP":
                options["maxiter"] = 1000
            gradient = {}
            if with_gradient:
                gradient = {"jac": lambda x: differences.gradient(x) / scale}
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                result = minimize(
                    lambda x: differences.loss(x) / scale, x0, method=self.method,
                    bounds=Bounds(0.0, 1.0), options=options | self.options, **gradient,
                )  # fmt: skip
            result.fun *= scale
            for warning in caught:  # scipy's words, kept for those who ask
                log.info("%s: %s", self.method, warning.message)
            return result

        return _outcome(from_every_start(problem, _until_noise(local), differences.at))

    def _threshold(self, problem: Problem, scale: float) -> float:
        """Return the change of a loss, relative to that at the start, below which a search ends."""
        if problem.exact:
            return self.tolerance
        noise = min(NOISE, FLOOR / scale) if problem.judge.has_residuals else NOISE
        return max(self.tolerance, noise)


@fitter("least_squares")
class LeastSquares(FitterSpec):
    """``scipy.optimize.least_squares`` (trust region reflective) on the residuals of the terms."""

    kind: Literal["least_squares"] = "least_squares"
    tolerance: float = Field(default=1e-10, gt=1e-15, description="ftol, xtol and gtol")
    step: float = Field(
        default=1e-6, gt=0, lt=0.1, description="of differences, in the unit interval"
    )

    @property
    def takes_differences(self) -> bool:
        return True

    def objections(self, parameters: Any, objective: Any) -> list[tuple[str, str, Any]]:
        why = why_no_residuals(objective)
        if not why:
            return []
        rule = f"least_squares needs residuals ({why}); use minimize or optuna"
        return [("fitter.kind", rule, self.kind)]

    def minimize(self, problem: Problem) -> Outcome:
        from scipy.optimize import least_squares

        from stpspec.fitters.starts import from_every_start

        differences = Differences(problem, self.step)
        tolerance = self.tolerance if problem.exact else max(self.tolerance, NOISE)

        def local(x0: np.ndarray) -> Any:
            jacobian: Any = differences.jacobian  # scipy's stubs know only its names
            return least_squares(
                differences.residuals, x0, jacobian, bounds=(0.0, 1.0),
                ftol=tolerance, xtol=tolerance, gtol=self.tolerance,
            )  # fmt: skip

        return _outcome(from_every_start(problem, _until_noise(local), differences.at))


@fitter("bounded")
class Bounded(FitterSpec):
    """Bounded search over one parameter (Brent's method, ``scipy.optimize.minimize_scalar``)."""

    kind: Literal["bounded"] = "bounded"
    tolerance: float = Field(
        default=1e-7, gt=0, description="of the parameter, in the unit interval"
    )

    def idle_settings(self) -> list[str]:
        # It searches between bounds; of several starts the best chooses which.
        return [*super().idle_settings(), *(["start"] if self.n_starts == 1 else [])]

    def objections(self, parameters: Any, objective: Any) -> list[tuple[str, str, Any]]:
        if len(parameters) == 1:
            return []
        rule = "bounded searches one parameter; use least_squares, minimize or optuna for more"
        return [("fitter.kind", rule, f"{len(parameters)} parameters: {', '.join(parameters)}")]

    def minimize(self, problem: Problem) -> Outcome:
        from scipy.optimize import minimize_scalar

        from stpspec.fitters.starts import Searches, usable_starts

        # Evaluated so that the loss at the start is known, too.
        usable = usable_starts(problem, Values(problem, 0.0).at)
        points = usable.points
        around = np.sort(points[:, 0])
        low, high = 0.0, 1.0
        if len(points) > 1:  # between the neighbors of the best start: the deepest of many valleys
            place = int(np.searchsorted(around, points[0, 0]))
            low = around[place - 1] if place > 0 else 0.0
            high = around[place + 1] if place + 1 < around.size else 1.0
        result = minimize_scalar(
            lambda x: float(problem.losses(np.array([[x]]))[0]),
            bounds=(low, high), method="bounded", options={"xatol": self.tolerance},
        )  # fmt: skip
        return _outcome(Searches([result], usable.remark))


def _until_noise(local: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], Any]:
    def search(x0: np.ndarray) -> Any:
        try:
            return local(x0)
        except AtNoise as reached:
            from scipy.optimize import OptimizeResult

            end = reached.evaluation
            return OptimizeResult(
                x=end.point, fun=end.loss, cost=end.loss / 2, success=True, message=str(reached)
            )

    return search


def _outcome(searches: Searches[Any]) -> Outcome:
    results = searches.results
    best = min(results, key=lambda r: float(getattr(r, "cost", None) or r.fun)
               if np.ndim(r.fun) == 0 else float(r.cost))  # fmt: skip
    message = str(best.message).strip()
    if len(results) > 1:
        ended = sum(bool(r.success) for r in results)
        message += f" (best of {len(results)} starts, {ended} of them converged)"
    status = "converged" if best.success else "stopped"
    return Outcome(status, message + searches.remark, searches.is_thorough)
