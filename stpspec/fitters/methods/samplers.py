"""Optuna's samplers: TPE, random, quasi-Monte Carlo, CMA-ES. Ask n, evaluate, tell n."""

from __future__ import annotations

import importlib.util
import os
import warnings
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from stpspec.fitters import interrupts
from stpspec.fitters.evaluation import BudgetSpent
from stpspec.fitters.outcome import Outcome, fitter
from stpspec.specs.fitter import Budget, FitterSpec

if TYPE_CHECKING:
    from stpspec.fitters.problem import Problem
    from stpspec.studies.sampling import Sampling


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
    keeps_its_trials: ClassVar[bool] = True

    def idle_settings(self) -> list[str]:
        draws_alike = self.sampler in ("random", "qmc")  # from the first trial to the last
        return [*super().idle_settings(), *(["n_startup_trials"] if draws_alike else [])]

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

        from stpspec.fitters.starts import starts
        from stpspec.studies.sampling import Sampling

        asked = starts(problem)
        problem.remarks += [asked.remark.removeprefix("; ")] if asked.remark else []
        study, first = problem.study, [problem.values_at(point) for point in asked.points]
        is_first = study is None or study.enqueue_first(first)
        # What others have sampled already must not be sampled again with the same numbers.
        seed = problem.seed if is_first else int.from_bytes(os.urandom(4), "little")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampling = Sampling(
                self._sampler(optuna, seed), problem.parameters, study,
                carries=self.sampler == "cmaes",
            )  # fmt: skip
            if study is None:
                sampling.enqueue(first)
            elif not is_first:
                sampling.retry_dead()
                problem.restore(study.records())
            try:
                while True:  # the budget ends it
                    self._step(sampling, problem)
            finally:
                sampling.retry_dead()  # what an interrupt has left as running is ours
                records = [] if study is None else study.records()
                if study is not None and len(records) != len(problem.history):
                    problem.restore(records)  # with what other processes have added

    def _step(self, sampling: Sampling, problem: Problem) -> None:
        budget = self.budget.evaluations
        left = self.batch if budget is None else budget - len(problem.history)
        if left <= 0:
            raise BudgetSpent
        problem.be_in_time()
        asked = sampling.ask(min(self.batch, left), budget)
        if not asked and (sampling.retry_dead() or sampling.waits()):  # in the meantime
            return
        if not asked:
            raise BudgetSpent
        points = [problem.point_at(a.params) for a in asked]
        try:
            problem.evaluate(np.array(points))
        finally:  # an interrupt, or a failure that ends the fit, loses nothing that is simulated
            found = [(a, problem.known_at(p)) for a, p in zip(asked, points, strict=True)]
            with interrupts.deferred():
                sampling.tell([(a, e.to_record(f"trial {a.number}", 0)) for a, e in found if e])
                sampling.drop([a for a, e in found if e is None], "the fit ended before")

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
