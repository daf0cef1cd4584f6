"""Check of the valid parts of experiments against facts from a process of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stpspec.engine.binding.bind import examine
from stpspec.engine.binding.bound import Bound
from stpspec.engine.binding.facts import question_of
from stpspec.engine.binding.inspection import inspect
from stpspec.errors import SpecProblem
from stpspec.specs.experiment import Experiment


def check_parts(
    several: Sequence[Mapping[str, Any]], experiments: Sequence[Experiment | None] = ()
) -> tuple[list[list[SpecProblem]], list[Bound | None]]:
    """Ask NEURON about the valid parts of several experiments, in processes of its own.

    Parameters
    ----------
    several : sequence of mapping
        As :func:`stpspec.specs.diagnosis.examine` returns them.
    experiments : sequence of Experiment, optional
        Those of the parts, to be bound.

    Returns
    -------
    problems : list of list of SpecProblem
        For each experiment, those that only the loaded mechanism and the built cell can tell.
    bound : list of Bound
        Of each experiment that is given and has no problem.
    """
    problems: list[list[SpecProblem]] = [[] for _ in several]
    bound: list[Bound | None] = [None] * len(several)
    asked = [index for index, parts in enumerate(several) if "model" in parts]
    answers = inspect([question_of(several[index]) for index in asked]) if asked else []
    for index, facts in zip(asked, answers, strict=True):
        if isinstance(facts, SpecProblem):
            problems[index] = [facts]
            continue
        experiment = experiments[index] if experiments else None
        problems[index], bound[index] = examine(several[index], experiment, facts)
    return problems, bound
