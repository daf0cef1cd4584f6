"""Known parameters to be found again: seeded truths, their exact targets, and the fits."""

from __future__ import annotations

import numpy as np

import stpspec
from stpspec.analytic import event_map
from stpspec.results.fit_result import FitResult

BOUNDS = {"U": (0.05, 0.9), "tau_rec": (20.0, 1000.0), "tau_facil": (5.0, 1000.0)}
TRAINS = {"fast": (50.0, 250.0), "slow": (20.0, 1000.0)}  # Hz, ms


def truths(n: int = 20) -> list[dict[str, float]]:
    """Return n truths, uniform in the inner 90 % of the bounds."""
    points = np.random.default_rng(2026).uniform(0.05, 0.95, (n, len(BOUNDS)))
    low, high = np.array(list(BOUNDS.values())).T
    return [dict(zip(BOUNDS, (low + p * (high - low)).tolist(), strict=True)) for p in points]


def targets(truth: dict[str, float]) -> dict[str, float]:
    """Return the six targets of a truth, from the closed form."""
    found = {}
    for name, (frequency, gap) in TRAINS.items():
        interval = 1000 / frequency
        times = np.arange(8) * interval
        times = np.concatenate([times, times[-1] + gap + np.arange(4) * interval])
        a = np.ravel(event_map(truth["U"], truth["tau_rec"], truth["tau_facil"], times))
        found[f"paired_pulse_ratio_{name}"] = a[1] / a[0]
        found[f"induction_{name}"] = (a[5:8].mean() - a[0]) / a.max()
        found[f"recovery_{name}"] = (a[8:].mean() - a[:4].mean()) / a.max()
    return {k: float(v) for k, v in found.items()}


def problem(truth: dict[str, float], *overrides: str) -> stpspec.Experiment:
    """Return the experiment that asks for the targets of a truth."""
    # The patch is at rest from the start: it needs no time to settle.
    experiment = stpspec.load(
        "known_parameters", ["numerics.settle=20", "numerics.dt=0.05", *overrides]
    )
    data = experiment.to_data()
    for name, value in targets(truth).items():
        data["objective"]["terms"][name]["target"] = value
    return stpspec.Experiment.from_data(data)


def worst_error(result: FitResult, truth: dict[str, float]) -> float:
    """Return the largest relative error of a parameter."""
    return max(abs(result.parameters[k] / v - 1) for k, v in truth.items())


MIDDLE = ("fitter.start=middle", "fitter.n_starts=1")
SEARCHES = {
    "least_squares, 4 Sobol starts": (),
    "least_squares, middle start": MIDDLE,
    "slsqp, 4 Sobol starts": ("fitter=slsqp",),
    "slsqp, middle start": ("fitter=slsqp", *MIDDLE),
    "tpe, 400 evaluations": ("fitter=tpe", *MIDDLE, "fitter.budget.evaluations=400"),
}


def main() -> None:
    """Print for every search how many truths it finds again, and where it fails."""
    for name, overrides in SEARCHES.items():
        results = [stpspec.fit(problem(truth, *overrides)) for truth in truths()]
        errors = [worst_error(r, t) for r, t in zip(results, truths(), strict=True)]
        ratios = [r.loss / r.loss_start for r in results]
        good = [x < 0.01 for x in (ratios if name.startswith("tpe") else errors)]
        print(f"{name}: {sum(good)} of {len(good)}, median {np.median(errors):.1e} off, "
              f"{np.median([r.n_evaluations for r in results]):.0f} simulations")  # fmt: skip
        for k, (result, truth) in enumerate(zip(results, truths(), strict=True)):
            if not good[k]:
                print(f"  truth {k}: {truth} → {result.parameters}, loss {result.loss:.2g}")


if __name__ == "__main__":
    main()
