"""Small experiments that simulate in a few milliseconds, as data and as objects."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stpspec.engine.candidates import Candidates
from stpspec.errors import Failure
from stpspec.metrics.measure import Measurement
from stpspec.specs.experiment import Experiment

ROOT = Path(__file__).resolve().parent.parent

DATA: dict[str, Any] = {
    "name": "small",
    "model": {
        "kind": "synapse",
        "cell": {"file": "patch.py", "template": "Patch"},
        "mechanism": "TsodyksMarkram",
        "fixed": {"tau_decay": "2 ms"},
    },
    "recording": {"kind": "voltage_clamp", "holding_potential": "-70 mV"},
    "protocols": {"single": {"kind": "single_event", "duration": "20 ms"}},
    "parameters": {"U": {"min": 0.1, "max": 0.9}},
    "objective": {
        "terms": {"size": {"metric": "amplitude", "protocol": "single", "target": 42.0, "sd": 1.0}}
    },
    "numerics": {"dt": 0.1, "settle": 20},
}

# The same as a file, composed from groups; its line numbers are known to some tests.
YAML = """\
# @package _global_
defaults:
  - /protocol@protocols.single: single_event
  - override /model: tm_patch
  - _self_
name: small
numerics: {dt: 0.1, settle: 20}
protocols:
  single: {duration: 20 ms}
model:
  fixed: {tau_decay: 2 ms}
parameters:
  U: {min: 0.1, max: 0.9}
objective:
  terms:
    size: {metric: amplitude, protocol: single, target: 42.0, sd: 1.0}
"""


def data(**changes: Any) -> dict[str, Any]:
    """Return the small experiment as data; ``a__b=1`` sets the field ``a.b``."""
    made = copy.deepcopy(DATA)
    for path, value in changes.items():
        *parents, last = path.split("__")
        here = made
        for key in parents:
            here = here.setdefault(key, {})
        here[last] = value
    return made


def experiment(**changes: Any) -> Experiment:
    """Return the small experiment, with fields set as in :func:`data`."""
    return Experiment.from_data(data(**changes))


def terms(*targets: float, **common: Any) -> dict[str, Any]:
    """Return terms t0, t1 … with these targets, of any sign, whose values an evaluator makes up."""
    return {
        f"t{i}": {"metric": "latency", "protocol": "single", "target": float(t), **common}
        for i, t in enumerate(targets)
    }


def evaluator(function: Callable[..., Any]) -> Callable[[Candidates], Any]:
    """Turn ``function(**parameters) -> values of t0, t1 … or a reason`` into an evaluator."""

    def evaluate(candidates: Candidates) -> list[dict[str, Measurement]]:
        return [_measurements(function(**row)) for row in candidates.rows]

    return evaluate


def _measurements(result: Any) -> dict[str, Measurement]:
    if isinstance(result, str):
        return {"t0": Measurement(np.array(np.nan), "1", Failure("simulation", result))}
    return {f"t{i}": Measurement(np.array(v, float), "1") for i, v in enumerate(result)}


def python(
    code: str, *arguments: str, cwd: Path | None = None, **env: str
) -> subprocess.CompletedProcess:
    """Run code in a fresh Python."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        cwd=cwd, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, **env},
    )  # fmt: skip


def cli(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own: a warm one, unless it gets variables."""
    from nursery import common

    if not env:
        return common().run(words, cwd)
    return subprocess.run(
        [sys.executable, "-m", "stpspec.cli", *words],
        cwd=cwd, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, **env}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
