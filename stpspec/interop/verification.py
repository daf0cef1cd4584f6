"""Verification of an export: what was written is simulated again, and its metrics compared."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stpspec.dataset import SIGNALS, signals_of, times_of
from stpspec.engine.mechanisms.compilation import compile_library
from stpspec.errors import ResultError
from stpspec.interop.preparation import Preparation
from stpspec.metrics.measure import measure_candidates
from stpspec.metrics.requests import requests_of

TOLERANCE = 1e-6
"""Relative difference of two metrics that agree."""
_PATIENCE = 600.0  # s

Traces = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Comparison:
    """The metrics of a result and those of what was exported of it.

    Attributes
    ----------
    rows : tuple of (str, str, float, float)
        Protocol, metric, value of stpspec, value of the export.
    how : str
        Who has simulated what was written.
    """

    rows: tuple[tuple[str, str, float, float], ...]
    how: str

    @property
    def largest(self) -> float:
        """The largest relative difference."""
        return max((_difference(a, b) for *_, a, b in self.rows), default=0.0)

    @property
    def agrees(self) -> bool:
        """Whether all metrics agree, and there are any."""
        return bool(self.rows) and self.largest <= TOLERANCE


def _difference(a: float, b: float) -> float:
    if np.isnan(a) and np.isnan(b):
        return 0.0
    off = abs(a - b) / max(abs(a), abs(b), 1e-9)
    return float("inf") if np.isnan(off) else off


def compare(p: Preparation, traces: Traces, how: str) -> Comparison:
    """Measure what an export gave, like what stpspec gave, and compare.

    Parameters
    ----------
    p : Preparation
    traces : dict of str to dict of str to ndarray, shape (n,)
        Protocol → signal on the times of the reference, in the units of the reference.
    how : str
    """
    import xarray as xr

    nodes = {"/": p.reference.to_dataset(inherit=False)}
    for name, node in p.reference.children.items():
        dataset = node.to_dataset(inherit=False).copy()
        for signal in signals_of(dataset):
            if signal not in traces[name]:
                raise ResultError(f"what was exported gives no {signal}")
            values = traces[name][signal]
            dataset[signal] = (dataset[signal].dims, values[None, None], dataset[signal].attrs)
        nodes[f"/{name}"] = dataset
    requests = requests_of(p.experiment, all_metrics=True)
    before = measure_candidates(p.reference, requests)[0]
    after = measure_candidates(xr.DataTree.from_dict(nodes), requests)[0]
    rows = []
    for r in requests:
        old, new = (np.atleast_1d(m[r.name].value) for m in (before, after))
        name = r.name.removeprefix(f"{r.protocol}.")
        for k, (a, b) in enumerate(zip(old, new, strict=True)):
            label = name if old.size == 1 else f"{name}[{k}]"
            if np.isfinite(a) or np.isfinite(b):
                rows.append((r.protocol, label, float(a), float(b)))
    return Comparison(tuple(rows), how)


def run_script(p: Preparation, folder: Path, command: Sequence[str]) -> Traces:
    """Run an exported script in a fresh process, in a copy of its folder; return its traces.

    Raises
    ------
    ResultError
        If it fails, with what it said.
    MechanismError
        If its mechanisms do not compile.
    """
    with _copy(folder) as place:
        _compiled(place, p)
        done = subprocess.run(
            list(command), cwd=place, capture_output=True, text=True, errors="replace",
            timeout=_PATIENCE, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, "NEURON_MODULE_OPTIONS": "-nogui"},
        )  # fmt: skip
        raw = {n: place / f"traces_{n}.txt" for n in p.stops}
        if done.returncode != 0 or not all(f.is_file() for f in raw.values()):
            lines = (done.stderr or done.stdout).strip().splitlines()
            causes = [x for x in lines if x.startswith("NEURON: ")]  # the last lines say where
            said = " / ".join(dict.fromkeys([*causes[:1], *lines[-3:]]))
            raise ResultError(f"what was exported does not run: {said or 'it wrote no traces'}")
        return {n: on_times_of(p, n, read_traces(f)) for n, f in raw.items()}


@contextlib.contextmanager
def _copy(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="stpspec-") as temporary:
        place = Path(temporary) / "export"
        shutil.copytree(folder, place)
        yield place


def _compiled(place: Path, p: Preparation) -> None:
    """Put the compiled mechanisms where NEURON looks for them, as nrnivmodl would."""
    files = [f for f in place.rglob("*.mod") if f.name in p.mod_files]
    if not files:
        return
    library = compile_library(files)
    built = next(f for f in library.parents if f.parent.parent.name == "mechanisms")
    (place / built.name).symlink_to(built)


def read_traces(path: Path) -> dict[str, np.ndarray]:
    """Read a file of traces: a name, the number of samples, the samples, and again."""
    lines = [x for x in path.read_text(encoding="utf-8").splitlines() if x.strip()]
    found, k = {}, 0
    while k + 1 < len(lines):
        n = int(lines[k + 1])
        found[lines[k]] = np.array(lines[k + 2 : k + 2 + n], dtype=float)
        k += 2 + n
    return found


def on_times_of(
    p: Preparation, protocol: str, raw: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return what NEURON has recorded from 0 on, on the times and in the units of the reference."""
    dataset = p.reference.children[protocol].to_dataset(inherit=False)
    times = times_of(dataset)
    dt = p.numerics["dt"]
    first = round(float(times[0]) / dt)

    def cut(values: np.ndarray, *, lags: bool) -> np.ndarray:
        begin = first + (1 if lags else 0)
        return values[begin : begin + times.size]

    found = {}
    for name in SIGNALS.keys() & raw.keys():
        unit, _, factor = SIGNALS[name]
        found[name] = cut(raw[name], lags=unit != "mV") * factor
    if p.currents:
        usual = SIGNALS[p.current_signal][2]
        parts = [raw[f"current {n}"] * p.factors.get(n, usual) for n in p.currents]
        found[p.current_signal] = cut(np.sum(parts, axis=0), lags=True)
    for name in [n.removeprefix("variable ") for n in raw if n.startswith("variable ")]:
        values = cut(raw[f"variable {name}"], lags=name not in p.state_names)
        found[name] = values
        if name == p.conductance:
            found["conductance"] = values * p.factors.get(name, SIGNALS["conductance"][2])
    return found
