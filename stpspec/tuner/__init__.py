"""Tuner: an experiment under sliders, in the browser or in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stpspec.registry import exports

if TYPE_CHECKING:
    from stpspec.tuner.launch import Tuner, tune
    from stpspec.tuner.server import TunerServer
    from stpspec.tuner.sources import experiments_of

__all__ = [
    "Tuner",
    "TunerServer",
    "experiments_of",
    "tune",
]

__getattr__ = exports(
    __name__,
    {
        "Tuner": "launch",
        "TunerServer": "server",
        "experiments_of": "sources",
        "tune": "launch",
    },
)
