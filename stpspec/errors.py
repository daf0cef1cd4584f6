"""The exceptions of stpspec, and the description of one problem of a spec.

::

    StpspecError
    ├── SpecError          the experiment is not valid (holds every SpecProblem)
    ├── UnknownNameError   a name that no registry, folder or mechanism knows
    ├── PluginError        a plug-in module cannot be imported
    ├── MechanismError     NMODL: missing, does not compile, clashes with a loaded one
    ├── TemplateError      a cell template is missing or fails while it is built
    ├── SimulationError    NEURON stopped, or gave something that is not a number
    ├── DataError          a file of measurements cannot be read, or is not what it is taken for
    ├── MetricError        a trace does not give the metric that is asked of it
    ├── FitError           a fitter cannot start or cannot go on
    ├── StudyError         a study cannot be opened or written, or belongs to another experiment
    ├── DashboardError     a study cannot be shown in the browser
    ├── TunerError         a tuner cannot be opened in the browser
    ├── ResultError        a result cannot be written or read
    └── TrustError         code inside a result has not been trusted yet
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from stpspec.formatting import presentable


class StpspecError(Exception):
    """Base of every error that stpspec raises on purpose.

    Its message may quote files of others: it holds no password and no control character.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, *parts: object):
        super().__init__(*(presentable(part) if isinstance(part, str) else part for part in parts))


class UnknownNameError(StpspecError):
    """A name is not known where it was used."""


class PluginError(StpspecError):
    """A plug-in named in ``plugins`` cannot be imported."""


class MechanismError(StpspecError):
    """A mechanism is missing, does not compile, or clashes with one already loaded."""


class TemplateError(StpspecError):
    """A cell template is missing or fails while a cell is built from it."""


class SimulationError(StpspecError):
    """NEURON stopped with an error, ran out of time, or produced NaN."""


class DataError(StpspecError):
    """A file of measurements cannot be read, or is not what it is taken for."""


class MetricError(StpspecError):
    """A trace does not give the metric that is asked of it."""


class FitError(StpspecError):
    """A fitter cannot start or cannot go on."""


class StudyError(StpspecError):
    """A study cannot be opened, read or written, or belongs to another experiment.

    Attributes
    ----------
    result : FitResult or None
        Of a fit that it has ended: with the best point so far.
    """

    result: Any = None  # of a row above this one


class DashboardError(StpspecError):
    """A study cannot be shown."""


class TunerError(StpspecError):
    """A tuner cannot be opened in the browser."""


class ResultError(StpspecError):
    """A result cannot be written or read."""


class TrustError(StpspecError):
    """Code that lies inside a result would be run, and has neither been run before nor trusted."""


# What the rest of the program has to tell apart; everything else breaks a "rule".
ProblemKind = Literal["rule", "unknown_field", "missing_kind"]


@dataclass(frozen=True)
class SpecProblem:
    """One thing that is wrong with a spec.

    Attributes
    ----------
    path : str
        Dotted path of the field, for example ``protocols.train.frequency``.
    rule : str
        What is required there.
    received : object
        What stood there instead.
    nearest : str or None
        The nearest valid choice, where there is one.
    where : str or None
        ``file:line`` or ``command line``.
    kind : {"rule", "unknown_field", "missing_kind"}
        A field of this name does not exist, a part does not say which ``kind`` it has, or any
        other rule is broken.
    """

    path: str
    rule: str
    received: object = None
    nearest: str | None = None
    where: str | None = None
    kind: ProblemKind = "rule"

    def at(self, where: str | None) -> SpecProblem:
        """Return the same problem with the place where it was written."""
        return replace(self, where=where)

    def __repr__(self) -> str:
        return f"<{self}>"  # a list of problems can be read

    def __str__(self) -> str:
        received = "" if self.received is None else f"; received {_short(self.received)}"
        guess = f"; did you mean {self.nearest!r}?" if self.nearest else ""
        # Of an unknown field the name is wrong, and what was received is the value beside it.
        parts = [guess, received] if self.kind == "unknown_field" else [received, guess]
        text = f"{self.path or '(whole file)'}: {self.rule}{''.join(parts)}"
        return presentable(f"{self.where} | {text}" if self.where else text)


@dataclass(frozen=True)
class Failure:
    """Why a candidate has no value; it travels unchanged from where it arose to its judgment.

    There each is told once, and in these words the history keeps it.

    Attributes
    ----------
    stage : {"worker", "simulation", "metric", "objective"}
        Where it arose.
    text : str
        What happened there.
    protocol : str
        Of which protocol; empty where it is of none.
    """

    stage: Literal["worker", "simulation", "metric", "objective"]
    text: str
    protocol: str = ""

    def __str__(self) -> str:
        return f"{self.protocol}: {self.text}" if self.protocol else self.text


_LISTED = 50  # problems of a message; all are in ``problems``


class SpecError(StpspecError):
    """A spec is not valid; ``problems`` holds everything that is wrong with it, line by line.

    Parameters
    ----------
    problems : sequence of SpecProblem
    title : str
        First line of the message.
    """

    def __init__(self, problems: Sequence[SpecProblem], title: str = "the experiment is not valid"):
        self.problems = tuple(sorted(problems, key=place))
        self.title = title
        count = f"{len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}"
        more = len(self.problems) - _LISTED
        rest = [f"… and {more} more"] if more > 0 else []
        shown = map(str, self.problems[:_LISTED])
        super().__init__("\n  ".join([f"{title} ({count})", *shown, *rest]))

    def __reduce__(self) -> tuple[type[SpecError], tuple[tuple[SpecProblem, ...], str]]:
        return type(self), (self.problems, self.title)


def place(problem: SpecProblem) -> tuple[str, int]:
    """Return file and line, so that problems stand in the order of the file to correct."""
    file, _, line = (problem.where or "").rpartition(":")
    return (file, int(line)) if line.isdigit() else ("", 0)


def nearest(name: object, choices: Iterable[str], cutoff: float = 0.5) -> str | None:
    """Return the choice that looks most like ``name``, or None when none does.

    Parameters
    ----------
    name : object
    choices : iterable of str
    cutoff : float
        How much they must look alike, from 0 to 1.
    """
    choices = list(choices)
    folded = {c.lower().replace("-", "_"): c for c in choices}
    for plain, choice in folded.items():  # ppr: paired_pulse_ratio
        if len(str(name)) > 1 and str(name).lower() == "".join(w[0] for w in plain.split("_") if w):
            return choice
    import difflib  # needed only where something is wrong

    hits = difflib.get_close_matches(
        str(name).lower().replace("-", "_"), folded, n=1, cutoff=cutoff
    )
    return folded[hits[0]] if hits else None


def unknown_name(kind: str, name: object, choices: Iterable[str]) -> UnknownNameError:
    """Build the error for a name that is not among ``choices``."""
    choices = sorted(choices)
    guess = nearest(name, choices)
    hint = f" Did you mean {guess!r}?" if guess else ""
    listed = ", ".join(choices) if choices else "none"
    return UnknownNameError(f"no {kind} is called {name!r}.{hint} Known: {listed}.")


def _short(value: object, limit: int = 120) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
