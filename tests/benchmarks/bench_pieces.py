"""Single pieces under pytest-benchmark, to compare versions of the code; off unless it is named:

pytest tests/benchmarks/bench_pieces.py --benchmark-autosave
pytest tests/benchmarks/bench_pieces.py --benchmark-compare
"""

import sys
from pathlib import Path

import pytest

pytest.importorskip("pytest_benchmark")
sys.path.insert(0, str(Path(__file__).parent))

import bare
import ours
import problem

import stpspec
from stpspec.engine.binding.bind import bind

TARGETS = {"amplitude": 8.0, "paired_pulse_ratio": 1.1646, "induction": -0.5665}  # of the truth


@pytest.mark.parametrize("integrator", ["variable", "fixed"])
def test_candidates(benchmark, integrator):
    made = ours.experiment(TARGETS, integrator=integrator)
    benchmark.pedantic(ours.throughput, (made, 16), rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("start", ["auto", "middle"])
def test_search(benchmark, start):
    made = ours.experiment(TARGETS, start)
    benchmark.pedantic(ours.search, (made,), rounds=5, warmup_rounds=1)


def test_fit(benchmark):
    made = ours.experiment(TARGETS)
    benchmark.pedantic(stpspec.fit, (made,), rounds=5, warmup_rounds=1)


def test_one_candidate(benchmark):
    bound = bind(ours.without_parameters(TARGETS))
    benchmark.pedantic(ours.one, (bound,), rounds=5, warmup_rounds=1)


def test_bare_script(benchmark):
    bind(ours.without_parameters(TARGETS))
    benchmark.pedantic(bare.simulate, (problem.TRUTH,), rounds=5, warmup_rounds=1)
