"""Results: what a fit, a simulation, a sweep and a multirun leave on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stpspec.registry import exports

if TYPE_CHECKING:
    from stpspec.results.fit_result import FitResult
    from stpspec.results.multirun import Job, Jobs, collect
    from stpspec.results.provenance import versions

__all__ = [
    "FitResult",
    "Job",
    "Jobs",
    "collect",
    "versions",
]

__getattr__ = exports(
    __name__,
    {
        "FitResult": "fit_result",
        "Job": "multirun",
        "Jobs": "multirun",
        "collect": "multirun",
        "versions": "provenance",
    },
)
