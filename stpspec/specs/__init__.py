"""Specs of an experiment: frozen data without I/O and without NEURON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stpspec.registry import exports

if TYPE_CHECKING:
    from stpspec.specs.base import Spec
    from stpspec.specs.experiment import Experiment
    from stpspec.specs.fitter import Budget, FitterSpec
    from stpspec.specs.objective import Objective, Term
    from stpspec.specs.parameters import Parameter
    from stpspec.specs.protocol import Protocol, tail
    from stpspec.specs.stimulus import Stimulus, Timing
    from stpspec.specs.study import StudySpec

__all__ = [
    "Budget",
    "Experiment",
    "FitterSpec",
    "Objective",
    "Parameter",
    "Protocol",
    "Spec",
    "Stimulus",
    "StudySpec",
    "Term",
    "Timing",
    "tail",
]

__getattr__ = exports(
    __name__,
    {
        "Budget": "fitter",
        "Experiment": "experiment",
        "FitterSpec": "fitter",
        "Objective": "objective",
        "Parameter": "parameters",
        "Protocol": "protocol",
        "Spec": "base",
        "Stimulus": "protocol",
        "StudySpec": "study",
        "Term": "objective",
        "Timing": "protocol",
        "tail": "protocol",
    },
)
