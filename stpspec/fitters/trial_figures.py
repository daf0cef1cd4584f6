"""Figures of the best trials of a study: traces, and targets against what was achieved."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.numerics import under
from stpspec.engine.binding.scheme import REFERENCE
from stpspec.engine.workers.place import simulate
from stpspec.fitters.evaluation import Evaluation
from stpspec.fitters.problem import Problem
from stpspec.metrics.measure import measure_candidates
from stpspec.specs.experiment import Experiment
from stpspec.view.trial import write_trial

if TYPE_CHECKING:
    import xarray as xr

log = logging.getLogger("stpspec")

_PAUSE = 60.0  # s between two looks at a running fit
_AT_END = 3  # best trials that have a figure in the end
_SHARE = 0.05  # of the time of a fit, that figures beyond the first may take


@contextlib.contextmanager
def _no_reason_to_end() -> Iterator[None]:
    """Go on without a figure that cannot be kept: the fit is worth more."""
    try:
        yield
    except Exception as error:  # whatever it is, as matplotlib without the LaTeX that it is to use
        log.warning("the figures of the study cannot be kept: %s", error)


@dataclass(frozen=True)
class _Shown:
    """What the figure of a trial shows beside its traces."""

    experiment: Experiment
    metrics: Mapping[str, np.ndarray]
    metric_units: Mapping[str, str]


class TrialFigures:
    """Draws the best trials of a fit's study, seldom enough not to slow it down.

    Parameters
    ----------
    bound : Bound
    """

    def __init__(self, bound: Bound):
        self.bound = under(bound, REFERENCE)
        self._last = time.monotonic()
        self._drawn: Evaluation | None = None

    def look(self, problem: Problem) -> None:
        """Draw the best trial so far, if the last look was long ago and there is a better one."""
        if problem.study is None or time.monotonic() - self._last < _PAUSE:
            return
        good = [e for e in problem.history if not e.failed]
        best = min(good, key=lambda e: e.loss, default=None)
        if best is not None and (self._drawn is None or best.loss < self._drawn.loss):
            self._draw(problem, [best])
            self._drawn = best
        self._last = time.monotonic()  # also if there was none: to look takes the whole history

    def finish(self, problem: Problem, best: Evaluation, traces: xr.DataTree) -> None:
        """Draw the best trials, each place once: the best, and others while they cost little.

        Parameters
        ----------
        problem : Problem
        best : Evaluation
        traces : xarray.DataTree
            Of the best on the reference numerics.
        """
        if problem.study is None:
            return
        good = sorted((e for e in problem.history if not e.failed), key=lambda e: e.loss)
        places = {e.point.tobytes(): e for e in reversed(good)}
        places.pop(best.point.tobytes(), None)
        self._draw(problem, [best, *reversed(places.values())][:_AT_END], traces)

    @_no_reason_to_end()
    def _draw(
        self, problem: Problem, evaluations: Sequence[Evaluation], traces: xr.DataTree | None = None
    ) -> None:
        """Draw trials; the traces are those of the first, if it is simulated already."""
        study = problem.study
        assert study is not None
        there = study.artifacts.names()
        began = time.monotonic()
        for drawn, evaluation in enumerate(evaluations, 1):
            number = study.number_of(evaluation.values)
            name = f"trial_{number}.png"
            if number is not None and name not in there:
                self._attach(problem, evaluation, name, traces if drawn == 1 else None)
            took = time.monotonic() - began
            if took * (drawn + 1) / drawn > _SHARE * (began - problem.started):
                return

    def _attach(
        self, problem: Problem, evaluation: Evaluation, name: str, traces: xr.DataTree | None
    ) -> None:
        tree = traces
        if tree is None:
            tree = simulate(self.bound, {n: [v] for n, v in evaluation.values.items()})
        measured = measure_candidates(tree, problem.judge.requests)[0]
        shown = _Shown(
            experiment=self.bound.experiment,
            metrics={n: m.value for n, m in measured.items()},
            metric_units={n: m.unit for n, m in measured.items()},
        )
        assert problem.study is not None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            title = f"{name.removesuffix('.png').replace('_', ' ')}: loss {evaluation.loss:.4g}"
            write_trial(tree, shown, title, path)
            problem.study.artifacts.add(path)
