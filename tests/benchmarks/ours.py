"""What of stpspec is timed, on the reference problem."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import problem

from stpspec.engine.binding.bind import bind
from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.numerics import for_search
from stpspec.engine.simulate import evaluate, simulate
from stpspec.fitters.outcome import search as run_search
from stpspec.fitters.problem import Problem
from stpspec.metrics.judge import Judge
from stpspec.metrics.measure import measure_candidates
from stpspec.metrics.requests import Request
from stpspec.specs.experiment import Experiment

PROTOCOLS = ["single", "train"]
HERE = Path(__file__).resolve().parent


def experiment(targets: Mapping[str, float], start: str = "auto", **numerics: Any) -> Experiment:
    """Return the reference problem."""
    fitter = {"kind": "least_squares", "start": start}
    return Experiment.from_data(problem.data(targets, **numerics) | {"fitter": fitter})


def search(made: Experiment) -> Problem:
    """Search as :func:`stpspec.fit` does, without what comes after it."""
    searched = Problem(for_search(bind(made)))
    run_search(searched)
    return searched


def throughput(made: Experiment, n: int) -> None:
    """Simulate and measure n candidates as a search does, the rigs included."""
    assert made.objective is not None
    requests = Judge(made.objective).requests
    evaluate(for_search(bind(made)), problem.drawn(n), PROTOCOLS, requests)


def one(bound: Bound) -> None:
    """Simulate one candidate; it has no free parameters, so that it settles every time."""
    simulate(bound, {name: [value] for name, value in problem.TRUTH.items()})


def without_parameters(targets: Mapping[str, float]) -> Experiment:
    """Return the reference problem with nothing to fit."""
    data = problem.data(targets, integrator="fixed") | {"parameters": {}}
    return Experiment.from_data(data | {"objective": None})


def amplitudes(made: Experiment, n: int = 2) -> list[float]:
    """Return all amplitudes of n candidates, simulated as a search does."""
    tree = simulate(for_search(bind(made)), problem.drawn(n, seed=1))
    asked = [Request(p, "amplitudes", p, {"baseline": "pre_train"}) for p in PROTOCOLS]
    return [
        float(a) for m in measure_candidates(tree, asked) for p in PROTOCOLS for a in m[p].value
    ]


def response(made: Experiment) -> Experiment:
    """Return the train alone, of which the frequency response is asked."""
    data = made.to_data()
    data["protocols"].pop("single")
    data["objective"] = None
    return Experiment.from_data(data)


def with_pulses(made: Experiment, n: int) -> Experiment:
    """Return the reference problem with another number of induction pulses."""
    return made.changed({"protocols.train.n_induction": n})


def with_compartments(made: Experiment, n: int) -> Experiment:
    """Return the reference problem on a cell of any number of compartments."""
    data = made.to_data()
    data["model"]["cell"] = {
        "file": str(HERE / "cable.py"), "template": "Cable", "arguments": {"compartments": n}
    }  # fmt: skip
    return Experiment.from_data(data)
