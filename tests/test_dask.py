"""A fit on the processes of a Dask cluster gives what it gives alone."""

import os
import signal
from concurrent.futures import Executor, Future
from types import SimpleNamespace

import numpy as np
import pytest
from distributed import Client, KilledWorker, LocalCluster
from small import experiment

import stpspec
from stpspec.errors import StpspecError


@pytest.fixture(scope="module")
def client():
    """Two worker processes of one thread each: NEURON is one to a process."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
            host="127.0.0.1",
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        yield client


def small(**changes):
    fitter = {"kind": "optuna", "batch": 8, "budget": {"evaluations": 24}}
    return experiment(fitter=fitter, numerics__integrator="fixed", **changes)


def test_fit_on_two_workers_of_dask_gives_the_same_and_uses_both(client):
    alone = stpspec.fit(small())
    result = stpspec.fit(small(), executor=client.get_executor())
    assert result.parameters == alone.parameters
    np.testing.assert_array_equal(result.history["loss"], alone.history["loss"])
    loaded = client.run(lambda: "neuron" in __import__("sys").modules)
    assert list(loaded.values()) == [True, True]


def test_worker_of_dask_that_dies_is_replaced_and_nothing_of_the_fit_is_lost(client):
    alone = stpspec.fit(small())
    killed = []

    def kill(*_):
        if not killed:
            killed.append(next(iter(client.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)

    result = stpspec.fit(small(), executor=client.get_executor(), progress=kill)
    np.testing.assert_array_equal(result.history["loss"], alone.history["loss"])
    assert killed[0] not in client.run(os.getpid).values()


class GivesUp(Executor):
    """What Dask does with a batch that has ended four workers, without ending them."""

    def submit(self, *_, **__):
        future = Future()
        future.set_exception(KilledWorker("work-1", SimpleNamespace(address="tcp://there"), 4))
        return future


def test_batch_that_an_executor_gives_up_ends_the_fit_in_words():
    with pytest.raises(StpspecError, match=r"gave a batch up \(KilledWorker: .*workers: n"):
        stpspec.fit(small(), executor=GivesUp())
