"""Worker processes: batches go out, measured values come back; what crashes is found and named.

Which candidates share a batch is decided beforehand (:func:`stpspec.engine.batch.batches`), so the
number of workers changes nothing of the result.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from stpspec.engine.batch import able, batches, run_batch
from stpspec.engine.bind import Bound, bind
from stpspec.engine.guard import refuse_unguarded
from stpspec.engine.search import plainly
from stpspec.engine.simulate import (
    candidates_of,
    measured_batch,
    measured_runs,
    rows_of,
    stimuli_of,
)
from stpspec.engine.spare import rigs_kept
from stpspec.errors import SimulationError, StpspecError
from stpspec.metrics.measure import Measurement, Request, missing
from stpspec.registry import METRICS
from stpspec.resources import extra_folders, search_in
from stpspec.spec.experiment import Experiment
from stpspec.spec.protocol import Stimulus

_GRACE = 30.0  # s beyond the time limit of a batch, in which it may end by itself
_TURN, _FORGOTTEN = 0.1, 5  # s, and turns after which a batch of a broken pool is forgotten
_GIVEN_UP = {"KilledWorker", "TerminatedWorkerError"}  # how Dask and joblib say so
_LOSSES = 2  # times that a batch is run again whole before it is split

Row = Mapping[str, float]


@dataclass(frozen=True)
class Job:
    """What a worker needs to know of an experiment; sent with each batch, understood once.

    Attributes
    ----------
    spec : str
        The experiment as JSON, with plain numbers.
    folders, path : tuple of str
        Where files and modules are looked for.
    auto, plain : bool
        As in :class:`stpspec.engine.bind.Bound`.
    """

    spec: str
    folders: tuple[str, ...]
    path: tuple[str, ...]
    auto: bool
    plain: bool


def job_of(bound: Bound) -> Job:
    """Return the job of an experiment."""
    folders = tuple(str(f) for f in extra_folders())
    spec = json.dumps(bound.experiment.to_data())
    return Job(spec, folders, tuple(sys.path), bound.auto, bound.plain)


_bound: dict[Job, Bound] = {}


def work(
    job: Job,
    rows: Sequence[Row],
    stimuli: Mapping[str, Stimulus],
    requests: Sequence[Request] | None,
) -> Any:
    """Simulate one batch in a worker; measure it, or return the traces without ``requests``."""
    if job not in _bound:
        sys.path[:] = job.path
        with search_in(job.folders):
            made = bind(Experiment.from_data(json.loads(job.spec)))
            _bound[job] = replace(made, auto=job.auto, plain=job.plain)
    if requests is None:
        return run_batch(_bound[job], rows, stimuli)
    return measured_batch(_bound[job], rows, stimuli, requests)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops us
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
        self._pool: Any = None
        self._pool_of: WeakKeyDictionary[Future[Any], Any] = WeakKeyDictionary()

    def submit(self, limit: float, *arguments: Any) -> Future[Any]:
        """Hand a batch over."""
        while True:
            pool = self._living()
            try:
                future = pool.schedule(work, args=arguments, timeout=limit + _GRACE)
            except RuntimeError:  # it has broken since
                if pool.active:
                    raise
                continue
            self._pool_of[future] = pool
            return future

    def _living(self) -> Any:
        from pebble import ProcessPool

        if self._pool is None or not self._pool.active:
            self._drop()
            self._pool = ProcessPool(
                max_workers=self.n, context=multiprocessing.get_context("spawn"),
                initializer=_begin,
            )  # fmt: skip
        return self._pool

    def is_abandoned(self, future: Future[Any]) -> bool:
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

    def submit(self, limit: float, *arguments: Any) -> Future[Any]:
        """Hand a batch over."""
        return self.executor.submit(work, *arguments)

    def is_abandoned(self, future: Future[Any]) -> bool:
        """Tell whether nobody works on a batch any more; of an executor nothing is known."""
        return False

    def close(self) -> None:
        """Leave the executor to its owner."""


class Pool:
    """Evaluates candidates in worker processes.

    Parameters
    ----------
    bound : Bound
    workers : Workers or Foreign
    """

    def __init__(self, bound: Bound, workers: Workers | Foreign):
        self.bound = able(bound)  # found out here, so that it is told once and not by each worker
        self.workers = workers
        self._jobs = {False: job_of(self.bound), True: job_of(plainly(self.bound))}
        self._plain = False

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.workers.close()

    def evaluate(
        self, values: Mapping[str, Any], protocols: Sequence[str], requests: Sequence[Request]
    ) -> list[dict[str, Measurement]]:
        """Do what :func:`stpspec.engine.simulate.evaluate` does, in the workers."""
        columns = candidates_of(self.bound, values)
        rows = rows_of(columns)
        stimuli = stimuli_of(self.bound, columns, protocols)
        # A metric defined in a notebook is known here only: the traces come back to be measured.
        here = any(_is_local(r.metric) for r in requests)
        found: list[dict[str, Measurement]] = [{}] * len(rows)
        waiting = [_Task(batch, plain=self._plain) for batch in batches(self.bound, rows)]
        while waiting:
            futures = [self._submit(t, rows, stimuli, None if here else requests) for t in waiting]
            again: list[_Task] = []
            for task, future in zip(waiting, futures, strict=True):
                outcome = _outcome(future, self.workers.is_abandoned)
                if isinstance(outcome, _Lost):
                    again += task.after(outcome)
                    for index in task.given_up(outcome):
                        reason = f"the worker process was lost: {outcome.reason}"
                        found[index] = missing(requests, reason)
                    continue
                if here:
                    outcome = measured_runs(self.bound, outcome, stimuli, requests)
                for index, measured in zip(task.batch, outcome, strict=True):
                    found[index] = measured
            # What breaks the process in one batch may do so in the proofs of all that follow.
            self._plain = self._plain or any(task.plain for task in again)
            waiting = again
        return found

    def _submit(self, task: _Task, rows: Sequence[Row], stimuli: Any, requests: Any) -> Future[Any]:
        limit = self.bound.experiment.numerics.time_limit
        batch = [rows[i] for i in task.batch]
        return self.workers.submit(limit, self._jobs[task.plain], batch, dict(stimuli), requests)


@dataclass(frozen=True)
class _Lost:
    """Why a batch brought nothing back, and whether that may be its own fault."""

    reason: str
    guilty: bool = True


@dataclass(frozen=True)
class _Task:
    """A batch, how often it has been lost, and whether nothing beside it is simulated."""

    batch: Sequence[int]
    losses: int = 0
    plain: bool = False

    def after(self, lost: _Lost) -> list[_Task]:
        """Return what is tried next: the same again, then its halves, and without proofs."""
        if not lost.guilty:
            return [self]
        if self.losses + 1 < _LOSSES:
            return [replace(self, losses=self.losses + 1)]
        if len(self.batch) == 1:
            return [] if self.plain else [replace(self, plain=True)]
        half = len(self.batch) // 2
        # A half that dies is guilty at once: the whole has been lost twice.
        return [
            replace(self, batch=part, plain=True) for part in (self.batch[:half], self.batch[half:])
        ]

    def given_up(self, lost: _Lost) -> Sequence[int]:
        """Return the candidates that are the cause."""
        return () if self.after(lost) else self.batch


def _comes_back(future: Future[Any], is_abandoned: Callable[[Future[Any]], bool]) -> bool:
    """Wait for a batch, until it is back or nobody works on it any more."""
    # In turns: once NEURON is imported, a Ctrl-C does not end the wait for a lock. And a pool that
    # breaks while a batch is on its way into it may forget the batch.
    turns = 0
    while not wait([future], timeout=_TURN).done:
        turns = turns + 1 if is_abandoned(future) else 0
        if turns > _FORGOTTEN:
            return False
    return True


def _outcome(future: Future[Any], is_abandoned: Callable[[Future[Any]], bool]) -> Any:
    """Return what a batch brought back, or why it was lost."""
    from pebble import ProcessExpired

    if not _comes_back(future, is_abandoned):
        return _Lost("the pool broke", guilty=False)
    try:
        return future.result()
    except FutureTimeoutError:
        return _Lost("it passed its time limit")
    except ProcessExpired as error:
        return _Lost(_death(error))
    except StpspecError:
        raise
    except MemoryError:
        return _Lost("it ran out of memory")
    except (RuntimeError, OSError, EOFError) as error:
        # pebble and others: the pool broke, as when an idle worker was killed.
        if isinstance(error, RuntimeError) and not _is_pool_error(error):
            raise
        return _Lost(f"the pool broke ({error})", guilty=False)
    except Exception as error:
        if type(error).__name__ not in _GIVEN_UP:
            raise
        raise SimulationError(
            f"the executor gave a batch up ({type(error).__name__}: {error}); processes of our own "
            f"(workers: n) find the candidate that ends them, and go on without it"
        ) from error


def _is_pool_error(error: Exception) -> bool:
    names = {c.__name__ for c in type(error).__mro__}
    return bool(names & {"BrokenProcessPool", "BrokenExecutor"}) or "pool" in str(error).lower()


def _death(error: Any) -> str:
    code = getattr(error, "exitcode", None)
    if isinstance(code, int) and code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"it ended with code {code}"


def _is_local(metric: str) -> bool:
    return METRICS.get(metric).function.__module__ == "__main__"


def pool_for(bound: Bound, executor: Executor | None = None) -> Pool | None:
    """Return a pool as the experiment or the caller asks for one; None: in this process."""
    if executor is not None:
        return Pool(bound, Foreign(executor))
    n = bound.experiment.workers
    if not n:
        return None
    refuse_unguarded()
    return Pool(bound, Workers(n))
