"""Batches go out to workers, measured values come back; what crashes them is found and named.

Which candidates share a batch is decided beforehand (:func:`stpspec.engine.batch.batches`), so the
number of workers changes nothing of the result.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, replace

from stpspec.engine.batch import Run, batches, simulations
from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.numerics import under
from stpspec.engine.binding.scheme import PLAIN_REFERENCE, Scheme
from stpspec.engine.candidates import Candidates, candidates_of
from stpspec.engine.child import ChildEndedError
from stpspec.engine.recorded_runs import measured_runs
from stpspec.engine.simulate import stimuli_of
from stpspec.engine.workers.main_guard import refuse_unguarded
from stpspec.engine.workers.processes import (
    ADVICE,
    Brought,
    Foreign,
    OwnProcess,
    Row,
    Workers,
    task_of,
    threads_refused,
)
from stpspec.errors import Failure, SimulationError, StpspecError
from stpspec.metrics.measure import Measurement, missing
from stpspec.metrics.requests import Request
from stpspec.registry import METRICS
from stpspec.specs.stimulus import Stimulus

_TURN = 0.1  # s
_GIVEN_UP = {"KilledWorker", "TerminatedWorkerError"}  # how Dask and joblib say so
_LOSSES = 2  # times that a batch is lost before it is split
_KILLS = 6  # of a candidate by itself, from outside: by chance it may be hit more than once
_BROKEN = 30  # times in a row that all workers end without a batch being to blame


class Pool:
    """Evaluates candidates in worker processes.

    Parameters
    ----------
    bound : Bound
        On a rung of the ladder that is known to be feasible: found out once, not by each worker.
    workers : Workers, OwnProcess or Foreign
    """

    def __init__(self, bound: Bound, workers: Workers | OwnProcess | Foreign):
        self.bound = bound
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
        *,
        quietly: bool = False,
    ) -> list[dict[str, Measurement]]:
        """Do what :func:`stpspec.engine.simulate.evaluate` does, in the workers."""
        candidates = candidates_of(self.bound, values)
        stimuli = stimuli_of(self.bound, candidates, protocols, quietly=quietly)
        # A metric defined in a notebook is known here only: the traces come back to be measured.
        known = all(self._is_known_there(r.metric) for r in requests)
        if known:
            found = self._results(candidates.rows, stimuli, requests)
            return [
                missing(requests, one.failure) if isinstance(one, Run) and one.failure else one
                for one in found
            ]  # pyright: ignore[reportReturnType]  # no traces came back
        return measured_runs(self.bound, self.runs(candidates, stimuli), stimuli, requests)

    def runs(self, candidates: Candidates, stimuli: Mapping[str, Stimulus]) -> list[Run]:
        """Simulate in the workers; return the traces of each candidate, or why it has none."""
        found = self._results(candidates.rows, stimuli, None)
        return [one for one in found if isinstance(one, Run)]

    def _results(
        self,
        rows: Sequence[Row],
        stimuli: Mapping[str, Stimulus],
        requests: Sequence[Request] | None,
    ) -> list[Run | dict[str, Measurement]]:
        """Return what each candidate gave; a run with its failure where nothing came back."""
        found: list[Run | dict[str, Measurement]] = [{}] * len(rows)
        waiting = [_Batch(batch, self._scheme) for batch in batches(self.bound, rows)]
        broken = 0
        while waiting:
            futures = [self._submit(t, rows, stimuli, requests) for t in waiting]
            again: list[_Batch] = []
            for task, future in zip(waiting, futures, strict=True):
                outcome = _outcome(future)
                if isinstance(outcome, _Lost):
                    again += task.after(outcome)
                    for index in task.given_up(outcome):
                        found[index] = Run(failure=self._failure(outcome, rows[index]))
                    continue
                for index, one in zip(task.batch, outcome, strict=True):
                    found[index] = one
            # What breaks the process in one batch may do so in the proofs of all that follow.
            if any(task.scheme == PLAIN_REFERENCE for task in again):
                self._scheme = PLAIN_REFERENCE
            broken = broken + 1 if again == waiting else 0
            if broken == _BROKEN:
                raise SimulationError(
                    f"the worker processes ended {_BROKEN} times before any had simulated a batch; "
                    f"is there memory for {self.bound.experiment.workers or 1} of them?"
                )
            waiting = again
        return found

    def _failure(self, lost: _Lost, row: Row) -> Failure:
        values = ", ".join(f"{name} = {value:.6g}" for name, value in row.items())
        what = f"{self.bound.mechanism.name}{' with ' if values else ''}{values}"
        return Failure("worker", f"the worker process was lost: {lost.reason} ({what})")

    def _is_known_there(self, metric: str) -> bool:
        """Tell whether a worker knows a metric, too: ours, or one of a plug-in that it imports."""
        module = str(METRICS.get(metric).function.__module__)
        named = ("stpspec", *self.bound.experiment.plugins)
        return METRICS.is_installed(metric) or any(
            module == name or module.startswith(f"{name}.") for name in named
        )

    def _submit(
        self,
        task: _Batch,
        rows: Sequence[Row],
        stimuli: Mapping[str, Stimulus],
        requests: Sequence[Request] | None,
    ) -> Future[Brought]:
        batch = [rows[i] for i in task.batch]
        limit = self.bound.experiment.numerics.time_limit
        limit *= simulations(self.bound, len(batch), stimuli)
        return self.workers.submit(limit, self._tasks[task.scheme], batch, dict(stimuli), requests)


@dataclass(frozen=True)
class _Lost:
    """Why a batch brought nothing back, and whether that may be its own fault.

    A process that was killed may have been so for its memory, or by whoever wanted; one that was
    late has passed its time limit.
    """

    reason: str
    guilty: bool = True
    killed: bool = False
    late: bool = False


@dataclass(frozen=True)
class _Batch:
    """A batch, the scheme that it is simulated by, and how often it has been lost."""

    batch: Sequence[int]
    scheme: Scheme
    losses: int = 0

    def after(self, lost: _Lost) -> list[_Batch]:
        """Return what is tried next: the same again, then its halves, and without proofs.

        Several that were late are halved at once: together they would take as long again.
        """
        if not lost.guilty:
            return [self]
        if self.losses + 1 < _LOSSES and not (lost.late and len(self.batch) > 1):
            return [replace(self, losses=self.losses + 1)]
        if len(self.batch) == 1:
            if self.scheme != PLAIN_REFERENCE:
                return [replace(self, scheme=PLAIN_REFERENCE)]
            again = replace(self, losses=self.losses + 1)
            return [again] if lost.killed and again.losses < _KILLS else []
        half = len(self.batch) // 2
        # A half that dies is guilty at once: it was in the whole, too.
        halves, losses = (self.batch[:half], self.batch[half:]), _LOSSES - 1
        return [_Batch(part, PLAIN_REFERENCE, losses) for part in halves]

    def given_up(self, lost: _Lost) -> Sequence[int]:
        """Return the candidates that are the cause."""
        return () if self.after(lost) else self.batch


def _outcome(future: Future[Brought]) -> Brought | _Lost:
    """Return what a batch brought back, or why it was lost."""
    # In turns: once NEURON is imported, a Ctrl-C does not end the wait for a lock.
    while not wait([future], timeout=_TURN).done:
        pass
    try:
        return future.result()
    except FutureTimeoutError:
        return _Lost("it passed its time limit", late=True)
    except ChildEndedError as error:
        return _Lost(str(error), guilty=error.had_begun, killed=error.code == -signal.SIGKILL)
    except StpspecError:
        raise
    except MemoryError:
        return _Lost("it ran out of memory")
    except (RuntimeError, OSError, EOFError) as error:
        # Of an executor: the pool broke, as when an idle worker was killed.
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


def workers_for(n: int, executor: Executor | None = None) -> Workers | Foreign | None:
    """Return the processes that the experiment or the caller asks for; None: this one.

    Parameters
    ----------
    n : int
        Number of processes of our own.
    executor : concurrent.futures.Executor, optional

    Raises
    ------
    FitError
        If the executor runs in this process; of those that do not show it, by the first batch.
    SimulationError
        If its processes could not import the script that runs.
    """
    if isinstance(executor, ThreadPoolExecutor):
        raise threads_refused(type(executor).__name__)
    if executor is not None:
        refuse_unguarded(executor)
        return Foreign(executor)
    return Workers(n) if n else None
