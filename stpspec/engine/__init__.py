"""Engine: simulations in NEURON, which no other folder knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stpspec.registry import exports

if TYPE_CHECKING:
    from stpspec.engine.candidates import Candidates
    from stpspec.engine.simulate import evaluate

__all__ = [
    "Candidates",
    "evaluate",
]

__getattr__ = exports(
    __name__,
    {
        "Candidates": "candidates",
        "evaluate": "simulate",
    },
)
