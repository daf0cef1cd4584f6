"""Processes in which batches are simulated: our own, or those of a user's executor."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from stpspec.engine.batch import Run, run_batch
from stpspec.engine.binding.bind import Bound, bind
from stpspec.engine.binding.scheme import Scheme
from stpspec.engine.rigs.reuse import rigs_kept
from stpspec.engine.simulate import measured_batch
from stpspec.errors import FitError, SimulationError
from stpspec.metrics.measure import Measurement
from stpspec.metrics.requests import Request
from stpspec.specs.experiment import Experiment
from stpspec.specs.protocol import Stimulus

if TYPE_CHECKING:
    from pebble import ProcessPool

ADVICE = "processes of our own (workers: n) find the candidate that ends them, and go on without it"
_GRACE = 30.0  # s beyond the time limit of a batch, in which it may end by itself

Row = Mapping[str, float]
Brought = Sequence[Run] | Sequence[dict[str, Measurement]]  # traces, or measured values


@dataclass(frozen=True)
class WorkerTask:
    """What a worker needs to know of an experiment; sent with each batch, understood once.

    Attributes
    ----------
    spec : str
        The experiment as JSON, with plain numbers.
    path : tuple of str
        Where modules are looked for.
    scheme : Scheme
        As in :class:`stpspec.engine.binding.bind.Bound`.
    sender : tuple of (int, str)
        The process that hands it out: its number, and what no process of another machine has.
    """

    spec: str
    path: tuple[str, ...]
    scheme: Scheme
    sender: tuple[int, str]


def task_of(bound: Bound) -> WorkerTask:
    """Return the task of an experiment."""
    spec = json.dumps(bound.located_data())
    return WorkerTask(spec, tuple(sys.path), bound.scheme, _this_process())


_token = uuid.uuid4().hex


def _this_process() -> tuple[int, str]:
    return os.getpid(), _token


def threads_refused(what: str) -> FitError:
    """Return the error for an executor that would simulate in the process of the fit."""
    return FitError(
        f"the executor ({what}) runs in this process, where there is one NEURON: its simulations "
        f"could only take turns, and one that ends the process would end the fit; take processes, "
        f"workers: n or concurrent.futures.ProcessPoolExecutor"
    )


_bound: dict[WorkerTask, Bound] = {}


def work(
    task: WorkerTask,
    rows: Sequence[Row],
    stimuli: Mapping[str, Stimulus],
    requests: Sequence[Request] | None,
) -> Brought:
    """Simulate one batch in a worker; measure it, or return the traces without ``requests``.

    Raises
    ------
    FitError
        If this is no worker, but the process that hands the batches out.
    """
    if task.sender == _this_process():
        raise threads_refused("in one of its threads")
    if task not in _bound:
        sys.path[:] = task.path
        bound = bind(Experiment.from_data(json.loads(task.spec)))
        _bound[task] = replace(bound, scheme=task.scheme)
    if requests is None:
        return run_batch(_bound[task], rows, stimuli)
    return measured_batch(_bound[task], rows, stimuli, requests)


def _begin() -> None:
    for name in ("SIGINT", "SIGHUP"):  # they are for the parent, which stops us
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # at once, not when Python's turn comes
    rigs_kept().__enter__()  # this process has nothing else to do


class Workers:
    """Processes of our own: killed at a time limit, replaced when they die.

    Parameters
    ----------
    n : int
        Number of processes.
    """

    def __init__(self, n: int):
        self.n = n
        self._pool: ProcessPool | None = None
        self._pool_of: WeakKeyDictionary[Future[Brought], ProcessPool] = WeakKeyDictionary()

    def submit(
        self,
        limit: float,
        task: WorkerTask,
        rows: Sequence[Row],
        stimuli: Mapping[str, Stimulus],
        requests: Sequence[Request] | None,
    ) -> Future[Brought]:
        """Hand a batch over."""
        while True:
            pool = self._living()
            try:
                future = pool.schedule(
                    work, args=(task, rows, stimuli, requests), timeout=limit + _GRACE
                )
            except RuntimeError:  # it has broken since
                if pool.active:
                    raise
                continue
            self._pool_of[future] = pool
            return future

    def _living(self) -> ProcessPool:
        from pebble import ProcessPool

        if self._pool is None or not self._pool.active:
            self._drop()
            self._pool = ProcessPool(
                max_workers=self.n, context=multiprocessing.get_context("spawn"),
                initializer=_begin,
            )  # fmt: skip
        return self._pool

    def is_abandoned(self, future: Future[Brought]) -> bool:
        """Tell whether nobody works on a batch any more: its pool has ended."""
        return not self._pool_of[future].active

    def _drop(self) -> None:
        if self._pool is not None:
            self._pool.stop()
            self._pool.join(5)
            self._pool = None

    close = _drop


class Foreign:
    """Any ``concurrent.futures.Executor``: it can neither kill nor time out a batch."""

    def __init__(self, executor: Executor):
        self.executor = executor

    def submit(
        self,
        limit: float,
        task: WorkerTask,
        rows: Sequence[Row],
        stimuli: Mapping[str, Stimulus],
        requests: Sequence[Request] | None,
    ) -> Future[Brought]:
        """Hand a batch over.

        Raises
        ------
        SimulationError
            If a batch before it has broken the executor.
        """
        try:
            return self.executor.submit(work, task, rows, stimuli, requests)
        except BrokenExecutor as error:
            raise SimulationError(f"the executor is broken ({error}); {ADVICE}") from error

    def is_abandoned(self, future: Future[Brought]) -> bool:
        """Tell whether nobody works on a batch any more; of an executor nothing is known."""
        return False

    def close(self) -> None:
        """Leave the executor to its owner."""
