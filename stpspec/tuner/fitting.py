"""A fit from the page: in a process of its own, watched while it runs, stopped at any time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from html import escape

from stpspec.formatting import number
from stpspec.specs.experiment import Experiment
from stpspec.tuner.layout import Layout
from stpspec.tuner.messages import Answer, Ask, AskFit, Better, Fitted, Refused
from stpspec.tuner.process import Engine
from stpspec.tuner.state import fit_data

Values = Mapping[str, float]


class Fitting:
    """The fit of one session.

    Parameters
    ----------
    layout : Layout
    on_the_page : callable
        Calls a function in the thread of the page.
    show : callable
        Takes values that are the best so far.
    adopt : callable
        Takes the values at the end.
    """

    def __init__(
        self,
        layout: Layout,
        on_the_page: Callable[[Callable[[], None]], None],
        show: Callable[[Values], None],
        adopt: Callable[[Values], None],
    ):
        self._layout, self._on_the_page = layout, on_the_page
        self._show, self._adopt = show, adopt
        self._engine: Engine | None = None
        self._best: Better | None = None
        self._asked: Ask | None = None  # the fit that runs

    @property
    def is_running(self) -> bool:
        """Whether there is a fit that has not ended."""
        return self._asked is not None

    def begin(self, experiment: Experiment) -> None:
        """Fit an experiment from its starts."""
        if self.is_running:
            return
        if self._engine is None:
            self._engine = Engine(self._deliver, patience=None)
        self._best, self._asked = None, AskFit(fit_data(experiment), tuple(sys.path))
        lay = self._layout
        lay.loss.clear()
        lay.fit.disabled, lay.stop.disabled = True, False
        lay.course.object = "<p>the fit begins …</p>"
        self._engine.submit([self._asked])

    def stop(self) -> None:
        """End the fit; the best values so far stay."""
        if not self.is_running or self._engine is None:
            return
        self._engine.stop()
        best = self._best
        said = f"stopped after {best.evaluations} evaluations" if best else "stopped"
        self._end(said, best.values if best else None)

    def _deliver(self, question: Ask, answer: Answer) -> None:
        self._on_the_page(lambda: self._take(question, answer))

    def _take(self, question: Ask, answer: Answer) -> None:
        if question is not self._asked:  # of a fit that was stopped
            return
        if isinstance(answer, Better):
            improved = self._best is None or answer.loss < self._best.loss
            self._best = answer
            self._layout.loss.add(answer.evaluations, answer.loss)
            self._layout.show_loss()
            of = f" of {answer.budget}" if answer.budget else ""
            self._layout.course.object = (
                f"<p>evaluation {answer.evaluations}{of}, lowest loss {number(answer.loss)}</p>"
            )
            if improved:
                self._show(answer.values)
        elif isinstance(answer, Fitted):
            text = f"{answer.status}: {answer.message}; loss {number(answer.loss)}"
            self._end(text, answer.values)
        elif isinstance(answer, Refused):
            self._end(answer.text, self._best.values if self._best else None)

    def _end(self, text: str, values: Values | None) -> None:
        self._asked = None
        self._layout.fit.disabled, self._layout.stop.disabled = False, True
        self._layout.course.object = f"<p>{escape(text)}</p>"
        if values is not None:
            self._adopt(values)

    def close(self) -> None:
        """End the process."""
        self._asked = None
        if self._engine is not None:
            self._engine.close()
