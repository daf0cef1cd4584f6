"""The place of simulations: this process, or one of their own that they may end.

A mechanism that is not ours may end the process that simulates it, and a program that uses NEURON
itself may have cells, settings and contents in this one. Then what NEURON has to do for an
experiment is done in a process that is kept for its mechanisms and templates.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from stpspec.engine import simulate as here
from stpspec.engine.binding import bind as binding
from stpspec.engine.binding import host
from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.facts import Question, question_of
from stpspec.engine.binding.inspection import inspect
from stpspec.engine.binding.numerics import under
from stpspec.engine.binding.scheme import Scheme
from stpspec.engine.candidates import Candidates, candidates_of
from stpspec.engine.child import ChildEndedError, kept_child
from stpspec.engine.mechanisms import library
from stpspec.engine.shortcuts import ladder
from stpspec.engine.templates import content_of
from stpspec.engine.workers.pool import Pool, workers_for
from stpspec.engine.workers.processes import OwnProcess, WorkerTask, bound_of, task_of
from stpspec.errors import MechanismError, SimulationError, SpecError, SpecProblem, TemplateError
from stpspec.metrics.measure import Measurement
from stpspec.metrics.requests import Request
from stpspec.resources import content_key
from stpspec.specs.experiment import Experiment

if TYPE_CHECKING:
    import xarray as xr

T = TypeVar("T")


def bind(experiment: Experiment) -> Bound:
    """Bind an experiment in the place where it will be simulated.

    Raises
    ------
    SpecError
        With every problem that only the loaded mechanism and the built cell can tell.
    """
    question = question_of(binding.parts_of(experiment))
    contents = _contents_apart(question)
    if not contents:
        return binding.bind(experiment)
    told = inspect([question], kept_child(contents))[0]
    if isinstance(told, SpecProblem):
        raise SpecError([told])
    return replace(binding.bind(experiment, told), contents=contents)


def _contents_apart(question: Question) -> str:
    """Return the key of what a process of its own loads; empty where this one will do."""
    if host.is_absent():
        return ""
    try:
        foreign = library.foreign(question.mod)
        if not foreign and not host.is_in_the_way(question):
            return ""
        cells = {cell.template: content_of(cell) for cell in question.cells}
    except (MechanismError, TemplateError):  # told where it is bound
        return ""
    loaded = sorted([*foreign.items(), *cells.items()])
    return content_key(*(part for pair in loaded for part in pair))


def simulate(
    bound: Bound,
    values: Mapping[str, object] | None = None,
    protocols: Sequence[str] | None = None,
) -> xr.DataTree:
    """Do what :func:`stpspec.engine.simulate.simulate` does, in the place of the experiment."""
    if not bound.contents:
        return here.simulate(bound, values, protocols)
    candidates = candidates_of(bound, values)
    names = list(bound.experiment.protocols if protocols is None else protocols)
    stimuli = here.stimuli_of(bound, candidates, names)
    with _own_process(bound) as pool:
        return here.tree_of(bound, candidates, stimuli, pool.runs(candidates, stimuli))


def evaluate(
    bound: Bound,
    values: Candidates | Mapping[str, object],
    protocols: Sequence[str],
    requests: Sequence[Request],
    *,
    quietly: bool = False,
) -> list[dict[str, Measurement]]:
    """Do what :func:`stpspec.engine.simulate.evaluate` does, in the place of the experiment."""
    if not bound.contents:
        return here.evaluate(bound, values, protocols, requests, quietly=quietly)
    with _own_process(bound) as pool:
        return pool.evaluate(values, protocols, requests, quietly=quietly)


@contextlib.contextmanager
def pool_for(bound: Bound, executor: Executor | None = None) -> Iterator[Pool | None]:
    """Yield the pool that a fit simulates in; None: in this process.

    Parameters
    ----------
    bound : Bound
    executor : concurrent.futures.Executor, optional
        In place of the ``workers`` of the experiment.

    Raises
    ------
    FitError
        If the executor runs in this process; of those that do not show it, by the first batch.
    SimulationError
        If its processes could not import the script that runs.
    """
    workers = workers_for(bound.experiment.workers, executor)
    if workers is None and not bound.contents:
        yield None
        return
    if workers is None:
        workers = OwnProcess(kept_child(bound.contents))
    with Pool(feasible(bound), workers) as pool:
        yield pool


def _own_process(bound: Bound) -> Pool:
    return Pool(feasible(bound), OwnProcess(kept_child(bound.contents)))


def feasible(bound: Bound) -> Bound:
    """Return the experiment on a rung that its mechanisms do not refuse; warn once."""
    if bound.scheme.is_fixed or not bound.contents:
        return ladder.feasible(bound)
    scheme = _asked(bound, _feasible_scheme)
    return bound if scheme == bound.scheme else under(bound, scheme)


def _feasible_scheme(task: WorkerTask) -> Scheme:
    return ladder.feasible(bound_of(task)).scheme


def _asked(bound: Bound, function: Callable[[WorkerTask], T]) -> T:
    """Call a function in the process of the experiment."""
    try:
        return kept_child(bound.contents).ask(function, task_of(bound))
    except ChildEndedError as error:
        raise SimulationError(
            f"{bound.mechanism.name} has ended the process in which it was simulated: {error}"
        ) from None
