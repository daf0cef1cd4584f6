"""Hard cases of every figure: many panels and rows, long names, close pulses, failures, NaN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import xarray as xr

from stpspec.campaigns.record import ConnectionState
from stpspec.dataset import protocol_dataset
from stpspec.results.multirun import Job
from stpspec.specs.figures import Figures
from stpspec.specs.objective import Objective
from stpspec.specs.parameters import Parameter
from stpspec.specs.protocol import FREQUENCIES, Train
from stpspec.view.amplitudes import plot_amplitudes
from stpspec.view.campaign_figure import plot_campaign
from stpspec.view.multirun import plot_jobs
from stpspec.view.path import plot_path
from stpspec.view.sweep import plot_sweep
from stpspec.view.targets import plot_targets
from stpspec.view.traces import plot_traces

LONG = "induction_of_the_depressing_train_at_fifty_hertz_and_room_temperature"
STEP = {"amplitude": -0.01, "start": 500.0, "stop": 1000.0, "cell": 1}


def tree_of(
    spikes: Any = (), *, decay: float = 2.0, sign: int = -1, trials: int = 1, step: Any = None,
    failure: str = "", tail: float = 100.0, name: str = "p",
    more: Mapping[str, float] | None = None,
) -> Any:  # fmt: skip
    """Return a tree with one protocol: alpha-like responses, or two steps with CC 0.015.

    ``more`` are further signals, as multiples of the first.
    """
    onset, delay = 500.0, 1.3
    spikes = onset + np.array(spikes, float)
    stop = (spikes[-1] if spikes.size else 1000.0) + tail
    t = np.arange(400.0, stop, 0.1)
    y = np.zeros_like(t)
    for k, s in enumerate(spikes):
        x = np.clip(t - s - delay, 0, None)
        y += sign * 35 * 0.7 ** min(k, 8) * (np.exp(-x / decay) - np.exp(-x / 0.2))
    signals = {"synaptic_current": y} | {n: factor * y for n, factor in (more or {}).items()}
    if step:
        charge = np.where((t > onset) & (t < 1000), 1 - np.exp(-(t - onset) / 10), 0)
        signals = {"somatic_voltage_1": -70 - charge, "somatic_voltage_2": -70 - 0.015 * charge}
    if failure:
        signals = {n: np.full_like(v, np.nan) for n, v in signals.items()}
    stimulus = {
        "onset": onset, "delay": delay, "spikes": list(spikes), "step": step,
        "n_induction": 8 if len(spikes) == 12 else None, "default_signal": "synaptic_current",
    }  # fmt: skip
    data = {n: np.tile(v, (1, trials, 1)) for n, v in signals.items()}
    root = xr.Dataset({"failure": ("candidate", np.array([failure], dtype=object))})
    return xr.DataTree.from_dict({"/": root, f"/{name}": protocol_dataset(t, data, {}, stimulus)})


def train(frequency: float = 50.0, delay: float = 250.0, n: int = 8, n_recovery: int = 4) -> Any:
    """Return the spikes of a train, ms after the onset."""
    interval = 1000 / frequency
    first = [k * interval for k in range(n)]
    return first + [first[-1] + delay + k * interval for k in range(n_recovery)]


def experiment_of(terms: Mapping[str, Any], **changes: Any) -> Any:
    """Return what figures read of an experiment."""
    protocols = {term["protocol"]: Train() for term in terms.values()}
    made = {"figures": Figures(), "parameters": {}, "name": "made up", "protocols": protocols,
            "objective": Objective.model_validate({"terms": dict(terms)})}  # fmt: skip
    return SimpleNamespace(**{**made, **changes})


def amplitudes_result(frequencies: Any = FREQUENCIES, *, sd: Any = 0.08, n: Any = None) -> Any:
    """Return a fit of the amplitudes of a train at each frequency, of 8 + 4 pulses."""
    children, terms, metrics = {}, {}, {}
    for f in frequencies:
        name = f"f{f:g}"
        tree = tree_of(train(f), name=name)
        children[f"/{name}"] = tree[name].to_dataset()
        data = 0.3 + 0.7 * np.exp(-np.arange(12) * f / 60)
        data[8:] = data[:4] * 0.8
        terms[f"a{f:g}"] = {"metric": "amplitudes", "protocol": name, "target": data.tolist(),
                            "sd": sd, "n": n, "options": {"normalizer": "first"}}  # fmt: skip
        metrics[f"a{f:g}"] = data + 0.03 * np.sin(np.arange(12))
    root = xr.Dataset({"failure": ("candidate", np.array([""], dtype=object))})
    return SimpleNamespace(
        experiment=experiment_of(terms),
        metrics=metrics,
        metric_units=dict.fromkeys(metrics, "1"),
        traces=xr.DataTree.from_dict({"/": root, **children}),
    )


def swept_of(n: int = 16, *, flat: bool = False, missing: bool = False, long: bool = False) -> Any:
    """Return a sweep over frequencies; ``flat`` where nothing changes, or nothing has a value."""
    x = np.array(FREQUENCIES[:n], float)
    values = np.full(n, 0.63) if flat else 1.2 - 0.3 * np.log10(x)
    term = LONG if long else "ppr"
    of = {"protocol": "train"}
    data = {
        term: ("frequency", values, {**of, "units": "1", "metric": "paired_pulse_ratio",
                                     "target": 0.7, "target_sd": 0.08}),
        "train.induction": ("frequency", values - 1, {**of, "units": "1", "metric": "induction"}),
        "train.recovery": ("frequency", np.full(n, np.nan if missing else -0.33),
                           {**of, "units": "1", "metric": "recovery"}),
        "rise": ("frequency", np.full(n, 0.61), {**of, "units": "ms", "metric": "rise_time"}),
        "reason": ("frequency", np.array(["train.recovery: a1 is 0" if missing else ""] * n,
                                         dtype=object)),
    }  # fmt: skip
    attrs = {"long_name": "protocols.train.frequency", "units": "Hz", "own": 50.0}
    return xr.Dataset(data, {"frequency": ("frequency", x, attrs)})


def connections_of(n: int = 40, *, failed: int = 3, long: bool = True) -> list[ConnectionState]:
    """Return the connections of a campaign; the first ones failed and have targets alone."""
    made = []
    for k in range(n):
        label = f"L{k % 6 + 1} {'a pyramidal cell of the deep layers, ' * long}no. {k}→pvalb"
        asked = {
            "amplitude": ("amplitude", 20.0 + k, 3.0, "pA"),
            "ppr": ("paired_pulse_ratio", 0.5 + 0.02 * k, 0.1, "1"),
            "recovery": ("recovery", -0.3 + 0.01 * k, 0.05, "1"),
            "paired_pulse_ratio_at_20_hertz": ("paired_pulse_ratio", 1.0, None, "1"),
        }
        terms = {
            name: {"metric": metric, "protocol": "train", "target": target, "sd": sd, "n": None}
            for name, (metric, target, sd, _) in asked.items()
        }
        spec = {"objective": {"terms": terms}}
        if k < failed:
            reason = "FitError: every evaluation failed"
            made.append(ConnectionState(label, f"c{k}", "failed", reason, spec=spec))
            continue
        metrics: Any = {
            name: {"achieved": target * (0.97 + 0.002 * k), "target": target, "unit": unit}
            | ({"sd": sd} if sd else {})
            for name, (_, target, sd, unit) in asked.items()
        }
        metrics["amplitudes"] = {"achieved": [1.0, 0.6], "target": [1.0, 0.5], "unit": "1"} | (
            {"sd": 0.1} if k % 7 else {}
        )
        made.append(ConnectionState(label, f"c{k}", "done", "", {"metrics": metrics}, spec))
    return made


def jobs_of(*, equal: bool = True) -> list[Job]:
    """Return the jobs of a multirun: two fitters and three seeds, of which one draws nothing."""
    made = []
    for k, (fitter, seed) in enumerate((f, s) for f in ("slsqp", "tpe") for s in (1, 2, 3)):
        draw = np.random.default_rng(0 if fitter == "slsqp" and equal else seed)
        losses = np.minimum.accumulate(10 ** draw.uniform(-3, 2, 40))
        losses *= 1 + 3e-7 * seed  # what a process has simulated before shows in the last digits
        overrides = {"fitter": fitter, "seed": str(seed)}
        seconds = np.linspace(0.1, 2 + 0.3 * k, 40)
        made.append(Job(str(k), overrides, "done", "", {"name": "a"}, losses, seconds))
    return made


def history_of(n: int = 300, failed: float = 0.05, names: Any = ("U", "tau_rec")) -> Any:
    """Return the history of a fit from three starts, some of its evaluations failed."""
    rng = np.random.default_rng(0)
    units = {"U": "1", "weight": "uS"}
    data: dict[str, Any] = {
        f"parameter_{name}": ("evaluation", rng.uniform(5, 50, n), {"units": units.get(name, "ms")})
        for name in names
    }
    reason = np.where(rng.random(n) < failed, "ppr: no response", "").astype(object)
    loss = np.where(reason == "", 10 ** rng.uniform(-3, 2, n), np.nan)
    data |= {"loss": ("evaluation", loss), "reason": ("evaluation", reason)}
    data["start"] = ("evaluation", np.arange(n) * 3 // n)
    return xr.Dataset(data, {"evaluation": np.arange(1, n + 1)})


def parameters_of(*names: str) -> dict[str, Parameter]:
    """Return parameters of the history, those that are time constants on a logarithmic scale."""
    return {n: Parameter(min=4, max=60, scale="log" if "tau" in n else "linear") for n in names}


def recorded_result() -> Any:
    """Return a tree, and an experiment with a recorded trace of two windows as a target."""
    tree = tree_of(train(20, n=3, n_recovery=0))
    t = np.concatenate([np.arange(-5, 20.1, 0.5), np.arange(48, 70.1, 0.5)])
    node = tree["p"].to_dataset()
    values = np.interp(t, node["time"].values - 500, node["synaptic_current"].values[0, 0])
    noisy = values + np.random.default_rng(0).normal(0, 0.8, t.size)
    options = {"windows": [[-5, 20], [48, 70]], "interval": 0.5}
    term = {"metric": "trace", "protocol": "p", "target": noisy.tolist(), "sd": 1.0,
            "options": options}  # fmt: skip
    return tree, experiment_of({"recorded": term})


_TWENTY = tuple(f"tau_of_component_{k}" for k in range(20))
_PARTS = {"clamp_current": 1.0, "conductance": 0.02, "release_probability": 0.01}


def _recorded() -> Any:
    tree, experiment = recorded_result()
    return plot_traces(tree, "p", experiment=experiment)


CASES: dict[str, Callable[[], Any]] = {
    "traces, 12 pulses at 100 Hz": lambda: plot_traces(tree_of(train(100)), "p"),
    "traces, 12 pulses at 200 Hz, 4 s delay, outward": lambda: plot_traces(
        tree_of(train(200, 4000), sign=1), "p"),
    "traces, 16 pulses at 200 Hz, slow": lambda: plot_traces(
        tree_of(train(200, n=16, n_recovery=0), decay=20), "p"),
    "traces, 100 pulses": lambda: plot_traces(tree_of(train(n=100, n_recovery=0)), "p"),
    "traces, four signals": lambda: plot_traces(tree_of(train(), more=_PARTS), "p"),
    "traces, scale bars": lambda: plot_traces(
        tree_of(train(), more={"clamp_current": 1.0}), "p", scale_bars=True),
    "traces, failed": lambda: plot_traces(tree_of([0.0], failure="NEURON stopped: $x_1$"), "p"),
    "traces, recorded": _recorded,
    "traces, gap": lambda: plot_traces(tree_of(step=STEP), "p"),
    "traces, gap, scale bars": lambda: plot_traces(tree_of(step=STEP), "p", scale_bars=True),
    "amplitudes, 16 frequencies": lambda: plot_amplitudes(amplitudes_result()),
    "amplitudes, one": lambda: plot_amplitudes(amplitudes_result([50], n=12)),
    "amplitudes, three": lambda: plot_amplitudes(amplitudes_result([5, 20, 70], n=[12] * 12)),
    "sweep": lambda: plot_sweep(swept_of()),
    "sweep, flat": lambda: plot_sweep(swept_of(flat=True)),
    "sweep, missing, long names": lambda: plot_sweep(swept_of(missing=True, long=True)),
    "sweep, all missing": lambda: plot_sweep(swept_of(missing=True), ["train.recovery"]),
    "sweep, two values": lambda: plot_sweep(swept_of(2)),
    "campaign, 40 rows": lambda: plot_campaign(connections_of()),
    "campaign, one row": lambda: plot_campaign(connections_of(1, failed=0, long=False)),
    "campaign, one failed row": lambda: plot_campaign(connections_of(1, failed=1)),
    "campaign, 12 rows": lambda: plot_campaign(connections_of(12, long=False)),
    "jobs": lambda: plot_jobs(jobs_of()),
    "path, 20 parameters": lambda: plot_path(history_of(names=_TWENTY), parameters_of(*_TWENTY)),
    "path, 12 evaluations": lambda: plot_path(history_of(12, 0.0), parameters_of("U", "tau_rec")),
    "path, all failed": lambda: plot_path(history_of(5, 1.0), parameters_of("U", "tau_rec")),
    "targets, 16 vectors": lambda: plot_targets(amplitudes_result()),
}  # fmt: skip


def main(folder: str) -> None:
    """Write every case as PNG, to be looked at: ``python tests/figure_cases.py FOLDER``."""
    from pathlib import Path

    from stpspec.view.save import write_figure

    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, plot in CASES.items():
        write_figure(plot, Path(folder) / name.replace(", ", "-").replace(" ", "_"), data=False)


if __name__ == "__main__":
    import sys

    main(sys.argv[1])
