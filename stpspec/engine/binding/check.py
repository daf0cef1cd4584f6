"""Check of the valid parts of experiments against facts from a process of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stpspec.engine.binding.bind import examine
from stpspec.engine.binding.facts import question_of
from stpspec.engine.binding.inspection import inspect
from stpspec.errors import SpecProblem


def check_parts(several: Sequence[Mapping[str, Any]]) -> list[list[SpecProblem]]:
    """Ask NEURON about the valid parts of several experiments, all in one process of its own.

    Parameters
    ----------
    several : sequence of mapping
        As :func:`stpspec.specs.diagnosis.examine` returns them.

    Returns
    -------
    list of list of SpecProblem
        For each experiment, those that only the loaded mechanism and the built cell can tell.
    """
    problems: list[list[SpecProblem]] = [[] for _ in several]
    asked = [index for index, parts in enumerate(several) if "model" in parts]
    answers = inspect([question_of(several[index]) for index in asked]) if asked else []
    for index, facts in zip(asked, answers, strict=True):
        broken = isinstance(facts, SpecProblem)
        problems[index] = [facts] if broken else examine(several[index], facts=facts)[0]
    return problems
