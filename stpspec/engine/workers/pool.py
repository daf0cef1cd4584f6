"""Batches go out to workers, measured values come back; what crashes them is found and named.

Which candidates share a batch is decided beforehand (:func:`stpspec.engine.batch.batches`), so the
number of workers changes nothing of the result.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stpspec.engine.batch import Run, batches
from stpspec.engine.binding.bind import Bound
from stpspec.engine.binding.numerics import under
from stpspec.engine.binding.scheme import PLAIN_REFERENCE, Scheme
from stpspec.engine.candidates import Candidates, candidates_of
from stpspec.engine.shortcuts.ladder import feasible
from stpspec.engine.simulate import measured_runs, stimuli_of
from stpspec.engine.workers.main_guard import refuse_unguarded
from stpspec.engine.workers.processes import (
    ADVICE,
    Brought,
    Foreign,
    Row,
    Workers,
    task_of,
    threads_refused,
)
from stpspec.errors import Failure, SimulationError, StpspecError
from stpspec.metrics.measure import Measurement, missing
from stpspec.metrics.requests import Request
from stpspec.registry import METRICS
from stpspec.specs.protocol import Stimulus

if TYPE_CHECKING:
    from pebble import ProcessExpired

_TURN, _FORGOTTEN = 0.1, 5  # s, and turns after which a batch of a broken pool is forgotten
_GIVEN_UP = {"KilledWorker", "TerminatedWorkerError"}  # how Dask and joblib say so
_LOSSES = 2  # times that a batch is run again whole before it is split
_BROKEN = 30  # times in a row that all workers end without a batch being to blame


class Pool:
    """Evaluates candidates in worker processes.

    Parameters
    ----------
    bound : Bound
    workers : Workers or Foreign
    """

    def __init__(self, bound: Bound, workers: Workers | Foreign):
        self.bound = feasible(
            bound
        )  # found out here, so that it is told once and not by each worker
        self.workers = workers
        self._scheme = self.bound.scheme
        schemes = (self._scheme, PLAIN_REFERENCE)
        self._tasks = {scheme: task_of(under(self.bound, scheme)) for scheme in schemes}

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.workers.close()

    def evaluate(
        self,
        values: Candidates | Mapping[str, object],
        protocols: Sequence[str],
        requests: Sequence[Request],
    ) -> list[dict[str, Measurement]]:
        """Do what :func:`stpspec.engine.simulate.evaluate` does, in the workers."""
        candidates = candidates_of(self.bound, values)
        rows = candidates.rows
        stimuli = stimuli_of(self.bound, candidates, protocols)
        # A metric defined in a notebook is known here only: the traces come back to be measured.
        here = any(_is_local(r.metric) for r in requests)
        found: list[dict[str, Measurement]] = [{}] * len(rows)
        waiting = [_Batch(batch, self._scheme) for batch in batches(self.bound, rows)]
        broken = 0
        while waiting:
            futures = [self._submit(t, rows, stimuli, None if here else requests) for t in waiting]
            again: list[_Batch] = []
            for task, future in zip(waiting, futures, strict=True):
                outcome = _outcome(future, self.workers.is_abandoned)
                if isinstance(outcome, _Lost):
                    again += task.after(outcome)
                    for index in task.given_up(outcome):
                        text = f"the worker process was lost: {outcome.reason}"
                        found[index] = missing(requests, Failure("worker", text))
                    continue
                measured = [one for one in outcome if not isinstance(one, Run)]
                if here:
                    runs = [one for one in outcome if isinstance(one, Run)]
                    measured = measured_runs(self.bound, runs, stimuli, requests)
                for index, values_of_one in zip(task.batch, measured, strict=True):
                    found[index] = values_of_one
            # What breaks the process in one batch may do so in the proofs of all that follow.
            if any(task.scheme == PLAIN_REFERENCE for task in again):
                self._scheme = PLAIN_REFERENCE
            broken = broken + 1 if again == waiting else 0
            if broken == _BROKEN:
                raise SimulationError(
                    f"the worker processes ended {_BROKEN} times before any had simulated a batch; "
                    f"is there memory for {self.bound.experiment.workers} of them?"
                )
            waiting = again
        return found

    def _submit(
        self,
        task: _Batch,
        rows: Sequence[Row],
        stimuli: Mapping[str, Stimulus],
        requests: Sequence[Request] | None,
    ) -> Future[Brought]:
        limit = self.bound.experiment.numerics.time_limit
        batch = [rows[i] for i in task.batch]
        return self.workers.submit(limit, self._tasks[task.scheme], batch, dict(stimuli), requests)


@dataclass(frozen=True)
class _Lost:
    """Why a batch brought nothing back, and whether that may be its own fault."""

    reason: str
    guilty: bool = True


@dataclass(frozen=True)
class _Batch:
    """A batch, the scheme that it is simulated by, and how often it has been lost."""

    batch: Sequence[int]
    scheme: Scheme
    losses: int = 0

    def after(self, lost: _Lost) -> list[_Batch]:
        """Return what is tried next: the same again, then its halves, and without proofs."""
        if not lost.guilty:
            return [self]
        if self.losses + 1 < _LOSSES:
            return [replace(self, losses=self.losses + 1)]
        if len(self.batch) == 1:
            last = self.scheme == PLAIN_REFERENCE
            return [] if last else [replace(self, scheme=PLAIN_REFERENCE)]
        half = len(self.batch) // 2
        # A half that dies is guilty at once: the whole has been lost twice.
        halves = (self.batch[:half], self.batch[half:])
        return [replace(self, batch=part, scheme=PLAIN_REFERENCE) for part in halves]

    def given_up(self, lost: _Lost) -> Sequence[int]:
        """Return the candidates that are the cause."""
        return () if self.after(lost) else self.batch


def _comes_back(future: Future[Brought], is_abandoned: Callable[[Future[Brought]], bool]) -> bool:
    """Wait for a batch, until it is back or nobody works on it any more."""
    # In turns: once NEURON is imported, a Ctrl-C does not end the wait for a lock. And a pool that
    # breaks while a batch is on its way into it may forget the batch.
    turns = 0
    while not wait([future], timeout=_TURN).done:
        turns = turns + 1 if is_abandoned(future) else 0
        if turns > _FORGOTTEN:
            return False
    return True


def _outcome(
    future: Future[Brought], is_abandoned: Callable[[Future[Brought]], bool]
) -> Brought | _Lost:
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
            f"the executor gave a batch up ({type(error).__name__}: {error}); {ADVICE}"
        ) from error


def _is_pool_error(error: Exception) -> bool:
    names = {c.__name__ for c in type(error).__mro__}
    return bool(names & {"BrokenProcessPool", "BrokenExecutor"}) or "pool" in str(error).lower()


def _death(error: ProcessExpired) -> str:
    code = getattr(error, "exitcode", None)
    if isinstance(code, int) and code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"it ended with code {code}"


def _is_local(metric: str) -> bool:
    return METRICS.get(metric).function.__module__ == "__main__"


def pool_for(bound: Bound, executor: Executor | None = None) -> Pool | None:
    """Return a pool as the experiment or the caller asks for one; None: in this process.

    Raises
    ------
    FitError
        If the executor runs in this process; of those that do not show it, by the first batch.
    """
    if isinstance(executor, ThreadPoolExecutor):
        raise threads_refused(type(executor).__name__)
    if executor is not None:
        return Pool(bound, Foreign(executor))
    n = bound.experiment.workers
    if not n:
        return None
    refuse_unguarded()
    return Pool(bound, Workers(n))
