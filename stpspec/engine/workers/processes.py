"""Processes in which batches are simulated: our own, or those of a user's executor."""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from queue import SimpleQueue

from stpspec.engine.batch import Run, run_batch
from stpspec.engine.binding import host
from stpspec.engine.binding.bind import bind, parts_of
from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.facts import question_of
from stpspec.engine.binding.scheme import Scheme
from stpspec.engine.child import Child, module_path
from stpspec.engine.rigs.reuse import rigs_kept
from stpspec.engine.simulate import measured_batch
from stpspec.errors import FitError, SimulationError
from stpspec.metrics.measure import Measurement
from stpspec.metrics.requests import Request
from stpspec.specs.experiment import Experiment
from stpspec.specs.stimulus import Stimulus

ADVICE = "processes of our own (workers: n) find the candidate that ends them, and go on without it"
_GRACE = 30.0  # s beyond the time limit of a batch, in which it may end by itself

Row = Mapping[str, float]
Brought = Sequence[Run] | Sequence[dict[str, Measurement]]  # traces, or measured values

# What a simulation does not depend on; it may be of a kind that only the main process knows.
_NOT_SIMULATED = ("objective", "fitter", "study", "workers")


@dataclass(frozen=True)
class WorkerTask:
    """What a worker needs to know of an experiment; sent with each batch, understood once.

    Attributes
    ----------
    spec : str
        What is simulated of the experiment, as JSON with plain numbers.
    path : tuple of str
        Where modules are looked for.
    scheme : Scheme
        As in :class:`stpspec.engine.binding.bound.Bound`.
    sender : tuple of (int, str)
        The process that hands it out: its number, and what no process of another machine has.
    """

    spec: str
    path: tuple[str, ...]
    scheme: Scheme
    sender: tuple[int, str]


def task_of(bound: Bound) -> WorkerTask:
    """Return the task of an experiment."""
    data = {n: v for n, v in bound.located_data().items() if n not in _NOT_SIMULATED}
    return WorkerTask(json.dumps(data), tuple(module_path()), bound.scheme, _this_process())


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


def bound_of(task: WorkerTask) -> Bound:
    """Return the experiment of a task, bound in this process."""
    if task not in _bound:
        sys.path[:] = task.path
        experiment = Experiment.from_data(json.loads(task.spec))
        _refuse_a_host(experiment)
        bound = bind(experiment)
        _bound[task] = replace(bound, scheme=task.scheme)
    return _bound[task]


def _refuse_a_host(experiment: Experiment) -> None:
    if host.is_in_the_way(question_of(parts_of(experiment))):
        raise SimulationError(
            "the processes of the executor hold a NEURON model or settings of NEURON that are not "
            "ours, as processes do that are forked from one that does; take processes that are "
            "spawned, or workers: n"
        )


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
    if requests is None:
        return run_batch(bound_of(task), rows, stimuli, judges_clamp=True)
    return measured_batch(bound_of(task), rows, stimuli, requests)


def work_only(
    task: WorkerTask,
    rows: Sequence[Row],
    stimuli: Mapping[str, Stimulus],
    requests: Sequence[Request] | None,
) -> Brought:
    """Do what :func:`work` does, in a process that does nothing else: its rigs are kept."""
    if not host.is_absent():
        host.declare_absent()
        rigs_kept().__enter__()
    return work(task, rows, stimuli, requests)


class Workers:
    """Processes of our own: ended at a time limit, replaced when they die.

    Parameters
    ----------
    n : int
        Number of processes.
    """

    def __init__(self, n: int):
        self.children = [Child() for _ in range(n)]
        self._free: SimpleQueue[Child] = SimpleQueue()
        for child in self.children:
            self._free.put(child)
        self._threads = ThreadPoolExecutor(n, thread_name_prefix="stpspec-worker")

    def submit(
        self,
        limit: float,
        task: WorkerTask,
        rows: Sequence[Row],
        stimuli: Mapping[str, Stimulus],
        requests: Sequence[Request] | None,
    ) -> Future[Brought]:
        """Hand a batch over."""
        return self._threads.submit(self._call, limit + _GRACE, task, rows, stimuli, requests)

    def _call(self, limit: float, *batch: object) -> Brought:
        child = self._free.get()
        try:
            return child.call(work_only, *batch, limit=limit)
        finally:
            self._free.put(child)

    def close(self) -> None:
        """End the processes at once."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for child in self.children:
            child.close()
        self._threads.shutdown()


class OwnProcess:
    """One process of our own that is there already, and stays there.

    Parameters
    ----------
    child : Child
    """

    def __init__(self, child: Child):
        self.child = child

    def submit(
        self,
        limit: float,
        task: WorkerTask,
        rows: Sequence[Row],
        stimuli: Mapping[str, Stimulus],
        requests: Sequence[Request] | None,
    ) -> Future[Brought]:
        """Hand a batch over, and wait for it."""
        future: Future[Brought] = Future()
        try:
            future.set_result(
                self.child.call(work_only, task, rows, stimuli, requests, limit=limit + _GRACE)
            )
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        """Leave the process to the next that needs it."""


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

    def close(self) -> None:
        """Leave the executor to its owner."""
