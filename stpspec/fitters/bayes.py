"""Optuna's samplers: TPE, random, quasi-Monte Carlo, CMA-ES. Ask n, evaluate, tell n."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from stpspec.fitters.base import Outcome, fitter, starts
from stpspec.fitters.problem import Problem
from stpspec.spec.fitter import Budget, FitterSpec


@fitter("optuna")
class Optuna(FitterSpec):
    """A study in Optuna; the starts are its first trials."""

    kind: Literal["optuna"] = "optuna"
    sampler: Literal["tpe", "random", "qmc", "cmaes"] = "tpe"
    batch: int = Field(
        default=8, ge=1, le=256, description="trials asked for and simulated together"
    )
    n_startup_trials: int = Field(
        default=10, ge=1, description="random trials before TPE or CMA-ES"
    )
    budget: Budget = Field(default_factory=lambda: Budget(evaluations=200))

    uses_whole_budget: ClassVar[bool] = True

    def objections(self, parameters: Any, objective: Any) -> list[tuple[str, str, Any]]:
        found: list[tuple[str, str, Any]] = []
        if self.sampler == "cmaes" and importlib.util.find_spec("cmaes") is None:
            rule = "CMA-ES needs the package cmaes: pip install 'stpspec[cmaes]'"
            found.append(("fitter.sampler", rule, self.sampler))
        if self.sampler == "cmaes" and len(parameters) == 1:
            rule = "CMA-ES needs at least two parameters; use bounded or tpe for one"
            found.append(("fitter.sampler", rule, self.sampler))
        if self.budget.evaluations is None and self.budget.seconds is None:
            rule = "a sampler never ends by itself: give budget.evaluations or budget.seconds"
            found.append(("fitter.budget", rule, None))
        return found

    def minimize(self, problem: Problem) -> Outcome:
        import optuna

        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                study = optuna.create_study(sampler=self._sampler(optuna, problem.seed))
                space = {
                    n: optuna.distributions.FloatDistribution(
                        float(p.min), float(p.max), log=p.scale == "log"
                    )
                    for n, p in problem.parameters.items()
                }
                for point in starts(problem):
                    study.enqueue_trial(problem.values_at(point))
                while True:  # the problem ends it when the budget is spent
                    self._step(optuna, study, space, problem)
        finally:
            optuna.logging.set_verbosity(level)

    def _step(self, optuna: Any, study: Any, space: dict[str, Any], problem: Problem) -> None:
        left = self.budget.evaluations
        n = self.batch if left is None else min(self.batch, max(left - len(problem.history), 1))
        trials = [study.ask(space) for _ in range(n)]
        points = np.array([problem.point_at(t.params) for t in trials])
        for trial, evaluation in zip(trials, problem.evaluate(points), strict=True):
            if evaluation.failed:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, evaluation.loss)

    def _sampler(self, optuna: Any, seed: int) -> Any:
        samplers = optuna.samplers
        if self.sampler == "tpe":
            return samplers.TPESampler(
                seed=seed, multivariate=True, constant_liar=True,
                n_startup_trials=self.n_startup_trials,
            )  # fmt: skip
        if self.sampler == "cmaes":
            return samplers.CmaEsSampler(seed=seed, n_startup_trials=self.n_startup_trials)
        if self.sampler == "qmc":
            return samplers.QMCSampler(seed=seed, qmc_type="sobol", scramble=True)
        return samplers.RandomSampler(seed=seed)
