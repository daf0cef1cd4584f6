"""Time of a move of a slider of the tuner, from the key to the paint, in headless Chromium."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))

import tuner_page

import stpspec
from stpspec.engine.binding.bind import bind
from stpspec.engine.rigs.reuse import rigs_kept
from stpspec.engine.simulate import simulate

# What is moved → experiment, overrides, knob, protocol, signal, and the most milliseconds.
MOVES = {
    "one compartment, train": ("pvalb_pyr", [], "U", "train", "synaptic_current", 100),
    "two-compartment interneuron, train": (
        "pvalb_pyr", ["model=gabaa_fast_spiking"], "U", "train", "synaptic_current", 250),
    "two interneurons, gap step": ("fs_fs_gap", [], "g", "step", "somatic_voltage_1", 250),
}  # fmt: skip


def milliseconds(what: str, moves: int = 50) -> tuple[float, float]:
    """Return the medians of a move in the browser, and of its simulation alone."""
    name, overrides, knob, protocol, signal, _ = MOVES[what]
    experiment = stpspec.load(name, overrides)
    with tuner_page.served({name: experiment}) as server, tuner_page.chromium() as browser:
        page = tuner_page.opened(browser, server.address, viewport={"width": 1280, "height": 800})
        tuner_page.latencies(page, knob, signal, 10)  # once warm
        moved = tuner_page.latencies(page, knob, signal, moves)
    bound, alone = bind(experiment), []
    with rigs_kept():
        for _ in range(10):
            started = time.perf_counter()
            simulate(bound, None, [protocol])
            alone.append(1e3 * (time.perf_counter() - started))
    return statistics.median(moved), statistics.median(alone[2:])


if __name__ == "__main__":
    import os

    for what in MOVES:
        moved, alone = milliseconds(what)
        load = os.getloadavg()[0]
        print(f"{what}: {moved:.0f} ms, simulation {alone:.0f} ms, load {load:.1f}", flush=True)
