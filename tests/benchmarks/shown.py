"""How long the dashboard takes to show a long study: server, and page in headless Chromium."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import ours

from stpspec.engine.binding.bind import bind
from stpspec.studies.study import study_for

_TARGETS = {"amplitude": 8.0, "paired_pulse_ratio": 1.1, "induction": -0.5}


DRAWN = "from the command to the page drawn in headless Chromium, without a graphics card"


def seconds_to_show(folder: Path, n: int) -> dict[str, float]:
    """Return what was timed → seconds; `DRAWN` is not among it where there is no Chromium."""
    journal = folder / "long.journal"
    _fill(journal, n)
    started = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "-m", "stpspec.cli", "dashboard", str(journal), "--port", "0"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        page = server.stdout.readline().strip()
        found = {"from the command to the address of the page": time.perf_counter() - started}
        chromium = shutil.which("chromium")
        if chromium is None:
            return found
        done = subprocess.run(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,2400",
             "--virtual-time-budget=500", "--dump-dom", page],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        found[DRAWN] = time.perf_counter() - started
        with urllib.request.urlopen(page.replace("/dashboard", "/api")) as answer:
            trials = len(json.load(answer)["trials"])
        assert done.stdout.count('class="point"') >= trials
        return found
    finally:
        server.terminate()
        server.wait()


def _fill(journal: Path, n: int) -> None:
    """Write a study of n trials, as a fit does."""
    made = ours.experiment(_TARGETS).copy_with(study={"name": "long", "storage": str(journal)})
    experiment = bind(made).experiment
    study = study_for(experiment)
    assert study is not None
    names, rng = list(experiment.parameters), np.random.default_rng(0)
    for batch in range(0, n, 100):
        points = rng.random((min(100, n - batch), len(names)))
        study.record([
            {"batch": str(batch), "index": i, "point": p.tolist(),
             "values": {m: experiment.parameters[m].from_unit(float(x))
                        for m, x in zip(names, p, strict=True)},
             "loss": float(p @ p), "residuals": p.tolist(), "metrics": dict.fromkeys(_TARGETS, 1.0),
             "reason": "", "seconds": float(batch), "start": 0}
            for i, p in enumerate(points)
        ])  # fmt: skip
