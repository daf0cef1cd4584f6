"""What test modules share: golden synapses, experiments, analytic trees, fresh processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from stpspec.dataset import protocol_dataset
from stpspec.engine.binding.bind import bind
from stpspec.engine.simulate import simulate
from stpspec.metrics.measure import Measurement, measure_candidates
from stpspec.metrics.requests import Request
from stpspec.specs.experiment import Experiment

TESTS = Path(__file__).resolve().parent
MOD = TESTS / "mod"
GOLDEN = json.loads((TESTS / "golden" / "plasticity.json").read_text(encoding="utf-8"))
SYNAPSES = [(s["U"], s["D"], s["F"]) for s in GOLDEN["synapses"]]
KERNELS = [(0.2, 2.0), (0.5, 5.0), (1.0, 10.0)]  # ms, (rise, decay)
PATCH = {"file": "patch.py", "template": "Patch"}


def candidates(synapses: Any = None) -> dict[str, np.ndarray]:
    """Return (U, D, F) rows as the parameter columns that `simulate` takes."""
    columns = np.array(SYNAPSES if synapses is None else synapses, float).T
    return dict(zip(("U", "tau_rec", "tau_facil"), columns, strict=True))


def synapse(
    protocols: Mapping[str, Any],
    *,
    kernel: tuple[float, float] = (0.2, 2.0),
    mechanism: str = "TsodyksMarkram",
    fixed: Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    recording: Mapping[str, Any] | None = None,
    numerics: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Experiment:
    """Return an experiment: one of our synapses on a patch, clamped at −70 mV, e = 0 mV."""
    own = {"tau_rise": kernel[0], "tau_decay": kernel[1], "e": 0}
    signals = ["synaptic_current", "clamp_current", "conductance"]
    return Experiment.from_data(
        {
            "model": {
                "kind": "synapse",
                "cell": PATCH,
                "mechanism": mechanism,
                "fixed": own if fixed is None else dict(fixed),
                **(model or {}),
            },
            "recording": {"kind": "voltage_clamp", "signals": signals, **(recording or {})},
            "protocols": dict(protocols),
            "numerics": dict(numerics or {}),
            "parameters": dict(parameters or {}),
        }
    )


def gap(
    resistances: tuple[float, float],
    protocols: Mapping[str, Any] | None = None,
    *,
    mechanism: str = "GapJunction",
    mod: list[str] | None = None,
    numerics: Mapping[str, Any] | None = None,
) -> Experiment:
    """Return an experiment: two coupled patches, with steps into either."""
    steps = {"forth": {"kind": "gap_step"}, "back": {"kind": "gap_step", "cell": 2}}
    first, second = ({**PATCH, "arguments": {"resistance": r}} for r in resistances)
    return Experiment.from_data(
        {
            "model": {
                "kind": "gap_junction",
                "cell": first,
                "cell_2": second,
                "mechanism": mechanism,
                "mod": mod or [],
            },
            "recording": {"kind": "current_clamp", "signals": ["somatic_voltage"]},
            "protocols": dict(protocols or steps),
            "numerics": dict(numerics or {}),
        }
    )


def run(experiment: Experiment, values: Mapping[str, Any] | None = None, *protocols: str) -> Any:
    """Simulate candidates and see that none of them failed."""
    tree = simulate(bind(experiment), values, protocols or None)
    assert list(tree["failure"].values) == [""] * tree.sizes["candidate"]
    return tree


def measure(tree: Any, metric: str, protocol: str, **options: Any) -> list[Measurement]:
    """Return one metric of every candidate."""
    request = Request("value", metric, protocol, options)
    return [m["value"] for m in measure_candidates(tree, [request])]


def values_of(tree: Any, metric: str, protocol: str, **options: Any) -> np.ndarray:
    """Return the values of one metric, shape (candidate, …), and see that none is missing."""
    measured = measure(tree, metric, protocol, **options)
    assert [m.reason for m in measured] == [""] * len(measured)
    return np.stack([m.value for m in measured])


def tree_of(children: Mapping[str, Any], failures: list[str] | None = None) -> Any:
    """Return a DataTree of given protocol Datasets, as the engine would."""
    n = next(iter(children.values())).sizes["candidate"]
    root = xr.Dataset(
        {"failure": ("candidate", np.array(failures or [""] * n, dtype=object))},
        {"candidate": np.arange(n)},
    )
    return xr.DataTree.from_dict({"/": root, **{f"/{k}": v for k, v in children.items()}})


def dataset_of(
    time: np.ndarray,
    signal: np.ndarray,
    spikes: Any,
    *,
    delay: float = 1.3,
    n_induction: int | None = None,
    name: str = "synaptic_current",
    kind: str = "train",
) -> Any:
    """Return the Dataset of one protocol; signal of shape (time,), (candidate, time) or whole."""
    signal = np.asarray(signal, float)
    if signal.ndim == 1:
        signal = signal[None]
    if signal.ndim == 2:
        signal = signal[:, None]
    spikes = [float(s) for s in spikes]
    stimulus = {
        "kind": kind,
        "onset": spikes[0] if spikes else 500.0,
        "delay": delay,
        "spikes": spikes,
        "n_induction": n_induction,
        "default_signal": name,
        "step": None,
    }
    return protocol_dataset(time, {name: signal}, {}, stimulus)


def like(dataset: Any, signal: np.ndarray, name: str = "synaptic_current") -> Any:
    """Return a Dataset on the time axis and with the stimulus of another, of another signal."""
    stimulus = json.loads(dataset.attrs["stimulus"]) | {"default_signal": name}
    signals = {name: np.asarray(signal, float)[:, None, :]}
    return protocol_dataset(dataset["time"].values, signals, {}, stimulus)


def fresh_python(
    code: str, folder: Path, *, cache: Path | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, in ``folder``; warnings are errors there too."""
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    if cache is not None:
        environment["STPSPEC_CACHE"] = str(cache)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip


def printed_by(code: str, folder: Path, **options: Any) -> Any:
    """Return what the last line that the code printed in its own process means as JSON."""
    done = fresh_python(code, folder, **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
