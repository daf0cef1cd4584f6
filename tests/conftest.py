"""Rules for all tests: what one needs, what it starts, and which file is run first."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import programs
import pytest

# Long files first, so that no worker is left with one of them at the end.
LONGEST_FIRST = [
    "test_fuzz_files", "test_kills", "test_fuzz_inputs", "test_fuzz_imports", "test_tuner_page",
    "test_cli", "test_docs", "test_campaign", "test_guests", "test_check", "test_engine",
    "test_interop", "test_survival", "test_studies", "test_workers", "test_identity",
    "test_results", "test_foreign", "test_tuner", "test_intervals", "test_multirun",
    "test_contracts", "test_dashboard", "test_plugin_package", "test_postgresql", "test_notebook",
    "test_package", "test_recovery", "test_recovery_slsqp", "test_trace_fits", "test_tables_truth",
]  # fmt: skip

FIT = """
import json, sys
import stpspec
from stpspec.specs.experiment import Experiment
stpspec.fit(Experiment.from_data(json.loads(sys.argv[1])))
"""


def pytest_configure():
    """Let signals end what the tests start, also where nohup or a shell has turned them off."""
    for name, usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        if signal.getsignal(getattr(signal, name)) == signal.SIG_IGN:
            signal.signal(getattr(signal, name), usual)


def pytest_collection_modifyitems(items):
    """Sort the files; within one nothing moves."""
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Skip a test whose programs are missing before any of its fixtures begins something."""
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            programs.require(name)


@pytest.fixture
def started():
    """Return what starts fits in processes of their own; they end with the test, also a failed."""
    with contextlib.ExitStack() as at_the_end:

        def start(made, cwd=None):
            process = subprocess.Popen(
                [sys.executable, "-c", FIT, json.dumps(made.to_data())],
                stderr=subprocess.PIPE, text=True, cwd=cwd,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
            )  # fmt: skip
            at_the_end.callback(end, process)
            return process

        yield start


def end(process):
    """End a process that still runs, and close its pipes."""
    if process.poll() is None:
        process.kill()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    process.wait()
