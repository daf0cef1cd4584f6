"""Worker processes: the same result with any number of them, and nothing lost to a crash."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from helpers import MOD, fresh_python
from small import data

import stpspec
from stpspec.engine.binding.bind import bind
from stpspec.engine.binding.numerics import for_search
from stpspec.engine.binding.scheme import ISOLATED, PLAIN_REFERENCE
from stpspec.engine.workers.pool import Pool, Workers, _Batch, _Lost
from stpspec.metrics.requests import Request
from stpspec.specs.experiment import Experiment

SEGFAULT, LOOP, NAN, ABORT = 1, 2, 3, 4


def faulty(fault=0, *, workers=2, integrator="fixed", time_limit=2.0, **changes):
    """Return a fit of U and tau by TPE; the mechanism breaks at U > 0.7."""
    made = data(
        model={
            "cell": {"file": "patch.py", "template": "Patch"},
            "mechanism": "Faulty",
            "mod": [str(MOD / "Faulty.mod")],
            "fixed": {"fault": fault},
        },
        parameters={"U": {"min": 0.05, "max": 0.95}, "tau": {"min": 1, "max": 6}},
        objective={
            "terms": {
                "size": {"metric": "amplitude", "protocol": "single", "target": 28.0, "sd": 1.0},
                "decay": {"metric": "decay_time", "protocol": "single", "target": 3.0, "sd": 0.2},
            }
        },
        fitter={"kind": "optuna", "budget": {"evaluations": 48}, "batch": 16},
        numerics={"dt": 0.1, "settle": 20, "replicas": 4, "integrator": integrator,
                  "time_limit": time_limit},
        workers=workers,
    ) | changes  # fmt: skip
    return Experiment.from_data(made)


def same(one, other):
    """Tell whether two fits evaluated the same points with the same results, to the bit."""
    names = [n for n in one.history.data_vars if n not in ("seconds", "reason")]
    return all(
        np.array_equal(one.history[n].values, other.history[n].values, equal_nan=True)
        for n in names
    )


def script(code, folder):
    """Run code as a script of its own, which workers import again."""
    (folder / "script.py").write_text(code)
    return fresh_python("import runpy; runpy.run_path('script.py', run_name='__main__')", folder)


INTERRUPTED = """
import os, signal, threading, time
import stpspec
from stpspec.engine.workers import processes
from test_workers import LOOP, WAIT, faulty

def fitted(fault, evaluations, press_after=float("inf")):
    pressed = []
    def press():
        pressed.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    def progress(n, budget, best):
        if n >= press_after and not processes._GRACE == WAIT:
            processes._GRACE = WAIT  # of the batches that are sent from here on
            threading.Timer(0.5, press).start()
    fitter = {"kind": "optuna", "sampler": "random", "batch": 4,
              "budget": {"evaluations": evaluations}}
    made = faulty(fault, fitter=fitter, seed=SEED, time_limit=0.5)
    result = stpspec.fit(made, progress=progress)
    return result, time.monotonic() - pressed[0] if pressed else None

if __name__ == "__main__":
    processes._GRACE = 1.0
    fitted(0, 4)  # imports what the end of a fit imports, which is not to be measured
    result, seconds = fitted(FAULT, 100_000, 4)
    result.save("kept")
    print(result.status, seconds)
"""
WAIT = 40.0  # s
BEYOND_IN_THE_SECOND_BATCH = (
    0  # a seed: of its random points the 6th and 7th have U > 0.7, no earlier one
)


@pytest.mark.parametrize("integrator", [pytest.param("fixed", marks=pytest.mark.long), "variable"])
def test_fit_is_the_same_to_the_bit_on_0_1_2_and_4_workers(integrator):
    fits = [stpspec.fit(faulty(workers=n, integrator=integrator)) for n in (0, 1, 2, 4)]
    for other in fits[1:]:
        assert same(fits[0], other)
        assert other.loss == fits[0].loss
        assert other.errors == fits[0].errors


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        pytest.param(SEGFAULT, "killed by SIGSEGV", marks=pytest.mark.long),
        (NAN, "is nan"),
        (ABORT, "the value of U is not allowed"),
    ],
)
def test_fit_over_bounds_that_break_the_mechanism_finds_the_optimum_elsewhere(fault, told):
    result = stpspec.fit(faulty(fault))
    reasons = result.history["reason"].values.astype(str)
    beyond = result.history["parameter_U"].values > 0.7
    assert beyond.any()
    assert all(told in r for r in reasons[beyond])
    assert all(r == "" for r in reasons[~beyond])
    assert result.parameters["U"] == pytest.approx(0.4, abs=0.1)


@pytest.mark.long
@pytest.mark.parametrize("replicas", [1, 4])
def test_bounds_that_crash_a_proof_fail_no_candidate_within(replicas):
    fitter = {"kind": "optuna", "sampler": "random", "budget": {"evaluations": 4}, "batch": 4}
    made = faulty(SEGFAULT, integrator="variable", fitter=fitter, seed=1)
    made = made.copy_with(numerics=made.numerics.model_dump() | {"replicas": replicas})
    result = stpspec.fit(made)
    assert (result.history["parameter_U"].values < 0.7).all()
    assert set(result.history["reason"].values.astype(str)) == {""}


@pytest.mark.long
def test_candidate_that_loops_for_ever_is_killed_and_named(monkeypatch):
    monkeypatch.setattr("stpspec.engine.workers.processes._GRACE", 1.0)
    fitter = {"kind": "optuna", "sampler": "random", "budget": {"evaluations": 4}, "batch": 4}
    result = stpspec.fit(faulty(LOOP, fitter=fitter, seed=3, time_limit=1.0))
    reasons = result.history["reason"].values.astype(str)
    beyond = result.history["parameter_U"].values > 0.7
    assert beyond.any()
    assert not beyond.all()
    assert all("time limit" in r for r in reasons[beyond])
    assert all(r == "" for r in reasons[~beyond])


def test_pool_that_ends_without_a_word_loses_nothing():
    experiment = faulty(fitter={"kind": "optuna", "budget": {"evaluations": 64}, "batch": 64})
    bound = for_search(bind(experiment))
    columns = {"U": np.linspace(0.1, 0.6, 64), "tau": np.full(64, 3.0)}
    requests = [Request("size", "amplitude", "single")]
    with Pool(bound, Workers(2)) as pool:
        # While the workers begin: all batches are waiting.
        stopping = threading.Timer(0.1, lambda: [os.kill(n, signal.SIGKILL) for n in children()])
        stopping.start()
        rows = pool.evaluate(columns, ["single"], requests)
    assert [row["size"].reason for row in rows] == [""] * 64


@pytest.mark.long
def test_workers_that_cannot_begin_end_the_fit_in_words(tmp_path):
    code = (
        "import sys\n"
        "import stpspec\n"
        "if __name__ == '__main__':\n"
        "    sys.executable = './python'\n"
        "    try:\n"
        "        stpspec.fit(stpspec.load('pvalb_pyr', ['workers=2']))\n"
        "    except stpspec.StpspecError as error:\n"
        "        print(error)\n"
    )
    python = tmp_path / "python"  # which has a fault in whatever begins as a worker
    python.write_text(
        f'#!/bin/sh\ncase "$*" in *engine.child*) exit 1;; esac\nexec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    done = script(code, tmp_path)
    assert "the worker processes ended 30 times" in done.stdout, done.stderr


@pytest.mark.long
def test_executor_that_a_candidate_breaks_ends_the_fit_in_words():
    told = pytest.raises(stpspec.StpspecError, match=r"the executor is broken .*workers: n")
    with told, ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        stpspec.fit(faulty(SEGFAULT, workers=0), executor=executor)


def children():
    """Return the process ids of the workers of this process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if parent == str(os.getpid()) and "engine.child" in (folder / "cmdline").read_text():
                found.append(int(folder.name))
    return found


def killed_while_fitting(times, seed):
    """Fit while workers, busy or idle, are killed at random moments.

    On a busy machine they take longer to begin, and so do the moments: a candidate whose process is
    killed six times in turn is lost by right.
    """
    rng, done = np.random.default_rng(seed), threading.Event()
    slower = max(1.0, 2 * os.getloadavg()[0] / len(os.sched_getaffinity(0)))
    hits = []

    def kill():
        while len(hits) < times and not done.wait(slower * rng.uniform(0.05, 0.4)):
            if found := children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(rng.choice(found)), signal.SIGKILL)
                    hits.append(time.monotonic())

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        fitter = {"kind": "optuna", "budget": {"evaluations": 60 * times}, "batch": 16}
        return stpspec.fit(faulty(fitter=fitter)), len(hits)
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.long)])
def test_killed_workers_change_nothing_and_lose_nothing(times):
    result, hits = killed_while_fitting(times, seed=times)
    assert hits >= (times + 1) // 2  # a busy machine may end the fit before the last ones
    fitter = {"kind": "optuna", "budget": {"evaluations": 60 * times}, "batch": 16}
    undisturbed = stpspec.fit(faulty(fitter=fitter, workers=0))
    assert set(result.history["reason"].values.astype(str)) == {""}
    assert same(result, undisturbed)


def test_executor_of_ones_own_gives_the_same():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        result = stpspec.fit(faulty(workers=0), executor=executor)
    assert same(result, stpspec.fit(faulty(workers=0)))


def test_metric_defined_in_a_script_is_measured_where_it_is_known(tmp_path):
    script = tmp_path / "own.py"
    script.write_text(
        "import stpspec\n"
        "from stpspec.metrics.registration import metric\n"
        "from test_workers import faulty\n"
        "@metric('doubled', 'signal')\n"
        "def doubled(response):\n"
        "    return 2 * response.amplitudes[0]\n"
        "if __name__ == '__main__':\n"
        "    term = {'metric': 'doubled', 'protocol': 'single', 'target': 56.0, 'sd': 1.0}\n"
        "    made = faulty(objective={'terms': {'t': term}}, parameters={'U': {'min': 0.05, "
        "'max': 0.95}}, fitter={'kind': 'least_squares'})\n"
        "    print(stpspec.fit(made).parameters['U'])\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, timeout=300,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize(
    "entry", [pytest.param(["bare.py"], marks=pytest.mark.long), ["-"]],
    ids=["unguarded", "standard input"],
)  # fmt: skip
def test_script_needs_no_guard_for_workers_of_our_own(entry, tmp_path):
    code = (
        "import stpspec\n"
        "from test_workers import faulty\n"
        "print(stpspec.fit(faulty(fitter={'kind': 'least_squares'})).parameters['U'])\n"
    )
    (tmp_path / "bare.py").write_text(code)
    done = subprocess.run(
        [sys.executable, *entry], capture_output=True, text=True, timeout=100, check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)}, cwd=tmp_path, input=code,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(0.4, abs=0.02)


EXECUTOR = (
    "import multiprocessing, stpspec\n"
    "from concurrent.futures import ProcessPoolExecutor\n"
    "from test_workers import faulty\n"
    "context = multiprocessing.get_context({!r})\n"
    "stpspec.fit(faulty(workers=0), executor=ProcessPoolExecutor(1, mp_context=context))\n"
)


@pytest.mark.parametrize("start", ["spawn", pytest.param("forkserver", marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("entry", "told"),
    [("bare.py", "bare.py:5: the processes of the executor import this script again"),
     ("-", "the processes of the executor import the script that runs, and <stdin> is no file")],
    ids=["unguarded", "standard input"],
)  # fmt: skip
def test_script_that_the_processes_of_an_executor_cannot_import_is_refused(
    entry, told, start, tmp_path
):
    code = EXECUTOR.format(start)
    (tmp_path / "bare.py").write_text(code)
    done = subprocess.run(
        [sys.executable, entry], capture_output=True, text=True, timeout=100, check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)}, cwd=tmp_path, input=code,
    )  # fmt: skip
    assert done.returncode == 1
    assert told in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "fault", [pytest.param(0, marks=pytest.mark.long), LOOP],
    ids=["healthy", "batch that never ends"],
)  # fmt: skip
def test_interrupt_ends_a_fit_on_workers_at_once_and_keeps_its_result(fault, tmp_path):
    """Of the seconds that a batch may take it waits for no large part."""
    code = INTERRUPTED.replace("FAULT", str(fault)).replace("SEED", str(BEYOND_IN_THE_SECOND_BATCH))
    done = script(code, tmp_path)
    assert done.returncode == 0, done.stderr
    status, seconds = done.stdout.split()
    assert status == "interrupted"
    result = stpspec.FitResult.load(tmp_path / "kept")
    assert result.status == "interrupted"
    assert result.history.sizes["evaluation"] == 4 or not fault
    assert float(seconds) < WAIT / 8


def test_candidates_that_were_late_are_halved_at_once_and_one_of_them_given_up():
    late = _Lost("it passed its time limit", late=True)
    whole = _Batch((0, 1, 2), ISOLATED)
    first, second = whole.after(late)
    assert (first.batch, second.batch) == ((0,), (1, 2))
    assert {first.scheme, second.scheme} == {PLAIN_REFERENCE}
    assert first.after(late) == []
    assert first.given_up(late) == (0,)
    assert len(second.after(late)) == 2
    alone = _Batch((0,), ISOLATED)  # once more, as the machine may have been busy
    assert [t.batch for t in alone.after(late)] == [(0,)]
